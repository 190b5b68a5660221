"""Limits that need the book: how old the tape's last print is, what margin is bound, and the second look in Tx A."""

from pathlib import Path

import pytest

from leadline.execution.core.account import account_view, settings
from leadline.model.ids import StrategyId
from leadline.model.orders import Bracket, Side
from leadline.risk.view import DecisionInputs, Quote, RiskDecision
from tests.execution.harness.builders import ES, LONG, MES, SHORT, account, bar, ns, says, strategy, tape
from tests.execution.harness.desk import Books, Desk, replace_risk

TIERS = [
    {"from": "0", "execute": "MES", "maxSize": 3, "dayLoss": "300"},
    {"from": "3500", "execute": "ES", "maxSize": 1, "dayLoss": "900"},
]


async def outcomes(desk: Desk) -> list[tuple[object, ...]]:
    """Every decision as (second, reason), run to the end of the tape."""
    await desk.run(read_back=True)
    return [(second, reason) for _, second, _, reason in await desk.decisions()]


async def test_an_entry_on_a_stale_quote_is_refused(books: Books, folder: Path):
    prints = {MES: tape((600, 20_000), (2500, 20_400))}
    desk = Desk(books, folder, prints, {"default/mes": says([bar(602), bar(602.000_000_001)], end=3000)}, [strategy()])
    desk.ends = 3000
    assert (await outcomes(desk))[0] == (602, "")  # two seconds old to the nanosecond

    late = Desk(books, folder, prints, {"default/mes": says([bar(2400)], end=3000)}, [strategy()], name="late")
    late.ends = 3000
    assert await outcomes(late) == [(2400, "stale")]
    assert await late.orders() == []


async def test_a_bar_that_is_known_by_its_grace_alone_has_a_stale_quote(books: Books, folder: Path):
    # The bar ends at 900; its last print is the nanosecond before, and none comes until it is known at 902.
    prints = {MES: tape((899.999_999_999, 20_000), (1000, 20_000))}
    desk = Desk(books, folder, prints, {"default/mes": says([bar(902)], end=1100)}, [strategy()], ends=1100)
    assert await outcomes(desk) == [(902, "stale")]


async def test_the_quote_is_that_of_the_tape_which_fills(books: Books, folder: Path):
    bars = {"default/mes": says([bar(600)], end=900)}
    mes, old_es = tape((600, 20_000), (601, 20_000)), tape((500, 20_000), (601, 20_000))
    where = account("5000", TIERS)
    both = Desk(books, folder, {MES: mes, ES: old_es}, bars, [strategy()], where, ends=900, name="both")
    assert await outcomes(both) == [(600, "stale")]
    # Without a tape of ES the prints of the signal's contract fill it.
    alone = Desk(books, folder, {MES: mes}, bars, [strategy()], where, ends=900, name="alone")
    assert await outcomes(alone) == [(600, "")]


async def test_an_entry_far_from_the_bar_that_asks_for_it_is_refused(books: Books, folder: Path):
    prints = {MES: tape((600, 20_021), (700, 20_020), (701, 20_020))}
    desk = Desk(books, folder, prints, {"default/mes": says([bar(600), bar(700)], end=900)}, [strategy()], ends=900)
    assert await outcomes(desk) == [(600, "price_collar"), (700, "")]


async def test_nothing_is_entered_on_the_last_trading_day_of_a_contract(books: Books, folder: Path):
    last_day = 10 * 86_400  # Friday 2025-06-20, on which ESM2025 settles at the open
    prints = {MES: tape((600, 20_000), (last_day, 20_000))}
    flow = strategy(instrument=MES)
    desk = Desk(books, folder, prints, {"default/mes": says([bar(last_day + 600)], end=last_day + 900)}, [flow])
    desk.prints = {MES: tape((600, 20_000), (last_day + 600, 20_000))}
    desk.ends = last_day + 900
    assert await outcomes(desk) == [(last_day + 600, "contract_expired")]


async def test_margin_of_what_is_held_and_working_is_not_there_for_the_next_entry(books: Books, folder: Path):
    # 700 carry two ES at 300 each. The second bar meets them held; nothing of the third's could be carried either.
    prints = {ES: tape((600, 20_000), (601, 20_000), (900, 20_001), (1300, 20_002), (2000, 20_003))}
    bars = [bar(second, contract=ES) for second in (600, 900, 1300)]
    limits = {"maxPosition": 50, "maxOpenTrades": 9, "dayLoss": "299"}
    desk = Desk(
        books,
        folder,
        prints,
        {"default/es": says(bars, end=2100, strategy=StrategyId("default/es"))},
        [strategy("es", "ES", size=2, budget=False)],
        account("700", limits=limits),
        ends=2100,
    )
    assert await outcomes(desk) == [(600, ""), (900, "margin"), (1300, "margin")]
    assert [(leg, quantity) for leg, _, _, quantity, *_ in await desk.orders() if leg == "E"] == [("E", 2)]


