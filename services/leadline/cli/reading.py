"""Commands that read a running stack: status, signals, orders, positions."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from itertools import zip_longest
from typing import TypeVar

from leadline.cli.feeding import last_print_text, print_unfinished
from leadline.cli.live_feed import is_live, print_live
from leadline.cli.options import Output
from leadline.cli.output import complain, print_json, print_table
from leadline.ingestion.tally import OUTSIDE
from leadline.model.bars import numbered
from leadline.report.clock import day_and_time, zone_name
from leadline.views import documents
from leadline.views.client import reasons
from leadline.views.market import FeedView
from leadline.views.opening import open_running, open_source
from leadline.views.orders import leg_text
from leadline.views.place import Place
from leadline.views.signals import SignalledBar, decision_text, pattern_lines, proposal_text, readable
from leadline.views.source import Source
from leadline.views.values import AccountView, Answers, OrdersWanted, OrderView

_Read = TypeVar("_Read")


def print_status(place: Place, output: Output) -> None:
    """The run, the feed, the health of each service and each account's day."""
    asyncio.run(_status(place, output))


def print_orders(place: Place, account: str | None, wanted: OrdersWanted, output: Output) -> None:
    """The orders of an account, or of all."""
    asyncio.run(_orders(place, account, wanted, output))


def print_positions(place: Place, account: str | None, output: Output) -> None:
    """The positions of an account, or of all, that are not flat."""
    asyncio.run(_positions(place, account, output))


def print_signals(place: Place, strategy: str | None, last: int, output: Output) -> None:
    """The newest bars with signals, and what became of each."""
    asyncio.run(_signals(place, strategy, last, output))


def print_kept_out(feed: FeedView) -> None:
    """The faulty prints by day and reason, where there are any, and why the run failed, where it did."""
    rows = [
        (item.contract, part.trading_day or "none", part.reason, f"{part.prints:,}")
        for item in feed.contracts
        for part in item.kept_out
        if part.reason != OUTSIDE
    ]
    if rows:
        print_table("Prints kept out", ("contract", "trading day", "reason", "prints"), rows, "")
        samples = [
            (sample.reason, f"{sample.source}:{sample.row}", sample.time_ns, sample.price, sample.size, sample.side)
            for item in feed.contracts
            for sample in item.samples
        ]
        print_table("The first of them", ("reason", "source and line", "ts_ns", "price", "size", "side"), samples, "")
    if feed.failure:
        print_table("The run failed", ("reason",), [(feed.failure,)], "")


def print_leaving(accounts: Iterable[AccountView]) -> None:
    """Name what is on its way out: the units of a strategy, or all that it holds, with the size that is left."""
    rows: list[tuple[str, str, str, int, str]] = []
    for account in accounts:
        for each in account.strategies:
            if each.flatten:
                rows.append((account.account, each.strategy, "all", abs(each.position), each.flatten))
            else:
                rows += [
                    (account.account, each.strategy, unit.unit, unit.quantity, unit.reason) for unit in each.leaving
                ]
    if rows:
        print_table("On the way out", ("account", "strategy", "unit", "size left", "reason"), rows, "")


def print_restored(accounts: Iterable[AccountView]) -> None:
    """The accounts whose send journal was lost in this run, or a part of it."""
    found = [(item.account, item.journal_restored) for item in accounts if item.journal_restored is not None]
    rows = [(account, day_and_time(each.at_ns), each.orders, each.found) for account, each in found]
    if rows:
        columns = ("account", f"restored ({zone_name()}, by the clock)", "orders put back", "it still had")
        print_table("Send journals that were lost and made whole from the book", columns, rows, "")


async def _status(place: Place, output: Output) -> None:
    async with open_running(place) as stack:
        found = await stack.status()
    for name, why in found.left_out.items():
        complain(f"without {name}: {why}")
    if output is Output.JSON:
        print_json(documents.status(found))
        return
    feed, accounts = found.feed, found.accounts
    if feed is not None and is_live(feed):
        print_live(feed, f"The tape live, which began on {found.trade_from}")
        print_kept_out(feed)
    elif feed is not None:
        print_table(
            f"Run {found.tape} ({found.feed_kind} feed, trading from {found.trade_from}): "
            f"{feed.state}, {feed.progress:.0%}",
            ("contract", "prints", f"last print ({zone_name()})", "outside sessions", "kept out"),
            [
                (
                    item.contract,
                    f"{item.prints:,}",
                    last_print_text(item),
                    f"{item.outside:,}",
                    f"{item.faulty:,}",
                )
                for item in feed.contracts
            ],
            "The feed has no contracts.",
        )
        print_kept_out(feed)
    print_unfinished(found.series)
    print_table(
        "Accounts",
        ("account", f"tape ({zone_name()})", "phase", "equity", "realised", "open P&L", "trades", "block", "halts"),
        [
            (
                item.account,
                day_and_time(item.instant_ns),
                readable(item.phase),
                f"{item.equity} {item.currency}",
                item.realised,
                item.open,
                item.trades,
                readable(item.block) or "–",
                ", ".join(f"no. {halt.number}" for halt in item.halts) or "–",
            )
            for item in accounts
        ],
        "No accounts.",
        wide_only=(f"tape ({zone_name()})", "trades"),
    )
    print_table(
        "Strategies",
        ("strategy", "state", "contract", "position", "working orders", "realised", "trades"),
        [
            (
                each.strategy,
                each.state,
                each.contract,
                f"{each.position:+d}" if each.position else "flat",
                each.working_orders,
                each.realised,
                each.trades,
            )
            for item in accounts
            for each in item.strategies
        ],
        "No strategies.",
        wide_only=("trades",),
    )
    if any(item.halts for item in accounts):
        print_table(
            "Halts in force",
            ("account", "halt", "source", "by", f"since ({zone_name()}, by the clock)", "reason"),
            [
                (item.account, halt.number, halt.source, halt.by, day_and_time(halt.at_ns), halt.reason)
                for item in accounts
                for halt in item.halts
            ],
            "No halts.",
        )
    print_leaving(accounts)
    fenced = [(item.account, each.strategy, each.fence) for item in accounts for each in item.strategies if each.fence]
    print_restored(accounts)
    if fenced:
        print_table("Fenced off: what they say does not count", ("account", "strategy", "refused"), fenced, "")
    lacking = [(item.account, "–", item.lacking) for item in accounts if item.lacking]
    lacking += [(item.account, each.strategy, each.lacking) for item in accounts for each in item.strategies]
    if lacking := [line for line in lacking if line[2]]:
        print_table("What cannot trade now", ("account", "strategy", "why"), lacking, "")
    print_table(
        "Services" if feed is not None else f"Services on tape {found.tape}",
        ("service", "health", "address"),
        [(name, health, found.addresses.get(name, "–")) for name, health in found.health.items()],
        "No services.",
    )


