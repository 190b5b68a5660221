"""The live view as a drawing of one scene: what trades, what was said about it, what it came to, and who is well."""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from itertools import zip_longest
from typing import Final, TypeVar

from rich.align import Align
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from leadline.cli.feeding import kept_out_text, tape_ns, unfinished_text
from leadline.cli.live_feed import age_text, is_live, phase_text, source_text
from leadline.local.supervisor import PartStatus
from leadline.model.counted import counted
from leadline.model.ids import AccountId
from leadline.model.market.contracts import instrument_of
from leadline.model.signals import Direction
from leadline.model.worth import places
from leadline.report.clock import day_and_time, moment, time_of_day, zone_name
from leadline.report.printable import plain_text, printable
from leadline.views.scene import Scene
from leadline.views.signals import (
    APPROVED,
    DecisionView,
    RegimeView,
    SignalledBar,
    decision_text,
    pattern_lines,
    proposal_text,
    readable,
)
from leadline.views.stack import Stack, StrategyAddress
from leadline.views.values import AccountView, PositionView

# Lines of the left column that are not bars or signals: header, market, titles and frames.
_FIXED_LINES: Final = 18
_MOST_BARS: Final = 8
_MOST_SIGNALS: Final = 12
# Narrower than this, a bar shows where it closed and who pushed, and not its way there.
_WIDE: Final = 140
Item = TypeVar("Item")
_HEALTH: Final = {"serving": "green", "running": "green", "starting": "yellow", "restarting": "yellow"}


