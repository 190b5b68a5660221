"""Footprint bars: the candle and, per price, who traded there."""

from dataclasses import dataclass
from datetime import date
from typing import Final

from leadline.model.frozen import quickly_made
from leadline.model.ids import ContractId, RunId
from leadline.model.ticks import NS_PER_SECOND, Int64Array

CLOSE_GRACE_NS: Final = 2 * NS_PER_SECOND
"""A bar whose time is over is known at the next print, but at the latest after this long without one."""

OWN_SERIES: Final = "main"
"""The name of the bars about which a strategy speaks, among all the series that it reads."""


@quickly_made
@dataclass(frozen=True, slots=True, order=True)
class BarKey:
    """Identity of a bar without its tape.

    `spec` is the bar specification's token with the ticks per row, such as `5m-r1` or `ticks500-r4`.
    `ordinal` counts from 0 at the session's open: (start - open) / length for time bars, else a counter.
    """

    contract: ContractId
    session: str
    spec: str
    trading_day: date
    ordinal: int

    def text(self) -> str:
        """The canonical spelling, used in ids and messages."""
        return f"{self.contract}/{self.session}/{self.spec}/{self.trading_day.isoformat()}/{self.ordinal}"


def numbered(key: str) -> tuple[str, int]:
    """The spelling of a bar's key as its series with the day, and its ordinal: keys of one day sort by the number."""
    series, _, ordinal = key.rpartition("/")
    return series, int(ordinal)


@quickly_made
@dataclass(frozen=True, slots=True)
class FootprintRows:
    """Volume and prints by price row, highest price last.

    `price` int64: the lowest tick of each row, strictly increasing, in steps of ticks per row where traded (rows
    without a print are absent). `bid` = volume of sell aggressors, `ask` = of buy aggressors, `unknown` = of
    prints without a side, all int64 size steps; `bid_prints`, `ask_prints`, `unknown_prints` count prints.
    All arrays have shape (rows,).
    """

    price: Int64Array
    bid: Int64Array
    ask: Int64Array
    unknown: Int64Array
    bid_prints: Int64Array
    ask_prints: Int64Array
    unknown_prints: Int64Array

    def __len__(self) -> int:
        return len(self.price)


@quickly_made
@dataclass(frozen=True, slots=True)
class Bar:
    """One closed bar of one contract: candle, order-flow sums and footprint rows.

    Times in ns UTC: `start_ns` is the start of the interval of a time bar, else the first print's time; `end_ns`
    the end of that interval (half-open), else the last print's time; `known_at_ns` the tape instant from which
    the bar may be acted on. Prices in ticks, volumes in size steps. `delta` = ask - bid volume;
    `min_delta`/`max_delta` the extremes of the running delta inside the bar, 0 included; `cumulative_delta` the
    sum since the session's open, this bar included. `poc`, `value_area_low`, `value_area_high` are rows' prices.
    `vwap_volume` and `vwap_price_volume` are the session's running sums of size and price x size (this bar
    included), `vwap_price2_volume` of price^2 x size, so that VWAP and its deviation are exact.

    On the tape `live` alone: `revision` counts how often late prints have changed the bar since it was first published,
    and with `gap` prints of its span may be missing for ever. No entry comes of either.
    """

    key: BarKey
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
    vwap_volume: int
    vwap_price_volume: int
    vwap_price2_volume: int
    first_index: int
    last_index: int
    session_open_ns: int
    session_close_ns: int
    ticks_per_row: int
    rows: FootprintRows
    revision: int = 0
    gap: bool = False


@dataclass(frozen=True, slots=True)
class UnfinishedBar:
    """The prints with which a tape ends inside a bar: they are in none. `key` is that bar's, `prints` a count >= 1."""

    key: BarKey
    prints: int


@quickly_made
@dataclass(frozen=True, slots=True)
class BarMessage:
    """One message of a bar stream: a bar, or only progress.

    `progress_ns` promises that no bar with `known_at_ns` below it follows on this subject; `final` closes that
    instant too. A message with a bar promises what was true before that bar's instant, so its progress is at most
    the bar's `known_at_ns`. `unfinished` is said with the end of the tape, where that lies inside a bar.

    The tape has been read as far as `progress_ns`. `quiet_until_ns` may lie ahead of the tape: it promises, in the same
    words, what follows from the length of the bars alone. At or below `progress_ns` it promises nothing more.
    """

    tape: RunId
    venue: str
    contract: ContractId
    progress_ns: int
    final: bool
    bar: Bar | None
    unfinished: UnfinishedBar | None = None
    quiet_until_ns: int = 0
