"""The run that every service works on: opened and announced by ingestion, read by all at their start."""

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import date
from typing import Final

from google.protobuf.message import DecodeError

from leadline.model.errors import LeadlineError, RefusedMessage
from leadline.model.ids import ContractId, RunId, derive
from leadline.model.subjects import RUN_SUBJECT, RUNS
from leadline.model.v1 import model_pb2 as pb
from leadline.runtime.bus.bus import Bus
from leadline.runtime.bus.intake import Intake


class RunReplaced(LeadlineError):
    """Another run was opened: what this process holds belongs to the one before."""

    def __init__(self, tape: RunId, by: str) -> None:
        super().__init__(tape, by)

    def __str__(self) -> str:
        return "the run {} was replaced by {}".format(*self.args)


@dataclass(frozen=True, slots=True)
class Run:
    """A tape that is not live.

    `tape` is its id; `contracts` maps each dated contract that the feed has by now to its venue: a tape without an end
    gains months while it runs, and its run is announced again (`gain`). Nothing is decided before the trading day
    `trade_from`; `sessions` are the tape's trading days, `missing` those of the wanted history that were not at hand;
    `begins_ns` is the tape's first time. `instruments` is the digest of the instruments beside the package's sheet that
    it was opened with, empty where there were none.
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
    )


async def announce_run(bus: Bus, run: Run) -> None:
    """Publish the run; ingestion alone does."""
    payload = run_to_proto(run).SerializeToString(deterministic=True)
    known = derive("contracts", *sorted(run.contracts))  # a run that has gained one is announced again
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
    return run


# What may stand between two dots of a subject.
_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{1,128}")
_LAST_BEGIN_NS: Final = 1 << 62
