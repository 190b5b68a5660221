"""Commands that read a running stack: status, signals, orders, positions."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import Any, Final, TypeVar

import grpc
import orjson

from leadline.aggregation.v1 import aggregation_pb2
from leadline.analysis.v1 import analysis_pb2
from leadline.cli.feeding import kept_out_text, outside, print_unfinished
from leadline.cli.follow import bar_key_text, by_pattern, fate_text, until_quiet
from leadline.cli.options import Output, Place
from leadline.cli.output import complain, plain, price_text, print_json, print_table, ticks_text
from leadline.cli.place import open_stack
from leadline.cli.stack import NotRunning, Stack, StrategyAddress
from leadline.cli.stopped import is_stopped, stopped_run
from leadline.execution.core.order_list import MOST_ORDERS
from leadline.execution.v1 import execution_pb2
from leadline.ingestion.tally import OUTSIDE
from leadline.ingestion.v1 import ingestion_pb2
from leadline.local.calls import CALL_SECONDS, Services
from leadline.local.health import HealthProbe
from leadline.model.errors import Unknown
from leadline.model.v1 import model_pb2
from leadline.report.clock import day_and_time, zone_name
from leadline.runtime.rpc.errors import explain
from leadline.runtime.rpc.failures import patiently

_Read = TypeVar("_Read")

# A stream of what is stored is at its end when nothing has come for this long.
QUIET_SECONDS: Final = 1.0
# The first message of a stream may have to wait for a forwarded port, and for a reader that begins.
FIRST_SECONDS: Final = 5.0


def print_status(place: Place, output: Output) -> None:
    """The run, the feed, the health of each service and each account's day."""
    asyncio.run(_status(place, output))


def print_orders(place: Place, account: str | None, request: execution_pb2.GetOrdersRequest, output: Output) -> None:
    """The orders of an account, or of all."""
    asyncio.run(_orders(place, account, request, output))


def print_positions(place: Place, account: str | None, output: Output) -> None:
    """The positions of an account, or of all, that are not flat."""
    asyncio.run(_positions(place, account, output))


def print_signals(place: Place, strategy: str | None, last: int, output: Output) -> None:
    """The newest bars with signals, and what became of each."""
    asyncio.run(_signals(place, strategy, last, output))


def _print_kept_out(feed: ingestion_pb2.GetFeedStatusResponse) -> None:
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


def print_restored(accounts: Iterable[execution_pb2.GetStateResponse]) -> None:
    """The accounts whose send journal was lost in this run, or a part of it."""
    found = [(item.account, item.journal_restored) for item in accounts if item.HasField("journal_restored")]
    rows = [(account, day_and_time(each.at_ns), each.orders, each.found) for account, each in found]
    if rows:
        columns = ("account", f"restored ({zone_name()}, by the clock)", "orders put back", "it still had")
        print_table("Send journals that were lost and made whole from the book", columns, rows, "")


