"""Which contracts of a root a feed carries, and on which days: the lead month of each traded day, and what it needs."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta

from leadline.ingestion.runs import ContractDays, TapePlan, previous_days
from leadline.model.errors import InvalidInput
from leadline.model.ids import ContractId
from leadline.model.market.calendars import Calendar, calendar
from leadline.model.market.contracts import (
    dated,
    instrument_of,
    last_trading_day,
    lead_begins,
    resolve_contract,
    roll_date,
    rolls_by_rule,
)


def market_of(contract: ContractId) -> Calendar:
    """The calendar of a contract."""
    return calendar(instrument_of(contract).calendar)


def contracts_of_days(symbols: Iterable[str], days: Sequence[date]) -> tuple[ContractId, ...]:
    """The dated contracts that instruments mean on these trading days, each once, in order.

    Raises Unknown and InvalidInput as `resolve_contract` does.
    """
    return tuple(dict.fromkeys(resolve_contract(symbol, day) for symbol in symbols for day in days))


def with_next_month(symbols: Iterable[str], day: date) -> tuple[ContractId, ...]:
    """The dated contracts that instruments mean on a trading day, and of a root the month that leads after it."""
    found: list[ContractId] = []
    for symbol in symbols:
        first = resolve_contract(symbol, day)
        found.append(first)
        month = dated(first) if rolls_by_rule(symbol) else None
        if month is not None:
            found.append(resolve_contract(symbol, roll_date(month)))
    return tuple(dict.fromkeys(found))


def contract_days(contract: ContractId, symbols: Iterable[str], at_hand: tuple[date, ...] | None) -> ContractDays:
    """A contract of a feed with the days on which a root that is among the symbols leads with it.

    A contract that is named itself, or by nobody, has no such days: it is wanted from the first traded day on. One that
    is made for its days (`at_hand` is None) and follows a root ends before its expiry.
    """
    month = dated(contract)
    named = set(symbols)
    if month is None or contract in named or month.root not in named or not rolls_by_rule(month.root):
        return ContractDays(contract, market_of(contract), at_hand)
    expires = last_trading_day(contract) if at_hand is None else None
    ends = None if expires is None else expires - timedelta(days=1)
    return ContractDays(contract, market_of(contract), at_hand, (lead_begins(month), roll_date(month)), ends)


def stands_for(contract: ContractId, signal: ContractId) -> bool:
    """Whether a contract may be filled in place of another: of the same underlying and month."""
    one, other = dated(contract), dated(signal)
    if one is None or other is None or (one.year, one.month) != (other.year, other.month):
        return False
    return instrument_of(contract).underlying == instrument_of(signal).underlying


def with_beside(
    plan: TapePlan, signals: Sequence[ContractDays], at_hand: Mapping[ContractId, Sequence[date]], history: int
) -> TapePlan:
    """The plan with those contracts that have prints on each traded day of the one in whose place they may be filled.

    at_hand: their days. One that lacks a day is left out: on that day an order in it would find no print, and the
    prints of the contract that is read stand for it where it has none of its own. Raises Unknown as `plan_tape`.
    """
    found = dict(plan.sessions)
    for contract, days in at_hand.items():
        for signal in (each for each in signals if stands_for(contract, each.contract)):
            read = plan.sessions.get(signal.contract, ())
            traded = {day for day in read if day >= plan.trade_from and signal.covers(day)}
            if traded and traded <= set(days):
                starts = signal.starts(plan.trade_from)
                first = min(previous_days(signal.market, starts, history), default=starts)
                found[contract] = tuple(day for day in days if day >= first)
    return replace(plan, sessions=dict(sorted(found.items())))


def require_months(feed: Sequence[ContractDays], plan: TapePlan, symbols: Iterable[str]) -> None:
    """Check that every traded day of a root has the prints of its lead month.

    Raises InvalidInput that names root, day and contract.
    """
    for root in filter(rolls_by_rule, sorted(set(symbols))):
        months = {each.contract: plan.sessions[each.contract] for each in feed if _root(each.contract) == root}
        traded = sorted({day for days in months.values() for day in days if day >= plan.trade_from})
        for day in traded:
            lead = resolve_contract(root, day)
            if day not in months.get(lead, ()):
                month = dated(lead)
                since = "" if month is None else f", which leads from {lead_begins(month)} on"
                expected = f"prints of {lead} on that day{since}: --feed {lead}=FILE"
                raise InvalidInput(f"the feed's prints of {root} on {day}", _others(months, day), expected)


def refuse_expired(plan_days: Mapping[ContractId, Sequence[date]]) -> None:
    """Raises InvalidInput for a contract with trading days after its last one. `plan_days` by contract, in order."""
    for contract, days in sorted(plan_days.items()):
        last = last_trading_day(contract)
        if last is not None and days and days[-1] > last:
            expected = f"days up to {last}, the last on which it trades"
            raise InvalidInput(f"prints of {contract}", days[-1].isoformat(), expected)


def one_contract(symbol: str, days: Iterable[date], name: str) -> None:
    """Check that prints of a root, without a word on their contract, are of days with one lead month.

    Raises InvalidInput that names the file and says how a file of each contract is named.
    """
    if not rolls_by_rule(symbol):
        return
    leads = {day: resolve_contract(symbol, day) for day in sorted(days)}
    found = tuple(dict.fromkeys(leads.values()))
    if len(found) > 1:
        first = next(day for day, contract in leads.items() if contract == found[1])
        files = " ".join(f"--feed {contract}=FILE" for contract in found)
        raise InvalidInput(
            name,
            f"prints of {symbol} from {min(leads)} to {max(leads)}",
            f"prints of one contract: {symbol} is {found[0]} before {first} and {found[1]} from then on, and the file "
            f"does not say which print is of which; give each contract a file of its own: {files}",
        )


def _root(contract: ContractId) -> str:
    month = dated(contract)
    return contract if month is None else month.root


def _others(months: Mapping[ContractId, Sequence[date]], day: date) -> str:
    return ", ".join(contract for contract, days in sorted(months.items()) if day in days)
