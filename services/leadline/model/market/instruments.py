"""Instruments: the grid of prices and sizes, the value of a tick, and the market with its hours.

Inside the platform prices are integer ticks and sizes integer steps of the instrument; `Instrument` is the one place
where they become decimals again.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import ROUND_FLOOR, ROUND_HALF_UP, Decimal, DecimalException
from functools import cache
from importlib import resources
from typing import Any, Final, Literal

import yaml

from leadline.model.durations import parse_duration
from leadline.model.errors import InvalidInput, Unknown
from leadline.model.market.hours import SessionHours
from leadline.model.worth import booked, bound, gain, notional

Kind = Literal["future", "perpetual", "etf"]
Roll = Literal["cme_quarterly", "venue", "none"]

DEFAULT_COLLAR_TICKS: Final = 20
"""How far from the decision's price an entry is still sent, where an instrument's row does not say."""

_INT64_MAX: Final = 2**63 - 1
_DECIMAL_TEXT: Final = r"-?[0-9]{1,20}(\.[0-9]{1,12})?"


@dataclass(frozen=True, slots=True)
class Profile:
    """Order-flow thresholds of one instrument: volumes in size steps per price row or bar, distances in ticks."""

    imbalance_min: int
    absorption_min: int
    typical_bar_volume: int
    stop_ticks: int
    target_ticks: int


@dataclass(frozen=True, slots=True)
class Instrument:
    """One root of the instrument sheet.

    `tick` is the price step in the quote's unit, `tick_value` what one tick of one `size_step` is worth in `currency`,
    in which it is settled; `commission` is per side and size step, `fee_rate` a share of each fill's notional; they add
    up. `staleness_ns` says how long a last price is a quote; `collar_ticks` how far
    it may lie from the price that made a decision, for an entry to be sent; `margin` is the
    paper day-trade margin of one size step, `margin_rate` the same as a share of the notional, both None when unknown;
    `sessions` maps names to hours; `profile` is None where nobody has measured one. `venue` is safe in subjects.
    `below_zero`: a price of 0 or less is a price. `inverse`: the contract is settled in the coin, and `tick_value` is
    what a size step is worth at a price of one tick (`leadline.model.worth`). `last_days` has the last trading day of
    contracts that are known, by month and year such as `M2025`.
    """

    root: str
    name: str
    tick: Decimal
    tick_value: Decimal
    size_step: Decimal
    currency: str
    exchange: str
    venue: str
    calendar: str
    commission: Decimal
    staleness_ns: int
    collar_ticks: int
    underlying: str
    margin: Decimal | None
    kind: Kind
    roll: Roll
    sessions: Mapping[str, SessionHours] = field(hash=False)
    profile: Profile | None
    below_zero: bool
    inverse: bool = False
    fee_rate: Decimal = Decimal(0)
    margin_rate: Decimal | None = None
    last_days: Mapping[str, date] = field(default_factory=dict, hash=False)

    @property
    def point_value(self) -> Decimal:
        """Value of a move of 1 in the quote per size step of a linear contract: tick value / tick."""
        return self.tick_value / self.tick

    def price_to_ticks(self, price: Decimal | str) -> int:
        """Exact ticks of a price; InvalidInput when it is no number, off the grid or too large for int64."""
        return _to_steps("price", price, self.tick, f"a multiple of the tick {self.tick} of {self.root}")

    def ticks_to_price(self, ticks: int) -> Decimal:
        """The price of a number of ticks, with the decimals of the tick."""
        return ticks * self.tick

    def size_to_steps(self, size: Decimal | str) -> int:
        """Exact steps of a size; InvalidInput when it is no number, off the grid or too large for int64."""
        return _to_steps("size", size, self.size_step, f"a multiple of the size step {self.size_step} of {self.root}")

    def steps_to_size(self, steps: int) -> Decimal:
        """The size of a number of steps, with the decimals of the size step."""
        return steps * self.size_step

    def snap(self, price: Decimal) -> Decimal:
        """The nearest price on the grid, half a tick rounded away from zero."""
        return (price / self.tick).to_integral_value(ROUND_HALF_UP) * self.tick

    def pnl(self, entry: int, leave: int, size: int) -> Decimal:
        """Gross result of `size` steps from one price to another (ticks), in `currency`; `size` < 0 is a short."""
        return size * gain(entry, leave, self.tick_value, inverse=self.inverse)

    def fee(self, price: int, size: int, commission: Decimal | None = None) -> Decimal:
        """Fee of one side of a fill of `size` steps at a price in ticks; `commission` in place of both of its own.

        The part by rate is the rate x the fill's notional, rounded to the quantum of money.
        """
        if commission is not None:
            return commission * size
        if not self.fee_rate:
            return self.commission * size
        of_notional = self.fee_rate * size * notional(price, self.tick_value, inverse=self.inverse)
        return self.commission * size + booked(of_notional)

    def margin_at(self, price: int) -> Decimal | None:
        """Paper day-trade margin of one size step at a price in ticks; None when unknown."""
        if self.margin_rate is None:
            return self.margin
        return bound(self.margin_rate * notional(price, self.tick_value, inverse=self.inverse))


def _to_steps(what: str, value: Decimal | str, step: Decimal, expected: str) -> int:
    if isinstance(value, str) and not re.fullmatch(_DECIMAL_TEXT, value):
        raise InvalidInput(what, value, f"a decimal number, {expected}")
    try:
        whole, rest = divmod(Decimal(value), step)
        steps = int(whole)
    except (DecimalException, ValueError):  # not a number, infinite, or beyond the precision
        raise InvalidInput(what, value, expected) from None
    if abs(steps) > _INT64_MAX:
        raise InvalidInput(what, value, expected)
    if rest != 0:
        below, above = beside(Decimal(value), step)
        raise InvalidInput(what, value, f"{expected}, such as {below} or {above}")
    return steps


def beside(value: Decimal, step: Decimal) -> tuple[Decimal, Decimal]:
    """The multiples of a step below and above a value that is none, with the decimals of the step."""
    below = (value / step).to_integral_value(ROUND_FLOOR) * step
    return below, below + step


def instrument(root: str) -> Instrument:
    """The instrument of that root; Unknown when the sheet has none (a wrong tick size is never assumed)."""
    found = _sheet().get(root) or own_instruments.get(root)
    if found is None:
        raise Unknown("instrument", root, (*_sheet(), *own_instruments))
    return found


def instruments() -> tuple[Instrument, ...]:
    """All instruments: in the order of the sheet, then one's own."""
    return (*_sheet().values(), *own_instruments.values())


