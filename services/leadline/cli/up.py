"""`leadline up`: a whole platform on this machine, from manifests to a report."""

import asyncio
import contextlib
import dataclasses
import signal
import sys
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Final

from leadline.cli.left_open import what_is_left
from leadline.cli.live import show
from leadline.cli.live_options import GIVEN
from leadline.cli.manifests import CheckedPlan, checked_plan
from leadline.cli.options import Output, PlanOptions
from leadline.cli.output import people_console, print_json
from leadline.cli.places import check_place
from leadline.cli.reporting import print_reports, reports_of, write_reports
from leadline.ingestion.v1 import ingestion_pb2
from leadline.local.calls import CALL_SECONDS
from leadline.local.completion import wait_for_completion
from leadline.local.data_dir import DataDir, placed_at
from leadline.local.supervisor import Supervisor
from leadline.model.errors import InvalidInput, LeadlineError
from leadline.model.manifest.own_markets import own_files
from leadline.model.manifest.specs import OWN_SERIES, TradingStrategy
from leadline.model.market.contracts import front_months, months_from
from leadline.plan.sizes import cut_sizes
from leadline.report.printable import printable
from leadline.runtime.rpc.failures import with_retries
from leadline.runtime.runs import Run
from leadline.views import documents
from leadline.views.stack import Stack, StrategyAddress, StrategyMonth, series_of

EXIT_INTERRUPTED: Final = 130


