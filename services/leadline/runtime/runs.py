"""The run that every service works on: opened and announced by ingestion, read by all at their start."""

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import date
from typing import Final

from google.protobuf.message import DecodeError

from leadline.model.errors import LeadlineError, RefusedMessage
from leadline.model.ids import LIVE, ContractId, RunId, derive
from leadline.model.subjects import RUN_SUBJECT, RUNS
from leadline.model.v1 import model_pb2 as pb
from leadline.runtime.bus.bus import Bus
from leadline.runtime.bus.intake import Intake

LIVE_TAPE: Final = LIVE


class RunReplaced(LeadlineError):
    """Another run was opened: what this process holds belongs to the one before."""

    def __init__(self, tape: RunId, by: str) -> None:
        super().__init__(tape, by)

    def __str__(self) -> str:
        return "the run {} was replaced by {}".format(*self.args)


@dataclass(frozen=True, slots=True)
class Run:
    """A tape: `live`, which has no end, or one that ends.

    `tape` is its id; `contracts` maps each dated contract that the feed has by now to its venue: a tape without an end
    gains months while it runs, and its run is announced again (`gain`). Nothing is decided before the trading day
    `trade_from`; `sessions` are the tape's trading days, `missing` those of the wanted history that were not at hand;
    `begins_ns` is the tape's first time. `instruments` is the digest of the instruments beside the package's sheet that
    it was opened with, empty where there were none.

    The tape's clock (`now_ns`) is `clock_offset_ns` ahead of the wall clock at the wall time `clock_since_ns`, and runs
    `clock_rate` times as fast, a whole number of at least 1: a drill may have its own clock.
    """

    tape: RunId
    feed: str
    contracts: dict[ContractId, str]
    trade_from: date
    history: int
    sessions: tuple[date, ...]
    missing: tuple[date, ...]
    begins_ns: int
    finished: bool = False
    instruments: str = ""
    clock_offset_ns: int = 0
    clock_rate: int = 1
    clock_since_ns: int = 0

    @property
    def live(self) -> bool:
        """Whether the tape has no end and its time is that of a clock."""
        return self.tape == LIVE_TAPE

    def now_ns(self, wall_ns: int) -> int:
        """The tape's time at a wall time, nanoseconds UTC; both are the same but in drills."""
        return wall_ns + self.clock_offset_ns + (wall_ns - self.clock_since_ns) * (self.clock_rate - 1)

    def wall_ns(self, tape_ns: int) -> int:
        """The wall time at which the tape's clock shows a time, nanoseconds UTC."""
        since_ns, rate = self.clock_since_ns, self.clock_rate
        return (tape_ns - self.clock_offset_ns + since_ns * (rate - 1)) // rate

    def gain(self, announced: "Run") -> tuple[ContractId, ...]:
        """Take up what a later announcement of this run has of further contracts; their names, in order.

        The mapping stays the same one, in order of the names: whoever holds it has them, too. A contract that the feed
        has no more stays, for somebody may hold it.
        """
        gained = tuple(sorted(set(announced.contracts) - set(self.contracts)))
        if gained:
            found = dict(sorted({**announced.contracts, **self.contracts}.items()))
            self.contracts.clear()
            self.contracts.update(found)
        return gained


def run_to_proto(run: Run) -> pb.Run:
    """A run as a message."""
    return pb.Run(
        tape=run.tape,
        feed=run.feed,
        contracts=dict(run.contracts.items()),
        trade_from=run.trade_from.isoformat(),
        history=run.history,
        sessions=[day.isoformat() for day in run.sessions],
        missing=[day.isoformat() for day in run.missing],
        begins_ns=run.begins_ns,
        finished=run.finished,
        instruments=run.instruments,
        clock_rate=run.clock_rate,
        clock_offset_ns=run.clock_offset_ns,
        clock_since_ns=run.clock_since_ns,
    )


def run_from_proto(message: pb.Run) -> Run:
    """A message as a run."""
    return Run(
        RunId(message.tape),
        message.feed,
        {ContractId(name): venue for name, venue in sorted(message.contracts.items())},
        date.fromisoformat(message.trade_from),
        message.history,
        tuple(date.fromisoformat(day) for day in message.sessions),
        tuple(date.fromisoformat(day) for day in message.missing),
        message.begins_ns,
        message.finished,
        message.instruments,
        message.clock_offset_ns,
        message.clock_rate or 1,
        message.clock_since_ns,
    )


async def announce_run(bus: Bus, run: Run) -> None:
    """Publish the run; ingestion alone does."""
    payload = run_to_proto(run).SerializeToString(deterministic=True)
    # A run that has gained a contract or a trading day, or whose clock was set, is announced again.
    clock = f"{run.clock_rate}/{run.clock_offset_ns}/{run.clock_since_ns}"
    known = derive("contracts", *sorted(run.contracts), *map(str, run.sessions), clock)
    await bus.publish(RUN_SUBJECT, payload, f"{RUN_SUBJECT}/{run.tape}/{int(run.finished)}/{known}")


async def announced_runs(bus: Bus) -> AsyncGenerator[Run, None]:
    """The run announced last, and every announcement after it, without end. Waits for a first run.

    A restarted platform may still hold an ended run's announcement until ingestion opens the next one.
    """
    intake = Intake(RUNS)
    async with aclosing(bus.ordered(RUNS, RUN_SUBJECT, start="last")) as messages:
        async for message in messages:
            run = intake.usable(message, read_run)
            if run is not None:
                yield run


def read_run(subject: str, payload: bytes) -> Run:
    """An announcement from the stream of runs. Raises RefusedMessage."""
    try:
        run = run_from_proto(pb.Run.FromString(payload))
    except (DecodeError, ValueError) as error:
        raise RefusedMessage("unreadable", f"{type(error).__name__}: {error}") from None
    names = (run.tape, *run.contracts, *run.contracts.values())
    if subject != RUN_SUBJECT or not run.contracts or not all(map(_TOKEN.fullmatch, names)):
        raise RefusedMessage("malformed", "an announcement without a tape, or without contracts and their venues")
    if abs(run.begins_ns) > _LAST_BEGIN_NS:
        raise RefusedMessage("malformed", f"begins_ns {run.begins_ns}")
    if run.clock_rate < 1 or max(abs(run.clock_offset_ns), abs(run.clock_since_ns)) > _LAST_BEGIN_NS:
        clock = f"{run.clock_rate}, {run.clock_offset_ns}, {run.clock_since_ns}"
        raise RefusedMessage("malformed", f"clock_rate, clock_offset_ns, clock_since_ns {clock}")
    return run


# What may stand between two dots of a subject.
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_LAST_BEGIN_NS: Final = 1 << 62