def sheet_roots() -> tuple[str, ...]:
    """The roots of the package's sheet."""
    return tuple(_sheet())


own_instruments: dict[str, Instrument] = {}
"""Rows that are not the package's, by root; set at the start of a process by `own_markets.put_in_force` alone."""

own_digest = ""
"""Another one for other rows and calendars of one's own, empty for none; set together with them."""


@cache
def _sheet() -> dict[str, Instrument]:
    text = (resources.files("leadline.model.market") / "data" / "instruments.yaml").read_text(encoding="utf-8")
    return {root: _parse(root, row) for root, row in yaml.load(text, yaml.CSafeLoader)["instruments"].items()}


def _parse(root: str, row: dict[str, Any]) -> Instrument:
    margin, profile, rows = row.get("margin"), row.get("profile"), row["sessions"]
    return Instrument(
        root=root,
        name=row["name"],
        tick=Decimal(row["tick"]),
        tick_value=Decimal(row["tick_value"]),
        size_step=Decimal(row["size_step"]),
        currency=row["currency"],
        exchange=row["exchange"],
        venue=row["venue"],
        calendar=row["calendar"],
        commission=Decimal(row["commission"]),
        staleness_ns=parse_duration(row["staleness"], f"{root}.staleness"),
        collar_ticks=row.get("collar", DEFAULT_COLLAR_TICKS),
        underlying=row["underlying"],
        margin=None if margin is None else Decimal(margin),
        kind=row["kind"],
        roll=row["roll"],
        sessions={name: SessionHours(opens, closes, zone, name) for name, (opens, closes, zone) in rows.items()},
        profile=None if profile is None else Profile(**profile),
        below_zero=row.get("below_zero", False),
    )