async def _status(place: Place, output: Output) -> None:
    async with open_stack(place, "cli-viewer", analysis=True) as (stack, services):
        _tell_left_out(stack)
        feed, series, health, states = await asyncio.gather(
            _feed(services, stack),
            _reached(_with_bars(stack), lambda name: _series(services, stack, name), required=False),
            _health(stack),
            _reached(stack.accounts, lambda account: _state(services, stack, account), required=False),
        )
    accounts, built = list(states.values()), [each for found in series.values() for each in found]
    tape = stack.tape or next((item.tape for item in accounts), "")
    if output is Output.JSON:
        run = {"tape": tape} if feed is None else plain(feed.run)
        shown = {"run": run, "feed": feed and plain(feed), "series": plain(built), "health": health}
        print_json(shown | {"accounts": plain(accounts)})
        return
    if feed is not None:
        print_table(
            f"Run {stack.tape} ({stack.feed} feed, trading from {stack.trade_from}): {feed.state}, {feed.progress:.0%}",
            ("contract", "ticks", f"last print ({zone_name()})", "outside sessions", "kept out"),
            [
                (
                    item.contract,
                    f"{item.ticks:,}",
                    day_and_time(item.last_time_ns),
                    f"{outside(item):,}",
                    kept_out_text(item),
                )
                for item in feed.contracts
            ],
            "The feed has no contracts.",
        )
        _print_kept_out(feed)
    print_unfinished(built)
    print_table(
        "Accounts",
        ("account", f"tape ({zone_name()})", "phase", "equity", "realised", "open P&L", "trades", "block", "halts"),
        [
            (
                item.account,
                day_and_time(item.instant_ns),
                item.phase.replace("_", " "),
                f"{item.equity} {item.currency}",
                item.realised,
                item.open,
                item.trades,
                item.block or "–",
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
    fenced = [(item.account, each.strategy, each.fence) for item in accounts for each in item.strategies if each.fence]
    print_restored(accounts)
    if fenced:
        print_table("Fenced off: what they say does not count", ("account", "strategy", "refused"), fenced, "")
    print_table(
        "Services" if feed is not None else f"Services on tape {tape}",
        ("service", "health", "address"),
        [(name, health[name], stack.addresses.get(name, "–")) for name in health],
        "No services.",
    )


async def _reached(
    names: Iterable[str], read: Callable[[str], Awaitable[_Read]], *, required: bool = True
) -> dict[str, _Read]:
    """What is read of each name. What cannot be reached is named, and left out; with `required` not all of it may be.

    Raises what came of the first name then.
    """
    asked = list(names)
    answers = await asyncio.gather(*(read(name) for name in asked), return_exceptions=True)
    failed: list[Exception] = []
    found: dict[str, _Read] = {}
    for name, answer in zip(asked, answers, strict=True):
        if isinstance(answer, NotRunning | Unknown | grpc.aio.AioRpcError):
            failed.append(answer)
            why = explain(answer) if isinstance(answer, grpc.aio.AioRpcError) else str(answer)
            if len(asked) > 1 or not required:
                complain(f"without {name}: {why}")
        elif isinstance(answer, BaseException):
            raise answer
        else:
            found[name] = answer
    if required and failed and not found:
        raise failed[0]
    return found


def _tell_left_out(stack: Stack) -> None:
    for name, why in stack.left_out.items():
        complain(f"without {name}: {why}")


async def _feed(services: Services, stack: Stack) -> ingestion_pb2.GetFeedStatusResponse | None:
    """How the feed is; None in a cluster, where it belongs to the platform and not to the namespace."""
    if "ingestion" not in stack.addresses:
        return None
    stub = services.ingestion(stack.addresses["ingestion"])
    request = ingestion_pb2.GetFeedStatusRequest()
    return await patiently(lambda: stub.GetFeedStatus(request, timeout=CALL_SECONDS), CALL_SECONDS)


def _with_bars(stack: Stack) -> list[str]:
    """The workload that builds bars; none in a cluster, where it belongs to the platform and not to the namespace."""
    return [name for name in stack.addresses if name == "aggregation"]


async def _series(services: Services, stack: Stack, name: str) -> list[aggregation_pb2.Series]:
    stub = services.aggregation(stack.addresses[name])
    request = aggregation_pb2.ListSeriesRequest()
    return list((await patiently(lambda: stub.ListSeries(request, timeout=CALL_SECONDS), CALL_SECONDS)).series)


async def _health(stack: Stack) -> dict[str, str]:
    probes = {name: HealthProbe(address) for name, address in stack.addresses.items()}
    answers = await asyncio.gather(*(probe.serving() for probe in probes.values()))
    await asyncio.gather(*(probe.close() for probe in probes.values()))
    found = {name: "serving" if up else "not serving" for name, up in zip(probes, answers, strict=True)}
    return found | stack.unreachable


async def _state(services: Services, stack: Stack, account: str) -> execution_pb2.GetStateResponse:
    stub = services.execution(stack.execution_of(account), account)
    request = execution_pb2.GetStateRequest()
    return await patiently(lambda: stub.GetState(request, timeout=CALL_SECONDS), CALL_SECONDS)


async def newest_orders(stub: Any, request: execution_pb2.GetOrdersRequest) -> list[execution_pb2.Order]:
    """As many as are asked for, oldest first; an answer has a part of them."""
    found: list[execution_pb2.Order] = []
    while len(found) < request.limit:
        asked = execution_pb2.GetOrdersRequest()
        asked.CopyFrom(request)
        asked.limit = min(request.limit - len(found), MOST_ORDERS)
        asked.before = found[0].client_id if found else ""
        some = (await stub.GetOrders(asked, timeout=CALL_SECONDS)).orders
        found = [*some, *found]
        if len(some) < asked.limit:
            break
    return found


async def _orders(place: Place, account: str | None, request: execution_pb2.GetOrdersRequest, output: Output) -> None:
    async def read(stack: Stack, services: Services, name: str) -> list[execution_pb2.Order]:
        return await newest_orders(services.execution(stack.execution_of(name), name), request)

    if is_stopped(place):
        async with stopped_run(place.data_dir) as run:
            by_account = {name: await run.orders(name, request) for name in await run.accounts(account)}
    else:
        async with open_stack(place, "cli-viewer") as (stack, services):
            read_one = partial(read, stack, services)
            by_account = await _reached(stack.chosen_accounts(account), read_one)
    found = [(name, order) for name, listed in by_account.items() for order in listed]
    if output is Output.JSON:
        print_json([{"account": name, **plain(order)} for name, order in found])
        return
    print_table(
        "Orders",
        (
            f"decided ({zone_name()})",
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
                order.leg,
                order.contract,
                order.side,
                order.type,
                order.quantity,
                order.filled,
                price_text(order.contract, order.price),
                price_text(order.contract, order.average_price),
                order.state,
                order.reason,
            )
            for _, order in found
        ],
        "No orders.",
        wide_only=("id", "leg", "type", "filled"),
    )


async def _positions(place: Place, account: str | None, output: Output) -> None:
    async def read(stack: Stack, services: Services, name: str) -> list[execution_pb2.Position]:
        stub = services.execution(stack.execution_of(name), name)
        return list((await stub.GetPositions(execution_pb2.GetPositionsRequest(), timeout=CALL_SECONDS)).positions)

    if is_stopped(place):
        async with stopped_run(place.data_dir) as run:
            by_account = {name: await run.positions(name) for name in await run.accounts(account)}
    else:
        async with open_stack(place, "cli-viewer") as (stack, services):
            read_one = partial(read, stack, services)
            by_account = await _reached(stack.chosen_accounts(account), read_one)
    found = [(name, position) for name, held in by_account.items() for position in held]
    if output is Output.JSON:
        print_json([{"account": name, **plain(position)} for name, position in found])
        return
    print_table(
        "Positions",
        ("account", "strategy", "contract", "size", "average", "last", "open P&L"),
        [
            (
                name,
                item.strategy or "(none)",
                item.contract,
                item.quantity,
                price_text(item.contract, item.average_price),
                price_text(item.contract, item.last_price),
                item.open,
            )
            for name, item in found
        ],
        "Flat: no open position.",
    )


async def _signals(place: Place, strategy: str | None, last: int, output: Output) -> None:
    if is_stopped(place):
        async with stopped_run(place.data_dir) as run:
            rows = await run.signals(strategy, last)
    else:
        rows = await _said_by_services(place, strategy, last)
    if output is Output.JSON:
        print_json(rows)
        return
    print_table(
        "Signals",
        (f"known at ({zone_name()})", "bar", "close", "regime", "pattern", "strength", "router", "decision"),
        [cells for row in rows for cells in _signal_rows(row)],
        "No signals yet.",
        wide_only=("bar", "strength"),
    )


async def _said_by_services(place: Place, strategy: str | None, last: int) -> list[dict[str, Any]]:
    async with open_stack(place, "cli-viewer", analysis=True) as (stack, services):
        _tell_left_out(stack)
        chosen = {item.name: item for item in stack.chosen_strategies(strategy)}
        said = await _reached(chosen, lambda name: _bars_with_signals(services, stack, chosen[name], last))
        accounts = sorted({item.account for item in chosen.values()})
        decided = await _reached(accounts, lambda name: _decisions(services, stack, name), required=False)
    fates = {key: fate for by_bar in decided.values() for key, fate in by_bar.items()}
    rows: list[dict[str, Any]] = [
        {
            "strategy": name,
            "known_at_ns": bar.known_at_ns,
            "bar": bar_key_text(bar.bar),
            "close": ticks_text(bar.bar.contract, bar.close),
            "regime": bar.regime.regime,
            "signals": [plain(signal) for signal in bar.signals],
            "decision": fates.get((name, bar_key_text(bar.bar))),
        }
        for name, bars in said.items()
        for bar in bars
    ]
    return sorted(rows, key=lambda row: (row["known_at_ns"], row["strategy"]))[-last:]


def _signal_rows(row: dict[str, Any]) -> list[tuple[object, ...]]:
    """One line per pattern of a bar; what the lines of a bar have in common stands in the first."""
    shared = (
        day_and_time(row["known_at_ns"]),
        row["bar"].rpartition("/")[2],
        row["close"],
        row["regime"].replace("_", " "),
    )
    lines: list[tuple[object, ...]] = []
    for pattern in by_pattern((item["pattern"], item["strength"], item["rejection"]) for item in row["signals"]):
        first = not lines
        lines.append(
            (
                *(shared if first else ("",) * len(shared)),
                pattern.name.replace("_", " "),
                pattern.strength,
                pattern.word,
                fate_text(row["decision"]) if first else "",
            )
        )
    return lines


async def _bars_with_signals(
    services: Services, stack: Stack, strategy: StrategyAddress, last: int
) -> list[model_pb2.BarSignals]:
    """The newest bars with signals that are stored by now."""
    stub = services.analysis(stack.analysis_of(strategy.name))
    stream = stub.StreamSignals(analysis_pb2.StreamSignalsRequest(only_with_signals=True))
    found = deque(
        [message.bar async for message in until_quiet(stream, QUIET_SECONDS, FIRST_SECONDS) if not message.final], last
    )
    return list(found)


async def _decisions(services: Services, stack: Stack, account: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Every decision by strategy and bar key."""
    stub = services.execution(stack.execution_of(account), account)
    stream = stub.StreamOrderEvents(execution_pb2.StreamOrderEventsRequest())
    bodies = [
        orjson.loads(event.body_json)
        async for event in until_quiet(stream, QUIET_SECONDS, FIRST_SECONDS)
        if event.kind == "decision"
    ]
    return {(body["strategy"], body["bar_key"]): body for body in bodies}
