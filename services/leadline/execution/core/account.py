"""The account as risk sees it: a pure function of the book."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final

from leadline.execution.core.alternatives import first_fill_wins, in_the_market, is_waiting, waiting_groups
from leadline.execution.core.book import Book, StrategyBook, commission_of, is_entry
from leadline.execution.core.closes import distances_today
from leadline.execution.core.contracts import execution_contract, session_of, tape_contract
from leadline.execution.core.limits import limits_in_force, own_limits
from leadline.execution.core.positions import open_result
from leadline.model.checks.signals import session_of_day
from leadline.model.durations import NS_PER_HOUR, parse_duration
from leadline.model.frozen import replace
from leadline.model.ids import ContractId, LegKind, StrategyId
from leadline.model.manifest.specs import TradingAccount, TradingStrategy, market_slippage, valid_for_ns
from leadline.model.manifest.specs import bracket_of as spec_bracket
from leadline.model.market.contracts import instrument_of, no_entry_from, sheet_of
from leadline.model.orders import Bracket, Order, OrderType, Position, Side, Trail
from leadline.model.proposals import Proposal
from leadline.model.remembered import once_for_each
from leadline.model.signals import BarSignals
from leadline.model.ticks import NS_PER_SECOND
from leadline.model.worth import loss
from leadline.risk.entry_terms import worst_price
from leadline.risk.reasons import Reason
from leadline.risk.view import (
    AccountView,
    DecisionInputs,
    ExecutionInstrument,
    Quote,
    StrategyDay,
    StrategySettings,
)

_ZERO: Final = Decimal(0)


def decision_inputs(
    book: Book, strategy: StrategyBook, bar: BarSignals, proposal: Proposal, *, halt: str
) -> DecisionInputs:
    """The request to risk at the book's instant about a proposal that a strategy made at a bar.

    The bar's session is the calendar's, whatever the message says of it. What was seen in it decides nothing: a wide
    bar may have hundreds of signals.
    """
    days, hours = session_of(strategy.manifest)
    session = session_of_day(days.name, bar.trading_day, hours)
    opens_ns, closes_ns = (0, 0) if session is None else (session.open_ns, session.close_ns)
    bar = BarSignals(bar.bar, bar.known_at_ns, bar.close, opens_ns, closes_ns, bar.regime)
    view = account_view(book, halt=halt)
    return DecisionInputs(view, settings(book, strategy, view), bar, proposal, book.instant_ns)


def account_view(book: Book, *, halt: str) -> AccountView:
    """The account at the book's instant."""
    if book.trading_day is None:
        raise AssertionError("the account has no trading day yet")
    live, positions = book.live_orders(), book.open_positions()
    entries = [order for order in live if is_entry(order)]
    trades = {(position.strategy, position.contract) for position in positions}
    trades.update((order.strategy, order.contract) for order in entries)
    return AccountView(
        account=book.account,
        trading_day=book.trading_day,
        equity_at_roll=book.equity_at_roll,
        realised=book.realised,
        open=open_money(book, positions),
        worst_case=worst_case(book, positions, live),
        streak=book.streak,
        trades=book.trades,
        entries_last_hour=len([at for at in book.entry_instants if at > book.instant_ns - NS_PER_HOUR]),
        orders_last_second=_orders_last_second(book, None),
        open_trades=len(trades),
        exposure=_exposure(positions, entries),
        margin_in_use=_margin_in_use(book, positions, entries) if trades else _ZERO,
        block=book.block,
        halt=halt,
        unresolved=book.unresolved,
        limits=limits_in_force(book),
        tier_index=book.tier_index,
        tiers=book.tiers_in_force,
        first_fill_wins=first_fill_wins(book),
        in_the_market=len(in_the_market(book)),
    )


