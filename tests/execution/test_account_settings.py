"""The account's own settings in mid-run: stricter at once, looser from the roll on, and kept over a restart."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.execution.account import account_view, may_enter
from leadline.execution.account_settings import (
    bounds_in_force,
    hot_fields,
    loosening_waits,
    read_account,
    set_account,
    settings_hash,
)
from leadline.execution.book import Book, StrategyBook
from leadline.execution.day import roll
from leadline.model.errors import InvalidInput
from leadline.model.specs import TradingAccount
from tests.execution.harness.builders import (
    BUY,
    DAY,
    DAY_S,
    ES,
    MES,
    account,
    bar,
    ns,
    says,
    strategy,
    tape,
)
from tests.execution.harness.world import Books, Desk

MES_TIER = {"from": "0", "execute": "MES", "maxSize": 3, "dayLoss": "100"}


def two_days(books: Books, folder: Path, manifest: TradingAccount, **options: Any) -> Desk:
    """Two bars a day, the second one while the trade of the first is open; each day's trade reaches its target."""
    rows: list[tuple[float, ...]] = []
    for start in (0, DAY_S):
        rows += [(start + second, 20_000) for second in (600, 601, 1200)]
        rows += [(start + 1500, 20_040, 9, BUY), (start + 1501, 20_040, 9, BUY)]
    bars = [bar(start + second) for start in (0, DAY_S) for second in (600, 1200)]
    speech = {"default/mes": says(bars, end=DAY_S + 2000)}
    return Desk(books, folder, {MES: tape(*rows)}, speech, [strategy(**options)], manifest=manifest, ends=DAY_S + 2000)


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
    assert (spec.starting_balance, spec.paper.slippage_ticks) == (Decimal(10_000), 1)
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
    desk.speech = {**desk.speech, "default/es": []}
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


def test_switching_tiers_off_tightens_their_day_loss_to_the_default_at_once():
    book = bare_book(account(tiers=[{**MES_TIER, "dayLoss": "301"}]))
    book.strategies["default/mes"] = StrategyBook("default/mes", strategy(), "", "hash", ns(0), MES)
    set_account(book, account())
    assert in_force(book)["day_loss"] == 300


def bare_book(manifest: TradingAccount) -> Book:
    """An account on its first day, without a strategy."""
    book = Book(
        tape="tape",
        account="default/paper",
        manifest=manifest,
        feed_contracts=(ES, MES),
        trade_from=DAY,
        instant_ns=ns(0),
        equity_at_roll=manifest.spec.starting_balance,
    )
    roll(book)
    return book


def test_a_strategy_of_a_namespace_that_is_allowed_no_more_enters_nothing():
    book = bare_book(account(allowedNamespaces=["desk"]))
    manifest = strategy()
    manifest = manifest.model_copy(update={"metadata": manifest.metadata.model_copy(update={"namespace": "desk"})})
    visitor = StrategyBook("desk/mes", manifest, "", "hash", ns(0), MES)
    assert may_enter(book, visitor)
    set_account(book, account())
    assert not may_enter(book, visitor)


def test_the_first_settings_may_say_what_the_process_was_told():
    book = bare_book(account(halt=True))
    set_account(book, account(halt=True))
    assert book.settings is not None
    assert not loosening_waits(book)


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("{", "a TradingAccount as JSON"),
        ("[]", "a mapping with apiVersion"),
        ('{"apiVersion": "leadline.dev/v1alpha1", "kind": "TradingAccount"}', "metadata"),
        (
            '{"apiVersion": "leadline.dev/v1alpha1", "kind": "TradingAccount", "metadata": {"name": "other"}}',
            "the manifest of the account default/paper",
        ),
        (
            orjson.dumps(strategy().to_manifest()).decode(),
            "the manifest of the account default/paper",
        ),
    ],
)
def test_what_is_no_manifest_of_the_account_is_refused(text: str, match: str):
    with pytest.raises(InvalidInput, match=match):
        read_account(text, "default/paper")


def test_the_hash_names_the_hot_fields_and_nothing_else():
    one, same, other = account("10"), account("20"), account(limits={"dayLoss": "7"})
    assert settings_hash(hot_fields(one)) == settings_hash(hot_fields(same)) != settings_hash(hot_fields(other))


amounts = st.integers(1, 900).map(str)
counts = st.integers(1, 6)


@st.composite
def manifests(draw: st.DrawFn) -> TradingAccount:
    """Any account: each limit there or not, with tiers or without."""
    limits = {
        name: draw(values)
        for name, values in {
            "dayLoss": amounts,
            "dayTarget": amounts,
            "maxPosition": counts,
            "maxOpenTrades": counts,
            "maxOrdersPerSecond": counts,
            "maxEntriesPerHour": counts,
        }.items()
        if draw(st.booleans())
    }
    margins = draw(st.dictionaries(st.sampled_from(["MES", "ES"]), amounts))
    tiers = [
        {"from": start, "execute": draw(st.sampled_from(["MES", "ES"])), "maxSize": draw(counts), "dayLoss": loss}
        for start, loss in zip(["0", "5000", "20000"], draw(st.lists(amounts, max_size=3)), strict=False)
    ]
    return account(limits=limits, marginLimits=margins, tiers=tiers)


def in_force(book: Book) -> dict[str, Any]:
    """Every bound of the account, the sizes of its tier and the margins among them."""
    view = account_view(book, halt="")
    found = bounds_in_force(book, view)
    found |= {f"margin {root}": view.limits.margin_limits.get(root) for root in ("MES", "ES")}
    found["tier size"] = None if view.tier is None else view.tier.max_size
    return found


def no_looser(now: dict[str, Any], than: dict[str, Any]) -> bool:
    return all(bound is None or (now[name] is not None and now[name] <= bound) for name, bound in than.items())


@settings(max_examples=60)
@given(st.lists(manifests(), min_size=2, max_size=4))
def test_no_settings_loosen_anything_before_the_roll_and_all_of_them_hold_after_it(wanted: list[TradingAccount]):
    book = bare_book(wanted[0])
    book.calendar = "cme"
    book.strategies["default/mes"] = StrategyBook("default/mes", strategy(), "", "hash", ns(0), MES)
    for manifest in wanted[1:]:
        before = in_force(book)
        set_account(book, manifest)
        after = in_force(book)
        assert no_looser(after, before)
        fresh = in_force(bare_book(manifest))
        for name in set(fresh) - {"tier size"}:
            assert no_looser({name: after[name]}, {name: fresh[name]}), name
        set_account(book, manifest)
        assert in_force(book) == after
    book.instant_ns = ns(DAY_S)
    roll(book)
    assert in_force(book) == in_force(bare_book(wanted[-1]))
    assert not loosening_waits(book)
