"""Which session a strategy means, and what it is called.

A session written as open, close and zone has the name of the instrument's session with the same hours where there is
one, so that both spellings lead to the same bars.
"""

from leadline.model.errors import InvalidInput, Unknown
from leadline.model.market.calendars import Calendar, calendar
from leadline.model.market.hours import SessionHours, local_time_in
from leadline.model.market.instruments import Instrument

__all__ = ["SessionHours", "around_the_clock", "calendar_of", "local_time_in", "resolve_session", "session_id"]


def session_id(instrument: Instrument, hours: SessionHours) -> str:
    """The name of these hours on an instrument: safe in subjects (no dots, spaces, slashes or wildcards).

    The sheet's name (`rth`, `globex`) where open, close and zone agree, else `0930-1600-America-New_York`.
    """
    named = (found.id for found in instrument.sessions.values() if found == hours)
    return next(named, hours.id)


def around_the_clock(instrument: Instrument, hours: SessionHours) -> bool:
    """Whether a session is the whole day of a market that never closes: it has no open and no close of its own."""
    market = calendar_of(instrument, hours)
    return market.never_closes and hours == market.hours


def calendar_of(instrument: Instrument, hours: SessionHours) -> Calendar:
    """The calendar of the trading days in which an instrument's sessions of these hours lie."""
    return calendar(instrument.calendar).of_session(hours)


def resolve_session(instrument: Instrument, spec: str | SessionHours) -> tuple[str, SessionHours]:
    """A session by name or by hours -> its id and its hours (which carry the id).

    Raises Unknown for a name that the instrument does not have, and InvalidInput for hours that reach outside its
    market's: they would mix two trading days or wait for prints that cannot come.
    """
    if isinstance(spec, str):
        if spec not in instrument.sessions:
            raise Unknown(f"session of {instrument.root}", spec, tuple(instrument.sessions))
        return spec, instrument.sessions[spec]
    for name, hours in instrument.sessions.items():
        if hours == spec:
            return name, hours
    market = calendar_of(instrument, spec)
    if not market.fits(spec):
        own = market.hours
        raise InvalidInput(
            "session", f"{spec.open}-{spec.close} {spec.zone}", f"hours inside {own.open}-{own.close} {own.zone}"
        )
    return spec.id, spec
