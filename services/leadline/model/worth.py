"""Values of a size step at a price, in the currency in which its contract is settled.

A linear contract is worth its price: tick value x price. An inverse (coin-margined) contract is a claim on a fixed sum
of the quote's currency that is paid in the coin: at a price it is worth sum / price coins, and a long has sold that
many. Its result over a move is contracts x multiplier x (1 / entry - 1 / exit), in the coin (BitMEX, Inverse Perpetual
Contracts Guide). Both are a difference of two worths, so that everything that counts money asks this module alone.

A quotient has no last decimal: the worth of one inverse step is rounded to `WORTH_PLACES`, half to even. Sizes multiply
it exactly, so results of parts add up to the result of the whole. Money that is booked (a fill's result of an inverse
contract, a fee by rate) is rounded to `QUANTUM`, half to even; linear results are exact and are not rounded.
"""

from decimal import ROUND_CEILING, ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Final

WORTH_PLACES: Final = 16
"""Decimals of the worth of one inverse step: 10^8 steps are off by at most half a `QUANTUM`."""

QUANTUM: Final = Decimal("0.00000001")
"""Smallest unit of booked money that is not exact by itself, of every currency: that of the books of coin exchanges."""

MOST_INVERSE_VALUE: Final = Decimal(10) ** 11
"""Largest worth of an inverse step at a price of one tick: a worth has 28 digits at most then, as decimals here do."""


def worth(price: int, tick_value: Decimal, *, inverse: bool) -> Decimal:
    """Worth of one size step held long at a price in ticks; it grows with the price in both kinds.

    Linear: price x `tick_value`. Inverse: -(`tick_value` / price), where `tick_value` is the step's worth in coins at a
    price of one tick; no price of such a contract is below one tick, and a lower one counts as one.
    """
    if not inverse:
        return price * tick_value
    coins = round(Fraction(tick_value) * 10**WORTH_PLACES / max(price, 1))
    return Decimal(-coins).scaleb(-WORTH_PLACES)


def notional(price: int, tick_value: Decimal, *, inverse: bool) -> Decimal:
    """The notional of one size step at a price in ticks, >= 0, in the currency of settlement."""
    return abs(worth(price, tick_value, inverse=inverse))


def gain(entry: int, leave: int, tick_value: Decimal, *, inverse: bool) -> Decimal:
    """The gain of one size step held long from one price to another, both in ticks; below 0 for a loss."""
    if not inverse:
        return (leave - entry) * tick_value
    return worth(leave, tick_value, inverse=True) - worth(entry, tick_value, inverse=True)


def loss(price: int, ticks: int, sign: int, tick_value: Decimal, *, inverse: bool) -> Decimal:
    """The loss of one size step when the price goes `ticks` >= 0 against it; `sign`: +1 for a long, -1 for a short."""
    return sign * gain(price - sign * ticks, price, tick_value, inverse=inverse)


def booked(money: Decimal) -> Decimal:
    """Money rounded to the quantum, half to even."""
    return money.quantize(QUANTUM, ROUND_HALF_EVEN)


def bound(money: Decimal) -> Decimal:
    """Money rounded to the quantum, upwards: for what is held back."""
    return money.quantize(QUANTUM, ROUND_CEILING)


_CENTS: Final = frozenset(
    [
        "AUD",
        "BRL",
        "CAD",
        "CHF",
        "CNY",
        "DKK",
        "EUR",
        "FDUSD",
        "GBP",
        "HKD",
        "INR",
        "JPY",
        "KRW",
        "MXN",
        "NOK",
        "NZD",
        "PLN",
        "SEK",
        "SGD",
        "TUSD",
        "USD",
        "USDC",
        "USDT",
        "ZAR",
    ]
)


def places(currency: str) -> int:
    """Decimals with which a person reads sums of a currency: 2 of national and stable ones, 8 of coins."""
    return 2 if currency in _CENTS or not currency else 8