def settings(book: Book, strategy: StrategyBook, view: AccountView | None = None) -> StrategySettings:
    """The strategy's settings with its day on this account, of which `view` may be known already.

    While it is being flattened, and from the time on at which it has to be flat, it does not enter: what would be
    cancelled at the loop's next stop must not depend on where that is. Nor does it while it is drained, or when its
    namespace is not one that the account allows any more.
    """
    spec, fixed = strategy.manifest.spec, _fixed(strategy.manifest)
    signal = strategy.contract
    positions = book.open_positions(strategy.strategy)
    live = book.live_orders(strategy.strategy)
    entries = [order for order in live if is_entry(order)]
    if view is not None and len(positions) == len(book.open_positions()) and len(live) == len(book.live_orders()):
        opened, worst, entered = view.open, view.worst_case, bool(view.in_the_market)  # all of it is the strategy's
    else:
        opened, worst = open_money(book, positions), worst_case(book, positions, live)
        entered = strategy.strategy in in_the_market(book)
    distances = distances_today(book, strategy)
    return StrategySettings(
        strategy=strategy.strategy,
        state=spec.state if may_enter(book, strategy) else "ReduceOnly",
        signal_root=instrument_of(signal).root,
        signal_contract=signal,
        session_zone=fixed.zone,
        after_open_ns=distances.after_open_ns,
        before_close_ns=distances.before_close_ns,
        blocks=fixed.blocks,
        news=fixed.news,
        sizing_mode=spec.sizing.mode,
        fixed_size=spec.sizing.size or 0,
        risk_percent=spec.sizing.percent or _ZERO,
        max_size=spec.sizing.max_size,
        modifiers=fixed.modifiers,
        respect_day_budget=spec.sizing.respect_day_budget,
        bracket=fixed.bracket,
        limits=own_limits(strategy),
        day=StrategyDay(
            realised=strategy.realised,
            open=opened,
            worst_case=worst,
            trades=strategy.trades,
            exposure=_exposure(positions, entries),
            orders_last_second=_orders_last_second(book, strategy.strategy),
            position=sum([position.quantity for position in positions])
            + sum([order.side.sign * order.remaining for order in entries]),
            block=strategy.block,
            groups=waiting_groups(book, strategy.strategy) if entries else (),
            in_the_market=entered,
            pending=len([order for order in entries if is_waiting(order)]),
            entries_last_hour=_entries_last_hour(book, strategy),
        ),
        execute=tuple(_instrument(book, strategy, root) for root in book.roots(signal)),
        slippage_ticks=market_slippage(book.manifest),
        entry_type=fixed.entry_type,
        entry_offset=spec.entries.offset_ticks,
        valid_for_ns=fixed.valid_for_ns,
        max_pending=spec.entries.max_pending,
    )


def may_enter(book: Book, strategy: StrategyBook) -> bool:
    """Whether nothing but its own state keeps a strategy from entering: no closing, drain, fence or namespace."""
    if strategy.flatten or book.flatten or strategy.drain is not None or strategy.fence is not None:
        return False
    return allowed_on(book, strategy)


def allowed_on(book: Book, strategy: StrategyBook) -> bool:
    """Whether the account takes orders of a strategy's namespace."""
    own, account = strategy.manifest.metadata.namespace, book.manifest
    return own == account.metadata.namespace or own in account.spec.allowed_namespaces


@dataclass(frozen=True, slots=True)
class _Fixed:
    """The part of a strategy's settings that its manifest alone decides; the fields are those of `StrategySettings`."""

    blocks: tuple[tuple[str, str], ...]
    news: tuple[tuple[int, int], ...]
    modifiers: tuple[str, ...]
    bracket: Bracket
    entry_type: OrderType
    valid_for_ns: int | None
    zone: str


@once_for_each
def _fixed(manifest: TradingStrategy) -> _Fixed:
    spec = manifest.spec
    return _Fixed(
        blocks=tuple((block.from_, block.to) for block in spec.entries.blocks),
        news=tuple(_news_window(event.at, event.before, event.after) for event in spec.entries.news),
        modifiers=tuple(spec.sizing.modifiers),
        bracket=_bracket(manifest),
        entry_type=OrderType(spec.entries.type.upper()),
        valid_for_ns=valid_for_ns(spec),
        zone=session_of(manifest)[1].zone,
    )


