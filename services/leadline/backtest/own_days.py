"""Prints of a market that never closes, cut into the trading days of a session over midnight.

Nothing but a convention says when a day of such a market begins (`Calendar.of_session`). Its prints are kept by the
market's own days, and the session from 18:00 to 06:00 lies in two of them. A tape begins and ends with days of the
market, as that of a run does, so that the first and the last day may be parts here.
"""

from collections.abc import Mapping, Sequence
from datetime import date
from itertools import pairwise

import numpy as np

from leadline.backtest.days import planned_tape
from leadline.backtest.prints import DayOfPrints, Prints
from leadline.catalog.entry import content_hash
from leadline.ingestion.days import TradingDays, day_of
from leadline.model.ids import ContractId
from leadline.model.manifest.specs import TradingStrategy, calendar_of_spec, signal_instrument
from leadline.model.market.calendars import Calendar, calendar
from leadline.model.ticks import TickColumns


def in_own_days(
    prints: Prints, strategies: Sequence[TradingStrategy], first: date | None, last: date | None
) -> tuple[Prints, date | None, date | None]:
    """Prints and a range of days as the strategies' sessions cut them; unchanged where the market's own days fit.

    All strategies must agree in the days, else `backtest_days` refuses those that do not fit.
    Raises as `backtest_days` and `Prints.read`.
    """
    own = {calendar_of_spec(each.spec).name for each in strategies}
    markets = {signal_instrument(each.spec).calendar for each in strategies}
    if own == markets or len(own) > 1:
        return prints, first, last
    plan = planned_tape(prints, strategies, first, last)
    return OwnDays(prints, calendar(own.pop()), plan.sessions), plan.trade_from, None


class OwnDays:
    """See `Prints`. sessions: the days of the tape, by contract, as the market cuts them: they are read once here."""

    def __init__(self, prints: Prints, own: Calendar, sessions: Mapping[ContractId, Sequence[date]]) -> None:
        self.cut_by = own.name
        self.contracts = tuple(name for name in prints.contracts if sessions.get(name))
        self.beside = prints.beside
        self._prints = prints
        self._days: dict[ContractId, dict[date, DayOfPrints]] = {}
        self._parts: dict[ContractId, dict[date, list[tuple[date, int, int]]]] = {}
        for contract in self.contracts:
            days, parts = self._days.setdefault(contract, {}), self._parts.setdefault(contract, {})
            for each in prints.days(contract):
                if each.day in sessions[contract]:
                    self._cut(own, contract, each, days, parts)

    def _cut(
        self,
        own: Calendar,
        contract: ContractId,
        market_day: DayOfPrints,
        days: dict[date, DayOfPrints],
        parts: dict[date, list[tuple[date, int, int]]],
    ) -> None:
        time_ns = self._prints.read(contract, market_day.day).time_ns
        ordinals = TradingDays(own).of(time_ns)
        kept_out = market_day.kept_out
        for start, stop in pairwise([0, *(np.flatnonzero(np.diff(ordinals)) + 1).tolist(), len(time_ns)]):
            day = day_of(int(ordinals[start]))
            assert day is not None  # the market knows the day, and both know the same ones
            before = days.get(day, DayOfPrints(day, 0, int(time_ns[start]), 0))
            count, last_ns = before.prints + stop - start, int(time_ns[stop - 1])
            days[day] = DayOfPrints(day, count, before.first_ns, last_ns, (*before.kept_out, *kept_out))
            parts.setdefault(day, []).append((market_day.day, start, stop))
            kept_out = ()

    def days(self, contract: ContractId) -> Sequence[DayOfPrints]:
        """See `Prints`."""
        return tuple(self._days[contract].values())

    def read(self, contract: ContractId, day: date) -> TickColumns:
        """See `Prints`."""
        found = [
            self._prints.read(contract, market_day).slice(start, stop)
            for market_day, start, stop in self._parts[contract][day]
        ]
        return TickColumns(
            np.concatenate([each.time_ns for each in found]),
            np.concatenate([each.price for each in found]),
            np.concatenate([each.size for each in found]),
            np.concatenate([each.aggressor for each in found]),
        )

    def content(self, contract: ContractId, day: date) -> str:
        """See `Prints`."""
        return content_hash(contract, day, self.read(contract, day))

    def ends_ns(self, contract: ContractId, last_day: date) -> int:
        """See `Prints`."""
        market_day, *_ = self._parts[contract][last_day][-1]
        return self._prints.ends_ns(contract, market_day)
