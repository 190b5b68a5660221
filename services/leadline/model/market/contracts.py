"""Dated futures contracts: their names at every venue, which one is in front, and when it expires.

Inside the platform a contract is always root, month code and four-digit year: `ESZ2025`. Something that does not
expire (a perpetual, a fund) is named by its root.
"""

import re
from calendar import FRIDAY
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache
from itertools import count
from typing import Final

from leadline.model.errors import InvalidInput, Unknown
from leadline.model.ids import ContractId
from leadline.model.market.calendars import calendar
from leadline.model.market.instruments import Instrument, instrument, instruments
from leadline.model.remembered import once_for_value

MONTH_CODES: Final = "FGHJKMNQUVXZ"
QUARTERLY_MONTHS: Final = (3, 6, 9, 12)

# From the roll of June 2022 on the lead month changes on the Monday of the expiry week; before, on the Thursday eight
# days before expiry (CME Group, equity index roll dates).
_FIRST_MONDAY_ROLL: Final = date(2022, 6, 1)
_SPELLINGS: Final = (
    "a contract such as ESZ2025, ESZ5, ES 12-25, ES1! or ES.c.0, or an exchange prefix before one of these"
)
_DAY_MONTHS: Final = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")


@dataclass(frozen=True, slots=True, order=True)
class Contract:
    """A dated futures contract. `str` is its canonical name, safe in subjects: `ESZ2025`."""

    root: str
    year: int
    month: int

    def __str__(self) -> str:
        return f"{self.root}{self.month_code}{self.year:04d}"

    @property
    def month_code(self) -> str:
        """F G H J K M N Q U V X Z for January to December."""
        return MONTH_CODES[self.month - 1]


@dataclass(frozen=True, slots=True)
class FrontMonth:
    """A contract, and the trading days on which a strategy decides on it: half-open [first, until).

    `until` is None where it is never another contract.
    """

    contract: ContractId
    first: date
    until: date | None

    def covers(self, day: date) -> bool:
        """Whether it is the one of a trading day."""
        return self.first <= day and (self.until is None or day < self.until)


def parse_contract(symbol: str, as_of: date) -> Contract:
    """Any venue's spelling of a futures contract -> the contract.

    Dated: `ESZ2025`, `ESZ25`, `ESZ5` (a short year is the one nearest to `as_of`), NinjaTrader's `ES 12-25`, OpenAlgo's
    `GOLDM05JAN26FUT`. Continuous: TradingView's `NQ1!`, Databento's `ES.c.0`, which mean the front month (or the n-th)
    on the trading day `as_of`. A prefix such as `CME_MINI:` is ignored. The longest known root wins: M2K, not M.
    Raises Unknown for a root that is not in the sheet, InvalidInput for anything else that names no single contract.
    """
    text = symbol.rpartition(":")[2]
    root = _root_of(symbol, text)
    rest = text.removeprefix(root)
    if found := re.fullmatch(r"([1-9])!", rest):
        return front(root, as_of, int(found[1]) - 1)
    if found := re.fullmatch(r"\.c\.([0-9])", rest):
        return front(root, as_of, int(found[1]))
    if found := re.fullmatch(rf"([{MONTH_CODES}])([0-9]{{1,2}}|[0-9]{{4}})", rest):
        month = MONTH_CODES.index(found[1]) + 1
        return _checked(symbol, Contract(root, _full_year(found[2], month, as_of), month))
    if found := re.fullmatch(r" (0[1-9]|1[0-2])-([0-9]{2})", rest):
        month = int(found[1])
        return _checked(symbol, Contract(root, _full_year(found[2], month, as_of), month))
    if found := re.fullmatch(rf"[0-3][0-9]({'|'.join(_DAY_MONTHS)})([0-9]{{2}})FUT", rest):
        month = _DAY_MONTHS.index(found[1]) + 1
        return _checked(symbol, Contract(root, _full_year(found[2], month, as_of), month))
    raise InvalidInput("contract", symbol, _SPELLINGS)


