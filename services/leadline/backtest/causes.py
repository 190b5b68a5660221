"""The reason of a trade: the bar at which its entry was decided, what the strategy saw there, and how its size came."""

from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from leadline.model.bars import Bar
from leadline.model.ids import ContractId
from leadline.model.proposals import Decision
from leadline.model.signals import BarSignals
from leadline.recorder.rows import signal_document
from leadline.views.documents import value_of
from leadline.views.signals import SignalView, signal_of


@dataclass(frozen=True, slots=True)
class Footprint:
    """A bar with who traded at each of its prices, all prices in ticks. `bar` is its key as ids spell it.

    `rows_ticks` is the lowest price of each row, the highest row last; `sold` and `bought` are the volumes of sell and
    of buy aggressors there, in size steps.
    """

    bar: str
    contract: ContractId
    ticks_per_row: int
    high_ticks: int
    low_ticks: int
    close_ticks: int
    volume: int
    delta: int
    poc_ticks: int
    value_area_low_ticks: int
    value_area_high_ticks: int
    rows_ticks: tuple[int, ...]
    sold: tuple[int, ...]
    bought: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Cause:
    """Why a trade was entered. `size` is the arithmetic of its size, by name in the order in which it was done.

    `footprint` and `signals` are of the bar at which it was decided; without it where that bar is not kept.
    """

    size: Mapping[str, str]
    footprint: Footprint | None = None
    signals: tuple[SignalView, ...] = ()


def entry_of(bar: Bar, said: BarSignals) -> bytes:
    """The bar at which an entry is decided and what was seen there, packed until `cause_of` opens it."""
    footprint = {
        "bar": bar.key.text(),
        "contract": bar.key.contract,
        "ticks_per_row": bar.ticks_per_row,
        "high_ticks": bar.high,
        "low_ticks": bar.low,
        "close_ticks": bar.close,
        "volume": bar.volume,
        "delta": bar.delta,
        "poc_ticks": bar.poc,
        "value_area_low_ticks": bar.value_area_low,
        "value_area_high_ticks": bar.value_area_high,
        "rows_ticks": bar.rows.price,
        "sold": bar.rows.bid,
        "bought": bar.rows.ask,
    }
    signals = [signal_document(each) for each in said.signals]
    return orjson.dumps({"footprint": footprint, "signals": signals}, option=orjson.OPT_SERIALIZE_NUMPY)


def cause_of(decision: Decision | None, entry: bytes | None) -> Cause:
    """The cause of a trade by its decision and the bar of that, where they are known. Raises Unknown for a contract."""
    size = {} if decision is None else dict(decision.arithmetic)
    if entry is None:
        return Cause(size)
    found = orjson.loads(entry)
    footprint = value_of(Footprint, found["footprint"])
    return Cause(
        size,
        footprint,
        tuple(
            signal_of(
                footprint.contract,
                each["pattern"],
                each["direction"],
                each["price"],
                each["strength"],
                each["evidence"],
                each["rejection"],
            )
            for each in found["signals"]
        ),
    )
