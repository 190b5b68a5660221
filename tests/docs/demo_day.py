"""The session that the demo trades, computed in this process: what the pages tell about it must be so."""

from dataclasses import dataclass
from decimal import Decimal
from functools import cache

from leadline.aggregation.builder import BarBuilder
from leadline.analysis.assemble import strategy_fold
from leadline.execution.core.account import decision_inputs
from leadline.execution.core.book import Book, new_order
from leadline.execution.loop.commands import set_strategy
from leadline.ingestion.normaliser import Normaliser
from leadline.ingestion.runs import DEFAULT_TRADE_FROM, previous_days
from leadline.ingestion.sources import SimulatedSource
from leadline.model.bars import Bar
from leadline.model.ids import ContractId, Leg, RunId, client_order_id, decision_id
from leadline.model.manifest.specs import StrategySpec, TradingAccount, TradingStrategy, session_of
from leadline.model.market.calendars import calendar
from leadline.model.market.contracts import instrument_of, resolve_contract
from leadline.model.orders import LastPrint, Side, VenueEvent, VenueOrder
from leadline.model.proposals import Decision
from leadline.model.signals import BarSignals
from leadline.model.ticks import TickBatch, TickColumns, concat
from leadline.risk.decide import decide
from leadline.risk.view import RiskDecision
from leadline.venue.fill_rules import FillRules
from leadline.venue.matching import PaperMarket

SEED = 1
TRADE_FROM = DEFAULT_TRADE_FROM


@cache
def prints(instrument: str, history: int) -> tuple[ContractId, TickColumns]:
    """Contract and normalised prints of the traded day and the history sessions before it."""
    contract = resolve_contract(instrument, TRADE_FROM)
    sheet = instrument_of(contract)
    days = (*previous_days(calendar(sheet.calendar), TRADE_FROM, history), TRADE_FROM)
    normaliser = Normaliser(contract, sheet.tick, sheet.size_step, allowed_lateness_ns=1_000_000_000)
    raw = SimulatedSource([contract], SEED).read(contract, days)
    return contract, concat([*(normaliser.feed(columns) for columns in raw), normaliser.finish()])


def bars_of(spec: StrategySpec) -> list[Bar]:
    """The bars that a strategy reads."""
    contract, ticks = prints(spec.instrument, spec.history)
    sheet = instrument_of(contract)
    _, hours = session_of(spec)
    builder = BarBuilder(
        tape=RunId("demo"),
        venue=sheet.venue,
        contract=contract,
        calendar=calendar(sheet.calendar),
        hours=hours,
        spec=spec.bar_spec,
        ticks_per_row=spec.ticks_per_row,
    )
    end_ns = int(ticks.time_ns[-1])
    messages = builder.feed(TickBatch(RunId("demo"), sheet.venue, contract, ticks, end_ns, final=True))
    return [message.bar for message in messages if message.bar is not None]


def said(spec: StrategySpec) -> list[BarSignals]:
    """What a strategy says about the bars of the traded day."""
    fold = strategy_fold(spec, TRADE_FROM)
    return [found for bar in bars_of(spec) if (found := fold.step(bar)) is not None]


@dataclass(frozen=True, slots=True)
class Trade:
    """A decision on one bar, by itself on a fresh account, and what the paper venue makes of it."""

    bar: Bar
    said: BarSignals
    answer: RiskDecision
    client_id: str
    events: tuple[VenueEvent, ...]


def trade_of(account: TradingAccount, strategy: TradingStrategy, ordinal: int) -> Trade:
    """The traded day's bar with that ordinal, decided and filled."""
    contract, ticks = prints(strategy.spec.instrument, strategy.spec.history)
    bar = next(bar for bar in bars_of(strategy.spec) if (bar.key.trading_day, bar.key.ordinal) == (TRADE_FROM, ordinal))
    heard = next(each for each in said(strategy.spec) if each.bar == bar.key)
    book = Book(RunId("demo"), account.full_name, account, (contract,), TRADE_FROM, heard.known_at_ns, Decimal(2500))
    book.trading_day, book.tier_index = TRADE_FROM, 0
    row = int(ticks.time_ns.searchsorted(heard.known_at_ns, "right")) - 1
    book.last_prints[contract] = LastPrint(int(ticks.price[row]), int(ticks.time_ns[row]), row)
    manifest = strategy.model_dump_json(by_alias=True, exclude_none=True)
    owner = set_strategy(book, strategy.full_name, "hash", manifest)
    [(source, proposal)] = heard.sourced()
    answer = decide(decision_inputs(book, owner, heard, proposal, halt=""))
    number = decision_id(account.full_name, strategy.full_name, source)
    decision = Decision(
        decision_id=number,
        strategy=strategy.full_name,
        source=source,
        bar_key=bar.key.text(),
        proposal=proposal,
        instant_ns=heard.known_at_ns,
        trading_day=TRADE_FROM,
        accepted=answer.accepted,
        reason=answer.reason,
        side=Side(answer.side),
        quantity=answer.quantity,
        contract=answer.contract,
        bracket=answer.bracket,
        patterns=answer.patterns,
        regime=heard.regime_name,
        arithmetic=answer.arithmetic,
    )
    order = new_order(decision, client_order_id(number, Leg("E")), heard.known_at_ns, contract)
    market = PaperMarket(FillRules(), heard.known_at_ns)
    market.submit(
        VenueOrder(
            client_id=order.client_id,
            decision=number,
            leg=order.leg,
            contract=contract,
            tape_contract=order.tape_contract,
            side=order.side,
            type=order.type,
            quantity=order.quantity,
            decided_at_ns=order.decided_at_ns,
            bracket=order.bracket,
        )
    )
    end_ns = int(ticks.time_ns[-1])
    while market.live_orders() and market.instant_ns < end_ns:
        market.advance({contract: ticks}, end_ns)
    return Trade(bar, heard, answer, order.client_id, market.events_after(0))
