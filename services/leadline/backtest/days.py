"""The days of a backtest: which contracts trade on which, and what each needs from the days before it."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from leadline.analysis.months import month_ends
from leadline.backtest.prints import Prints
from leadline.backtest.work import ContractDay, history_start
from leadline.ingestion.months import contract_days, refuse_expired, require_months
from leadline.ingestion.runs import TapePlan, plan_tape
from leadline.model.errors import InvalidInput
from leadline.model.ids import StrategyId
from leadline.model.manifest.specs import TradingStrategy
from leadline.model.market.contracts import front_months


@dataclass(frozen=True, slots=True)
class SpokenDay:
    """A trading day on which a strategy speaks: of which contract, from the bars of which days before it.

    `ends_ns`: from when on another contract speaks; None for no such instant.
    """

    strategy: StrategyId
    contract: str
    day: date
    history: tuple[date, ...]
    ends_ns: int | None


@dataclass(frozen=True, slots=True)
class BacktestDays:
    """All days of a backtest, in order.

    `tapes`: by contract, its days, those of the history before its first traded day included. `spoken`: by trading
    day, the strategies that have one. `plan` is the plan of the tape that a run of the same days would have.
    """

    plan: TapePlan
    tapes: Mapping[str, tuple[ContractDay, ...]]
    spoken: Mapping[date, tuple[SpokenDay, ...]]

    @property
    def contracts(self) -> tuple[str, ...]:
        """The contracts of the tape, in order."""
        return tuple(self.tapes)

    @property
    def by_day(self) -> dict[date, tuple[ContractDay, ...]]:
        """The contracts of each trading day, in the order of the days."""
        found: dict[date, list[ContractDay]] = {}
        for days in self.tapes.values():
            for each in days:
                found.setdefault(each.day, []).append(each)
        return {day: tuple(found[day]) for day in sorted(found)}

    def complete_after(self, day: date) -> tuple[int, bool]:
        """The instant up to which all prints are at hand when this day's are, and whether the tapes end there."""
        last = [max((each for each in days if each.day <= day), key=lambda each: each.day, default=None) for days in self.tapes.values()]
        first = [days[0].begins_ns for days, each in zip(self.tapes.values(), last, strict=True) if each is None]
        open_until = [each.next_ns for each in last if each is not None and each.next_ns is not None] + first
        if open_until:
            return min(open_until) - 1, False
        return max(each.ends_ns for each in last if each is not None), True

    def needed_after(self, day: date) -> set[tuple[str, date]]:
        """The contract days whose bars a later day needs."""
        return {
            (each.contract, before)
            for later, spoken in self.spoken.items()
            if later > day
            for each in spoken
            for before in each.history
        }

    @property
    def trading_begins_ns(self) -> int:
        """An instant before every print of the first traded day."""
        first = self.plan.trade_from
        return min(each.begins_ns for days in self.tapes.values() for each in days if each.day >= first) - 1

    @property
    def prints(self) -> int:
        """Prints of all days."""
        return sum(day.prints for days in self.tapes.values() for day in days)


def backtest_days(
    prints: Prints, strategies: Sequence[TradingStrategy], first: date | None, last: date | None
) -> BacktestDays:
    """The days from `first` to `last`, both included; None: the first day that has its history, the last at hand.

    Raises InvalidInput for a range without a day, and where a day lacks the contract that leads on it; Unknown outside
    of a calendar's validity.
    """
    symbols = sorted({strategy.spec.instrument for strategy in strategies})
    history = max(strategy.spec.longest_history for strategy in strategies)
    at_hand = {
        contract: {each.day: each for each in prints.days(contract) if last is None or each.day <= last}
        for contract in prints.contracts
    }
    at_hand = {contract: days for contract, days in at_hand.items() if days}
    if not at_hand:
        found = sorted(each.day for contract in prints.contracts for each in prints.days(contract))
        raise InvalidInput("to", str(last), f"a day on or after {found[0]}, the first that has prints")
    feed = [contract_days(name, symbols, tuple(days)) for name, days in at_hand.items()]
    plan = plan_tape(feed, first, history, 1)
    refuse_expired(plan.sessions)
    require_months(feed, plan, symbols)
    tapes: dict[str, tuple[ContractDay, ...]] = {}
    for contract, days in plan.sessions.items():
        found_days, index = [], 0
        for day, following in zip(days, (*days[1:], None), strict=True):
            known = at_hand[contract][day]
            next_ns = None if following is None else at_hand[contract][following].first_ns
            ends_ns = max(known.last_ns, prints.ends_ns(contract, day)) if following is None else known.last_ns
            found_days.append(ContractDay(contract, day, index, known.prints, known.first_ns, next_ns, ends_ns))
            index += known.prints
        tapes[contract] = tuple(found_days)
    return BacktestDays(plan, tapes, _spoken(strategies, tapes, plan))


def _spoken(
    strategies: Iterable[TradingStrategy], tapes: Mapping[str, Sequence[ContractDay]], plan: TapePlan
) -> dict[date, tuple[SpokenDay, ...]]:
    found: dict[date, list[SpokenDay]] = {}
    for strategy in sorted(strategies, key=lambda each: each.full_name):
        months = front_months(strategy.spec.instrument, tapes, plan.trade_from)
        ends = month_ends(strategy.spec, tuple(tapes), plan.trade_from)
        for month in months:
            days = [each.day for each in tapes[month.contract]]
            for day in days:
                if day < month.first or (month.until is not None and day >= month.until):
                    continue
                start = history_start(strategy, day)
                history = tuple(each for each in days if start <= each < day)
                spoken = SpokenDay(strategy.full_name, month.contract, day, history, ends.get(month.contract))
                found.setdefault(day, []).append(spoken)
    return {day: tuple(found[day]) for day in sorted(found)}
