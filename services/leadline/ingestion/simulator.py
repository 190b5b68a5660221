"""A market made of a seed: sessions of prints of any instrument on any trading day.

The same seed gives the same prints, on every machine. A day does not depend on which days were made before it: it
begins and ends at prices that follow from seed and date alone, so that days join with a gap of a few ticks. The
contracts of one underlying and expiry (ES and MES) share times and price path and differ in sides and sizes.

Movement is set in ticks, not in percent: some 20 rows in a five-minute bar of regular hours, for every instrument.
Volume follows the instrument's typical bar. All arithmetic is on integers.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

import numpy as np
from numpy.typing import NDArray

from leadline.ingestion.draws import PER_MILLE, Draws
from leadline.ingestion.scenario import Episode, Leg, SessionShape, activity, legs
from leadline.model.errors import InvalidInput, Unknown
from leadline.model.ids import ContractId
from leadline.model.market.calendars import calendar
from leadline.model.market.contracts import instrument_of
from leadline.model.market.instruments import Instrument
from leadline.model.ticks import NS_PER_MINUTE, Int64Array, TickColumns

# About where a market trades, by underlying, when the caller does not say.
OPENING_PRICES: Final = {
    "ES": Decimal(6000),
    "NQ": Decimal(21500),
    "RTY": Decimal(2150),
    "YM": Decimal(42500),
    "CL": Decimal(65),
    "GC": Decimal(3300),
    "SI": Decimal(33),
    "SPY": Decimal(600),
    "QQQ": Decimal(525),
    "BTCUSDT": Decimal(100000),
    "BANKNIFTY": Decimal(55000),
    "GOLDM": Decimal(95000),
}

# The slow wave that the days' first prices lie on: (period in days, height in ticks).
_WAVES: Final = ((37, 220), (13, 110), (5, 50))
_GAP_TICKS: Final = 12

_STEP_PER_MILLE: Final = 300  # prints after which the quote moves by a tick
_SWEEP_PER_MILLE: Final = 280  # prints at the time of the print before
_NEW_RUN_PER_MILLE: Final = 450  # prints that need not be of the side of the print before
_TAKES_LEVEL_PER_MILLE: Final = 800  # prints that take out the level which moves after them
_LEG_BIAS_PER_MILLE: Final = 60  # more buyers than half on the way up
_DRIVE_BIAS_PER_MILLE: Final = 300

_LARGEST_PRINT: Final = 250
_EPISODE_MINUTES: Final = 2
_EPISODE_ROWS: Final = 3
_ABSORBED_TIMES: Final = 3
_PRINTS_PER_TYPICAL_BAR: Final = 375


@dataclass(frozen=True, slots=True)
class _Path:
    """The quote under each print: best bid in ticks, and the number of the leg it lies on; both shape (n,)."""

    bid: Int64Array
    leg: Int64Array
    legs: tuple[Leg, ...]


def simulate(
    contract: ContractId, days: Sequence[date], seed: int, price: Decimal | None = None
) -> Iterator[TickColumns]:
    """The prints of each trading day in turn, with contiguous source indices from 0.

    `price` is the level around which the market moves; by default that of `OPENING_PRICES`. Raises Unknown for an
    instrument that is not in the sheet, a day that the calendar does not know or on which the market is closed, and
    InvalidInput for a price off the grid.
    """
    index = 0
    for day in days:
        ticks = simulate_day(contract, day, seed, price)
        yield TickColumns(ticks.time_ns, ticks.price, ticks.size, ticks.aggressor, index)
        index += len(ticks)


def simulate_day(contract: ContractId, day: date, seed: int, price: Decimal | None = None) -> TickColumns:
    """The prints of one trading day, source indices from 0. See `simulate`."""
    instrument = instrument_of(contract)
    opens_ns, shape = _shape(instrument, day)
    level = opening_level(instrument, price)
    market = _market_name(instrument, contract, day, seed)
    own = (str(seed), contract, day.isoformat())

    per_minute = activity(shape, Draws("activity", *market))
    minute_of = np.repeat(np.arange(shape.minutes, dtype=np.int64), per_minute)
    swept = Draws("sweeps", *market).below(PER_MILLE, len(minute_of)) < _SWEEP_PER_MILLE
    time_ns = _times(opens_ns, minute_of, swept, Draws("times", *market))
    start = _first_price(level, seed, instrument.underlying, day)
    home = _first_price(level, seed, instrument.underlying, day + timedelta(days=1)) - start
    path = _path(minute_of, start, tuple(legs(shape, home, Draws("legs", *market))), Draws("steps", *market))
    buys = _buys(path, Draws("sides", *own))
    size = _sizes(instrument, path, buys, minute_of, Draws("sizes", *own))
    aggressor = np.where(buys, 1, -1).astype(np.int8)
    aggressor[0] = 0  # the opening auction has no aggressor
    return TickColumns(time_ns, path.bid + buys, size, aggressor)


def count_prints(contract: ContractId, day: date, seed: int) -> int:
    """How many prints `simulate_day` makes. Raises Unknown as it does."""
    instrument = instrument_of(contract)
    _, shape = _shape(instrument, day)
    return int(activity(shape, Draws("activity", *_market_name(instrument, contract, day, seed))).sum())


def _market_name(instrument: Instrument, contract: ContractId, day: date, seed: int) -> tuple[str, ...]:
    """The parts of the seed that the contracts of one underlying and expiry share on a day."""
    return str(seed), instrument.underlying, contract.removeprefix(instrument.root), day.isoformat()


def _shape(instrument: Instrument, day: date) -> tuple[int, SessionShape]:
    market = calendar(instrument.calendar)
    hours = market.market(day)
    if hours is None:
        raise Unknown("trading day", f"{day.isoformat()}, on which {instrument.exchange} is closed")
    opens_ns, closes_ns = hours
    regular = market.session(day, instrument.sessions["rth"])
    window = (regular.open_ns, regular.close_ns) if regular else (closes_ns, closes_ns)
    minutes = [(at_ns - opens_ns) // NS_PER_MINUTE for at_ns in (closes_ns, *window)]
    return opens_ns, SessionShape(*minutes)


def opening_level(instrument: Instrument, price: Decimal | None) -> int:
    """The ticks around which an instrument moves: those of `price`, else of `OPENING_PRICES`.

    Raises InvalidInput for a price off the grid or too low, and for none where none is known.
    """
    if price is None and instrument.underlying not in OPENING_PRICES:
        raise InvalidInput("price", None, f"a price around which {instrument.root} is to move")
    ticks = instrument.price_to_ticks(OPENING_PRICES[instrument.underlying] if price is None else price)
    least = 2 * sum(height for _, height in _WAVES)
    if ticks < least:
        raise InvalidInput("price", str(price), f"at least {least} ticks of {instrument.tick}")
    return ticks


def _first_price(level: int, seed: int, underlying: str, day: date) -> int:
    """Where a day begins, in ticks: on a slow wave around the level, with a gap of a few ticks."""
    phases = Draws("waves", str(seed), underlying)
    wave = 0
    for period, height in _WAVES:
        # A triangle between -height and height.
        position = (day.toordinal() + phases.one(0, period - 1)) * 4 * height // period % (4 * height)
        wave += abs(position - 2 * height) - height
    return level + wave + Draws("gap", str(seed), underlying, day.isoformat()).one(-_GAP_TICKS, _GAP_TICKS)


def _times(opens_ns: int, minute_of: Int64Array, swept: NDArray[np.bool_], draws: Draws) -> Int64Array:
    """Times in order; a swept print shares the time of the print before it. Shape (n,)."""
    count = len(minute_of)
    in_minute = draws.below(NS_PER_MINUTE // 1000, count) * 1000 + draws.below(1000, count)
    time_ns = np.sort(opens_ns + minute_of * NS_PER_MINUTE + in_minute)
    leader = np.where(swept, 0, np.arange(count))
    return time_ns[np.maximum.accumulate(leader)]


def _path(minute_of: Int64Array, start: int, plan: tuple[Leg, ...], draws: Draws) -> _Path:
    """A random walk of single ticks, bent so that every leg ends where it is planned to end."""
    count = len(minute_of)
    ends = np.searchsorted(minute_of, [leg.end_minute for leg in plan])
    leg = np.searchsorted(ends, np.arange(count), side="right")
    draw = draws.below(2 * PER_MILLE, count)
    walk = np.cumsum((draw < _STEP_PER_MILLE).astype(np.int64) - (draw >= 2 * PER_MILLE - _STEP_PER_MILLE))
    planned = start + np.cumsum([0, *(each.ticks for each in plan)])
    begins = np.concatenate([[0], ends[:-1]])
    walked = np.concatenate([walk, walk[-1:]])
    drift = np.diff(planned) - (walked[ends] - walked[begins])
    inside = np.arange(count) - begins[leg]
    bid = planned[leg] + walk - walked[begins][leg] + drift[leg] * inside // (ends - begins)[leg]
    return _Path(bid, leg, plan)


def _buys(path: _Path, draws: Draws) -> NDArray[np.bool_]:
    """Which prints are bought at the ask; the others are sold at the bid. Shape (n,)."""
    count = len(path.bid)
    way = np.sign([leg.ticks for leg in path.legs])
    bias = way * [_DRIVE_BIAS_PER_MILLE if leg.drive else _LEG_BIAS_PER_MILLE for leg in path.legs]
    wish = draws.below(PER_MILLE, count) < PER_MILLE // 2 + bias[path.leg]
    # Orders come in runs: a print that begins none is of the side of the print before.
    begins_run = draws.below(PER_MILLE, count) < _NEW_RUN_PER_MILLE
    leader = np.maximum.accumulate(np.where(begins_run, np.arange(count), 0))
    buys = wish[leader]
    # A level is taken out by whoever crosses it.
    ahead = np.diff(path.bid, append=path.bid[-1:])
    takes = (draws.below(PER_MILLE, count) < _TAKES_LEVEL_PER_MILLE) & (ahead != 0)
    return np.where(takes, ahead > 0, buys)


def _sizes(
    instrument: Instrument, path: _Path, buys: NDArray[np.bool_], minute_of: Int64Array, draws: Draws
) -> Int64Array:
    """Heavy-tailed sizes in steps, shape (n,) >= 1; larger or fading where an episode is."""
    count = len(path.bid)
    size = 1 + np.searchsorted(_size_odds(), draws.below(int(_size_odds()[-1]), count), side="right")
    size[0] = _LARGEST_PRINT // 5  # the opening auction
    for leg in path.legs:
        if leg.episode is not Episode.NONE:
            _play(leg, path, buys, minute_of, size)
    typical = instrument.profile.typical_bar_volume if instrument.profile else 0
    unit = max(typical // _PRINTS_PER_TYPICAL_BAR, 1)
    return size * unit - draws.below(unit, count)


def _play(leg: Leg, path: _Path, buys: NDArray[np.bool_], minute_of: Int64Array, size: Int64Array) -> None:
    """Act out the episode where a leg ends, in place, on the side that pushed towards the extreme."""
    start, stop = np.searchsorted(minute_of, [leg.end_minute - _EPISODE_MINUTES, leg.end_minute + _EPISODE_MINUTES])
    near = slice(int(start), int(stop))
    up = leg.ticks > 0
    bid = path.bid[near]
    distance = bid.max() - bid if up else bid - bid.min()
    pushing = buys[near] == up
    if leg.episode is Episode.ABSORPTION:
        factor = np.where(pushing & (distance < _EPISODE_ROWS), _ABSORBED_TIMES, 1)
        size[near] *= factor
    else:
        fading = np.minimum(size[near], 1 + distance * distance)
        size[near] = np.where(pushing, fading, size[near])


def _size_odds() -> Int64Array:
    """Cumulative odds of the sizes 1, 2, ...: those of size k fall with k^3 (mean 2), round sizes are favoured."""
    size = np.arange(1, _LARGEST_PRINT + 1, dtype=np.int64)
    odds = 1_000_000_000 // (size * (size + 1) * (size + 2))
    for round_size in (5, 10, 25, 50, 100):
        odds[round_size - 1] *= 3
    return np.cumsum(odds)
