"""Proposals about the position and the working orders of a strategy: to leave, to take entries back, to move exits.

No service is asked: the book alone says what is held. Leaving and taking back need no one's leave; a stop that goes to
where more can be lost is asked of the limits.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from leadline.execution.core.account import account_view, entry_price, farthest_stop, no_stop_ticks, settings
from leadline.execution.core.book import Book, StrategyBook, UnitExit, is_entry
from leadline.execution.core.booking import is_foreign
from leadline.execution.core.bracket_legs import protected
from leadline.execution.core.exit_reasons import ExitReason
from leadline.execution.core.new_exits import beyond, new_exits, out_of_reach
from leadline.execution.core.unit_exits import is_whole_unit_leaving, oldest_first
from leadline.model.ids import ContractId, DecisionId, LegKind
from leadline.model.market.contracts import sheet_of
from leadline.model.orders import DEFAULT_UNIT, Bracket, Order, OrderType
from leadline.model.proposals import Action, Proposal
from leadline.model.worth import loss
from leadline.risk.limits import loosening_refusal
from leadline.risk.reasons import Reason
from leadline.risk.view import RiskDecision


@dataclass(frozen=True, slots=True)
class Adjustment:
    """The answer to such a proposal, and what an accepted one changes.

    `orders` are as they are then; `closes` is the reason under which all that is held is closed, or None. `exits` are
    the units and the parts of units that are closed.
    """

    answer: RiskDecision
    orders: tuple[Order, ...] = ()
    closes: ExitReason | None = None
    exits: tuple[UnitExit, ...] = ()


def adjustment(
    book: Book,
    strategy: StrategyBook,
    proposal: Proposal,
    decision: DecisionId,
    *,
    seen: str,
    halt: str,
    attaches: bool,
    pairs: bool = True,
) -> Adjustment:
    """The decision of that id on a proposal that enters nothing, and its orders.

    `seen` is the contract of the bar at which it was made: its prices mean nothing for another month. `halt` is why the
    account is halted, or empty; `attaches` says whether the venue takes an exit that a position does not have, and
    `pairs` whether it ends one of two exits when the other fills: else both could, and there is never a second one.
    """
    name, unit = strategy.strategy, proposal.unit
    held = [position for position in book.open_positions(name) if not unit or position.held_by(unit)]
    live = [order for order in book.live_orders(name) if not is_foreign(order) and unit in ("", order.unit)]
    entries = [order for order in live if is_entry(order)]
    if proposal.action is Action.CANCEL:
        if not entries:
            return _refused(Reason.NOTHING_WORKING, proposal)
        orders = _taken_back(entries)
        return Adjustment(_accepted(proposal, entries[0].contract, sum(order.remaining for order in entries)), orders)
    in_part = proposal.quantity is not None
    if not held and (proposal.action is Action.PROTECT or in_part or not entries):
        return _refused(Reason.UNIT_NOT_HELD if unit else Reason.NOTHING_HELD, proposal)
    contract = held[0].contract if held else entries[0].contract
    size = sum(position.held_by(unit) if unit else abs(position.quantity) for position in held)
    answer = _accepted(proposal, contract, size)
    if proposal.action is Action.EXIT:
        if proposal.quantity is not None:
            return _part(book, strategy, proposal, contract, proposal.quantity)
        if unit:
            return Adjustment(answer, _taken_back(entries), exits=(UnitExit(unit, None, ExitReason.EXIT),))
        return Adjustment(answer, closes=ExitReason.EXIT)
    if seen != strategy.contract:
        return _refused(Reason.CONTRACT_ROLLING, proposal)
    bracket = proposal.bracket or Bracket()
    fresh = [order for position in held if attaches for order in new_exits(book, position, bracket, decision, unit)]
    if not pairs and any(order.oco for order in fresh):
        return _refused(Reason.NO_SUCH_EXIT, proposal)
    found = _protection(book, strategy, proposal, answer, live, fresh, halt)
    stays = found.answer.accepted and found.closes is None and not found.exits
    if stays and any(out_of_reach(book, position, bracket, unit, attaches=attaches) for position in held):
        return _refused(Reason.NO_SUCH_EXIT, proposal)
    return found


def _part(book: Book, strategy: StrategyBook, proposal: Proposal, contract: ContractId, quantity: int) -> Adjustment:
    """So much of a unit, or of the oldest that is held, leaves; what is leaving already cannot leave again."""
    parts, missing = oldest_first(book, strategy, proposal.unit, quantity)
    if missing or strategy.flatten or book.flatten:
        held = 0 if strategy.flatten or book.flatten else quantity - missing
        return _refused(Reason.MORE_THAN_HELD, proposal, (("held", str(held)),))
    exits = tuple(UnitExit(unit, part, ExitReason.EXIT) for unit, part in parts.items())
    return Adjustment(_accepted(proposal, contract, quantity), exits=exits)


def _taken_back(entries: Iterable[Order]) -> tuple[Order, ...]:
    """Entries that their strategy does not want any more."""
    return tuple(_changed(order, replace(order, unwanted=True)) for order in entries)


def unit_refusal(strategy: StrategyBook, proposal: Proposal) -> RiskDecision | None:
    """The refusal of an entry into a unit of which all is leaving: it would be closed with it."""
    leaves = is_whole_unit_leaving(strategy, proposal.unit or DEFAULT_UNIT)
    return _refused(Reason.UNIT_LEAVING, proposal).answer if leaves else None


def _protection(
    book: Book,
    strategy: StrategyBook,
    proposal: Proposal,
    answer: RiskDecision,
    live: Iterable[Order],
    fresh: Sequence[Order],
    halt: str,
) -> Adjustment:
    """Where the stops and targets of what is held go, and those that there were not."""
    bracket = proposal.bracket or Bracket()
    exits = list(live)
    moved: list[Order] = []
    trailing: list[Order] = []
    for kind, order_type, price, trail in (
        (LegKind.STOP, OrderType.STOP, bracket.stop_price, bracket.trail),
        (LegKind.TARGET, OrderType.LIMIT, bracket.target_price, None),
    ):
        found = [order for order in exits if order.leg.kind is kind and order.type is order_type]
        made = [order for order in fresh if order.type is order_type]
        if (price is not None or trail is not None) and not found and not made:
            return _refused(Reason.NO_SUCH_EXIT, proposal)
        if trail is not None and any(order.entry_price is None for order in (*found, *made)):
            return _refused(Reason.ENTRY_PRICE_UNKNOWN, proposal)
        moved += [replace(order, wanted_price=price) for order in found if price is not None]
        if price is None and trail is not None:
            trailing += found
    entries = [order for order in exits if is_entry(order) and order.filled]
    later = [replace(order, protection=_and_then(order.protection, bracket)) for order in entries]
    more = sum((_more_later(book, before, after) for before, after in zip(entries, later, strict=True)), Decimal(0))
    for order in moved:
        if order.leg.kind is LegKind.STOP and (loosened := more_at_risk(order)):
            if order.trail is not None:
                return _refused(Reason.STOP_TRAILS, proposal)
            more += loosened
    more += sum((_more_than_declared(book, order) for order in fresh), Decimal(0))
    if reason := beyond(book, (*moved, *fresh)):
        if not proposal.unit:
            return Adjustment(answer, closes=reason)
        entries = [order for order in exits if is_entry(order)]
        return Adjustment(answer, _taken_back(entries), exits=(UnitExit(proposal.unit, None, reason),))
    if more:
        refusal = loosening_refusal(account_view(book, halt=halt), settings(book, strategy), more)
        if refusal is not None:
            return _refused(refusal, proposal, (("more_at_risk", str(more)),))
    known = {order.client_id: order for order in exits}
    wanted = [*(protected(order, bracket) for order in [*moved, *trailing]), *later]
    return Adjustment(answer, (*(_changed(known[order.client_id], order) for order in wanted), *fresh))


def _more_than_declared(book: Book, stop: Order) -> Decimal:
    """Money that more can be lost behind a new stop than the account has declared for a position without one."""
    ticks, sheet = no_stop_ticks(book, stop.contract), sheet_of(stop.contract)
    if ticks is None or sheet is None or stop.stop_price is None or stop.entry_price is None:
        return Decimal(0)
    there = stop.entry_price + stop.side.sign * ticks
    distance = (stop.stop_price - there) * stop.side.sign
    if distance <= 0:
        return Decimal(0)
    return stop.quantity * loss(there, distance, -stop.side.sign, sheet.tick_value, inverse=sheet.inverse)


def _and_then(before: Bracket | None, wanted: Bracket) -> Bracket:
    """The exits that are wanted, once these are wanted too: of each the last word counts."""
    before = before or Bracket()
    return Bracket(
        stop_price=before.stop_price if wanted.stop_price is None else wanted.stop_price,
        target_price=before.target_price if wanted.target_price is None else wanted.target_price,
        trail=before.trail if wanted.trail is None else wanted.trail,
    )


def _more_later(book: Book, before: Order, after: Order) -> Decimal:
    """Money that more can be lost of the open part of an entry, once its exits are wanted elsewhere."""
    sheet, mark = sheet_of(after.contract), entry_price(book, after)
    there, wanted = (farthest_stop(book, entry, mark) for entry in (before, after))
    if sheet is None or (distance := (there - wanted) * after.side.sign) <= 0:
        return Decimal(0)
    return after.remaining * loss(there, distance, after.side.sign, sheet.tick_value, inverse=sheet.inverse)


def more_at_risk(order: Order) -> Decimal:
    """Money that the position behind a stop can lose more at the wanted price; 0 where it is no more."""
    sheet = sheet_of(order.contract)
    there, wanted = order.stop_price, order.wanted_price
    if sheet is None or there is None or wanted is None or (distance := (wanted - there) * order.side.sign) <= 0:
        return Decimal(0)
    return order.remaining * loss(there, distance, -order.side.sign, sheet.tick_value, inverse=sheet.inverse)


def _changed(before: Order, after: Order) -> Order:
    return before if after == before else replace(after, version=before.version + 1)


def _accepted(proposal: Proposal, contract: ContractId, quantity: int) -> RiskDecision:
    return RiskDecision(True, "", quantity=quantity, contract=contract, bracket=proposal.bracket, patterns=proposal.why)


def _refused(reason: Reason, proposal: Proposal, arithmetic: tuple[tuple[str, str], ...] = ()) -> Adjustment:
    return Adjustment(RiskDecision(False, reason.value, patterns=proposal.why, arithmetic=arithmetic))
