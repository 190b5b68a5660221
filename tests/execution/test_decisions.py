"""Which bars are decided, in which order, and how a decision is refused: always with its reason in the book."""

from dataclasses import asdict
from pathlib import Path

import pytest

from leadline.execution.loop.ports import NotAdmitted, Refused, Unavailable
from leadline.model.ids import AccountId, StrategyId, decision_id
from leadline.model.orders import Bracket
from leadline.model.signals import Pattern
from leadline.risk.decide import decide
from leadline.risk.view import DecisionInputs, RiskDecision
from tests.execution.harness.builders import (
    LONG,
    MES,
    MNQ,
    SHORT,
    account,
    bar,
    ns,
    says,
    signal,
    strategy,
    tape,
)
from tests.execution.harness.desk import Books, Desk, Session, replace_risk

QUIET = {MES: tape((600, 20_000), (601, 20_000), (1200, 20_001), (1800, 20_002))}


def desk_of(books: Books, folder: Path, *bars: object, **options: object) -> Desk:
    """One strategy on a quiet tape."""
    signals = {"default/mes": says(bars, end=2000)}  # type: ignore[arg-type]
    return Desk(books, folder, QUIET, signals, [strategy(**options)], ends=2000)  # type: ignore[arg-type]


async def test_signals_in_opposite_directions_are_no_trade(books: Books, folder: Path):
    desk = desk_of(books, folder, bar(600, LONG, SHORT))
    await desk.run(read_back=True)
    assert await desk.decisions() == [("default/mes", 600, False, "conflict")]
    assert await desk.orders() == []


async def test_what_the_router_refused_does_not_conflict(books: Books, folder: Path):
    desk = desk_of(books, folder, bar(600, LONG, signal(SHORT, approved=False)))
    await desk.run(read_back=True)
    assert await desk.decisions() == [("default/mes", 600, True, "")]


async def test_a_wide_bar_with_hundreds_of_signals_is_decided(books: Books, folder: Path):
    many = [LONG] * 80 + [signal(SHORT, approved=False)] * 800
    desk = desk_of(books, folder, bar(600, *many))
    await desk.run(read_back=True)
    assert await desk.decisions() == [("default/mes", 600, True, "")]


async def test_a_decision_is_stored_with_what_spoke_and_what_it_came_to(books: Books, folder: Path):
    weaker, stronger = signal(Pattern.BUYING_ABSORPTION, "0.6"), signal(Pattern.SELLING_EXHAUSTION, "0.9")
    said = bar(600, weaker, stronger)
    desk = desk_of(books, folder, said)
    await desk.run(read_back=True)
    columns = "decision_id, bar_key, side, quantity, contract, type, price, bracket, patterns, regime, trading_day"
    assert await desk.rows("decision", columns, "instant_ns") == [
        (
            decision_id(AccountId("default/paper"), StrategyId("default/mes"), said.bar.text()),
            "MESM2025/rth/5m-r1/2025-06-10/600",
            "BUY",
            1,
            MES,
            "MARKET",
            None,
            asdict(Bracket(16, 24)),
            ["SELLING_EXHAUSTION", "BUYING_ABSORPTION"],
            "RANGING",
            said.trading_day,
        )
    ]


async def test_a_refused_decision_keeps_the_term_that_bound_it(books: Books, folder: Path):
    desk = desk_of(books, folder, bar(600))
    desk.manifest = account(limits={"dayLoss": "24.99"})
    await desk.run(read_back=True)
    assert await desk.decisions() == [("default/mes", 600, False, "day_budget")]
    arithmetic = dict((await desk.rows("decision", "arithmetic", "instant_ns"))[0][0])
    assert (arithmetic["day_budget"], arithmetic["risk_per_contract"], arithmetic["budget_size"]) == (
        "24.99",
        "25.00",
        "0",
    )


async def test_one_trade_at_a_time_is_the_account_s_default(books: Books, folder: Path):
    desk = desk_of(books, folder, bar(600), bar(1200), bar(1800))
    await desk.run(read_back=True)
    assert [reason for *_, reason in await desk.decisions()] == ["", "max_open_trades", "max_open_trades"]


