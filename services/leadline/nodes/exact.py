"""Numbers that print the same on every machine: six decimal places, ties to even.

Quotients of integers are rounded once, from the exact value. Floats (indicators only) are formatted from their exact
binary value. Nothing here depends on the decimal context, which a strategy's own code could have changed.
"""

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from math import fsum
from typing import Final

PLACES: Final = 6
_SCALE: Final = 10**PLACES


@lru_cache(maxsize=1 << 14)
def quotient(numerator: int, denominator: int) -> Decimal:
    """`numerator / denominator` to six places, ties to even; both integers, numerator >= 0, denominator > 0."""
    scaled, rest = divmod(numerator * _SCALE, denominator)
    if 2 * rest > denominator or (2 * rest == denominator and scaled % 2):
        scaled += 1
    return Decimal(f"{scaled}E-{PLACES}")


def capped_quotient(numerator: int, denominator: int) -> Decimal:
    """The smaller of 1 and `numerator / denominator`, as `quotient` rounds it."""
    return quotient(min(numerator, denominator), denominator)


def float_text(value: float) -> str:
    """A finite float to six places, ties to even, without a negative zero."""
    text = f"{value:.{PLACES}f}"
    return text[1:] if text[0] == "-" and float(text) == 0 else text


def at_least(numerator: int, denominator: int, threshold: Fraction) -> bool:
    """Whether `numerator / denominator >= threshold`, exactly; denominator > 0."""
    return numerator * threshold.denominator >= threshold.numerator * denominator


def slope(values: Sequence[int] | Sequence[float]) -> float:
    """Least-squares slope of `values` on x = 0, 1, ..., n-1 (n >= 2), in units of the values per step.

    Of integers it is the exact value, rounded once. Of floats the sum is correctly rounded (`math.fsum`), so neither
    the order of summation nor the version of Python shows.
    """
    n = len(values)
    weighted = [weight * value for weight, value in zip(range(1 - n, n, 2), values, strict=True)]
    total = fsum(weighted) if float in set(map(type, weighted)) else sum(weighted)
    return 6 * total / (n * (n * n - 1))
