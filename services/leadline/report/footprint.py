"""A footprint bar as SVG: at each price, who traded there."""

from collections.abc import Collection
from html import escape
from typing import Final

from leadline.backtest.causes import Footprint
from leadline.views.prices import price_text

MOST_ROWS: Final = 60
"""Price rows of one drawing; of a taller bar those nearest to its point of control are drawn."""
_WIDTH: Final = 420
_ROW: Final = 17
_PRICE: Final = 84
_CENTRE: Final = 252
_HALF: Final = 150
_TOP: Final = 22


def footprint(bar: Footprint, marked: Collection[int]) -> str:
    """Volume of sellers to the left and of buyers to the right of each price, the highest price first.

    The value area is shaded and the point of control framed; `marked` are the prices, in ticks, that get a dot.
    """
    places = _shown(bar)
    most = max(1, *(max(bar.sold[place], bar.bought[place]) for place in places))
    height = _TOP + _ROW * len(places) + 6
    name = escape(f"Footprint of the bar {bar.bar}")
    parts = [
        f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{name}"><title>{name}</title>',
        f'<text x="{_CENTRE - 8}" y="14" text-anchor="end">sold</text><text x="{_CENTRE + 8}" y="14">bought</text>',
    ]
    for line, place in enumerate(places):
        top, price = _TOP + line * _ROW, bar.rows_ticks[place]
        bid, ask = bar.sold[place], bar.bought[place]
        if bar.value_area_low_ticks <= price <= bar.value_area_high_ticks:
            parts.append(f'<rect x="{_PRICE}" y="{top}" width="{_WIDTH - _PRICE}" height="{_ROW}" fill="var(--line)" '
                         'opacity="0.5"/>')  # fmt: skip
        left, right = _HALF * bid / most, _HALF * ask / most
        parts.append(
            f'<rect x="{_CENTRE - left:.1f}" y="{top + 2}" width="{left:.1f}" height="{_ROW - 4}" fill="var(--down)" '
            f'opacity="0.55"/><rect x="{_CENTRE}" y="{top + 2}" width="{right:.1f}" height="{_ROW - 4}" '
            f'fill="var(--up)" opacity="0.55"/>'
            f'<text x="{_PRICE - 10}" y="{top + 13}" text-anchor="end">{escape(price_text(bar.contract, price))}'
            f'</text><text class=v x="{_CENTRE - 5}" y="{top + 13}" text-anchor="end">{bid}</text>'
            f'<text class=v x="{_CENTRE + 5}" y="{top + 13}">{ask}</text>'
        )
        if price == bar.poc_ticks:
            parts.append(f'<rect x="{_PRICE}" y="{top}" width="{_WIDTH - _PRICE - 1}" height="{_ROW}" fill="none" '
                         'stroke="var(--mark)"/>')  # fmt: skip
        if any(price <= each < price + bar.ticks_per_row for each in marked):
            parts.append(f'<circle cx="{_PRICE - 4}" cy="{top + _ROW / 2}" r="3" fill="var(--mark)"/>')
    parts.append("</svg>")
    return "".join(parts)


def _shown(bar: Footprint) -> list[int]:
    """The places of the rows that are drawn, the highest price first."""
    prices = bar.rows_ticks
    nearest = sorted(range(len(prices)), key=lambda place: (abs(prices[place] - bar.poc_ticks), place))[:MOST_ROWS]
    return sorted(nearest, reverse=True)
