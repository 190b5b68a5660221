"""The tape `live` in words: its markets, its sources, and how old its last prints are."""

from collections.abc import Iterable
from typing import Final

from leadline.cli.output import print_table
from leadline.model.counted import counted
from leadline.model.durations import NS_PER_MINUTE, NS_PER_SECOND
from leadline.model.market.phases import MarketPhase
from leadline.report.clock import day_and_time, moment, time_of_day, zone_name
from leadline.views.market import FeedContractView, FeedView, SourceView

# Nearer to the clock than this, and a silent closed market is no further away, a contract has caught up with it.
_CAUGHT_UP_NS: Final = 15 * NS_PER_MINUTE


def is_live(feed: FeedView) -> bool:
    """Whether it is the tape without an end."""
    return feed.now_ns > 0


def phase_text(phase: MarketPhase | None) -> str:
    """The phase of a market: `open until 22:00:00`, `closed until 2026-11-29 23:00:00`, with the holiday's name."""
    if phase is None:
        return "unknown: its calendar does not have this day"
    if phase.is_open:
        return f"open until {time_of_day(phase.until_ns)}"
    until = f" until {day_and_time(phase.until_ns)}" if phase.until_ns else ""
    return f"closed{until}" + (f" ({phase.holiday})" if phase.holiday else "")


def age_text(contract: FeedContractView, now_ns: int) -> str:
    """The age of a contract's last print: `0.4 s`, `75 s`, `3 min`; a dash where there is none."""
    if not contract.last_time_ns:
        return "–"
    age_ns = max(now_ns - contract.last_time_ns, 0)
    if age_ns < 10 * NS_PER_SECOND:
        return f"{age_ns / NS_PER_SECOND:.1f} s"
    if age_ns < 3 * NS_PER_MINUTE:
        return f"{age_ns // NS_PER_SECOND} s"
    minutes = age_ns // NS_PER_MINUTE
    return f"{minutes} min" if minutes < 180 else f"{minutes // 60} h"


def catches_up(contract: FeedContractView, now_ns: int) -> bool:
    """Whether what was missed, or lies before the tape's first day, is still being published."""
    return 0 < contract.watermark_ns < now_ns - _CAUGHT_UP_NS and contract.phase is not None


def source_text(source: SourceView) -> str:
    """A source and its state: `sim connected`, `push gap (nobody pushes)`."""
    return f"{source.name} {source.state}" + (f" ({source.reason})" if source.reason else "")


def feed_line(feed: FeedView) -> str:
    """The sources and the markets in one line. Markets in the same phase are told once."""
    phases: dict[str, list[str]] = {}
    for item in feed.contracts:
        phases.setdefault(phase_text(item.phase), []).append(item.contract)
    markets = [f"{', '.join(names)} {text}" for text, names in phases.items()]
    ages = [_progress(item, feed.now_ns) for item in feed.contracts if item.last_time_ns]
    gaps = sum(item.gaps for item in feed.contracts)
    told = [*(f"source {source_text(each)}" for each in feed.sources), *markets, *ages]
    return ", ".join([*told, *([counted(gaps, "gap")] if gaps else [])])


def _progress(contract: FeedContractView, now_ns: int) -> str:
    if catches_up(contract, now_ns):
        return f"{contract.contract} catches up, and has come to {moment(contract.watermark_ns)}"
    return f"last print of {contract.contract} {age_text(contract, now_ns)} ago"


def print_live(feed: FeedView, title: str) -> None:
    """The sources and the contracts of the tape, as tables."""
    print_table(
        f"{title}; its clock shows {moment(feed.now_ns)}",
        (
            "contract",
            "market",
            "prints",
            f"last print ({zone_name()})",
            "age",
            "late",
            "gaps",
            "outside sessions",
            "kept out",
        ),
        [
            (
                item.contract,
                phase_text(item.phase),
                f"{item.prints:,}",
                day_and_time(item.last_time_ns),
                age_text(item, feed.now_ns),
                f"{item.late:,}",
                f"{item.gaps:,}",
                f"{item.outside:,}",
                f"{item.faulty:,}",
            )
            for item in feed.contracts
        ],
        "The feed has no contracts.",
        wide_only=("late", "outside sessions", "kept out"),
    )
    _print_sources(feed.sources)


def _print_sources(sources: Iterable[SourceView]) -> None:
    print_table(
        "Sources",
        ("source", "state", f"since ({zone_name()}, by the clock)", "lost", "contracts", "reason"),
        [
            (each.name, each.state, day_and_time(each.since_ns), each.lost, ", ".join(each.contracts), each.reason)
            for each in sources
        ],
        "No source.",
        only_where_filled=("reason",),
    )
