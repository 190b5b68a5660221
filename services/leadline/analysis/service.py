"""The analysis service: one strategy, from the stream of its bars to the stream of its signals."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, aclosing
from datetime import date

from leadline.analysis import metrics
from leadline.analysis.assemble import detectors_of
from leadline.analysis.hashing import analysis_hash
from leadline.analysis.merge import SeriesMerge
from leadline.analysis.months import MonthFold, month_ends, month_folds
from leadline.analysis.params import AnalysisParams
from leadline.analysis.publication import Publication, message_key
from leadline.analysis.servicer import AnalysisServicer
from leadline.analysis.v1 import analysis_pb2 as pb
from leadline.analysis.v1 import analysis_pb2_grpc as rpc
from leadline.model.bars import Bar, BarMessage
from leadline.model.errors import GivenUp, InvalidInput, Unknown
from leadline.model.ids import ContractId
from leadline.model.manifest.specs import OWN_SERIES, StrategySpec, calendar_of_spec, session_of
from leadline.model.market.hours import local_datetime
from leadline.model.signals import SignalMessage
from leadline.model.subjects import BARS, SIGNALS, bar_subject, signal_subject
from leadline.model.wire.signals import encode_signal
from leadline.runtime.bus.bus import Bus, Start
from leadline.runtime.bus.intake import Intake, last_usable, place_before, read_bar, read_signal
from leadline.runtime.bus.publishing import keep_publishing
from leadline.runtime.clock import wall_ns
from leadline.runtime.context import Context
from leadline.runtime.poison import Handling, Poison
from leadline.runtime.runs import Run
from leadline.runtime.settings import validate_params


async def run(context: Context) -> None:
    """Publish what the strategy says until the process is told to stop.

    The process ends with InvalidInput or Unknown when the settings cannot be used, or the feed lacks the strategy's
    contract.
    """
    context.spawn(_publish(context), "signals")
    await context.stopping.wait()


async def _publish(context: Context) -> None:
    params = validate_params(AnalysisParams, context.settings.params)
    version = analysis_hash(context.code_version, context.settings.params["spec"])
    tape = await context.current_run()
    months = _months(params.spec, tape)
    session, _ = session_of(params.spec)
    tokens = {each.name: each.token for each in params.spec.all_series}
    signals = signal_subject(tape.tape, params.account, params.strategy)
    servicer = AnalysisServicer(
        context.bus,
        subject=signals,
        strategy=params.strategy,
        analysis_hash=version,
        series=lambda: frozenset((month.contract, session, tokens[OWN_SERIES]) for month in _months(params.spec, tape)),
        detectors=() if params.spec.strategy.entry_point else detectors_of(params.spec),
    )
    context.add_service(
        rpc.add_AnalysisServiceServicer_to_server,
        servicer,
        pb.DESCRIPTOR.services_by_name["AnalysisService"].full_name,
    )
    await context.serve()
    context.set_ready(True)
    contracts = [month.contract for month in months]
    context.log.info(
        "analysis.started",
        strategy=params.strategy,
        tape=tape.tape,
        contracts=contracts,
        series=tokens,
        hash=version,
    )

    async def publish_progress() -> None:
        last = await last_usable(context.bus, SIGNALS, signals, read_signal, own=True)
        speaks_from = _speaks_from(params.spec, tape, last if last and last.analysis_hash == version else None)
        month = _months(params.spec, tape, speaks_from)[0]
        publication = Publication(
            tape.tape,
            params.account,
            params.strategy,
            version,
            month.fold,
            last,
            month.ends_ns,
        )
        while True:
            venue = tape.contracts[month.contract]
            bars = {
                name: bar_subject(tape.tape, venue, month.contract, session, token) for name, token in tokens.items()
            }
            ends = _Ends(params.spec, tape, speaks_from, month.contract)
            starts = {name: await _start(context.bus, tape, bars[name], month) for name in bars}
            await _carry(context.bus, publication, bars, starts, signals, context.handling, ends)
            month = _after(_months(params.spec, tape, speaks_from), month.contract)
            publication.follow(month.fold, month.ends_ns)
            context.log.info("analysis.contract_follows", strategy=params.strategy, contract=month.contract)

    await keep_publishing(context.bus, [signals], publish_progress)


async def _carry(
    bus: Bus,
    publication: Publication,
    bars: Mapping[str, str],
    starts: Mapping[str, Start],
    signals: str,
    handling: Handling,
    ends: Callable[[], int | None],
) -> None:
    """From the subjects of bars, by series, to one subject of signals: until another contract follows, else for ever.

    starts: where each is read from, by series.
    ends: from when on one follows, of those that the feed has by now.
    Raises GivenUp at a bar of which the processes before this one died: a strategy that has not seen one of its bars
    would say something else than it does, so it says nothing more.
    """
    intake, merge = Intake(BARS), SeriesMerge(tuple(bars))
    async with AsyncExitStack() as readers:
        streams = {
            name: await readers.enter_async_context(aclosing(bus.ordered(BARS, bars[name], start=starts[name])))
            for name in bars
        }
        while not publication.passed:
            received = await anext(streams[merge.wanted])
            publication.until(ends())
            try:
                with handling.of(BARS, received):
                    message = intake.usable(received, read_bar)
                    if message is None:
                        continue
                    answers = list(_answers(publication, merge.take(message), handling))
            except Poison as poison:
                mended = f"once the cause is mended, remove {handling.known_file}"
                raise GivenUp(f"the strategy cannot go on: {poison}; {mended}") from None
            for one in answers:
                await bus.publish(signals, encode_signal(one), f"{signals}/{message_key(one)}")
                metrics.count(one)


def _answers(
    publication: Publication, messages: Iterable[tuple[str, BarMessage]], handling: Handling
) -> Iterator[SignalMessage]:
    """The answers to messages of bars, as far as the contract reaches."""
    for series, message in messages:
        if publication.passed:
            return
        if message.bar is not None:
            handling.at(_begins(message.bar))
        with metrics.STEP_SECONDS.time():
            one = publication.step(message, series)
        if one is not None:
            yield one


def _begins(bar: Bar) -> str:
    """A bar as people look for it."""
    return f"the bar of {bar.key.contract} that begins {local_datetime(bar.start_ns, 'UTC'):%Y-%m-%d %H:%M:%S} UTC"


class _Ends:
    """From when on another contract of the feed follows one; None when the feed has none by now."""

    def __init__(self, spec: StrategySpec, tape: Run, speaks_from: date, contract: ContractId) -> None:
        self._spec, self._tape, self._contract = spec, tape, contract
        self._speaks_from = speaks_from
        self._known: tuple[str, ...] = ()
        self._ends_ns: int | None = None

    def __call__(self) -> int | None:
        known = tuple(self._tape.contracts)
        if known != self._known:
            self._known = known
            self._ends_ns = month_ends(self._spec, known, self._speaks_from).get(self._contract)
        return self._ends_ns


def _after(months: Sequence[MonthFold], contract: ContractId) -> MonthFold:
    """The part that follows a contract's."""
    names = [month.contract for month in months]
    return months[names.index(contract) + 1]


