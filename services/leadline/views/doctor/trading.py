"""Checks of what is traded: calendars, contracts, margins, and the services that do it."""

from collections.abc import Iterator
from typing import Final

from leadline.model.counted import counted
from leadline.views.doctor.facts import Finding, Services, State, Trading

HORIZON_DAYS: Final = 30
"""A calendar that knows fewer days from now on is to be renewed."""
_AWAY: Final = {
    "connecting": "is not connected yet",
    "stale": "has said nothing for too long",
    "gap": "is away, and prints may be missing",
}
LAST_DAYS: Final = 5
"""A contract with fewer days left is about to end."""


def calendar_horizon(trading: Trading) -> Iterator[Finding]:
    """The calendar of each instrument knows the days that come: past its last day entries are blocked."""
    for each in trading.roots:
        subject = f"{each.root} ({each.calendar})"
        advice = f"load the next year's days of the calendar {each.calendar}, or upgrade Leadline"
        if each.valid_through is None:
            text = f"the calendar {each.calendar} knows no day, so that nothing of {each.root} is entered"
            yield Finding("calendar-horizon", subject, State.WRONG, text, advice)
            continue
        left = (each.valid_through - trading.today).days
        through = each.valid_through.isoformat()
        if left < 0:
            text = f"the calendar {each.calendar} ends with {through}: nothing of {each.root} is entered after it"
            yield Finding("calendar-horizon", subject, State.WRONG, text, advice)
        elif left < HORIZON_DAYS:
            text = f"the calendar {each.calendar} of {each.root} ends in {counted(left, 'day')}, with {through}"
            yield Finding("calendar-horizon", subject, State.WARNING, text, advice)
        else:
            text = f"the calendar {each.calendar} of {each.root} knows its days for {left:,} more, through {through}"
            yield Finding("calendar-horizon", subject, State.OK, text)
    if not trading.roots:
        yield Finding("calendar-horizon", "instruments", State.OK, "no instrument is used yet")


def contracts(trading: Trading) -> Iterator[Finding]:
    """Contracts that are used have days left. One of a replayed run may have ended long ago."""
    for each in trading.contracts:
        if each.last_day is None:
            yield Finding("contracts", each.contract, State.OK, f"{each.contract} does not expire")
            continue
        left, day = (each.last_day - trading.today).days, each.last_day.isoformat()
        if left < 0:
            text = f"{each.contract} had its last day on {day}: it trades only in a run that replays its days"
            yield Finding("contracts", each.contract, State.OK, text)
        elif left < LAST_DAYS:
            text = f"{each.contract} ends in {counted(left, 'day')}, on {day}"
            advice = "be flat by then; a strategy on the root goes on with the next month by itself"
            yield Finding("contracts", each.contract, State.WARNING, text, advice)
        else:
            text = f"{each.contract} has its last day in {counted(left, 'day')}, on {day}"
            yield Finding("contracts", each.contract, State.OK, text)


def margins(trading: Trading) -> Iterator[Finding]:
    """The margin of each root that an account may execute is known."""
    for each in trading.accounts:
        unknown = [root for root in each.executes if root not in each.margins]
        for root in unknown:
            advice = f"give {root} its `margin` in a file of instruments: --instruments FILE"
            if root in each.limited:
                text = f"{each.name} limits {root} by its margin, which nobody knows: every entry in it is refused"
                yield Finding("margins", f"{each.name} {root}", State.WRONG, text, advice)
            else:
                text = f"the margin of {root} is not known, so {each.name} enters it without asking for one"
                yield Finding("margins", f"{each.name} {root}", State.WARNING, text, advice)
        if not unknown:
            text = f"{each.name} may execute {', '.join(each.executes) or 'nothing'}, and every margin is known"
            yield Finding("margins", each.name, State.OK, text)
    if not trading.accounts:
        yield Finding("margins", "accounts", State.OK, "there is no account yet")


def credentials(trading: Trading) -> Iterator[Finding]:
    """Venues that want to know who calls are told so."""
    for each in trading.accounts:
        if each.live:
            text = f"{each.name} trades for real at {each.venue}, and its credentials cannot be read from here"
            advice = "look at the Secret that its manifest names: `leadline doctor --kube`"
            yield Finding("credentials", each.name, State.UNKNOWN, text, advice)
        else:
            text = f"{each.name} trades on paper at {each.venue}, which asks for no credentials"
            yield Finding("credentials", each.name, State.OK, text)


def feed(services: Services) -> Iterator[Finding]:
    """The sources of a live feed are connected, and the run has not failed."""
    if services.failure:
        advice = "mend the feed, and begin another run: leadline up --new-run"
        yield Finding("feed", "run", State.WRONG, f"the run has failed: {services.failure.rstrip('.')}", advice)
    for each in services.sources:
        why = f" ({each.reason.rstrip('.')})" if each.reason else ""
        if each.state in _AWAY:
            text = f"the source {each.name} {_AWAY[each.state]}{why}: nothing is entered on its contracts meanwhile"
            advice = "look whether the source runs and can be reached; it is connected again by itself"
            yield Finding("feed", each.name, State.WRONG, text, advice)
        else:
            lost = f", after {counted(each.lost, 'lost connection')}" if each.lost else ""
            yield Finding("feed", each.name, State.OK, f"the source {each.name} is {each.state}{lost}")
    if not services.sources and not services.failure:
        yield Finding("feed", "run", State.OK, "the feed has not failed, and it has no source that could be away")


def readiness(services: Services) -> Iterator[Finding]:
    """Every service says that it is ready."""
    bad = [(name, health) for name, health in services.health.items() if health != "serving"]
    for name, health in bad:
        said = "does not say that it is ready" if health == "not serving" else f"cannot be asked: {health}"
        text = f"{name} {said}"
        yield Finding(
            "readiness", name, State.WRONG, text, f"read its log: {name}.log in the folder logs, or kubectl logs"
        )
    if not bad:
        count = counted(len(services.health), "service")
        yield Finding("readiness", "services", State.OK, f"{count} said that they are ready" if services.health else
                      "there is no service to ask")  # fmt: skip
