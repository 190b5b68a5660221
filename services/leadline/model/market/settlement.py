"""When a position ends by itself: the settlement of a contract in cash."""

from datetime import date
from functools import lru_cache
from typing import Final

from leadline.model.errors import Unknown
from leadline.model.ids import SETTLEMENT, ClientOrderId, ContractId, DecisionId, client_order_id, derive
from leadline.model.market.calendars import calendar
from leadline.model.market.contracts import dated, expiry, sheet_of, third_friday
from leadline.model.market.hours import instant_ns

SETTLED: Final = "its contract has settled"
"""Why an order ends that has outlived its contract."""


@lru_cache(maxsize=256)
def settles_at_ns(contract: ContractId) -> int | None:
    """When a contract is settled in cash, ns UTC; None for one that is not, or of which nobody knows.

    An equity index future settles at the opening of the stock exchange on its last trading day. What is delivered, what
    never expires and what no sheet knows settles in no cash.
    """
    own = sheet_of(contract)
    named = dated(contract)
    if own is None or named is None or own.roll != "cme_quarterly":
        return None
    try:
        hours = calendar("nyse").market(expiry(named))
    except Unknown:  # out of the stock calendar's years
        hours = None
    return _usual_opening_ns(third_friday(named.year, named.month)) if hours is None else hours[0]


def _usual_opening_ns(day: date) -> int:
    """When the stock exchange opens on a day of which the calendar knows nothing."""
    hours = calendar("nyse").hours
    return instant_ns(day, hours.open, hours.zone)


def settlement_id(contract: ContractId) -> ClientOrderId:
    """The id under which a venue of this platform tells of the settlement of a contract; an account has one of each."""
    return client_order_id(DecisionId(derive("settlement", contract)), SETTLEMENT)