def _speaks_from(spec: StrategySpec, tape: Run, last: SignalMessage | None) -> date:
    """The first trading day that a strategy has something left to say about.

    On the tape `live` that is the day of its last message, and without one today: what it would have said weeks ago
    nobody hears any more.
    """
    if not tape.live:
        return tape.trade_from
    reached_ns = tape.now_ns(wall_ns()) if last is None else last.progress_ns
    return max(tape.trade_from, calendar_of_spec(spec).trading_day(reached_ns))


async def _start(bus: Bus, tape: Run, bars: str, month: MonthFold) -> Start:
    """Where in the stream of bars the history of a part begins. The tape `live` has weeks before it."""
    if not tape.live:
        return "all"
    place = await place_before(bus, BARS, bars, _progress, month.reads_from_ns)
    return "all" if place is None else place


def _progress(subject: str, payload: bytes) -> int:
    return read_bar(subject, payload).progress_ns


def _months(spec: StrategySpec, tape: Run, speaks_from: date | None = None) -> tuple[MonthFold, ...]:
    try:
        return month_folds(spec, tape.contracts, speaks_from or tape.trade_from)
    except Unknown as unknown:
        expected = f"a contract of the feed: {', '.join(tape.contracts)}"
        raise InvalidInput("spec.instrument", unknown.value, expected) from None
