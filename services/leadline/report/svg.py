"""Line charts as SVG, drawn here because a report must need nothing but itself."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from html import escape
from typing import Final

WIDTH: Final = 1040
HEIGHT: Final = 300
_LEFT: Final = 78
_RIGHT: Final = 14
_TOP: Final = 14
_BOTTOM: Final = 26
_GRID_LINES: Final = 5

Point = tuple[int, Decimal]


@dataclass(frozen=True, slots=True)
class Series:
    """Points in order of time; `steps` holds each value until the next."""

    points: Sequence[Point]
    steps: bool


@dataclass(frozen=True, slots=True)
class Marker:
    """A line from an entry to an exit, with a title that shows on hovering and a style `up` or `down`."""

    start: Point
    end: Point
    title: str
    style: str


def chart(
    series: Series,
    markers: Sequence[Marker],
    value_label: Callable[[Decimal], str],
    time_label: Callable[[int], str],
    label: str,
    step: Decimal = Decimal(0),
) -> str:
    """An SVG of a series with its axes and markers; empty text when there are no points.

    `step`: what the values are multiples of, such as a tick, and the lines of the grid then, too.
    """
    if not series.points:
        return ""
    every = [*series.points, *(point for marker in markers for point in (marker.start, marker.end))]
    first, last = min(t for t, _ in every), max(t for t, _ in every)
    low, high = min(v for _, v in every), max(v for _, v in every)
    high = high if high > low else low + 1

    def x(time_ns: int) -> float:
        return _LEFT + (time_ns - first) / max(last - first, 1) * (WIDTH - _LEFT - _RIGHT)

    def y(value: Decimal) -> float:
        return float(_TOP + (high - value) / (high - low) * (HEIGHT - _TOP - _BOTTOM))

    name = escape(label)
    parts = [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{name}"><title>{name}</title>']
    for line in range(_GRID_LINES):
        value = low + (high - low) * line / (_GRID_LINES - 1)
        value = round(value / step) * step if step else value
        parts.append(
            f'<path d="M{_LEFT} {y(value):.1f}H{WIDTH - _RIGHT}" stroke="var(--line)"/>'
            f'<text x="{_LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{escape(value_label(value))}</text>'
        )
        moment = first + (last - first) * line // (_GRID_LINES - 1)
        anchor = ("start", "middle", "middle", "middle", "end")[line]
        parts.append(
            f'<text x="{x(moment):.1f}" y="{HEIGHT - 8}" text-anchor="{anchor}">{escape(time_label(moment))}</text>'
        )
    parts.append(f'<path d="{_path(series, x, y)}" fill="none" stroke="var(--mark)" stroke-width="1.6"/>')
    for marker in markers:
        (t0, v0), (t1, v1) = marker.start, marker.end
        colour = f"var(--{marker.style})"
        parts.append(
            f"<g><title>{escape(marker.title)}</title>"
            f'<path d="M{x(t0):.1f} {y(v0):.1f}L{x(t1):.1f} {y(v1):.1f}" stroke="{colour}" stroke-width="2.2"/>'
            f'<circle cx="{x(t0):.1f}" cy="{y(v0):.1f}" r="4" fill="{colour}"/>'
            f'<circle cx="{x(t1):.1f}" cy="{y(v1):.1f}" r="4" fill="var(--paper)" stroke="{colour}"/></g>'
        )
    parts.append("</svg>")
    return "".join(parts)


def _path(series: Series, x: Callable[[int], float], y: Callable[[Decimal], float]) -> str:
    pieces = [f"M{x(series.points[0][0]):.1f} {y(series.points[0][1]):.1f}"]
    for time_ns, value in series.points[1:]:
        pieces.append(f"H{x(time_ns):.1f}V{y(value):.1f}" if series.steps else f"L{x(time_ns):.1f} {y(value):.1f}")
    return "".join(pieces)