async def test_an_entry_still_on_its_way_takes_the_slot(books: Books, folder: Path):
    desk = desk_of(books, folder, bar(1800), bar(1801))  # no print comes any more
    await desk.run(read_back=True)
    assert [reason for *_, reason in await desk.decisions()] == ["", "max_open_trades"]
    assert await desk.orders() == [("E", "MARKET", "BUY", 1, None, "WORKING")]


async def test_strategies_decide_in_the_order_of_their_names_and_see_what_the_one_before_reserved(
    books: Books, folder: Path
):
    prints = {MES: QUIET[MES], MNQ: tape((600, 90_000), (601, 90_000))}
    signals = {
        "default/a-nasdaq": says(
            [bar(600, contract=MNQ, close=90_000)], end=2000, strategy=StrategyId("default/a-nasdaq")
        ),
        "default/mes": says([bar(600)], end=2000),
    }
    strategies = [strategy(), strategy("a-nasdaq", "MNQ")]
    desk = Desk(books, folder, prints, signals, strategies, ends=2000)
    await desk.run(read_back=True)
    assert await desk.decisions() == [
        ("default/a-nasdaq", 600, True, ""),
        ("default/mes", 600, False, "max_open_trades"),
    ]

    two = Desk(books, folder, prints, signals, strategies, ends=2000, name="two")
    two.manifest = account(limits={"maxOpenTrades": 2, "maxPosition": 2, "dayLoss": "36"})
    await two.run(read_back=True)
    assert await two.decisions() == [
        ("default/a-nasdaq", 600, True, ""),
        ("default/mes", 600, False, "day_budget"),
    ]
    arithmetic = dict((await two.rows("decision", "arithmetic", "strategy"))[1][0])
    # MNQ may lose 16 ticks and 2 of slippage at 0.50, and 2 x 1.25 of commission: 11.50.
    assert (arithmetic["day_budget"], arithmetic["budget_size"]) == ("24.50", "0")


async def test_bars_that_were_known_when_a_strategy_joined_only_warm_it_up(books: Books, folder: Path):
    desk = desk_of(books, folder, bar(600), bar(1200))
    desk.begins = 600
    await desk.run(read_back=True)
    assert await desk.decisions() == [("default/mes", 1200, True, "")]


async def test_only_the_analysis_that_was_named_counts(books: Books, folder: Path):
    desk = desk_of(books, folder)
    right = says([bar(1200)], end=2000)
    wrong = says([bar(600), bar(1200), bar(1800)], end=2000, analysis_hash="older")
    desk.signals = {"default/mes": [*wrong, *right]}
    await desk.run(read_back=True)
    assert await desk.decisions() == [("default/mes", 1200, True, "")]


async def test_a_new_analysis_decides_from_the_account_s_instant_on(books: Books, folder: Path):
    desk = desk_of(books, folder)
    new = says([bar(600), bar(1200), bar(1800)], end=2000, analysis_hash="newer")
    desk.signals = {"default/mes": [*says([bar(600), bar(1200)], end=1201), *new]}
    session = desk.open(read_back=True)
    await session.run(until=lambda book: book.instant_ns >= ns(1200))
    await session.set_strategy(strategy(), "newer")
    await session.run()
    session.close()
    assert [second for _, second, *_ in await desk.decisions()] == [600, 1200, 1800]


@pytest.mark.parametrize(
    ("state", "expected"), [("ReduceOnly", [("default/mes", 600, False, "strategy_not_running")]), ("Suspended", [])]
)
async def test_a_strategy_that_does_not_run_enters_nothing(
    books: Books, folder: Path, state: str, expected: list[object]
):
    # A suspended strategy is not waited for: whether its bar came in time would be chance, so it has no decision.
    desk = desk_of(books, folder, bar(600), state=state)
    await desk.run(read_back=True)
    assert await desk.decisions() == expected


async def test_nobody_waits_for_a_suspended_strategy(books: Books, folder: Path):
    desk = desk_of(books, folder, state="Suspended")
    desk.signals = {"default/mes": []}
    session = await desk.run()
    assert session.book.finished