def bracket_of(strategy: StrategyBook) -> Bracket:
    """The exits of a strategy's next entry: the manifest's, else the instrument profile's distances."""
    return _fixed(strategy.manifest).bracket


def _bracket(manifest: TradingStrategy) -> Bracket:
    wanted = spec_bracket(manifest.spec)
    trail = None if wanted.trail is None else Trail(wanted.trail.trigger_ticks, wanted.trail.offset_ticks)
    return Bracket(wanted.stop_ticks, wanted.target_ticks, trail=trail)


def open_money(book: Book, positions: Sequence[Position]) -> Decimal:
    """Open result of positions at their last prints, before the commission of closing them."""
    total = _ZERO
    for position in positions:
        last = book.last_prints.get(position.tape_contract)
        if last is not None:
            total += open_result(position, last.price)
    return total


def gap_ticks(book: Book, strategy: StrategyId, contract: ContractId) -> int:
    """How far beyond its stop what a strategy holds of a contract may be filled, ticks; 0 where it is flat by a close.

    What no strategy looks after is not flattened by a close either.
    """
    owner, sheet = book.strategies.get(strategy), sheet_of(contract)
    if sheet is None or (owner is not None and not owner.manifest.spec.holds_overnight):
        return 0
    return book.manifest.spec.overnight_gap_ticks.get(sheet.root, 0)


def no_stop_ticks(book: Book, contract: ContractId) -> int | None:
    """How far a position without a stop counts as able to go, ticks; None where the account allows none."""
    sheet = sheet_of(contract)
    return None if sheet is None else book.manifest.spec.no_stop_risk_ticks.get(sheet.root)


def worst_case(book: Book, positions: Sequence[Position], live: Sequence[Order]) -> Decimal:
    """The loss that is still possible below the open result: positions down to their stops, live entries to theirs.

    What has no stop counts down to the risk that the account has declared for it, and what is leaving to the stop that
    has made room for its close. Slippage on each exit (and entry),
    the gap beyond the stop of what may be held over a close, and the commissions still to come are counted. Never below
    0.
    """
    slippage = market_slippage(book.manifest)
    total = _ZERO
    if not positions and not live:
        return total
    for position in positions:
        last = book.last_prints.get(position.tape_contract)
        stops = [
            price
            for order in live
            if order.stop_price is not None
            and order.strategy == position.strategy
            and order.contract == position.contract
            for price in (order.stop_price, order.wanted_price)
            if price is not None
        ]
        quantity, sign = abs(position.quantity), 1 if position.quantity > 0 else -1
        risk = no_stop_ticks(book, position.contract)
        if position.without_stop and risk is not None:
            stops += [lot.price - sign * risk for lot in position.lots]
        owner = book.strategies.get(position.strategy)
        for goal in () if owner is None else owner.exits:
            if goal.stop is not None and position.held_by(goal.unit):
                stops.append(goal.stop)
        distance = slippage + gap_ticks(book, position.strategy, position.contract)
        if last is not None and stops:
            farthest = min(stops) if sign > 0 else max(stops)
            distance += max((last.price - farthest) * sign, 0)
        mark = position.lots[0].price if last is None else last.price
        total += quantity * loss(mark, distance, sign, position.tick_value, inverse=position.inverse)
        total += commission_of(book.manifest, position.contract, quantity, mark - sign * distance)
    for order in live:
        sheet = sheet_of(order.contract)
        if is_entry(order) and sheet is not None:
            mark, sign = entry_price(book, order), order.side.sign
            distance = max((mark - farthest_stop(book, order, mark)) * sign, 0) + 2 * slippage
            distance += gap_ticks(book, order.strategy, order.contract)
            total += order.remaining * loss(mark, distance, sign, sheet.tick_value, inverse=sheet.inverse)
            for price in (mark, mark - sign * distance):
                total += commission_of(book.manifest, order.contract, order.remaining, price)
    return total