def _print_note(source: Source) -> None:
    if source.note:
        complain(source.note)


def _answered(answers: Answers[_Read]) -> Mapping[str, _Read]:
    """The answers that came. Missing ones are named on standard error; without any answer the first error is raised."""
    for name, why in answers.left_out.items():
        complain(f"without {name}: {why}")
    if len(answers.found) + len(answers.failed) > 1:
        for name, why in reasons(answers.failed).items():
            complain(f"without {name}: {why}")
    for error in answers.failed.values() if not answers.found else ():
        raise error
    return answers.found


async def _orders(place: Place, account: str | None, wanted: OrdersWanted, output: Output) -> None:
    async with open_source(place) as source:
        _print_note(source)
        found = _answered(await source.orders(account, wanted))
    if output is Output.JSON:
        print_json(documents.by_account(found))
        return
    print_table(
        "Orders",
        (
            f"made ({zone_name()})",
            "id",
            "leg",
            "contract",
            "side",
            "type",
            "size",
            "filled",
            "price",
            "average",
            "state",
            "why",
        ),
        [
            (
                day_and_time(order.decided_at_ns),
                order.client_id,
                leg_text(order.leg),
                order.contract,
                readable(order.side),
                readable(order.type),
                order.quantity,
                order.filled,
                order.price,
                order.average_price,
                readable(order.state),
                _why(order),
            )
            for listed in found.values()
            for order in listed
        ],
        "No orders.",
        wide_only=("id", "leg", "type", "filled"),
    )


def _why(order: OrderView) -> str:
    """Why an order has ended, and the entry whose fill has taken it out, where one has: it may have filled itself."""
    reason = order.reason.replace("_", " ")
    if not order.taken_out_by:
        return reason
    return f"{reason} of {order.taken_out_by}" if reason else f"taken out by {order.taken_out_by}"


async def _positions(place: Place, account: str | None, output: Output) -> None:
    async with open_source(place) as source:
        _print_note(source)
        found = _answered(await source.positions(account))
    if output is Output.JSON:
        print_json(documents.by_account(found))
        return
    print_table(
        "Positions",
        ("account", "strategy", "contract", "unit", "size", "average", "last", "open P&L"),
        [
            (
                name,
                item.strategy or "(none)",
                item.contract,
                unit.unit,
                unit.quantity,
                unit.average_price,
                item.last_price,
                unit.open,
            )
            for name, held in found.items()
            for item in held
            for unit in item.units
        ],
        "Flat: no open position.",
    )


async def _signals(place: Place, strategy: str | None, last: int, output: Output) -> None:
    async with open_source(place, analysis=True) as source:
        _print_note(source)
        found = _answered(await source.signals(strategy, last))
    bars = sorted((bar for each in found.values() for bar in each), key=lambda bar: (bar.known_at_ns, bar.strategy))
    if output is Output.JSON:
        print_json([documents.signalled(bar) for bar in bars])
        return
    several = len(found) > 1
    columns = (
        f"known at ({zone_name()})",
        *(["strategy"] if several else []),
        "bar",
        "close",
        "regime",
        "signal",
        "strength",
        "router",
        "proposal",
        "decision",
    )
    rows = [cells for bar in bars for cells in _signal_rows(bar, several=several)]
    print_table(
        "Signals and proposals",
        columns,
        rows,
        "No signals yet.",
        wide_only=("bar", "strength"),
        only_where_filled=("regime", "signal", "strength", "router", "proposal"),
    )


def _signal_rows(bar: SignalledBar, *, several: bool) -> Iterator[tuple[str, ...]]:
    """A row per pattern, and beside them a row per proposal; what they have in common stands in the first."""
    shared = (
        day_and_time(bar.known_at_ns),
        *([bar.strategy] if several else []),
        str(numbered(bar.bar)[1]),
        bar.close,
        readable("" if bar.regime is None else bar.regime.regime),
    )
    patterns = [(line.name, line.strength, line.verdict) for line in pattern_lines(bar.signals)]
    proposals = [(proposal_text(each), decision_text(each.decision)) for each in bar.proposals]
    for pattern, proposal in zip_longest(patterns, proposals):
        yield (*shared, *(pattern or ("", "", "")), *(proposal or ("", "")))
        shared = ("",) * len(shared)
