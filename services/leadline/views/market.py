"""The market side as it is shown: the run, its feed, the bars that are built of it, and what of it is in no bar."""

from collections.abc import Mapping
from dataclasses import dataclass

from leadline.ingestion.tally import OUTSIDE
from leadline.model.ids import RunId
from leadline.model.market.phases import MarketPhase
from leadline.views.values import AccountView


@dataclass(frozen=True, slots=True)
class RunView:
    """A run of a tape.

    tape: its id. feed: `sim`, `file` or `push`. contracts: venues by dated contract. trade_from: first trading day on
    which anything is decided. history: sessions before it that the tape should begin with. sessions: trading days of
    the tape, empty for a pushed feed; missing: those of the history that were not at hand. begins_ns: first time, ns
    UTC. finished: the whole tape is published. instruments: digest of those beside the package's sheet, or empty.
    clock_rate, clock_offset_ns, clock_since_ns: of the tape's clock, as the contract of the run has them. Days are
    ISO 8601.
    """

    tape: RunId
    feed: str
    contracts: Mapping[str, str]
    trade_from: str
    history: int
    sessions: tuple[str, ...]
    missing: tuple[str, ...]
    begins_ns: int
    finished: bool
    instruments: str
    clock_rate: int
    clock_offset_ns: int
    clock_since_ns: int


@dataclass(frozen=True, slots=True)
class KeptOutView:
    """Prints of a contract that did not reach a bar, by trading day (ISO 8601, empty for none) and reason."""

    trading_day: str
    reason: str
    prints: int


@dataclass(frozen=True, slots=True)
class KeptOutPrintView:
    """One of the first prints that were kept out for a reason, as its source wrote it: line `row` of `source`."""

    reason: str
    source: str
    row: int
    time_ns: int
    price: str
    size: str
    side: int


@dataclass(frozen=True, slots=True)
class FeedContractView:
    """One contract of the feed.

    prints: those published. last_time_ns: of the last print, ns UTC, 0 before the first. watermark_ns: ns UTC.
    last_price: decimal string, empty before the first print; last_price_ticks: the same in ticks. quarantined: prints
    kept out for a fault of their own, counts by reason. kept_out: prints in no bar by trading day and reason. samples:
    the first few that were kept out. late, gaps, gap_ns: see `ContractStatus` of the contract of ingestion. phase: of
    its market now, on the tape `live` alone.
    """

    contract: str
    prints: int
    last_time_ns: int
    watermark_ns: int
    last_price: str
    last_price_ticks: int
    quarantined: Mapping[str, int]
    kept_out: tuple[KeptOutView, ...]
    samples: tuple[KeptOutPrintView, ...]
    late: int = 0
    gaps: int = 0
    gap_ns: int = 0
    phase: MarketPhase | None = None

    @property
    def outside(self) -> int:
        """Good prints in no session that bars are built of."""
        return sum(item.prints for item in self.kept_out if item.reason == OUTSIDE)

    @property
    def faulty(self) -> int:
        """Prints that were kept out for a fault of their own."""
        return sum(self.quarantined.values())


@dataclass(frozen=True, slots=True)
class PushedContractView:
    """How far a contract of a pushed feed is taken: `next_index` of its prints; `overlapping` came twice."""

    contract: str
    next_index: int
    ended: bool
    overlapping: int


@dataclass(frozen=True, slots=True)
class SourceView:
    """A source of the tape `live`: see `SourceStatus` of the contract of ingestion."""

    name: str
    state: str
    since_ns: int
    lost: int
    reason: str
    contracts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FeedView:
    """The feed. progress: of the tape, 0 to 1. state: such as `publishing`. failure: why the run failed, else empty.

    sources, now_ns: of the tape `live`, whose time it is; 0 for one that ends.
    """

    run: RunView | None
    contracts: tuple[FeedContractView, ...]
    progress: float
    state: str
    failure: str
    pushed: tuple[PushedContractView, ...]
    sources: tuple[SourceView, ...] = ()
    now_ns: int = 0


@dataclass(frozen=True, slots=True)
class BarKeyView:
    """The key of a bar. spec: of its bars with ticks per row, such as `5m-r1`. ordinal: in its session, from 0."""

    contract: str
    session: str
    spec: str
    trading_day: str
    ordinal: int


@dataclass(frozen=True, slots=True)
class UnfinishedBarView:
    """Prints with which a tape ends inside a bar of one series, of which they are in none."""

    bar: BarKeyView
    prints: int


@dataclass(frozen=True, slots=True)
class SeriesView:
    """One series of bars.

    progress_ns: no bar known before this follows, ns UTC, 0 before the first word. final: its tape has ended.
    unfinished: absent where the tape did not end inside a bar.
    """

    contract: str
    session: str
    spec: str
    progress_ns: int
    final: bool
    unfinished: UnfinishedBarView | None


@dataclass(frozen=True, slots=True)
class BarView:
    """One closed bar without its rows. Prices in ticks (`poc`: point of control), sizes in size steps, times ns UTC."""

    key: BarKeyView
    start_ns: int
    end_ns: int
    known_at_ns: int
    open: int
    high: int
    low: int
    close: int
    volume: int
    prints: int
    delta: int
    min_delta: int
    max_delta: int
    cumulative_delta: int
    poc: int
    value_area_low: int
    value_area_high: int


@dataclass(frozen=True, slots=True)
class StatusView:
    """A running stack at a moment.

    tape: of the run, or of the accounts where the feed is not the stack's own; feed: None then. health: `serving`, `not
    serving`, or why it cannot be reached, by workload; addresses: `host:port` by workload. left_out: what is missing
    here, by its name, each with the reason in words.
    """

    tape: RunId
    feed_kind: str
    trade_from: str
    feed: FeedView | None
    series: tuple[SeriesView, ...]
    health: Mapping[str, str]
    addresses: Mapping[str, str]
    accounts: tuple[AccountView, ...]
    left_out: Mapping[str, str]