def farthest_stop(book: Book, entry: Order, mark: int) -> int:
    """Where the stop of an entry that fills at `mark` may come to be, ticks.

    It begins where the entry's bracket has it, and goes to where its strategy wants that of what is held. An entry
    without one counts down to the risk that the account has declared, until it has the one that is wanted.
    """
    own = None if entry.bracket is None else entry.bracket.stop_at(mark, entry.side)
    if own is None:
        own = mark - entry.side.sign * (no_stop_ticks(book, entry.contract) or 0)
    wanted = None if entry.protection is None else entry.protection.stop_price
    farthest = min if entry.side is Side.BUY else max
    return own if wanted is None else farthest(own, wanted)


def _exposure(positions: Sequence[Position], entries: Sequence[Order]) -> int:
    return sum([abs(position.quantity) for position in positions]) + sum([order.remaining for order in entries])


def _margin_in_use(book: Book, positions: Sequence[Position], entries: Sequence[Order]) -> Decimal:
    """Margin of positions and working entries, each at its contract's own; an unknown contract counts as nothing."""
    held = [
        (item.contract, abs(item.quantity), _mark(book, item.tape_contract, item.lots[0].price)) for item in positions
    ]
    held += [(order.contract, order.remaining, entry_price(book, order)) for order in entries]
    sheets = [(sheet_of(contract), quantity, price) for contract, quantity, price in held]
    return sum(
        ((sheet.margin_at(price) or _ZERO) * quantity for sheet, quantity, price in sheets if sheet is not None),
        start=_ZERO,
    )


def _mark(book: Book, tape: ContractId, otherwise: int) -> int:
    """The last print of a contract in ticks; before there is one, `otherwise`."""
    last = book.last_prints.get(tape)
    return otherwise if last is None else last.price


def entry_price(book: Book, order: Order) -> int:
    """Where an entry is priced for bounds: at its own price, or at the last print where that is what it would pay."""
    own = order.price or 0
    return worst_price(order.type, order.price, _mark(book, order.tape_contract, own), order.side)


def _orders_last_second(book: Book, strategy: StrategyId | None) -> int:
    since_ns = book.instant_ns - NS_PER_SECOND
    newest = [order for order in book.orders.values() if order.decided_at_ns > since_ns and not order.parent]
    return len(newest) if strategy is None else sum(order.strategy == strategy for order in newest)


def _entries_last_hour(book: Book, strategy: StrategyBook) -> int:
    """Entries that a strategy decided within the last hour; 0, and nothing is counted, where no limit asks."""
    if own_limits(strategy).max_entries_per_hour is None:
        return 0
    since_ns = book.instant_ns - NS_PER_HOUR
    entries = (order for order in book.orders.values() if is_entry(order) and order.strategy == strategy.strategy)
    return sum(order.decided_at_ns > since_ns for order in entries)


def looked_back_on_ns(book: Book) -> int:
    """How far before the book's instant the limits of an entry look at orders and decisions that are over, ns."""
    hourly = [own_limits(strategy).max_entries_per_hour for strategy in book.strategies.values()]
    hourly.append(limits_in_force(book).max_entries_per_hour)
    within = book.manifest.spec.limits.duplicate_within
    return max(
        NS_PER_SECOND,
        NS_PER_HOUR if any(most is not None for most in hourly) else 0,
        0 if within is None else parse_duration(within, "spec.limits.duplicateWithin"),
    )


def too_often(book: Book, strategy: StrategyBook, reason: str) -> str:
    """The limit of repeated entries that a refusal names, in words for the halt that follows it; empty for others."""
    own = own_limits(strategy)
    match reason:
        case Reason.MAX_ENTRIES_PER_HOUR:
            most = limits_in_force(book).max_entries_per_hour
            return f"one more entry than the {most} that are allowed within an hour"
        case Reason.STRATEGY_ENTRIES_PER_HOUR:
            most = own.max_entries_per_hour
            return f"one more entry of {strategy.strategy} than the {most} that are allowed within an hour"
        case Reason.STRATEGY_ENTRIES_PER_SESSION:
            most = own.max_entries_per_session
            return f"one more entry of {strategy.strategy} than the {most} that are allowed in a session"
    return ""


