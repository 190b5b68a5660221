"""Prices as they are shown: with the decimals of their instrument."""

from decimal import Decimal

from leadline.model.market.contracts import sheet_of


def price_text(contract: str, ticks: Decimal | int) -> str:
    """A price in ticks as a price of its contract: with the instrument's decimals, and two more between two ticks.

    Where no sheet knows the contract it stays in ticks, and says so.
    """
    sheet = sheet_of(contract)
    if sheet is None:
        return f"{ticks} ticks"
    exact = sheet.tick * int(ticks)
    return str(exact) if ticks == int(ticks) else f"{ticks * sheet.tick:.{_decimals(sheet.tick) + 2}f}"


def tidy_price(contract: str, price: str) -> str:
    """A price of its contract with the instrument's decimals, and two more where an average needs them.

    It stays as it is where this process does not know the contract, such as a cluster's own, or where execution does
    not: then it is in ticks, and says so.
    """
    sheet = sheet_of(contract)
    if not price or sheet is None or price.endswith(" ticks"):
        return price
    value = Decimal(price)
    if value % sheet.tick == 0:
        return str(value.quantize(sheet.tick))
    return f"{value:.{_decimals(sheet.tick) + 2}f}"


def _decimals(tick: Decimal) -> int:
    return max(-int(tick.as_tuple().exponent), 0)
