"""Settings of ingestion: the feed, and how it is played."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final, Literal, Self, TypeAlias

from pydantic import Field, model_validator

from leadline.ingestion.batching import LIVE_TICKS, MOST_TICKS, BatchBounds
from leadline.ingestion.tally import MAX_KEPT_OUT_PERCENT
from leadline.model.strict import ServiceParams, StrictModel
from leadline.model.ticks import NS_PER_MINUTE, NS_PER_SECOND

# At full speed nobody waits for a message to fill.
FAST_TICKS: Final = 2048
# Wall time for which a message is filled at a set speed.
FILL_SECONDS: Final = 0.01


FeedKind: TypeAlias = Literal["sim", "file", "catalog", "push"]
Speed: TypeAlias = Annotated[float, Field(gt=0, le=100_000)] | Literal["max"]
"""Seconds of the tape per second, or as fast as it goes."""


FeedMode: TypeAlias = Literal["replay", "live"]
"""A run that ends, on the time of its prints, or the tape `live`, which has no end, on the clock."""
ClockShift: TypeAlias = Literal["none", "session", "recorded"]
"""The time on a live tape's clock at its first opening: wall time, the next regular open, or a recorded day's open."""


class FeedSettings(StrictModel):
    """The source of a feed's prints, as every setting of a feed names it.

    sim: a market simulated from `seed`, for `sessions` sessions. file: `files`. catalog: days that are kept, for
    `sessions` sessions. push: clients call PublishTicks.
    max_kept_out_percent: a run of whose prints more are faulty fails.
    mode: see `FeedMode`; a live tape has no number of sessions. kinds: of a live tape, instruments whose prints come
    from a source of another kind, by symbol. shift: see `ClockShift`. clock_rate: seconds of a live tape's clock per
    second. Both are for drills.
    """

    kind: FeedKind
    mode: FeedMode = "replay"
    shift: ClockShift = "none"
    kinds: dict[str, Literal["sim", "push"]] = Field(default_factory=dict)
    clock_rate: Annotated[int, Field(ge=1, le=10_000)] = 1
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 1
    sessions: Annotated[int, Field(ge=1, le=260)] = 1
    files: tuple[StrictModel, ...] = ()
    max_kept_out_percent: Annotated[Decimal, Field(ge=0, le=100)] = MAX_KEPT_OUT_PERCENT

    @model_validator(mode="after")
    def _files_where_they_belong(self) -> Self:
        if (self.kind == "file") != bool(self.files):
            raise ValueError("files are named for a feed of kind `file`, and only for that")
        return self

    @model_validator(mode="after")
    def _a_clock_that_the_source_can_follow(self) -> Self:
        if self.mode == "replay" and (self.shift != "none" or self.clock_rate != 1):
            raise ValueError("a clock is shifted or made faster on a feed whose mode is live, and only there")
        if self.kinds and (self.mode != "live" or self.kind not in {"sim", "push"}):
            raise ValueError("instruments have kinds of their own on a live feed of kind `sim` or `push` alone")
        own_clock = self.shift != "none" or self.clock_rate != 1
        if self.mode == "live" and own_clock and "push" in {self.kind, *self.kinds.values()}:
            raise ValueError("pushed prints have the clock of their market: it is neither shifted nor made faster")
        if self.shift == "session" and self.kind != "sim":
            raise ValueError("shift: session is for a feed of kind `sim`")
        if self.mode == "live" and (self.kind in {"file", "catalog"}) != (self.shift == "recorded"):
            raise ValueError("shift: recorded is for a live feed of kind `file` or `catalog`, which needs it")
        return self


class FeedFile(StrictModel):
    """A file of prints and what they are of: a dated contract, or a root whose front contract they are."""

    path: Path
    contract: str = Field(min_length=1)


class FeedParams(FeedSettings):
    """Where prints come from.

    sim: a market simulated from `seed`, around `price` when it is given, for `sessions` sessions from `trade_from` on.
    file: `files`. catalog: `sessions` sessions from `trade_from` on of the days that the folder `catalog` has. push:
    clients call PublishTicks. max_kept_out_percent: a run of whose prints more are faulty fails.
    """

    price: Decimal | None = None
    files: tuple[FeedFile, ...] = ()
    catalog: Path | None = None


class IngestionParams(ServiceParams):
    """All settings of ingestion.

    instruments: what is traded: roots, which mean the lead month of each trading day, or dated contracts. A simulated
    feed carries the contracts of its traded days; a pushed one those of `trade_from`, and of a root the month after it;
    files must have what each traded day needs. trade_from: first trading day on which anything is decided; a pushed
    feed must name it.
    beside: what accounts may execute in place of the instruments: of a catalog what it has whole.
    history: sessions before it. speed: seconds of the tape per second, or `max`. wait_for: prints flow when that many
    strategies have said what they need. allowed_lateness_ms: how late a print may be against the newest before it.
    batch_ticks: most prints in a message, by default as suits the speed. launch: names one start of the platform: a
    finished run is then not opened again by a restart of this process, only by another launch. adopt_unfinished: a run
    that another launch has not finished becomes this one's. Otherwise it goes on to its end as what it is, and the
    feed is played again after it. new_run: the run of another launch is left as it is, and another begins.
    """

    feed: FeedParams
    instruments: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    trade_from: date | None = None
    history: Annotated[int, Field(ge=0, le=60)] = 5
    speed: Speed = "max"
    wait_for: Annotated[int, Field(ge=0, le=1000)] = 1
    allowed_lateness_ms: Annotated[int, Field(ge=0, le=60_000)] = 1000
    batch_ticks: Annotated[int, Field(ge=1, le=MOST_TICKS)] | None = None
    launch: str = Field(default="", max_length=100)
    adopt_unfinished: bool = True
    new_run: bool = False

    @property
    def bounds(self) -> BatchBounds:
        """Bounds of a message: at full speed its size alone, else so that nobody waits for the last print of one."""
        if self.speed == "max":
            return BatchBounds(self.batch_ticks or FAST_TICKS)
        span_ns = int(FILL_SECONDS * NS_PER_SECOND * self.speed)
        return BatchBounds(self.batch_ticks or LIVE_TICKS, span_ns, NS_PER_MINUTE)