def _recent(book: Book, contract: ContractId) -> tuple[tuple[Side, int], ...]:
    """Sides and sizes of the entries in a contract of which another one like it would be a duplicate now."""
    within = book.manifest.spec.limits.duplicate_within
    if within is None:
        return ()
    since_ns = book.instant_ns - parse_duration(within, "spec.limits.duplicateWithin")
    entries = (order for order in book.orders.values() if is_entry(order) and order.contract == contract)
    return tuple(sorted({(order.side, order.quantity) for order in entries if order.decided_at_ns > since_ns}))


def _no_entry_from(contract: ContractId, account: TradingAccount) -> date | None:
    """The first trading day on which nothing is entered in a contract: of the sheet, and so many days before."""
    first, days = no_entry_from(contract), account.spec.limits.days_before_expiry
    return first if first is None or days is None else first - timedelta(days=days)


def _is_forbidden(contract: ContractId, account: TradingAccount) -> bool:
    allowed = account.spec.limits.allowed_contracts
    return bool(allowed) and contract not in allowed


def _news_window(at: str, before: str, after: str) -> tuple[int, int]:
    moment = int(datetime.strptime(at, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()) * NS_PER_SECOND
    return moment - parse_duration(before, "before"), moment + parse_duration(after, "after")


def _instrument(book: Book, strategy: StrategyBook, root: str) -> ExecutionInstrument:
    """A contract as risk sees it; its quote is the last print of the tape that fills it, as old as that tape's."""
    contract = execution_contract(strategy.contract, root)
    tape = tape_contract(contract, strategy.contract, book.feed_contracts)
    known = _known_instruments(book.manifest)
    key = (root, contract, tape, strategy.manifest.spec.holds_overnight, book.clock_rate)
    found = known.get(key)
    if found is None:
        found = known[key] = _without_quote(book.manifest, *key)
    last = book.last_prints.get(tape)
    return replace(
        found,
        margin=found.margin if last is None else instrument_of(contract).margin_at(last.price),
        quote=None if last is None else Quote(last.price, last.time_ns),
        recent=_recent(book, contract),
        foreign=any(order.leg.kind is LegKind.FOREIGN and order.contract == contract for order in book.live_orders()),
    )


_Instruments = dict[tuple[str, ContractId, ContractId, bool, int], ExecutionInstrument]


@once_for_each
def _known_instruments(_: TradingAccount) -> _Instruments:
    """The answers of `_without_quote` for an account's manifest, by what was asked."""
    return {}


def _without_quote(
    manifest: TradingAccount, root: str, contract: ContractId, tape: ContractId, held_over: bool, clock_rate: int
) -> ExecutionInstrument:
    """A contract as risk sees it, before anything has printed and been entered."""
    sheet, account = instrument_of(contract), manifest.spec
    own = account.commission.get(sheet.root)
    return ExecutionInstrument(
        root=root,
        contract=contract,
        tick_value=sheet.tick_value,
        commission=sheet.commission if own is None else own,
        margin=sheet.margin,
        quote=None,
        staleness_ns=instrument_of(tape).staleness_ns * clock_rate,
        collar_ticks=sheet.collar_ticks,
        expires=_no_entry_from(contract, manifest),
        inverse=sheet.inverse,
        fee_rate=sheet.fee_rate if own is None else _ZERO,
        gap_ticks=account.overnight_gap_ticks.get(sheet.root, 0) if held_over else 0,
        no_stop_ticks=account.no_stop_risk_ticks.get(sheet.root),
        forbidden=_is_forbidden(contract, manifest),
    )
