"""Prices of a proposal: they make no entry look cheaper than it is, and move no exit to where nobody trades."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from leadline.model.ids import ContractId
from leadline.model.orders import Bracket, OrderType
from leadline.model.proposals import Action, Direction, EntryTerms, Proposal
from leadline.model.signals import BarSignals
from tests.execution.harness.builders import MES, account, bar, says, strategy, tape
from tests.execution.harness.desk import Books, Desk
from tests.execution.test_roll import FRIDAY, MONDAY, NEXT

NAME = "default/mes"
PRINTS = tape((1, 20_000), (599, 20_000), (601, 20_000), (700, 20_001), (800, 20_002), (801, 19_975), (802, 19_970))


def at(seconds: float, *proposals: Proposal, close: int = 20_000, contract: ContractId = MES) -> BarSignals:
    seen = bar(seconds, contract=contract, close=close)
    return replace(seen, regime=None, signals=(), proposals=proposals)


def enter(direction: Direction = Direction.LONG, entry: EntryTerms | None = None, **exits: Any) -> Proposal:
    return Proposal(Action.ENTER, direction, entry, Bracket(**exits))


def protect(stop: int | None = None, target: int | None = None) -> Proposal:
    return Proposal(Action.PROTECT, bracket=Bracket(stop_price=stop, target_price=target))


def by_risk(percent: str, **sizing: Any) -> Any:
    return strategy(sizing={"mode": "RiskPercent", "percent": percent, "maxSize": 100, **sizing})


async def decided(books: Books, folder: Path, manifest: Any, *bars: BarSignals, **limits: Any) -> Desk:
    desk = Desk(books, folder, {MES: PRINTS}, {NAME: says(bars, end=1000)}, [manifest], ends=1000)
    desk.manifest = account(limits={"maxPosition": 100, **limits})
    await desk.run(read_back=True)
    return desk


async def test_a_stop_entry_that_the_market_has_passed_is_sized_from_the_market(books: Books, folder: Path):
    """It fills at once, 17 ticks from its stop and not 2."""
    passed = EntryTerms(OrderType.STOP, 19_985)
    wanted = enter(entry=passed, stop_price=19_983, target_price=20_100)
    desk = await decided(books, folder, by_risk("1"), at(600, wanted))
    # 17 ticks and 2 of slippage at 1.25, and 2.50 of fees: floor(100 / 26.25).
    assert await desk.rows("decision", "quantity", "instant_ns") == [(3,)]


async def test_a_target_that_the_market_has_reached_leaves_at_the_market(books: Books, folder: Path):
    wanted = enter(stop_price=19_980, target_price=20_100)
    desk = await decided(books, folder, strategy(), at(600, wanted), at(700, protect(target=10_000)))
    orders = await desk.rows("intent", "leg, state, reason", "decided_at_ns, leg")
    assert [row for row in orders if row[0] in {"T1", "F1"}] == [
        ("T1", "CANCELLED", "beyond_target"),
        ("F1", "FILLED", "beyond_target"),
    ]
    [_, (_, _, price, *_)] = await desk.fills()
    assert price == 20_001  # the next print and a tick of slippage


@pytest.mark.parametrize("budget", [True, False])
async def test_a_stop_is_loosened_no_further_than_the_percentage_that_may_be_lost(
    books: Books, folder: Path, budget: bool
):
    """0.3 % of 10,000 pay for the entry's ten ticks, and for two more, but not for 190."""
    wanted = enter(stop_price=19_990, target_price=20_100)
    bars = at(600, wanted), at(700, protect(19_989)), at(750, protect(19_800))
    desk = await decided(books, folder, by_risk("0.3", respectDayBudget=budget), *bars, dayLoss="5000")
    assert [reason for *_, reason in await desk.decisions()] == ["", "", "risk_budget"]


async def test_prices_of_another_month_move_no_exit(books: Books, folder: Path):
    """The June position is carried; September's bars lie 240 ticks higher."""
    june = [(FRIDAY + 1799, 20_000), (FRIDAY + 1801, 20_000)] + [(MONDAY + 60 * n - 2, 20_003) for n in range(1, 60)]
    september = [(day + 60 * n - 1, 20_240) for day in (FRIDAY, MONDAY) for n in range(1, 60)]
    bars = [
        at(FRIDAY + 1800, enter(stop_price=19_980, target_price=20_400)),
        at(MONDAY + 1800, protect(20_220), protect(target=20_260), close=20_240, contract=NEXT),
        at(MONDAY + 2000, Proposal(Action.EXIT), close=20_240, contract=NEXT),
    ]
    desk = Desk(
        books,
        folder,
        {MES: tape(*june), NEXT: tape(*september)},
        {NAME: says(bars, MONDAY + 3000)},
        [strategy(flattenBeforeClose="never")],
        account(overnightGapTicks={"MES": 20}),
        begins=FRIDAY,
        ends=MONDAY + 3000,
        trade_from=date(2025, 6, 13),
    )
    await desk.run(read_back=True)
    assert [reason for *_, reason in await desk.decisions()] == ["", "contract_rolling", "contract_rolling", ""]
    assert [leg for leg, *_ in await desk.fills()] == ["E", "F1"]
