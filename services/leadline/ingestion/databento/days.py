"""The trades that are asked for of Databento: one request for each contract and trading day.

Databento cuts by the time at which it received a trade, and counts right between full ten minutes only. So a request
goes from the ten minutes in which its session opens through those in which it closes, or that follow the close: a trade
of the last instant, which was received after it, is in it.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final

from leadline.catalog.coverage import session_window
from leadline.ingestion.months import market_of, refuse_expired
from leadline.ingestion.runs import previous_days
from leadline.model.durations import NS_PER_SECOND
from leadline.model.errors import InvalidInput
from leadline.model.ids import ContractId
from leadline.model.market.contracts import dated, instrument_of, resolve_contract

DATASET: Final = "GLBX.MDP3"
SCHEMA: Final = "trades"
RECORD_BYTES: Final = 48
"""Of a trade, unpacked: they are what is paid for."""

_EXCHANGES: Final = ("CME", "CBOT", "NYMEX", "COMEX")
_STEP_NS: Final = 600 * NS_PER_SECOND


@dataclass(frozen=True, slots=True)
class DayRequest:
    """The trades of a contract that Databento received in [start_ns, end_ns), ns UTC: of one trading day."""

    contract: ContractId
    day: date
    start_ns: int
    end_ns: int

    @property
    def symbol(self) -> str:
        """The exchange's own name of the contract, such as ESH5: neither a parent nor what follows a front month."""
        month = dated(self.contract)
        assert month is not None  # the request was made of one
        return f"{month.root}{month.month_code}{month.year % 10}"

    @property
    def name(self) -> str:
        """The name of its file, with the times in UTC: `ESH2025_2025-01-13_2300_2210.trades.dbn.zst`."""
        begins, ends = (f"{_utc(ns):%H%M}" for ns in (self.start_ns, self.end_ns))
        return f"{self.contract}_{self.day}_{begins}_{ends}.{SCHEMA}.dbn.zst"

    def fields(self) -> dict[str, str]:
        """The form in which Databento takes it."""
        return {
            "dataset": DATASET,
            "schema": SCHEMA,
            "symbols": self.symbol,
            "stype_in": "raw_symbol",
            "start": _utc(self.start_ns).isoformat(),
            "end": _utc(self.end_ns).isoformat(),
        }

    def within(self, start_ns: int, end_ns: int) -> bool:
        """Whether a request of these times has all of it."""
        return start_ns <= self.start_ns and self.end_ns <= end_ns


@dataclass(frozen=True, slots=True)
class Closed:
    """A weekday of a range on which a market is closed, and why."""

    calendar: str
    day: date
    reason: str


@dataclass(frozen=True, slots=True)
class DaysWanted:
    """The requests of a range, by contract and day, and the days on which there is nothing to ask for."""

    requests: tuple[DayRequest, ...]
    closed: tuple[Closed, ...]


def days_wanted(
    symbols: Iterable[str], first: date, last: date, *, session: str | None = None, history: int = 0
) -> DaysWanted:
    """The requests of instruments for the trading days from `first` through `last`.

    A root that rolls by rule is the lead month of each day. Each contract begins with so many trading days of `history`
    before the first on which it is wanted. session: a named one of the instruments; without it the whole trading day.
    Raises InvalidInput for what CME Group does not list, for a range with no trading day and for days after a
    contract's last, Unknown for symbols, sessions and days that nobody knows here.
    """
    if last < first:
        raise InvalidInput("to_day", last.isoformat(), f"a day not before --from, {first}")
    days: dict[ContractId, set[date]] = {}
    closed: dict[Closed, None] = {}
    for symbol in symbols:
        for day in _dates(first, last):
            contract = resolve_contract(symbol, day)
            market = market_of(_of_cme_group(contract))
            if market.market(day) is not None:
                days.setdefault(contract, set()).add(day)
            elif day.weekday() in market.weekdays:
                closed[Closed(market.name, day, market.closed[day])] = None
    if not days:
        raise InvalidInput("from_day", f"{first} to {last}", "a range with a trading day")
    refuse_expired({contract: sorted(found) for contract, found in days.items()})
    for contract, found in days.items():
        found.update(previous_days(market_of(contract), min(found), history))
    requests = [
        request
        for contract, found in sorted(days.items())
        for day in sorted(found)
        if (request := _request(contract, day, session)) is not None
    ]
    return DaysWanted(tuple(requests), tuple(sorted(closed, key=lambda each: (each.day, each.calendar))))


def _request(contract: ContractId, day: date, session: str | None) -> DayRequest | None:
    window = session_window(contract, day, session)
    if window is None:
        return None
    opens, closes = window
    return DayRequest(contract, day, opens // _STEP_NS * _STEP_NS, (closes // _STEP_NS + 1) * _STEP_NS)


def _of_cme_group(contract: ContractId) -> ContractId:
    sheet = instrument_of(contract)
    if sheet.exchange not in _EXCHANGES or dated(contract) is None:
        expected = f"futures of CME Group ({', '.join(_EXCHANGES)}), whose trades are in {DATASET}"
        raise InvalidInput("INSTRUMENTS", contract, expected)
    return contract


def _dates(first: date, last: date) -> Iterator[date]:
    for number in range((last - first).days + 1):
        yield first + timedelta(days=number)


def _utc(ns: int) -> datetime:
    return datetime.fromtimestamp(ns // NS_PER_SECOND, UTC)
