"""The account's own settings in mid-run: stricter at once, looser from the roll on, and kept over a restart."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from leadline.execution.core.account import account_view
from leadline.execution.core.account_settings import (
    bounds_in_force,
    hot_fields,
    loosening_waits,
)
from leadline.execution.venues.paper.venue import PaperVenue
from leadline.model.errors import InvalidInput
from leadline.model.manifest.specs import TradingAccount
from tests.execution.harness.builders import (
    BUY,
    DAY_S,
    ES,
    MES,
    account,
    bar,
    says,
    strategy,
    tape,
)
from tests.execution.harness.desk import Books, Desk

MES_TIER = {"from": "0", "execute": "MES", "maxSize": 3, "dayLoss": "100"}


def two_days(books: Books, folder: Path, manifest: TradingAccount, **options: Any) -> Desk:
    """Two bars a day, the second one while the trade of the first is open; each day's trade reaches its target."""
    rows: list[tuple[float, ...]] = []
    for start in (0, DAY_S):
        rows += [(start + second, 20_000) for second in (600, 601, 1200)]
        rows += [(start + 1500, 20_040, 9, BUY), (start + 1501, 20_040, 9, BUY)]
    bars = [bar(start + second) for start in (0, DAY_S) for second in (600, 1200)]
    signals = {"default/mes": says(bars, end=DAY_S + 2000)}
    return Desk(books, folder, {MES: tape(*rows)}, signals, [strategy(**options)], manifest=manifest, ends=DAY_S + 2000)


async def reasons(desk: Desk) -> list[str]:
    return [reason for *_, reason in await desk.decisions()]


async def test_a_stricter_limit_holds_at_once(books: Books, folder: Path):
    desk = two_days(books, folder, account(limits={"maxOpenTrades": 2, "maxPosition": 4}))
    session = desk.open(read_back=True)
    await session.until(700)
    await session.set_account(account(limits={"maxOpenTrades": 1, "maxPosition": 4}))
    assert not loosening_waits(session.book)
    await session.run()
    session.close()
    assert await reasons(desk) == ["", "max_open_trades", "", "max_open_trades"]


async def test_a_looser_limit_waits_for_the_roll(books: Books, folder: Path):
    desk = two_days(books, folder, account())
    session = desk.open(read_back=True)
    await session.until(700)
    await session.set_account(account(limits={"maxOpenTrades": 2, "maxPosition": 4}))
    assert loosening_waits(session.book)
    await session.run()
    session.close()
    assert await reasons(desk) == ["", "max_open_trades", "", ""]
    assert not loosening_waits(session.book)


async def test_a_margin_that_pauses_entries_does_so_at_once_and_lets_them_go_at_the_roll(books: Books, folder: Path):
    desk = two_days(books, folder, account(limits={"maxOpenTrades": 2, "maxPosition": 4}))
    session = desk.open(read_back=True)
    await session.until(700)
    await session.set_account(account(limits={"maxOpenTrades": 2, "maxPosition": 4}, marginLimits={"MES": "1"}))
    await session.until(800)
    await session.set_account(account(limits={"maxOpenTrades": 2, "maxPosition": 4}))
    assert loosening_waits(session.book)
    await session.run()
    session.close()
    assert await reasons(desk) == ["", "margin_above_limit", "", ""]


async def test_settings_outlive_the_process_whose_own_are_older(books: Books, folder: Path):
    desk = two_days(books, folder, account())
    wanted = account(
        limits={"maxOpenTrades": 2, "maxPosition": 4}, commission={"MES": "2.00"}, marginLimits={"ES": "9"}
    )
    session = desk.open()
    await session.until(700)
    await session.set_account(wanted)
    session.close()
    assert desk.manifest != wanted
    session = await desk.run(read_back=True)
    assert session.book.manifest == wanted
    assert session.book.settings == hot_fields(wanted)
    assert await reasons(desk) == ["", "max_open_trades", "", ""]
    assert [fill[-1] for fill in await desk.fills()][:2] == [Decimal("1.25"), Decimal("2.00")]


async def test_only_hot_fields_act(books: Books, folder: Path):
    desk = two_days(books, folder, account())
    session = desk.open(read_back=True)
    await session.until(700)
    await session.set_account(account("77", paper={"slippageTicks": 9}, commission={"MES": "2"}))
    spec = session.book.manifest.spec
    assert (spec.starting_balance, PaperVenue().section_of(spec).slippage_ticks) == (Decimal(10_000), 1)
    assert spec.commission == {"MES": Decimal(2)}
    session.close()


async def test_a_smaller_tier_holds_at_once_and_another_root_from_the_roll(books: Books, folder: Path):
    desk = two_days(books, folder, account(tiers=[MES_TIER], limits={"maxPosition": 9}), size=None, budget=False)
    desk.prints = {**desk.prints, ES: desk.prints[MES]}
    session = desk.open(read_back=True)
    await session.until(60)
    smaller = {**MES_TIER, "maxSize": 1, "dayLoss": "60"}
    await session.set_account(account(tiers=[smaller], limits={"maxPosition": 9}))
    view = account_view(session.book, halt="")
    assert (view.tier and view.tier.max_size, bounds_in_force(session.book, view)["day_loss"]) == (1, 60)

    await session.until(800)
    await session.set_account(account(tiers=[{**MES_TIER, "execute": "ES"}], limits={"maxPosition": 9}))
    assert set(session.book.contracts(strategy())) == {MES, ES}
    await session.run()
    session.close()
    assert await desk.rows("decision", "contract, quantity", "instant_ns") == [(MES, 1), ("", 0), (ES, 1), ("", 0)]


async def test_tiers_that_a_strategy_does_not_fit_are_refused(books: Books, folder: Path):
    desk = two_days(books, folder, account())
    session = desk.open()
    await session.until(60)
    with pytest.raises(InvalidInput, match=r"TradingStrategy default/mes: spec\.instrument"):
        await session.set_account(account(tiers=[{"from": "0", "execute": "NQ", "maxSize": 1}]))
    session.close()


async def test_tiers_in_which_two_strategies_would_meet_are_refused(books: Books, folder: Path):
    desk = two_days(books, folder, account())
    desk.prints = {**desk.prints, ES: desk.prints[MES]}
    desk.strategies = [strategy(), strategy("es", "ES")]
    desk.signals = {**desk.signals, "default/es": []}
    session = desk.open()
    await session.start()
    with pytest.raises(InvalidInput, match="default/es trades it on default/paper"):
        await session.set_account(account(tiers=[{"from": "0", "execute": "ES", "maxSize": 1}]))
    session.close()


async def test_other_tiers_hold_at_once_where_nothing_trades(books: Books, folder: Path):
    desk = two_days(books, folder, account())
    desk.strategies = []
    session = desk.open(read_back=True)
    await session.start()
    await session.set_account(account(tiers=[{"from": "0", "execute": "NQ", "maxSize": 1}]))
    assert [tier.execute for tier in session.book.tiers_in_force] == ["NQ"]
    assert session.book.tier_index == 0
    session.close()
