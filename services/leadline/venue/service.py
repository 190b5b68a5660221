"""The paper venue: a process of its own that matches one account's orders against the tape and forgets nothing.

Whatever it answers stands in its ledger first. A handler changes the market and writes the ledger without giving the
event loop away in between, so no call ever sees half of another. On a run that ends the account lets the tape go on;
on the run that is live prints are matched as they come (`leadline.venue.live`), and the ledger forgets, day by day,
what is long ended and the account has booked.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from leadline.model.durations import NS_PER_DAY, NS_PER_SECOND
from leadline.model.errors import InvalidInput, LeadlineError
from leadline.model.ids import ClientOrderId, ContractId
from leadline.model.orders import Advanced, OrderEvents, Replacement, VenueOrder, Watch
from leadline.model.subjects import TICKS, tick_subject
from leadline.runtime.bus.bus import Bus
from leadline.runtime.bus.intake import Intake, read_ticks
from leadline.runtime.clock import monotonic_s
from leadline.runtime.context import Context
from leadline.runtime.poison import Poison
from leadline.runtime.runs import Run
from leadline.runtime.settings import validate_params
from leadline.venue import metrics
from leadline.venue.fill_rules import FillRules, parse_fill_rule
from leadline.venue.history import whole_instants
from leadline.venue.ledger import Ledger
from leadline.venue.live import LiveTapes, comes_late
from leadline.venue.matching import PaperMarket
from leadline.venue.params import VenueParams
from leadline.venue.servicer import PaperVenueServicer
from leadline.venue.tape import TapeBuffer, TapeGap, complete_until
from leadline.venue.v1 import venue_pb2 as pb
from leadline.venue.v1 import venue_pb2_grpc as rpc

WAIT_SECONDS: Final = 1.0
"""How long a call waits for the tape, or for an event, before it says how far it came."""

MARKS_SECONDS: Final = 60.0
"""How old marks may become on disk while prints alone move a market that is live."""

MOST_EVENTS: Final = 500
"""The most events in one answer: the process that answers takes orders as well."""


class LedgerBehind(LeadlineError):
    """The account knows of an instant or an event that this ledger has never seen: the ledger was lost or replaced."""


@dataclass(slots=True)
class _Feed:
    """One contract's tape on its way in; `room` is set when there is room for more."""

    tape: TapeBuffer
    room: asyncio.Event = field(default_factory=asyncio.Event)


async def run(context: Context) -> None:
    """Serve the account's paper venue until the process is told to stop.

    Raises InvalidInput for settings that make no sense, LedgerDamaged and LedgerInUse.
    """
    params = validate_params(VenueParams, context.settings.params)
    tape = await context.current_run()
    ledger = Ledger.open(context.settings.data_dir / tape.tape, tape.tape)
    try:
        venue = PaperVenue(context, params, tape, ledger)
        context.log.info("venue.restored", tape=tape.tape, instant_ns=venue.market.instant_ns, events=venue.last_event)
        context.add_service(
            rpc.add_PaperVenueServiceServicer_to_server,
            PaperVenueServicer(venue),
            pb.DESCRIPTOR.services_by_name["PaperVenueService"].full_name,
        )
        await context.serve()
        context.set_ready(True)
        await context.stopping.wait()
    finally:
        ledger.close()