@once_for_value
def sheet_of(contract: str) -> Instrument | None:
    """The instrument sheet's row of a contract; None for one that no row knows, which only a venue may name."""
    try:
        return instrument_of(contract)
    except Unknown:
        return None


def resolve_contract(symbol: str, as_of: date) -> ContractId:
    """The canonical contract of a strategy's instrument on a trading day.

    A root that rolls by rule gives its front month, a root that never expires itself, a dated contract its canonical
    name. Raises Unknown and InvalidInput as `parse_contract` and `front` do.
    """
    try:
        found = instrument(symbol)
    except Unknown:
        return ContractId(str(parse_contract(symbol, as_of)))
    return ContractId(symbol if found.roll == "none" else str(front(symbol, as_of)))


@once_for_value
def instrument_of(contract: str) -> Instrument:
    """The instrument behind a canonical contract (`ESZ2025`, `BTCUSDT`); Unknown when the root is not in the sheet."""
    return instrument(_root(contract))


@lru_cache(maxsize=1024)
def _root(contract: str) -> str:
    """The root in the name of a contract, whichever rows are in force; the name itself where it has no month."""
    dated = re.fullmatch(rf"(.+)[{MONTH_CODES}][0-9]{{4}}", contract)
    return dated[1] if dated else contract


def front(root: str, day: date, rank: int = 0) -> Contract:
    """The lead contract on a trading day, or the one `rank` quarters after it.

    By rule, for equity index futures only. Raises InvalidInput for roots that roll on the venue's data or volume.
    """
    found = instrument(root)
    if found.roll != "cme_quarterly":
        needed = "a dated contract such as GCZ2013: this root rolls on the venue's data, not by a rule"
        raise InvalidInput("contract", root, needed if found.roll == "venue" else "the root: it does not expire")
    quarter = next(n for n in count(4 * day.year) if roll_date(_quarterly(root, n)) > day)
    return _quarterly(root, quarter + rank)


def front_months(symbol: str, feed: Iterable[str], trade_from: date) -> tuple[FrontMonth, ...]:
    """The contracts of a feed that an instrument means one after the other, from the trading day `trade_from` on.

    For a root that rolls by rule they are the lead month of that day and the later ones that the feed has, each on the
    days on which it leads; a month that the feed lacks leaves its days to nobody. Anything else is one contract for
    ever. Raises Unknown when the feed lacks the contract of `trade_from`, and as `resolve_contract` does.
    """
    known = tuple(feed)
    first = resolve_contract(symbol, trade_from)
    if first not in known:
        raise Unknown("contract of the feed", first, known)
    return months_from(symbol, known, trade_from)


def months_from(symbol: str, feed: Iterable[str], day: date) -> tuple[FrontMonth, ...]:
    """As `front_months` from a trading day on, of what the feed has by now: a tape without an end loses its old months.

    Empty when the feed has none. Raises as `resolve_contract` does.
    """
    if not rolls_by_rule(symbol):
        only = resolve_contract(symbol, day)
        return (FrontMonth(only, day, None),) if only in feed else ()
    later = sorted(found for name in feed if (found := dated(name)) is not None and found.root == symbol)
    return tuple(
        FrontMonth(ContractId(str(month)), max(day, lead_begins(month)), roll_date(month))
        for month in later
        if roll_date(month) > day
    )


def rolls_by_rule(symbol: str) -> bool:
    """Whether a symbol is a root whose contract follows from the trading day alone."""
    return any(found.root == symbol and found.roll == "cme_quarterly" for found in instruments())


def dated(contract: str) -> Contract | None:
    """A canonical name such as `ESZ2025` as a contract; None for what does not expire."""
    found = re.fullmatch(rf"(.+)([{MONTH_CODES}])([0-9]{{4}})", contract)
    return Contract(found[1], int(found[3]), MONTH_CODES.index(found[2]) + 1) if found else None


