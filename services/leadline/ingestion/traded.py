"""Whether recorded prints have one that a strategy could trade on: looked at before anything is started."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date

import numpy as np

from leadline.ingestion.feed import Feed
from leadline.ingestion.months import market_of
from leadline.ingestion.sources import SimulatedSource, Source
from leadline.ingestion.tally import OutsideSessions
from leadline.model.counted import counted
from leadline.model.errors import InvalidInput
from leadline.model.ids import ContractId
from leadline.model.market.hours import SessionHours


def require_traded_days(feed: Feed, symbols: Collection[str]) -> None:
    """Check that recorded prints have some of each dated contract that is named on a day that is traded, or after it.

    symbols: what the strategies read. Of a root its months are looked at by `require_months`. Raises InvalidInput.
    """
    if feed.source is None or isinstance(feed.source, SimulatedSource):
        return
    for contract in feed.source.contracts:
        days = feed.source.days(contract) or ()
        if contract in symbols and not _traded(feed, contract, days):
            expected = f"prints on {feed.plan.trade_from}, the first day that is traded, or later"
            raise InvalidInput(_prints_of(contract), f"prints of {_span(days)}", expected)


def require_traded_hours(feed: Feed, wanted: Mapping[ContractId, Sequence[SessionHours]]) -> None:
    """Check that recorded prints have one of each contract in a session that is read, since the first traded day.

    wanted: the hours of the bars that are built, by contract. A later month of a root that has nothing but its history
    is not judged. Raises InvalidInput that names contract, days and hours.
    """
    if feed.source is None or isinstance(feed.source, SimulatedSource):
        return
    for contract, sessions in sorted(wanted.items()):
        days = _traded(feed, contract, feed.plan.sessions[contract])
        count = sum(feed.source.day(contract, day).prints for day in days)
        if not days or _one_is_inside(feed.source, contract, days, sessions):
            continue
        hours = ", ".join(sorted({f"{each.id} ({each.open} to {each.close} {each.zone})" for each in sessions}))
        found = f"{counted(count, 'print')} of {_span(days)}, none of them in a session that is traded"
        raise InvalidInput(_prints_of(contract), found, f"prints within {hours}")


def _one_is_inside(
    source: Source, contract: ContractId, days: Sequence[date], sessions: Sequence[SessionHours]
) -> bool:
    """Whether a print of these days lies in one of the sessions. Most files have one among their first."""
    outside, seen = OutsideSessions(market_of(contract)), 0
    outside.hours = tuple(sessions)
    for raw in source.read(contract, days):
        outside.feed(np.sort(raw.time_ns))
        seen += len(raw.time_ns)
        if outside.counts.total() < seen:
            return True
    return False


def _traded(feed: Feed, contract: ContractId, days: Sequence[date]) -> list[date]:
    """The days on which a contract can be traded: of a later month of a root those since it leads."""
    first = feed.later.get(contract, feed.plan.trade_from)
    return [day for day in days if day >= first]


def _span(days: Sequence[date]) -> str:
    return str(days[0]) if len(days) == 1 else f"{days[0]} to {days[-1]}"


def _prints_of(contract: ContractId) -> str:
    return f"the feed's prints of {contract}"