class PaperVenue:
    """The market, its ledger and its tapes. Made with what the ledger remembers."""

    def __init__(self, context: Context, params: VenueParams, tape: Run, ledger: Ledger) -> None:
        rule = parse_fill_rule(params.fill_rule, "fill_rule")
        rules = FillRules(
            rule, params.slippage_ticks, params.latency_ns, native_brackets=params.native_brackets, pairs=params.pairs
        )
        self.market = PaperMarket(rules, tape.begins_ns)
        if (kept := ledger.kept()) is not None:
            self.market.restore_kept(kept)
        for step in ledger.steps():
            self.market.restore(step)
        self._context = context
        self._bus: Bus = context.bus
        self._run = tape
        self._ledger = ledger
        self._buffer_prints = params.buffer_prints
        self._feeds: dict[ContractId, _Feed] = {}
        self._arrived = asyncio.Event()
        self._written = (self.market.instant_ns, self.market.last_event)
        self._written_s = monotonic_s()
        self._lost: OSError | None = None
        self._news = asyncio.Event()
        self._booked = 0
        self._day = self.market.instant_ns // NS_PER_DAY
        self._live = LiveTapes(context, tape, self.market, self._note_live) if tape.live else None
        followed = {order.tape_contract for order in self.market.live_orders()}
        for contract in sorted({*followed, *(self.market.marks if tape.live else ())}):
            self._follow(contract)

    @property
    def last_event(self) -> int:
        """Number of the last event."""
        return self.market.last_event

    # --- orders ------------------------------------------------------------------------------------------------------

    def submit(self, order: VenueOrder) -> tuple[VenueOrder, bool]:
        """Take an order, or refuse one that no tape prices, and an entry that comes late on a live tape.

        With True, the one that has had its id for longer.

        Raises InvalidInput for an order that makes no sense, OSError when the ledger cannot be written.
        """
        self._begin()
        refusal = "" if order.tape_contract in self._run.contracts else f"no tape of {order.tape_contract}"
        if self._live is not None:
            refusal = refusal or comes_late(order, self._live.now_ns, self._run.clock_rate)
        taken, duplicate = self.market.reject(order, refusal) if refusal else self.market.submit(order)
        self._write()
        if not refusal:
            self._follow(order.tape_contract)
        outcome = "duplicate" if duplicate else "rejected" if refusal else "accepted"
        metrics.ORDERS.labels(outcome).inc()
        return taken, duplicate

    def cancel(self, client_id: ClientOrderId, reason: str) -> VenueOrder:
        """Cancel an order; the order as it stands. Raises Unknown, OSError."""
        self._begin()
        order = self.market.cancel(client_id, reason)
        self._write()
        return order

    def replace(self, wanted: Replacement) -> VenueOrder:
        """Give a working order other terms; the order as it stands. Raises Unknown, InvalidInput, OSError."""
        self._begin()
        order = self.market.replace(wanted)
        self._write()
        return order

    def _begin(self) -> None:
        """Begin what a caller changes: a market that is live has the time of the clock then."""
        self._check_ledger()
        if self._live is not None:
            self.market.clock(self._live.now_ns)

    # --- a tape that is live -----------------------------------------------------------------------------------------

    async def events(self, after_event: int, wait_s: float, contracts: Sequence[ContractId]) -> OrderEvents:
        """The first events after one, `MOST_EVENTS` and the rest of their last instant: a fill comes with its exits.

        Where there is none, the wait for one is at most so many seconds.
        The positions are those after the last event, so only the last part of the events has them. The prints of
        `contracts` are matched from now on. Raises InvalidInput on a tape that ends, LedgerBehind, OSError.
        """
        if self._live is None:
            raise InvalidInput("tape", self._run.tape, "the one that is live: the others are let run by AdvanceTo")
        self._check_ledger()
        self._check_position(after_event, None)
        for contract in contracts:
            self._live.follow(contract)
        if wait_s <= 0:  # who waits has heard of the event, and need not have booked it
            self._booked = max(self._booked, after_event)
        if after_event >= self.last_event and wait_s > 0 and not self._context.stopping.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), min(wait_s, WAIT_SECONDS))
            self._check_ledger()
        events = self.market.events_after(max(after_event, self.market.forgotten_event))
        told = whole_instants(events, MOST_EVENTS)
        positions = self.market.positions() if len(told) == len(events) else None
        return OrderEvents(told, positions, self._live.lost)

    def _note_live(self) -> None:
        """Write down what prints or time have changed; once a day, what is long ended goes."""
        _, event = self._written
        if self.last_event > event or monotonic_s() - self._written_s > MARKS_SECONDS:
            self._write()
        day = self.market.instant_ns // NS_PER_DAY
        if day > self._day:
            self._write()
            self._day = day
            with self._writing():
                self._ledger.rewrite(self.market.forget(self._booked, self.market.instant_ns - NS_PER_DAY))

    # --- the tape ----------------------------------------------------------------------------------------------------

    async def advance(
        self,
        to_ns: int,
        after_event: int,
        contracts: Sequence[ContractId],
        watches: Sequence[Watch],
        from_ns: int | None,
        may_move: Callable[[], bool],
    ) -> Advanced:
        """Let the tape run up to `to_ns`, to the first change or crossing, or as far as it came in the time.

        An account that has not heard of everything that happened is told at once, and nothing happens meanwhile. So is
        one whose call has been overtaken by another, which `may_move` says.
        Raises InvalidInput, LedgerBehind, OSError.
        """
        if self._live is not None:
            raise InvalidInput("tape", self._run.tape, "one that ends: this one goes on by itself, see ListEvents")
        with metrics.ADVANCE_SECONDS.time():
            self._check_ledger()
            self._check_position(after_event, from_ns)
            for contract in self._tapes_of(contracts):
                self._follow(contract)
            market = self.market
            unheard = after_event < market.matched_event or (from_ns is not None and from_ns < market.instant_ns)
            final = False
            if not unheard:
                final = await self._advance_until(to_ns, contracts, watches, may_move)
            self._write()
            last = {name: market.marks[name].last for name in contracts if name in market.marks}
            return Advanced(market.instant_ns, market.events_after(after_event), last, final, market.positions())

    async def _advance_until(
        self, to_ns: int, contracts: Sequence[ContractId], watches: Sequence[Watch], may_move: Callable[[], bool]
    ) -> bool:
        """Match what is complete and wait for more while there is time; whether all tapes ended and are matched."""
        deadline = monotonic_s() + WAIT_SECONDS
        while may_move():
            self._arrived.clear()
            stopped, final = self._match(to_ns, contracts, watches)
            left = deadline - monotonic_s()
            if stopped or final or self.market.instant_ns >= to_ns or left <= 0 or self._context.stopping.is_set():
                return final
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await self._arrived.wait()
        return False

    def _match(self, to_ns: int, contracts: Sequence[ContractId], watches: Sequence[Watch]) -> tuple[bool, bool]:
        """Match the complete instants up to `to_ns`: whether something stopped it, and whether all is matched."""
        feeds = {contract: self._feeds[contract] for contract in self._tapes_of(contracts)}
        complete_ns, ended = complete_until([feed.tape for feed in feeds.values()])
        if complete_ns is None:
            return False, False
        prints = {contract: feed.tape.ticks() for contract, feed in feeds.items()}
        reached = self.market.advance(prints, min(to_ns, complete_ns), watches)
        for contract, feed in feeds.items():
            before = len(feed.tape)
            if mark := self.market.marks.get(contract):
                feed.tape.drop_until(mark.last.source_index)
            metrics.MATCHED.inc(before - len(feed.tape))
            if len(feed.tape) < self._buffer_prints:
                feed.room.set()
        metrics.FILLS.inc(sum(event.fill is not None for event in reached.events))
        return reached.stopped, ended and reached.instant_ns >= complete_ns

    def _tapes_of(self, contracts: Sequence[ContractId]) -> list[ContractId]:
        """The tapes that the account asks for, and those that its orders rest on."""
        if not contracts:
            raise InvalidInput("contracts", "nothing", "the contracts whose tapes the account needs")
        for contract in contracts:
            if contract not in self._run.contracts:
                raise InvalidInput("contracts", contract, "one of " + ", ".join(self._run.contracts))
        resting = {order.tape_contract for order in self.market.live_orders()}
        return sorted({*contracts, *resting})

    def _check_position(self, after_event: int, from_ns: int | None) -> None:
        if after_event > self.market.last_event:
            raise LedgerBehind(f"the account has seen event {after_event}, this ledger ends at {self.last_event}")
        if from_ns is not None and from_ns > self.market.instant_ns:
            raise LedgerBehind(f"the account is at {from_ns} ns, this ledger at {self.market.instant_ns} ns")

    def _follow(self, contract: ContractId) -> None:
        """Read the contract's tape from now on."""
        if self._live is not None:
            self._live.follow(contract)
            return
        if contract in self._feeds:
            return
        mark = self.market.marks.get(contract)
        feed = _Feed(TapeBuffer(None if mark is None else mark.last.source_index))
        metrics.BUFFERED.labels(contract).set_function(lambda: len(feed.tape))
        self._feeds[contract] = feed
        self._context.spawn(self._read(contract, feed), f"tape of {contract}")

    async def _read(self, contract: ContractId, feed: _Feed) -> None:
        """Fill the feed for as long as the process lives; what comes after missing prints waits for them."""
        subject = tick_subject(self._run.tape, self._run.contracts[contract], contract)
        intake = Intake(TICKS)
        while True:
            hole = False
            async for message in self._bus.ordered(TICKS, subject):
                try:
                    with self._context.handling.of(TICKS, message):
                        batch = intake.usable(message, read_ticks)
                        if batch is None:
                            continue
                        added = feed.tape.add(batch)
                except Poison as poison:
                    intake.refuse(message, poison)
                    continue
                except TapeGap as gap:
                    # Who published them says them again when the bus has lost them, behind what came meanwhile.
                    if not hole:
                        metrics.TAPE_READ_AGAIN.inc()
                        self._context.log.warning("venue.prints_missing", reason=str(gap))
                    hole = True
                    continue
                self._arrived.set()
                if added and hole:
                    break
                while len(feed.tape) >= self._buffer_prints:
                    feed.room.clear()
                    await feed.room.wait()

    # --- the ledger --------------------------------------------------------------------------------------------------

    def _write(self) -> None:
        """Put on disk what has changed since the last time."""
        now = (self.market.instant_ns, self.market.last_event)
        if now == self._written:
            return
        with self._writing():
            self._ledger.append(self.market.take_step())
        if self.last_event > self._written[1]:
            self._news.set()
            self._news = asyncio.Event()
        self._written, self._written_s = now, monotonic_s()
        metrics.INSTANT.set(self.market.instant_ns / NS_PER_SECOND)
        metrics.LEDGER_BYTES.set(self._ledger.size_bytes)

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Write to the ledger. After an error the market knows more than that: only a new process can be believed."""
        try:
            with metrics.LEDGER_SECONDS.time():
                yield
        except OSError as error:
            self._lost = error
            self._context.spawn(_fail(error), "ledger")
            raise

    def _check_ledger(self) -> None:
        if self._lost is not None:
            raise self._lost


async def _fail(error: Exception) -> None:
    raise error
