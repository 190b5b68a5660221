"""The days of a backtest: the contracts of each, who speaks on it, and from the bars of which days before it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from leadline.analysis.months import month_ends
from leadline.backtest.prints import DayOfPrints, Prints
from leadline.backtest.work import ContractDay, history_start
from leadline.ingestion.months import contract_days, market_of, refuse_expired, require_months, with_beside
from leadline.ingestion.runs import TapePlan, plan_tape
from leadline.model.errors import InvalidInput
from leadline.model.ids import ContractId, StrategyId
from leadline.model.manifest.specs import TradingStrategy, calendar_of_spec, session_of, signal_instrument
from leadline.model.market.calendars import calendar
from leadline.model.market.contracts import FrontMonth, front_months


@dataclass(frozen=True, slots=True)
class SpokenDay:
    """The part of a trading day on which a strategy speaks: about which contract, out of the bars of which days.

    `ends_ns`: from when on another contract speaks; None for no such instant.
    """

    strategy: StrategyId
    contract: ContractId
    day: date
    history: tuple[date, ...]
    ends_ns: int | None


@dataclass(frozen=True, slots=True)
class BacktestDay:
    """One trading day of all contracts.

    `tapes` are their prints, `spoken` what strategies say; `end_ns` is the instant up to which all prints of all
    contracts are at hand with this day, and where they end where it is `final`. `done` are the contract days whose bars
    no later day needs.
    """

    day: date
    tapes: tuple[ContractDay, ...]
    spoken: tuple[SpokenDay, ...]
    end_ns: int
    final: bool
    done: tuple[tuple[ContractId, date], ...]


@dataclass(frozen=True, slots=True)
class BacktestDays:
    """All days of a backtest, in order.

    `plan` is the plan of the tape that a run of the same days would have; `readers` are the strategies that read a
    contract's bars, also where none of its days is traded: a run would have them.
    """

    plan: TapePlan
    contracts: tuple[ContractId, ...]
    days: tuple[BacktestDay, ...]
    readers: Mapping[ContractId, tuple[StrategyId, ...]]

    @property
    def traded(self) -> tuple[BacktestDay, ...]:
        """The days that are traded; those before them are history."""
        return tuple(each for each in self.days if each.day >= self.plan.trade_from)

    @property
    def prints(self) -> int:
        """Prints of all days."""
        return sum(part.prints for each in self.days for part in each.tapes)

    @property
    def begins_ns(self) -> int:
        """An instant before every print of the first traded day."""
        return min(part.begins_ns for each in self.traded for part in each.tapes) - 1


def backtest_days(
    prints: Prints, strategies: Sequence[TradingStrategy], first: date | None, last: date | None
) -> BacktestDays:
    """The days from `first` to `last`, both included; None: the first day that has its history, the last at hand.

    Raises InvalidInput for a range without a day, where a day lacks the contract that leads on it, and for a session
    that lies in two trading days of its market; Unknown outside of a calendar's validity.
    """
    for strategy in strategies:
        _refuse_two_days(strategy, prints.cut_by)
    plan = planned_tape(prints, strategies, first, last)
    tapes = {
        contract: _tape(prints, contract, [days[day] for day in plan.sessions[contract]])
        for contract, days in _at_hand(prints, last).items()
        if plan.sessions.get(contract)
    }
    months = {
        strategy.full_name: front_months(strategy.spec.instrument, tapes, plan.trade_from)
        for strategy in sorted(strategies, key=lambda each: each.full_name)
    }
    readers = {
        contract: tuple(name for name, read in months.items() if contract in {month.contract for month in read})
        for contract in tapes
    }
    days = _in_order(tapes, _spoken(strategies, months, tapes, plan), plan)
    return BacktestDays(plan, tuple(tapes), days, readers)


def planned_tape(
    prints: Prints, strategies: Sequence[TradingStrategy], first: date | None, last: date | None
) -> TapePlan:
    """The tape that a run of these days would have. Raises as `backtest_days`."""
    symbols = sorted({strategy.spec.instrument for strategy in strategies})
    history = max(strategy.spec.longest_history for strategy in strategies)
    at_hand = _at_hand(prints, last)
    read = {name: days for name, days in at_hand.items() if name not in prints.beside}
    feed = [contract_days(name, symbols, tuple(days)) for name, days in read.items()]
    plan = plan_tape(feed, first, history, 1)
    refuse_expired(plan.sessions)
    require_months(feed, plan, symbols)
    beside = {name: tuple(days) for name, days in at_hand.items() if name not in read}
    return with_beside(plan, feed, beside, history)


def _refuse_two_days(strategy: TradingStrategy, cut_by: str) -> None:
    """Raises InvalidInput for a session that lies in two of the days that the prints are cut into."""
    session, hours = session_of(strategy.spec)
    market = calendar(signal_instrument(strategy.spec).calendar)
    if calendar_of_spec(strategy.spec).name != (cut_by or market.name):
        where = f"TradingStrategy {strategy.full_name}: spec.session"
        found = f"{session}, {hours.open} to {hours.close} {hours.zone}"
        expected = "hours within one trading day of its market, or the same days for all strategies of a backtest"
        raise InvalidInput(where, found, expected)


def _at_hand(prints: Prints, last: date | None) -> dict[ContractId, dict[date, DayOfPrints]]:
    found = {
        contract: {each.day: each for each in prints.days(contract) if last is None or each.day <= last}
        for contract in prints.contracts
    }
    if not any(found.values()):
        first = min(each.day for contract in prints.contracts for each in prints.days(contract))
        raise InvalidInput("to", str(last), f"a day from {first} on, the first that has prints")
    if last is not None:
        refuse_beyond(prints, last)
    return {contract: days for contract, days in found.items() if days}


def refuse_beyond(prints: Prints, last: date, way_out: str = "") -> None:
    """Raises InvalidInput for a range that goes on for sessions of which there is no print any more.

    way_out: said behind it.
    """
    newest, contract = max((days[-1].day, name) for name in prints.contracts if (days := prints.days(name)))
    market = market_of(contract)
    for number in range(newest.toordinal() + 1, last.toordinal() + 1):
        day = date.fromordinal(number)
        if not market.knows(day) or market.market(day) is not None:
            raise InvalidInput("to", last.isoformat(), f"a day up to {newest}, the last that has prints{way_out}")


def _tape(prints: Prints, contract: ContractId, days: Sequence[DayOfPrints]) -> tuple[ContractDay, ...]:
    found, index = [], 0
    for each, following in zip(days, (*days[1:], None), strict=True):
        ends_ns = each.last_ns if following else max(each.last_ns, prints.ends_ns(contract, each.day))
        next_ns = following.first_ns if following else None
        own = ContractDay(contract, each.day, index, each.prints, each.first_ns, next_ns, ends_ns, each.kept_out)
        found.append(own)
        index += each.prints
    return tuple(found)


def _spoken(
    strategies: Iterable[TradingStrategy],
    months: Mapping[StrategyId, Sequence[FrontMonth]],
    tapes: Mapping[ContractId, Sequence[ContractDay]],
    plan: TapePlan,
) -> dict[date, list[SpokenDay]]:
    """The speakers of each traded day, strategies by name."""
    found: dict[date, list[SpokenDay]] = {}
    for strategy in sorted(strategies, key=lambda each: each.full_name):
        ends = month_ends(strategy.spec, tuple(tapes), plan.trade_from)
        for month in months[strategy.full_name]:
            days = [each.day for each in tapes[month.contract]]
            for day in days:
                if day < month.first or (month.until is not None and day >= month.until):
                    continue
                start = history_start(strategy, day)
                history = tuple(each for each in days if start <= each < day)
                own = SpokenDay(strategy.full_name, month.contract, day, history, ends.get(month.contract))
                found.setdefault(day, []).append(own)
    return found


def _in_order(
    tapes: Mapping[ContractId, Sequence[ContractDay]], spoken: Mapping[date, Sequence[SpokenDay]], plan: TapePlan
) -> tuple[BacktestDay, ...]:
    last_use: dict[tuple[ContractId, date], date] = {
        (contract, each.day): each.day for contract, days in tapes.items() for each in days
    }
    for day in sorted(spoken):
        last_use.update({(each.contract, before): day for each in spoken[day] for before in each.history})
    done: dict[date, list[tuple[ContractId, date]]] = {}
    for key, day in last_use.items():
        done.setdefault(day, []).append(key)
    begins_ns = {contract: days[0].begins_ns for contract, days in tapes.items()}
    found = []
    for day in plan.days:
        parts = tuple(each for days in tapes.values() for each in days if each.day == day)
        begins_ns.update({part.contract: part.next_ns for part in parts if part.next_ns is not None})
        for part in parts:
            if part.next_ns is None:
                del begins_ns[part.contract]
        final = not begins_ns
        end_ns = max(days[-1].ends_ns for days in tapes.values()) if final else min(begins_ns.values()) - 1
        found.append(BacktestDay(day, parts, tuple(spoken.get(day, ())), end_ns, final, tuple(done.get(day, ()))))
    return tuple(found)
