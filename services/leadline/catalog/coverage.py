"""How much of a trading day the prints of a contract reach over: a part of a day is no quiet day."""

from datetime import date
from typing import Final

from leadline.catalog.entry import DayEntry
from leadline.model.errors import Unknown
from leadline.model.ids import ContractId
from leadline.model.market.calendars import calendar
from leadline.model.market.contracts import instrument_of
from leadline.model.ticks import NS_PER_MINUTE

SLACK_NS: Final = 30 * NS_PER_MINUTE
"""How long after a session's open the first print may come, and before its close the last, where none is lacking."""


def session_window(contract: ContractId, day: date, session: str | None = None) -> tuple[int, int] | None:
    """When a session that the instrument's sheet names is open on a trading day, ns UTC, early closes applied.

    Without a name: when the market is. None on a day without it. Raises Unknown for a session that the sheet has not,
    and outside of the calendar's days.
    """
    sheet = instrument_of(contract)
    market = calendar(sheet.calendar)
    if session is None:
        return market.market(day)
    if session not in sheet.sessions:
        raise Unknown(f"session of {sheet.root}", session, tuple(sheet.sessions))
    found = market.session(day, sheet.sessions[session])
    return None if found is None else (found.open_ns, found.close_ns)


def covered_sessions(entry: DayEntry) -> tuple[str, ...]:
    """The named sessions of a day that its prints reach over, from about the open to about the close."""
    names = instrument_of(entry.contract).sessions
    windows = ((name, session_window(entry.contract, entry.day, name)) for name in names)
    return tuple(name for name, window in windows if window and reaches_over(entry.first_ns, entry.last_ns, window))


def reaches_over(first_ns: int, last_ns: int, window: tuple[int, int]) -> bool:
    """Whether the first and the last print of a day lie at about the ends of a window, or outside of it, ns UTC."""
    opens, closes = window
    return first_ns <= opens + SLACK_NS and last_ns >= closes - SLACK_NS