class RunFailed(LeadlineError):
    """A run came to its end, and its results are not to be trusted. sentence: why."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)


@dataclass(frozen=True, slots=True)
class UpOptions:
    """The options of `leadline up` besides those of its plan. drawn: a picture shows the stack, where there is room."""

    data_dir: Path
    until_end: bool
    report: Path | None
    drawn: bool
    output: Output
    new_run: bool = False


@dataclass(slots=True)
class _Unfinished:
    """The run that is under way; None before it has begun and when it is over."""

    run: Run | None = None


def run_up(planned: PlanOptions, options: UpOptions) -> int:
    """Run the plan until it is stopped or over. Returns the exit code; raises what refuses or ends the run."""
    if planned.live:
        _refuse_an_end(options)
    if options.report is not None and not options.until_end:
        raise InvalidInput("--report", str(options.report), "--until-end beside it: a report is of a run's end")
    if options.report is not None:
        check_place(_place(options), "--report")
    elif options.until_end and _place(options).is_dir():
        raise InvalidInput("--report", None, f"a file: {_place(options)}, where the report would go, is a folder")
    own = own_files(DataDir(options.data_dir).instruments_dir, planned.instruments)
    checked = checked_plan(dataclasses.replace(planned, instruments=own))
    for sentence in cut_sizes(checked.plan.accounts, checked.plan.strategies):
        _print_line(sentence)
    return asyncio.run(_up(checked, options))


def _refuse_an_end(options: UpOptions) -> None:
    """Raises InvalidInput for an option that means something only for a tape that ends."""
    for option, given, expected in (
        ("--until-end", options.until_end, "no --live beside it: a live tape has no end, Ctrl-C stops it"),
        (
            "--report",
            options.report is not None,
            "no --live beside it: `leadline report --html FILE` makes one at any time",
        ),
        (
            "--new-run",
            options.new_run,
            "no --live beside it: a live tape goes on; another one needs another --data-dir",
        ),
    ):
        if given:
            raise InvalidInput(option, GIVEN, expected)


async def _up(checked: CheckedPlan, options: UpOptions) -> int:
    data = DataDir(options.data_dir)
    with data.hold():
        supervisor = Supervisor(
            checked.plan,
            data,
            checked.files,
            _print_line,
            feed=checked.feed,
            needs_disk=options.until_end,
            new_run=options.new_run,
        )
        unfinished = _Unfinished()
        async with _stopped_for_certain(supervisor, unfinished) as asked:
            starting = asyncio.create_task(supervisor.start())
            if not await _first(starting, asked):
                return EXIT_INTERRUPTED
            run = unfinished.run = starting.result()
            stack = stack_of(supervisor, run)
            data.write_stack(stack.model_dump(mode="json"))
            _print_line(_begins(run))
            if run.live:
                supervisor.follow(lambda run: data.write_stack(stack_of(supervisor, run).model_dump(mode="json")))
            ended = await _watch(supervisor, stack, options, asked)
            if not ended:
                return EXIT_INTERRUPTED if options.until_end else 0
            unfinished.run = None
            await _report(supervisor, run, options)
            await _require_sound(supervisor)
    return 0


def _begins(run: Run) -> str:
    if not run.live:
        return f"run {run.tape} ({run.feed}) trades from {run.trade_from}; Ctrl-C stops it"
    days = f"{run.sessions[-1]}" if run.sessions else f"{run.trade_from}"
    begun = f", which began on {run.trade_from}" if run.sessions and run.sessions[-1] > run.trade_from else ""
    drill = "" if run.now_ns(0) == 0 and run.clock_rate == 1 else ", on a clock of its own"
    return f"the live tape ({run.feed}){begun} trades on {days}{drill}; it has no end, Ctrl-C stops it"


async def _require_sound(supervisor: Supervisor) -> None:
    """Raises RunFailed when the tape of the run is not one to trust."""
    address = next(bound.address for bound in supervisor.bound if bound.workload.service == "ingestion")
    request = ingestion_pb2.GetFeedStatusRequest()
    status = await with_retries(
        lambda: supervisor.services.ingestion(address).GetFeedStatus(request, timeout=CALL_SECONDS)
    )
    if status.failure:
        raise RunFailed(f"the run failed: {status.failure}")


async def _watch(supervisor: Supervisor, stack: Stack, options: UpOptions, asked: "asyncio.Task[bool]") -> bool:
    """Show the stack until it is asked to stop (False) or its run is over (True). Raises StackFailed."""
    viewing = asyncio.create_task(show(stack, supervisor, drawn=options.drawn))
    ingestion = stack.addresses["ingestion"]
    end = asyncio.create_task(
        wait_for_completion(supervisor.services, ingestion, stack.tape, supervisor.nats, supervisor.postgres)
    )
    waited: set[asyncio.Future[Any]] = {asked, viewing, supervisor.failed, *supervisor.following}
    if options.until_end:
        waited.add(end)
    try:
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        for done in (supervisor.failed, viewing, end, *supervisor.following):
            if done.done():
                done.result()
        return end.done()
    finally:
        for task in (viewing, end):
            task.cancel()
        await asyncio.wait([viewing, end])


def _place(options: UpOptions) -> Path:
    return placed_at(options.report or options.data_dir / "report.html")


async def _report(supervisor: Supervisor, run: Run, options: UpOptions) -> None:
    reports = await reports_of(supervisor.postgres.settings("reader"), run.tape)
    place = _place(options)
    write_reports(reports, place)
    if options.output is Output.JSON:
        print_json({"tape": run.tape, "html": str(place), "reports": [documents.report(item) for item in reports]})
    else:
        print_reports(reports, people_console())
        print(f"the same as a page: {place}")


def stack_of(supervisor: Supervisor, run: Run) -> Stack:
    """The description by which the other commands find this stack."""
    months = {
        strategy.full_name: _months(strategy, run.contracts, run.trade_from) for strategy in supervisor.plan.strategies
    }
    further = {strategy.full_name: series_of(strategy) for strategy in supervisor.plan.strategies}
    strategies = [
        StrategyAddress(
            name=row.strategy,
            account=row.account,
            contract=row.contract,
            session=row.bars.session,
            spec=row.bars.spec,
            months=months[row.strategy],
            series=further[row.strategy],
        )
        for row in supervisor.demand
        if row.bars is not None and row.series == OWN_SERIES and row.contract == months[row.strategy][0].contract
    ]
    return Stack(
        tape=run.tape,
        feed=run.feed,
        trade_from=run.trade_from.isoformat(),
        contracts=run.contracts,
        addresses={bound.workload.id: bound.address for bound in supervisor.bound},
        accounts=tuple(account.full_name for account in supervisor.plan.accounts),
        strategies=tuple(strategies),
    )


def _months(strategy: TradingStrategy, feed: Iterable[str], trade_from: date) -> tuple[StrategyMonth, ...]:
    # A tape without an end may have lost the contract of its first day.
    asked = (strategy.spec.instrument, tuple(feed), trade_from)
    months = months_from(*asked) or front_months(*asked)
    return tuple(
        StrategyMonth(
            contract=month.contract,
            first=None if month is months[0] else month.first,
            until=None if month is months[-1] else month.until,
        )
        for month in months
    )


@contextlib.asynccontextmanager
async def _stopped_for_certain(supervisor: Supervisor, unfinished: _Unfinished) -> AsyncIterator["asyncio.Task[bool]"]:
    """Stop the supervisor whatever happens inside. Yields a task that is done when a signal asks to stop.

    The first signal stops in order, another one at once. The last words are what an unfinished run leaves open.
    """
    asked, stopping = asyncio.Event(), False
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        if stopping:
            supervisor.kill_services()
        asked.set()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, on_signal)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # `nohup` and its like: who starts it wants it to go on
        loop.add_signal_handler(signal.SIGHUP, on_signal)
    waiting = asyncio.create_task(asked.wait())
    try:
        yield waiting
    finally:
        stopping = True
        waiting.cancel()
        _print_line("stopping")
        await supervisor.stop(between=lambda: _print_what_is_left(supervisor, unfinished))


async def _print_what_is_left(supervisor: Supervisor, unfinished: _Unfinished) -> None:
    if unfinished.run is not None:
        database, failed = supervisor.postgres.settings("reader"), supervisor.given_up
        for sentence in await what_is_left(database, unfinished.run.tape, failed):
            _print_line(sentence)


async def _first(starting: "asyncio.Task[Run]", asked: "asyncio.Task[bool]") -> bool:
    """Whether the start ended before it was asked to stop; else it is cancelled."""
    await asyncio.wait({starting, asked}, return_when=asyncio.FIRST_COMPLETED)
    if starting.done():
        return True
    starting.cancel()
    await asyncio.wait([starting])
    return False


def _print_line(sentence: str) -> None:
    print(f"leadline: {printable(sentence)}", file=sys.stderr, flush=True)
