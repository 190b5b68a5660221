"""When nothing is entered: in another contract, outside the session and near its ends, in blocks and around news."""

from datetime import UTC, datetime, timedelta
from typing import Protocol
from zoneinfo import ZoneInfo

from leadline.model.signals import BarSignals
from leadline.model.ticks import NS_PER_SECOND
from leadline.risk.reasons import Reason
from leadline.risk.view import StrategySettings


def month_refusal(strategy: StrategySettings, bar: BarSignals) -> Reason | None:
    """Refuses a bar of the day's lead month while the strategy still has the month before it."""
    return None if bar.bar.contract == strategy.signal_contract else Reason.CONTRACT_ROLLING


class Opening(Protocol):
    """A session of one day: a bar knows the one that it lies in."""

    @property
    def open_ns(self) -> int:
        """Its open, ns UTC."""

    @property
    def close_ns(self) -> int:
        """Its close, ns UTC."""


def time_refusal(strategy: StrategySettings, session: Opening, instant_ns: int) -> Reason | None:
    """The first gate of time that refuses an entry at `instant_ns` (ns UTC); None when it is open. Half-open.

    A session without a close goes over into the next day's: the day's last bar is known when it is over.
    """
    ends = strategy.before_close_ns is not None
    if instant_ns < session.open_ns or (ends and instant_ns >= session.close_ns):
        return Reason.OUTSIDE_SESSION
    if instant_ns < session.open_ns + strategy.after_open_ns:
        return Reason.AFTER_OPEN
    if strategy.before_close_ns is not None and instant_ns >= session.close_ns - strategy.before_close_ns:
        return Reason.BEFORE_CLOSE
    if strategy.blocks:
        local = _local_time(instant_ns, strategy.session_zone)
        if any(_within(local, start, end) for start, end in strategy.blocks):
            return Reason.BLOCKED_WINDOW
    if any(start <= instant_ns < end for start, end in strategy.news):
        return Reason.NEWS
    return None


def open_until(strategy: StrategySettings, session: Opening, instant_ns: int) -> int | None:
    """When the gate that is open at `instant_ns` closes, ns UTC: an entry that works does not outlive it.

    None where nothing closes it: a session without a close, without blocks and news to come.
    """
    closes = [start for start, _ in strategy.news if start > instant_ns]
    closes += [_next_local(instant_ns, start, strategy.session_zone) for start, _ in strategy.blocks]
    if strategy.before_close_ns is not None:
        closes.append(session.close_ns - strategy.before_close_ns)
    return min(closes, default=None)


def _next_local(instant_ns: int, clock: str, zone: str) -> int:
    """The first time after an instant at which a zone's clock shows `HH:MM`, ns UTC."""
    now = datetime.fromtimestamp(instant_ns // NS_PER_SECOND, UTC).astimezone(ZoneInfo(zone))
    at = now.replace(hour=int(clock[:2]), minute=int(clock[3:]), second=0, microsecond=0)
    days = (at + timedelta(days=ahead) for ahead in range(3))
    found = (int(day.timestamp()) * NS_PER_SECOND for day in days)
    return next(time_ns for time_ns in found if time_ns > instant_ns)


def _local_time(instant_ns: int, zone: str) -> str:
    """`HH:MM:SS` of an instant in a zone; it compares as text."""
    moment = datetime.fromtimestamp(instant_ns // NS_PER_SECOND, UTC)
    return moment.astimezone(ZoneInfo(zone)).time().isoformat()


def _within(local: str, start: str, end: str) -> bool:
    """Whether a local time lies in [start, end); a block whose end is not after its start crosses midnight."""
    after_start, before_end = local >= start + ":00", local < end + ":00"
    return after_start and before_end if start < end else after_start or before_end
