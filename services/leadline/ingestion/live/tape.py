"""The contracts of the tape `live` on a trading day, and its clock."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from leadline.ingestion.months import contract_days, market_of
from leadline.ingestion.runs import previous_days
from leadline.model.errors import InvalidInput, Unknown
from leadline.model.ids import ContractId
from leadline.model.market.calendars import Calendar
from leadline.model.market.contracts import (
    dated,
    instrument_of,
    last_trading_day,
    resolve_contract,
    roll_date,
    rolls_by_rule,
)

# Further ahead no month begins its history.
_MONTHS_AHEAD: Final = 2


@dataclass(frozen=True, slots=True)
class Clock:
    """The tape's clock: `offset_ns` ahead of the wall clock at the wall time `since_ns`, and `rate` times as fast."""

    offset_ns: int = 0
    rate: int = 1
    since_ns: int = 0

    def now_ns(self, wall_ns: int) -> int:
        """The tape's time at a wall time."""
        return wall_ns + self.offset_ns + (wall_ns - self.since_ns) * (self.rate - 1)

    def set_to(self, tape_ns: int, wall_ns: int) -> "Clock":
        """The same clock, which shows `tape_ns` at a wall time."""
        return Clock(tape_ns - wall_ns, self.rate, wall_ns)


def first_day(symbols: Iterable[str], now_ns: int) -> date:
    """The first trading day that a tape can decide on which begins now: the one under way, or the next.

    Raises Unknown for an instrument or a day that nobody knows.
    """
    return min(_open_day(market_of(_at(symbol, now_ns)), now_ns) for symbol in symbols)


def contracts_of(symbols: Iterable[str], trade_from: date, history: int, day: date) -> dict[ContractId, date]:
    """The contracts that the tape has on a trading day, each with the first trading day that it is wanted for.

    symbols: roots, which mean the lead month of each day, or contracts. trade_from: the first day on which the tape
    decides. A later month of a root is wanted `history` sessions before it leads; one whose trading ends is no more.
    """
    found: dict[ContractId, date] = {}
    for symbol in symbols:
        for name in _months(symbol, trade_from, day):
            market, starts = market_of(name), contract_days(name, [symbol], None).starts(trade_from)
            first = min(previous_days(market, starts, history), default=starts)
            last = last_trading_day(name)
            if first <= day and (last is None or day <= last):
                found[name] = first
    return dict(sorted(found.items()))


def contracts_about(symbols: Iterable[str], now_ns: int) -> tuple[ContractId, ...]:
    """The contract of each instrument about now. Raises Unknown and InvalidInput as `resolve_contract` does."""
    return tuple(_at(symbol, now_ns) for symbol in symbols)


def venues_of(contracts: Iterable[ContractId]) -> dict[ContractId, str]:
    """Venue by contract, in order of the names."""
    return {name: instrument_of(name).venue for name in sorted(contracts)}


def session_begins(symbols: Iterable[str], now_ns: int) -> int:
    """The next opening of regular hours from now on, of the first market that has one, ns UTC. Raises Unknown."""
    opens = []
    for symbol in symbols:
        sheet = instrument_of(_at(symbol, now_ns))
        market = market_of(_at(symbol, now_ns))
        day = market.trading_day(now_ns)
        while (session := market.session(day, sheet.sessions["rth"])) is None or session.open_ns < now_ns:
            day += timedelta(days=1)
        opens.append(session.open_ns)
    return min(opens)


def in_session(symbols: Iterable[str], now_ns: int) -> bool:
    """Whether one of the markets is in its regular hours."""
    return any(
        market_of(_at(symbol, now_ns)).session_at(now_ns, instrument_of(_at(symbol, now_ns)).sessions["rth"])
        for symbol in symbols
    )


def _months(symbol: str, trade_from: date, day: date) -> list[ContractId]:
    name = resolve_contract(symbol, trade_from)
    if not rolls_by_rule(symbol):
        return [name]
    found, ahead = [name], 0
    while ahead < _MONTHS_AHEAD and (month := dated(found[-1])) is not None:
        rolls = roll_date(month)
        ahead += rolls > day
        try:
            found.append(resolve_contract(symbol, rolls))
            market_of(found[-1])
        except Unknown:
            break
    return found


def _at(symbol: str, now_ns: int) -> ContractId:
    """A contract of an instrument about now, of which its market is asked."""
    day = date.fromordinal(date(1970, 1, 1).toordinal() + now_ns // 86_400_000_000_000)
    return resolve_contract(symbol, day)


def _open_day(market: Calendar, now_ns: int) -> date:
    day = market.trading_day(now_ns)
    while (hours := market.market(day)) is None or hours[1] <= now_ns:
        day += timedelta(days=1)
    return day


def require_each(symbols: Iterable[str], contracts: Collection[ContractId], day: date) -> None:
    """Check that each instrument has a contract on a trading day. Raises InvalidInput."""
    for symbol in symbols:
        if not set(_months(symbol, day, day)) & set(contracts):
            last = last_trading_day(resolve_contract(symbol, day))
            expected = f"a contract that trades on {day}, or a root: its last day was {last}"
            raise InvalidInput("instruments", symbol, expected)


def require_same(kept: Mapping[str, str], given: Mapping[str, str]) -> None:
    """Check that the tape goes on with the source and the clock with which it began. Raises InvalidInput."""
    for field, value in given.items():
        if (before := kept.get(field, value)) != value:
            expected = (
                f"{before}, with which the tape of this data directory began; another one needs a directory of its own"
            )
            raise InvalidInput(field, value, expected)
