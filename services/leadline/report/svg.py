"""Charts of lines and bars as SVG, drawn here because a report must need nothing but itself."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from html import escape
from typing import Final

WIDTH: Final = 1040
HEIGHT: Final = 300
_LEFT: Final = 78
_RIGHT: Final = 14
_TOP: Final = 14
_BOTTOM: Final = 26
_GRID_LINES: Final = 5
_MOST_NAMES: Final = 6
_TIMES: Final = 7
_HALF_LABEL: Final = 40
_MINUTE_NS: Final = 60 * 10**9
_TIME_STEPS: Final = tuple(
    minutes * _MINUTE_NS for minutes in (1, 2, 5, 10, 15, 30, 60, 120, 180, 240, 360, 720, 1440, 2880, 7200, 14400)
)

Point = tuple[int, Decimal]


@dataclass(frozen=True, slots=True)
class Series:
    """Points in order of time; `steps` holds each value until the next.

    `sunk`: the values are below zero, and the depth is filled.
    """

    points: Sequence[Point]
    steps: bool
    sunk: bool = False


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

    step: of which the values are multiples, such as a tick, and the lines of the grid then, too.
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

    parts = [*_begin(label), *_grid(round_values(low, high, step), y, value_label)]
    named = {time_label(moment): moment for moment in reversed(round_times(first, last))}
    for name, moment in sorted(named.items(), key=lambda each: each[1]):
        at = x(moment)
        anchor = "start" if at < _LEFT + _HALF_LABEL else "end" if at > WIDTH - _RIGHT - _HALF_LABEL else "middle"
        parts.append(f'<text x="{at:.1f}" y="{HEIGHT - 8}" text-anchor="{anchor}">{escape(name)}</text>')
    line = _path(series, x, y)
    colour = "var(--down)" if series.sunk else "var(--mark)"
    if series.sunk:
        ends = (f"{x(series.points[place][0]):.1f}" for place in (-1, 0))
        surface = "".join(f"L{end} {y(max(high, Decimal(0))):.1f}" for end in ends)
        parts.append(f'<path d="{line}{surface}Z" fill="{colour}" opacity="0.22"/>')
    parts.append(f'<path d="{line}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
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


def bars(values: Sequence[tuple[str, Decimal, str]], value_label: Callable[[Decimal], str], label: str) -> str:
    """An SVG of bars from zero: the name under each where there is room, its value, and its style `up` or `down`."""
    if not values:
        return ""
    low = min(Decimal(0), *(value for _, value, _ in values))
    high = max(Decimal(0), *(value for _, value, _ in values))
    high = high if high > low else low + 1
    slot = (WIDTH - _LEFT - _RIGHT) / len(values)

    def y(value: Decimal) -> float:
        return float(_TOP + (high - value) / (high - low) * (HEIGHT - _TOP - _BOTTOM))

    parts = _begin(label)
    parts += _grid(round_values(low, high), y, value_label)
    every = -(-len(values) // _MOST_NAMES)
    width = min(slot * 0.8, 80)
    for place, (name, value, style) in enumerate(values):
        at = _LEFT + (place + 0.5) * slot
        top, bottom = sorted((y(value), y(Decimal(0))))
        parts.append(
            f"<g><title>{escape(f'{name}: {value_label(value)}')}</title>"
            f'<rect x="{at - width / 2:.1f}" y="{top:.1f}" width="{width:.1f}" height="{max(bottom - top, 0.5):.1f}" '
            f'fill="var(--{style})"/></g>'
        )
        if place % every == 0:
            parts.append(f'<text x="{at:.1f}" y="{HEIGHT - 8}" text-anchor="middle">{escape(name)}</text>')
    parts.append("</svg>")
    return "".join(parts)


def _begin(label: str) -> list[str]:
    name = escape(label)
    return [f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{name}"><title>{name}</title>']


def _grid(values: Iterable[Decimal], y: Callable[[Decimal], float], value_label: Callable[[Decimal], str]) -> list[str]:
    return [
        f'<path d="M{_LEFT} {y(value):.1f}H{WIDTH - _RIGHT}" stroke="var(--line)"/>'
        f'<text x="{_LEFT - 8}" y="{y(value) + 4:.1f}" text-anchor="end">{escape(value_label(value))}</text>'
        for value in values
    ]


def thinned(points: Sequence[Point], most: int) -> list[Point]:
    """At most about so many of the points: of each stretch the first and the last, and its lowest and highest."""
    if len(points) <= most:
        return list(points)
    width = -(-len(points) * 4 // most)
    found: list[Point] = []
    for begin in range(0, len(points), width):
        part = range(begin, min(begin + width, len(points)))
        lowest = min(part, key=lambda index: points[index][1])
        highest = max(part, key=lambda index: points[index][1])
        found += [points[index] for index in sorted({part[0], part[-1], lowest, highest})]
    return found


def round_values(low: Decimal, high: Decimal, step: Decimal = Decimal(0)) -> list[Decimal]:
    """At most five round numbers from low to high: multiples of 1, 2 or 5 times a power of ten, and of `step`.

    Where the range has none of these, multiples of `step` itself.
    """
    least = (high - low) / _GRID_LINES
    power = Decimal(1).scaleb(least.adjusted())
    for factor in (1, 2, 5, 10, 20, 50, 100):
        width = power * factor
        if width > least and not (step and width % step) and (found := _multiples(low, high, width)):
            return found
    if not step:
        return [low, high]
    steps = max(Decimal(1), (least / step).to_integral_value(ROUND_CEILING))
    return _multiples(low, high, steps * step)


def _multiples(low: Decimal, high: Decimal, width: Decimal) -> list[Decimal]:
    first = (low / width).to_integral_value(ROUND_CEILING)
    last = (high / width).to_integral_value(ROUND_FLOOR)
    return [number * width for number in range(int(first), int(last) + 1)]


def round_times(first: int, last: int) -> list[int]:
    """At most seven round times (ns UTC) from first to last: whole minutes, quarters, hours or days of UTC."""
    wanted = (last - first) // _TIMES
    width = next((each for each in _TIME_STEPS if each > wanted), _TIME_STEPS[-1] * -(-wanted // _TIME_STEPS[-1]))
    found = list(range(-(-first // width) * width, last + 1, width))
    return found or [first]


def _path(series: Series, x: Callable[[int], float], y: Callable[[Decimal], float]) -> str:
    pieces = [f"M{x(series.points[0][0]):.1f} {y(series.points[0][1]):.1f}"]
    for time_ns, value in series.points[1:]:
        pieces.append(f"H{x(time_ns):.1f}V{y(value):.1f}" if series.steps else f"L{x(time_ns):.1f} {y(value):.1f}")
    return "".join(pieces)