def lead_begins(contract: Contract) -> date:
    """The trading day from which an equity index future is the lead month: the roll date of the one before it."""
    return roll_date(_quarterly(contract.root, 4 * contract.year + contract.month // 3 - 2))


def last_trading_day(contract: str) -> date | None:
    """The last day on which a contract can trade at all; None for what does not expire.

    Exact for equity index futures, except past the stock calendar's validity, where it is the third Friday, and where
    the row of an instrument of one's own has it. Where only the venue knows, it is the end of the contract's month, in
    or before which every such future ends.
    """
    day = no_entry_from(contract)
    return day if day is None or instrument_of(contract).roll == "cme_quarterly" else day - timedelta(days=1)


def third_friday(year: int, month: int) -> date:
    """The third Friday of a month."""
    first = date(year, month, 1)
    return first + timedelta(days=(FRIDAY - first.weekday()) % 7 + 14)


def expiry(contract: Contract) -> date:
    """The last trading day of an equity index future.

    The third Friday, or the last day before it on which the stock exchange opens: the future settles at its opening
    prices.
    Raises InvalidInput for other roots and Unknown outside the stock calendar's validity.
    """
    if instrument(contract.root).roll != "cme_quarterly":
        raise InvalidInput("contract", str(contract), "an equity index future: ask the venue for this one's expiry")
    stocks = calendar("nyse")
    day = third_friday(contract.year, contract.month)
    while stocks.market(day) is None:
        day -= timedelta(days=1)
    return day


@lru_cache(maxsize=256)
def no_entry_from(contract: str) -> date | None:
    """The first trading day on which nothing is entered in a canonical contract; None when it does not expire.

    An equity index future settles at the stock exchange's opening on its last trading day: entries end the day before.
    Of other roots only the venue knows the day, or the row of an instrument of one's own: entries end with that day.
    Where nobody does, no contract outlives the month that it is named after.
    """
    own = instrument_of(contract)
    if contract == own.root:
        return None
    dated = parse_contract(contract, date.min)
    if own.roll == "cme_quarterly":
        try:
            return expiry(dated)
        except Unknown:  # out of the stock calendar's years, where the market's own has no entries either
            return third_friday(dated.year, dated.month)
    last = own.last_days.get(contract.removeprefix(own.root))
    return date(dated.year + dated.month // 12, dated.month % 12 + 1, 1) if last is None else last + timedelta(days=1)


def roll_date(contract: Contract) -> date:
    """The trading day from which an equity index future is not the lead month any more (CME Group's roll rule)."""
    friday = third_friday(contract.year, contract.month)
    return friday - timedelta(days=4 if friday > _FIRST_MONDAY_ROLL else 8)


def _root_of(symbol: str, text: str) -> str:
    roots = [found.root for found in instruments() if found.kind == "future"]
    for root in sorted(roots, key=len, reverse=True):
        rest = text.removeprefix(root)
        if rest != text and re.match(rf"([{MONTH_CODES}][0-9]|[1-9]!|[ .]|[0-3][0-9][A-Z])", rest):
            return root
    if text in roots:
        raise InvalidInput("contract", symbol, _SPELLINGS)
    raise Unknown("contract root", symbol, tuple(roots))


def _full_year(digits: str, month: int, as_of: date) -> int:
    """The year ending in these digits nearest to a day; of two equally near ones the later."""
    if len(digits) == 4:
        return int(digits)
    cycle = 10 if len(digits) == 1 else 100
    base = as_of.year - as_of.year % cycle + int(digits)
    return min((base + cycle, base, base - cycle), key=lambda year: abs(12 * (year - as_of.year) + month - as_of.month))


def _quarterly(root: str, quarter: int) -> Contract:
    return Contract(root, quarter // 4, QUARTERLY_MONTHS[quarter % 4])


def _checked(symbol: str, contract: Contract) -> Contract:
    if instrument(contract.root).roll == "cme_quarterly" and contract.month not in QUARTERLY_MONTHS:
        raise InvalidInput("contract", symbol, "one of the quarterly months H, M, U, Z")
    if not 1970 <= contract.year <= 2200:
        raise InvalidInput("contract", symbol, "a year from 1970 to 2200")
    return contract