class HaltWhileDeciding:
    """Risk that says yes, while somebody throws the kill switch."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def decide(self, inputs: DecisionInputs) -> RiskDecision:
        answer = decide(inputs)
        self._session.halt()
        return answer


async def test_the_limits_are_checked_again_in_the_transaction_that_writes_the_order(books: Books, folder: Path):
    desk = desk_of(books, folder, bar(600))
    session = desk.open(read_back=True)
    session.replace_deps(lambda deps: replace_risk(deps, HaltWhileDeciding(session)))
    await session.run()
    session.close()
    assert await desk.decisions() == [("default/mes", 600, False, "halted")]
    assert await desk.orders() == []
    assert session.market.orders() == ()
    assert session.book.trades == 0
    assert len((await desk.rows("decision", "arithmetic", "strategy"))[0][0]) > 5  # risk's arithmetic is kept


async def test_a_halt_blocks_entries_and_never_an_exit(books: Books, folder: Path):
    prints = {MES: tape((600, 20_000), (601, 20_000), (1200, 20_001), (23_101, 20_002))}
    signals = {"default/mes": says([bar(600), bar(1200)], end=23_400)}
    desk = Desk(books, folder, prints, signals, [strategy()], ends=23_400)
    session = desk.open(read_back=True)
    await session.run(until=lambda book: book.instant_ns >= ns(601))
    session.halt()
    await session.run()
    session.close()
    assert (await desk.decisions())[-1] == ("default/mes", 1200, False, "halted")
    assert [(leg, second) for leg, second, *_ in await desk.fills()] == [("E", 601), ("F1", 23_101)]


async def test_a_halt_outlives_the_process(books: Books, folder: Path):
    desk = desk_of(books, folder, bar(600))
    first = desk.open()
    first.halt()
    first.close()
    await desk.run()
    assert await desk.decisions() == [("default/mes", 600, False, "halted")]


class Failing:
    """Risk that fails so many times and then answers."""

    def __init__(self, error: Exception, times: int) -> None:
        self.error = error
        self.times = times
        self.calls = 0

    async def decide(self, inputs: DecisionInputs) -> RiskDecision:
        self.calls += 1
        if self.calls <= self.times:
            raise self.error
        return decide(inputs)


@pytest.mark.parametrize(
    "error", [Unavailable("risk does not answer", "risk"), NotAdmitted("risk does not know the token", "risk")]
)
async def test_risk_is_asked_until_it_answers(books: Books, folder: Path, error: Exception):
    failing = Failing(error, 4)
    desk = desk_of(books, folder, bar(600))
    await desk.run(through=lambda deps: replace_risk(deps, failing))
    assert failing.calls == 5
    assert await desk.decisions() == [("default/mes", 600, True, "")]


async def test_risk_is_not_asked_about_a_proposal_that_its_strategy_has_withdrawn(books: Books, folder: Path):
    silent = Failing(Unavailable("risk does not answer", "risk"), 1)
    desk = desk_of(books, folder, bar(600, LONG, SHORT))
    await desk.run(through=lambda deps: replace_risk(deps, silent))
    assert silent.calls == 0
    assert await desk.decisions() == [("default/mes", 600, False, "conflict")]


async def test_a_question_that_risk_refuses_is_a_refused_decision_and_the_account_goes_on(books: Books, folder: Path):
    failing = Failing(Refused("risk refuses: internal error, see the service's log", "risk"), 1)
    desk = desk_of(books, folder, bar(600), bar(1200))
    await desk.run(through=lambda deps: replace_risk(deps, failing))
    assert await desk.decisions() == [("default/mes", 600, False, "risk_error"), ("default/mes", 1200, True, "")]
    assert (await desk.rows("decision", "arithmetic", "instant_ns"))[0][0] == [
        ["error", "risk refuses: internal error, see the service's log"]
    ]


@pytest.mark.parametrize("multiplier", ["NaN", "sNaN", "1E+999999", "-Infinity"])
async def test_a_bar_with_numbers_that_are_none_is_refused_and_the_account_goes_on(
    books: Books, folder: Path, multiplier: str
):
    bad = bar(600, multiplier=multiplier)
    desk = desk_of(books, folder, bad, bar(1200))
    await desk.run()
    assert [(second, reason) for _, second, _, reason in await desk.decisions()] == [(600, "risk_error"), (1200, "")]