async def test_margin_in_use_counts_positions_and_live_entries_of_all_strategies(books: Books, folder: Path):
    prints = {MES: tape((600, 20_000), (601, 20_000)), ES: tape((600, 20_000), (601, 20_000))}
    signals = {
        "default/es": says([bar(700, contract=ES)], end=900, strategy=StrategyId("default/es")),
        "default/mes": says([bar(600)], end=900),
    }
    desk = Desk(
        books,
        folder,
        {MES: prints[MES], ES: tape((600, 20_000), (699, 20_000))},
        signals,
        [strategy(size=2), strategy("es", "ES")],
        account(limits={"maxPosition": 9, "maxOpenTrades": 9, "dayLoss": "5000"}),
        ends=900,
    )
    session = desk.open()
    await session.run()
    session.close()
    # Two MES are held at 40 each, and one ES is on its way at 300: no print comes any more.
    assert account_view(session.book, halt="").margin_in_use == 380
    es = settings(session.book, session.book.strategies[StrategyId("default/es")]).execute[0]
    assert (es.contract, es.quote, es.margin) == (ES, Quote(20_000, ns(699)), 300)


async def test_a_fixed_size_is_cut_to_the_tier_s_maximum(books: Books, folder: Path):
    prints = {MES: tape((600, 20_000), (601, 20_000), (700, 20_026))}
    where = account("4000", TIERS, limits={"maxPosition": 5})
    flows = [strategy(size=2)]
    desk = Desk(books, folder, prints, {"default/mes": says([bar(600)], end=900)}, flows, where, ends=900)
    assert await outcomes(desk) == [(600, "")]
    assert (await desk.orders())[0] == ("E", "MARKET", "BUY", 1, None, "FILLED")
    arithmetic = (await desk.rows("decision", "arithmetic", "instant_ns"))[0][0]
    assert [tuple(term) for term in arithmetic][:2] == [("fixed", "2"), ("tier_max", "1")]


class Reckless:
    """Risk that says yes to everything: what it lets through is for the account's own look to find."""

    def __init__(self, quantity: int = 1, side: Side = Side.BUY) -> None:
        self._quantity = quantity
        self._side = side

    async def decide(self, inputs: DecisionInputs) -> RiskDecision:
        contract = inputs.strategy.signal_contract
        return RiskDecision(
            True, "", self._side.value, self._quantity, contract, Bracket(16, 24), ("BUYING_ABSORPTION",), ()
        )


@pytest.mark.parametrize(
    ("reckless", "limits", "spec", "at", "reason"),
    [
        (Reckless(3), {}, {"size": 3, "budget": False}, 600, "max_position"),
        (Reckless(3), {"maxPosition": 9}, {"size": 2, "budget": False}, 600, "max_size"),
        (Reckless(2), {"dayLoss": "49.99"}, {"size": 2}, 600, "day_budget"),
        (Reckless(2), {"maxPosition": 99}, {"size": 2, "budget": False}, 1000, "stale"),
        (Reckless(1), {}, {}, 700, "price_collar"),
    ],
)
async def test_the_transaction_that_writes_an_order_asks_every_limit_again(
    books: Books,
    folder: Path,
    reckless: Reckless,
    limits: dict[str, str],
    spec: dict[str, object],
    at: int,
    reason: str,
):
    prints = {MES: tape((600, 20_000), (601, 20_000), (700, 20_021), (1100, 20_000))}
    flow = strategy(**spec)  # type: ignore[arg-type]
    desk = Desk(books, folder, prints, {"default/mes": says([bar(at)], end=1200)}, [flow], account(limits=limits))
    desk.ends = 1200
    await desk.run(through=lambda deps: replace_risk(deps, reckless), read_back=True)
    assert await desk.decisions() == [("default/mes", at, False, reason)]
    assert await desk.orders() == []


async def test_the_transaction_refuses_an_order_against_the_position_and_one_without_margin(books: Books, folder: Path):
    prints = {MES: tape((600, 20_000), (601, 20_000), (700, 20_000), (800, 20_000))}
    limits = {"maxPosition": 9, "maxOpenTrades": 9}
    signals = {"default/mes": says([bar(600, LONG), bar(700, SHORT)], end=900)}
    desk = Desk(books, folder, prints, signals, [strategy()], account(limits=limits), ends=900)
    session = desk.open(read_back=True)
    await session.run(until=lambda book: book.instant_ns >= ns(601))
    session.replace_deps(lambda deps: replace_risk(deps, Reckless(1, Side.SELL)))
    await session.run()
    session.close()
    assert (await desk.decisions())[-1] == ("default/mes", 700, False, "opposite_position")

    poor = Desk(books, folder, prints, {"default/mes": says([bar(600)], end=900)}, [strategy(budget=False)])
    poor.manifest, poor.ends, poor.name = account("39"), 900, "poor"
    await poor.run(through=lambda deps: replace_risk(deps, Reckless()), read_back=True)
    assert await poor.decisions() == [("default/mes", 600, False, "margin")]
