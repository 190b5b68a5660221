"""A live day again from its prints and the instants that were recorded: the same loop, at the times of the live one."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from typing import Any

import orjson
import pytest

from leadline.backtest.prints import numbered_from
from leadline.backtest.recorded import RecordedDay
from leadline.backtest.run import Outcome, run_backtest
from leadline.execution.core.records import AccountRecords
from leadline.model.durations import NS_PER_SECOND
from leadline.model.ids import AccountId, ContractId
from leadline.model.manifest.specs import TradingStrategy
from leadline.model.ticks import TickColumns, concat
from leadline.views.digest_values import decision_row, fill_row, order_row
from leadline.views.recorded_store import RecordedAccount
from tests.backtest.test_run import account, simulated, strategy

DAY = date(2025, 6, 11)
PAPER = AccountId("default/paper")
MES = ContractId("MESM2025")
AFTER_THE_ROLL = date(2025, 6, 17)
FIRST = 70_000
"""The source index of the first recorded print: a live tape counts on."""


@pytest.fixture(scope="module")
def traded() -> TradingStrategy:
    spec: dict[str, Any] = {"bars": "5m", "history": 1, "flattenBeforeClose": "5m"}
    return strategy(**spec, bracket={"stopTicks": 16, "targetTicks": 24})


@pytest.fixture(scope="module")
def outcome(traded: TradingStrategy) -> Outcome:
    """What a backtest of the day comes to: it looks whenever something has happened, and hears of it at once."""
    return run_backtest([account()], [traded], simulated(DAY, 1, 1), DAY, DAY)


@pytest.fixture(scope="module")
def prompt(outcome: Outcome, traded: TradingStrategy) -> RecordedAccount:
    """The rows of an account that was never late."""
    records = outcome.accounts[PAPER].records
    fills = [booked.fill for booked in records.fills.values()]
    return RecordedAccount(
        PAPER,
        account().spec.starting_balance,
        (traded,),
        tuple(sorted({each.instant_ns for each in records.events.values()})),
        {(each.strategy, each.bar_key): each.instant_ns for each in records.decisions.values()},
        {fill.fill_id: fill.time_ns for fill in fills},
        {(fill.client_id, fill.k): fill.time_ns for fill in fills},
        0,
    )


def market(first: int) -> dict[ContractId, TickColumns]:
    prints, days = simulated(DAY, 1, 1), []
    for each in prints.days(MES):
        days.append(numbered_from(prints.read(MES, each.day), first))
        first += each.prints
    return {MES: concat(days)}


def replayed(recorded: RecordedAccount, first: int = 0) -> RecordedDay:
    day = RecordedDay(recorded.strategies, market(first), DAY)
    asyncio.run(day.trade(account(), recorded, 1))
    return day


def rows(records: AccountRecords) -> list[Any]:
    orders = {client_id: written.order for client_id, written in records.orders.items()}
    found: list[Any] = [decision_row(PAPER, each) for each in records.decisions.values()]
    found += [order_row(PAPER, each, None) for each in orders.values()]
    return found + [fill_row(PAPER, each, orders[each.fill.client_id], None) for each in records.fills.values()]


def at(decided: RecordedAccount, old_ns: Iterable[int], by_ns: int) -> RecordedAccount:
    """The rows of an account that looked so much later at some instants."""
    late = set(old_ns)
    return replace(
        decided,
        instants=tuple(sorted(each + by_ns if each in late else each for each in decided.instants)),
        decided={key: each + by_ns if each in late else each for key, each in decided.decided.items()},
    )


def test_an_account_that_was_never_late_does_again_what_a_backtest_does(outcome: Outcome, prompt: RecordedAccount):
    records = outcome.accounts[PAPER].records
    assert len(records.fills) >= 4
    day = replayed(prompt)
    assert rows(day.records[PAPER]) == rows(records)
    assert day.filled_earlier(prompt) == 0


def test_an_entry_that_was_decided_late_fills_later(outcome: Outcome, prompt: RecordedAccount):
    records = outcome.accounts[PAPER].records
    entry = min((each for each in records.decisions.values() if each.accepted), key=lambda each: each.instant_ns)
    first = min(booked.fill.time_ns for booked in records.fills.values())
    again = replayed(at(prompt, [entry.instant_ns], 2 * NS_PER_SECOND)).records[PAPER]
    assert again.decisions[entry.decision_id].instant_ns == entry.instant_ns + 2 * NS_PER_SECOND
    assert again.decisions[entry.decision_id].accepted
    assert min(booked.fill.time_ns for booked in again.fills.values()) > first
    late = replayed(at(prompt, [entry.instant_ns], 4 * NS_PER_SECOND)).records[PAPER]
    assert late.decisions[entry.decision_id].reason == "late"


def test_a_fill_that_the_account_had_not_heard_of_is_not_there_yet(outcome: Outcome, prompt: RecordedAccount):
    records = outcome.accounts[PAPER].records
    entered = sorted((each for each in records.decisions.values() if each.accepted), key=lambda each: each.instant_ns)
    again = entered[1]
    fills = [booked.fill for booked in records.fills.values()]
    closed = max((fill for fill in fills if fill.time_ns <= again.instant_ns), key=lambda fill: fill.time_ns)
    heard_ns = again.instant_ns + 1
    unheard = replace(
        prompt,
        booked={**prompt.booked, closed.fill_id: heard_ns},
        instants=tuple(sorted({*prompt.instants, heard_ns})),
    )
    found = replayed(unheard).records[PAPER]
    assert found.decisions[again.decision_id].reason == "max_open_trades"
    assert found.fills[closed.fill_id].fill == closed


def test_an_order_that_came_late_to_its_venue_is_counted(prompt: RecordedAccount):
    (key, time_ns), *_ = sorted(prompt.filled.items(), key=lambda each: each[1])
    late = replace(prompt, filled={**prompt.filled, key: time_ns + 1})
    assert replayed(late).filled_earlier(late) == 1


def test_bars_and_fills_have_the_numbers_of_the_live_tape(prompt: RecordedAccount):
    unnumbered, numbered = replayed(prompt), replayed(prompt, FIRST)
    first, shifted = (
        [booked.fill.source_index for booked in day.records[PAPER].fills.values()] for day in (unnumbered, numbered)
    )
    assert shifted == [each + FIRST for each in first]
    lines = [orjson.loads(line) for line, kind in numbered.lines() if kind == "bar"]
    assert len(lines) == 78
    ends = [line["last_index"] for line in lines]
    assert [line["first_index"] for line in lines[1:]] == [end + 1 for end in ends[:-1]]
    history = simulated(DAY, 1, 1).days(MES)[0].prints
    assert FIRST + history < lines[0]["first_index"] < FIRST + history + 50_000


def test_bars_of_a_month_that_nobody_reads_any_more_are_there_as_the_live_tape_has_them(traded: TradingStrategy):
    own, old = simulated(AFTER_THE_ROLL, 1, 1), ContractId("MESM2025")
    (new,) = own.contracts
    days = [numbered_from(own.read(new, each.day), 0) for each in own.days(new)]
    whole = concat([days[0], numbered_from(days[1], days[0].last_index + 1)])
    day = RecordedDay((traded,), {new: whole, old: whole}, AFTER_THE_ROLL)
    bars = [orjson.loads(line)["bar_key"].split("/")[0] for line, kind in day.lines() if kind == "bar"]
    assert (bars.count(new), bars.count(old)) == (78, 78)
    assert [kind for _, kind in day.lines() if kind == "signal"] == ["signal"] * 78
