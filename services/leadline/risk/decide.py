"""One decision on one proposal: pass the gates and limits, then size."""

from leadline.model.frozen import replace
from leadline.model.proposals import Action, Proposal, group_of
from leadline.model.signals import BarSignals
from leadline.risk.bounds import check_inputs
from leadline.risk.entry_terms import Terms, at_distances, terms_of, terms_refusal, worst_price
from leadline.risk.gates import month_refusal, open_until, time_refusal
from leadline.risk.limits import contract_refusal, order_refusal, standing_refusal, stop_refusal
from leadline.risk.reasons import Reason
from leadline.risk.sizing import size
from leadline.risk.view import AccountView, DecisionInputs, Entry, ExecutionInstrument, RiskDecision, StrategySettings


def decide(inputs: DecisionInputs) -> RiskDecision:
    """Risk's word on a proposal: an order, or the first reason that refused it with the arithmetic so far.

    Raises InvalidInput for a question that is out of bounds (`leadline.risk.bounds`).
    """
    check_inputs(inputs)
    account, strategy, bar, proposal = inputs.account, inputs.strategy, inputs.bar, inputs.proposal
    if (withdrawn := withdrawal(proposal)) is not None:
        return withdrawn
    refusal = month_refusal(strategy, bar) or time_refusal(strategy, bar, inputs.instant_ns)
    adds, group = proposal.action is Action.ADD, group_of(bar.bar.text(), proposal)
    refusal = refusal or standing_refusal(account, strategy, adds=adds, group=group)
    if refusal is not None:
        return _refused(refusal, proposal)
    instrument = execution_instrument(account, strategy)
    if isinstance(instrument, Reason):
        return _refused(instrument, proposal)
    refusal = contract_refusal(account, instrument, inputs.instant_ns, bar.close)
    if refusal is not None or instrument.quote is None or proposal.direction is None:
        return _refused(refusal or Reason.STALE, proposal)
    side = proposal.direction.side
    terms = terms_of(strategy, proposal, bar.close, side)
    quote = instrument.quote.price
    price = worst_price(terms.type, terms.price, quote, side)
    sized_by = at_distances(strategy, terms.bracket, side, price)
    refusal = terms_refusal(terms, side, quote, group=group) or stop_refusal(sized_by, instrument)
    if refusal is not None:
        return _refused(refusal, proposal)
    if proposal.quantity is not None:
        sized_by = replace(sized_by, max_size=min(sized_by.max_size, proposal.quantity))
    sized = size(account, sized_by, instrument, bar, proposal, price)
    entry = Entry(side, sized.quantity, inputs.instant_ns, bar.close, terms.price, adds, group, price)
    refusal = sized.reason or order_refusal(account, sized_by, instrument, entry)
    if refusal is not None:
        return _refused(refusal, proposal, sized.arithmetic)
    return RiskDecision(
        accepted=True,
        reason="",
        side=side.value,
        quantity=sized.quantity,
        contract=instrument.contract,
        bracket=terms.bracket,
        patterns=proposal.why,
        arithmetic=sized.arithmetic,
        type=terms.type,
        price=terms.price,
        valid_until_ns=None if terms.price is None else _valid_until(strategy, terms, bar, inputs.instant_ns),
    )


def withdrawal(proposal: Proposal) -> RiskDecision | None:
    """The refusal of a proposal that its strategy has withdrawn, None of any other: it follows from nothing else."""
    return None if proposal.withdrawn is None else _refused(Reason(proposal.withdrawn.value), proposal)


def _valid_until(strategy: StrategySettings, terms: Terms, bar: BarSignals, instant_ns: int) -> int:
    """When an entry that waits ends: after its own time, else with the session, and with the gate that lets it in."""
    if terms.valid_for_ns is not None:
        own = instant_ns + terms.valid_for_ns
    elif instant_ns < bar.close_ns:
        own = bar.close_ns
    else:  # a session that never closes: its last bar is known in the next one, which is as long
        own = 2 * bar.close_ns - bar.open_ns
    closes = open_until(strategy, bar, instant_ns)
    return own if closes is None else min(own, closes)


def execution_instrument(account: AccountView, strategy: StrategySettings) -> ExecutionInstrument | Reason:
    """The contract that fills: the tier's root of the same underlying, or the signal's own when tiers are off."""
    tier = account.tier
    if tier is None and account.tiers:
        return Reason.NO_TIER
    root = strategy.signal_root if tier is None else tier.execute
    return next((instrument for instrument in strategy.execute if instrument.root == root), Reason.NO_CONTRACT)


def _refused(reason: Reason, proposal: Proposal, arithmetic: tuple[tuple[str, str], ...] = ()) -> RiskDecision:
    return RiskDecision(False, reason.value, patterns=proposal.why, arithmetic=arithmetic)