def draw(scene: Scene, stack: Stack, parts: Sequence[PartStatus], width: int, height: int) -> RenderableType:
    """The whole picture for a terminal of so many columns and lines."""
    tails = sum(bool(_unfinished(scene, strategy)) for strategy in stack.strategies)
    room = max(6, height - _FIXED_LINES - tails)
    bars = max(2, min(_MOST_BARS, room // 2) // max(1, len(stack.strategies)))
    signals = max(3, min(_MOST_SIGNALS, room - bars * len(stack.strategies)))
    left = Group(
        _market(scene, wide=width >= _WIDE),
        *(_bars(scene, strategy, bars, wide=width >= _WIDE) for strategy in stack.strategies),
        _signals(scene, stack, signals),
    )
    right = Group(*(_account(scene, account) for account in stack.accounts), _services(parts))
    body = Table.grid(expand=True, padding=(0, 0))
    body.add_column(ratio=7)
    body.add_column(ratio=4)
    body.add_row(left, right)
    return Group(_header(scene, stack), body)


def _header(scene: Scene, stack: Stack) -> RenderableType:
    line = Table.grid(expand=True, padding=(0, 1))
    line.add_column()
    line.add_column(justify="center", ratio=1)
    line.add_column(justify="right")
    feed = scene.feed
    title = Text.assemble(("Leadline ", "bold"), ("run ", "dim"), stack.tape, (f"  {stack.feed} feed", "dim"))
    if feed is None:
        line.add_row(title, Text("waiting for the feed", style="dim"), "")
    elif is_live(feed):
        sources = ", ".join(map(source_text, feed.sources))
        well = all(each.state in {"connected", "closed"} for each in feed.sources)
        line.add_row(title, plain_text(moment(feed.now_ns)), plain_text(sources, "green" if well else "bold red"))
    else:
        bar = ProgressBar(total=1.0, completed=feed.progress, width=30, complete_style="cyan", finished_style="green")
        line.add_row(title, Align.center(bar), plain_text(f"{feed.state.replace('_', ' ')} {feed.progress:4.0%}"))
    return Panel(line, border_style="blue", padding=(0, 1))


def _table(*columns: str, left: int = 1) -> Table:
    """A borderless table whose first `left` columns are text and whose others are numbers."""
    table = Table(box=None, expand=True, header_style="dim", padding=(0, 1, 0, 0))
    for index, name in enumerate(columns):
        table.add_column(name, justify="left" if index < left else "right", no_wrap=True, overflow="ellipsis")
    return table


def _framed(title: str | Text, content: RenderableType) -> Panel:
    drawn = title if isinstance(title, Text) else plain_text(title)
    return Panel(content, title=drawn, title_align="left", border_style="dim", padding=(0, 1))


def _market(scene: Scene, *, wide: bool) -> RenderableType:
    live = scene.feed is not None and is_live(scene.feed)
    time, further = ("last print", ["age"]) if live else ("tape time", [])
    table = _table(
        "contract", time, *further, "last", "prints", "per s", *(["outside"] if wide else []), "kept out", left=2
    )
    for item in scene.feed.contracts if scene.feed is not None else ():
        rate = scene.rates[item.contract].per_second
        table.add_row(
            plain_text(item.contract, "bold"),
            day_and_time(tape_ns(item)),
            *([age_text(item, scene.feed.now_ns)] if live and scene.feed is not None else []),
            item.last_price or "–",
            f"{item.prints:,}",
            f"{rate:,.0f}",
            *([f"{item.outside:,}"] if wide else []),
            plain_text(kept_out_text(item), "yellow" if item.quarantined else ""),
        )
    title = f"market, times in {zone_name()}"
    if live and scene.feed is not None:
        title += ", " + ", ".join(dict.fromkeys(phase_text(item.phase) for item in scene.feed.contracts))
    if scene.feed is not None and scene.feed.failure:
        return _framed(title, Group(table, plain_text(f"failed: {scene.feed.failure}", "bold red")))
    return _framed(title, table)


def _bars(scene: Scene, strategy: StrategyAddress, most: int, *, wide: bool) -> RenderableType:
    way, swing = (["open", "high", "low"], ["min", "max"]) if wide else ([], [])
    table = _table("bar", *way, "close", "volume", "delta", *swing, "cum", "POC")
    tick = instrument_of(strategy.contract)
    for bar in _last(scene.bars.get(strategy.name, ()), most):
        table.add_row(
            time_of_day(bar.start_ns),
            *(str(tick.ticks_to_price(value)) for value in (bar.open, bar.high, bar.low) if wide),
            Text(str(tick.ticks_to_price(bar.close)), style=_sign(bar.close - bar.open)),
            f"{bar.volume:,}",
            Text(f"{bar.delta:+,}", style=_sign(bar.delta)),
            *(f"{value:+,}" for value in (bar.min_delta, bar.max_delta) if wide),
            Text(f"{bar.cumulative_delta:+,}", style=_sign(bar.cumulative_delta)),
            str(tick.ticks_to_price(bar.poc)),
        )
    regime = _regime(scene.regimes.get(strategy.name))
    title = Text.assemble(printable(f"{strategy.name}: {strategy.reads}, times in {zone_name()}, "), regime)
    tail = _unfinished(scene, strategy)
    return _framed(title, Group(table, plain_text(tail, "yellow")) if tail else table)


def _unfinished(scene: Scene, strategy: StrategyAddress) -> str:
    """Prints at the end of a strategy's tape that are in no bar, by the month where it has several."""
    names = [month.contract for month in strategy.months]
    keys = [(name, strategy.session, strategy.spec) for name in names]
    return unfinished_text(scene.unfinished[key] for key in keys if key in scene.unfinished)


def _regime(reading: RegimeView | None) -> Text:
    if reading is None:
        return Text("no regime yet")
    if reading.regime == "NO_TRADE":
        return Text.assemble(("no trade", "yellow"), printable(f" ({readable(reading.reason)})"))
    sure = f" {Decimal(reading.confidence):.2f} x{reading.multiplier}"
    return Text.assemble((printable(readable(reading.regime)), "cyan"), printable(sure))


def _signals(scene: Scene, stack: Stack, most: int) -> RenderableType:
    columns = ["known at", "signal, or proposal", "strength", "router", "decision"]
    several = len(stack.strategies) > 1
    table = _table(*(["strategy"] if several else []), *columns, left=9)
    # Where it is narrow, the words give way and not the time or the pattern.
    for column, width in zip(table.columns[-len(columns) :], (8, 24, 8), strict=False):
        column.min_width = width
    reached = {item.name: _instant(scene, item.account) for item in stack.strategies}
    rows: list[tuple[str, list[RenderableType]]] = []
    for bar in reversed(scene.signalled):
        # What the account has not reached has no decision yet.
        if bar.known_at_ns <= reached[bar.strategy]:
            rows = [*_signal_rows(scene, bar), *rows]
        if len(rows) >= most:
            break
    for name, cells in rows[-most:]:
        table.add_row(*([plain_text(name)] if several else []), *cells)
    return _framed(
        f"signals ({scene.signal_count:,} in {counted(scene.bar_count, 'bar')} so far), times in {zone_name()}", table
    )


def _instant(scene: Scene, account: AccountId) -> int:
    state = scene.states.get(account)
    return 0 if state is None else state.instant_ns


def _signal_rows(scene: Scene, bar: SignalledBar) -> Iterator[tuple[str, list[RenderableType]]]:
    """A line per pattern, then one per proposal that is left; the decision of each proposal has a line of its own."""
    lines = pattern_lines(bar.signals)
    rising = {item.pattern for item in bar.signals if item.direction == Direction.LONG}
    for number, (line, proposal) in enumerate(zip_longest(lines, bar.proposals)):
        if line is not None:
            seen = plain_text(line.name, "green" if line.pattern in rising else "red")
            strength, verdict = (
                plain_text(line.strength),
                plain_text(line.rejection or APPROVED, "cyan" if line.approved else "dim"),
            )
        else:
            seen, strength, verdict = plain_text(proposal_text(proposal)), Text(), Text()
        decided = Text() if proposal is None else _decision(scene.decisions.get((bar.strategy, proposal.source)))
        time = time_of_day(bar.known_at_ns) if number == 0 else ""
        yield bar.strategy, [time, seen, strength, verdict, decided]


def _decision(decision: DecisionView | None) -> Text:
    taken = decision is not None and decision.accepted
    return plain_text(decision_text(decision), "bold" if taken else "dim")


def _account(scene: Scene, account: AccountId) -> RenderableType:
    state = scene.states.get(account)
    if state is None:
        return _framed(account, Text("waiting for the account", style="dim"))
    table = Table.grid(padding=(0, 1, 0, 0), expand=True)
    table.add_column(style="dim")
    table.add_column(justify="right")
    for name, value in _account_lines(state):
        table.add_row(name, value)
    held = scene.positions.get(account, [])
    lines = [_position(position, state.currency) for position in held] or [Text("flat", style="dim")]
    return _framed(account, Group(table, *lines))


def _account_lines(state: AccountView) -> Iterator[tuple[str, RenderableType]]:
    yield "instant", moment(state.instant_ns)
    yield "phase", plain_text(readable(state.phase))
    yield "equity", plain_text(f"{Decimal(state.equity):,.{places(state.currency)}f} {state.currency}")
    yield "day", _money(state.realised, state.currency)
    yield "open", _money(state.open, state.currency)
    yield "trades, streak", f"{state.trades}, {state.streak:+d}"
    yield "tier", str(state.tier) if state.tier else "off"
    yield "block", plain_text(readable(state.block), "yellow") if state.block else "–"
    for halt in state.halts:
        yield (
            f"halt {halt.number}",
            plain_text(f"{halt.source.lower()}, {halt.by}: {halt.reason}", "bold red"),
        )
    if not state.halts:
        yield "halt", "–"
    if state.journal_restored is not None:
        found = state.journal_restored
        text = f"lost, {counted(found.orders, 'order')} put back at {moment(found.at_ns)} by the clock"
        yield "send journal", plain_text(text, "bold red")
    for strategy in state.strategies:
        if strategy.fence:
            yield "fenced", plain_text(strategy.strategy, "bold red")


def _position(position: PositionView, currency: str) -> RenderableType:
    side = "long" if position.quantity > 0 else "short"
    return Text.assemble(
        (printable(f"{side} {abs(position.quantity)} {position.contract}"), "bold"),
        printable(f" at {position.average_price}, last {position.last_price} "),
        _money(position.open, currency),
    )


def _services(parts: Sequence[PartStatus]) -> RenderableType:
    table = _table("service", left=1)
    table.add_column("health", no_wrap=True, min_width=max((len(part.health) + 2 for part in parts), default=0))
    table.add_column("died", no_wrap=True, justify="right", min_width=len("died"))
    for part in parts:
        colour = _HEALTH.get(part.health, "red")
        again = Text(str(part.restarts), style="yellow" if part.restarts else "dim")
        table.add_row(plain_text(part.name), Text(f"● {part.health}", style=colour), again)
    troubles = [plain_text(f"{part.name}: {part.trouble}", "yellow") for part in parts if part.trouble]
    return _framed("services", Group(table, *troubles))


def _money(value: str, currency: str) -> Text:
    amount = Decimal(value)
    return Text(f"{amount:+,.{places(currency)}f}", style=_sign(amount))


def _sign(value: Decimal | int) -> str:
    return "green" if value > 0 else "red" if value < 0 else ""


def _last(items: Iterable[Item], most: int) -> list[Item]:
    return list(items)[-most:]
