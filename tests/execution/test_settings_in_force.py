"""Another manifest of the account laid over its book: each limit is the stricter one until the trading day rolls."""

from dataclasses import fields, replace
from decimal import Decimal
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from leadline.execution.core.account import account_view, may_enter
from leadline.execution.core.account_settings import (
    bounds_in_force,
    hot_fields,
    loosening_waits,
    read_account,
    set_account,
    settings_hash,
)
from leadline.execution.core.book import Book, StrategyBook
from leadline.execution.core.day import roll
from leadline.execution.loop.commands import tighten
from leadline.execution.venues.paper.venue import PaperVenue
from leadline.model.errors import InvalidInput
from leadline.model.ids import AccountId, RunId, StrategyId
from leadline.model.manifest.specs import TradingAccount
from leadline.risk.view import AccountLimits
from tests.execution.harness.books import position_of
from tests.execution.harness.builders import DAY, DAY_S, ES, MES, account, ns, strategy

MES_TIER = {"from": "0", "execute": "MES", "maxSize": 3, "dayLoss": "100"}
TIER = {"from": "0", "execute": "MES", "minSize": 1, "maxSize": 3, "dayLoss": "100"}
ALL_LIMITS = {
    "dayLoss": "7",
    "dayTarget": "8",
    "maxPosition": 9,
    "maxOpenTrades": 10,
    "maxOrdersPerSecond": 11,
    "maxEntriesPerHour": 12,
    "maxOrderValue": "13",
}
D = Decimal


def test_switching_tiers_off_tightens_their_day_loss_to_the_default_at_once():
    book = bare_book(account(tiers=[{**MES_TIER, "dayLoss": "301"}]))
    book.strategies[StrategyId("default/mes")] = StrategyBook(
        StrategyId("default/mes"), strategy(), "", "hash", ns(0), MES
    )
    set_account(book, account())
    assert in_force(book)["day_loss"] == 300


def bare_book(manifest: TradingAccount) -> Book:
    """An account on its first day, without a strategy."""
    book = Book(
        tape=RunId("tape"),
        account=AccountId("default/paper"),
        manifest=manifest,
        feed_contracts=(ES, MES),
        trade_from=DAY,
        instant_ns=ns(0),
        equity_at_roll=manifest.spec.starting_balance,
    )
    roll(book)
    return book


def traded(manifest: TradingAccount, *others: StrategyBook) -> Book:
    """An account with `default/mes`, and others."""
    book = bare_book(manifest)
    for owner in (StrategyBook(StrategyId("default/mes"), strategy(), "", "hash", ns(0), MES), *others):
        book.strategies[owner.strategy] = owner
    return book


def test_a_strategy_of_a_namespace_that_is_allowed_no_more_enters_nothing():
    manifest = strategy(account={"name": "paper", "namespace": "default"})
    manifest = manifest.model_copy(update={"metadata": manifest.metadata.model_copy(update={"namespace": "desk"})})
    book, visitor = (
        bare_book(account(allowedNamespaces=["desk"])),
        StrategyBook(StrategyId("desk/mes"), manifest, "", "h", 0, MES),
    )
    book.strategies[StrategyId("desk/mes")] = visitor
    assert may_enter(book, visitor)
    set_account(book, account())
    assert not may_enter(book, visitor)


def test_the_account_s_hot_fields_are_laid_over_what_it_was_begun_with():
    book = bare_book(account())
    wanted = account("77", paper={"slippageTicks": 9}, commission={"MES": "2"})
    hot = set_account(book, wanted)
    assert hot == book.settings == hot_fields(wanted)
    assert set_account(book, wanted) == hot
    spec = book.manifest.spec
    assert (spec.starting_balance, PaperVenue().section_of(spec).slippage_ticks, spec.commission) == (
        10_000,
        1,
        {"MES": 2},
    )


def test_settings_that_are_said_again_leave_what_was_tightened_since():
    book = traded(account())
    set_account(book, account(limits={"maxPosition": 2}))
    tighten(book, AccountLimits(max_position=2))  # as much as it is
    set_account(book, account(limits={"maxPosition": 2}))
    assert book.day_limits == AccountLimits(max_position=2)


def test_tiers_that_a_strategy_does_not_fit_are_refused_and_change_nothing():
    book = traded(account())
    before = book.manifest
    with pytest.raises(InvalidInput, match=r"TradingStrategy default/mes: spec\.instrument"):
        set_account(book, account(tiers=[{"from": "0", "execute": "NQ", "maxSize": 1}]))
    assert (book.manifest, book.settings) == (before, None)


def test_tiers_in_which_two_strategies_would_trade_one_contract_are_refused():
    book = traded(account(), StrategyBook(StrategyId("default/es"), strategy("es", "ES"), "", "hash", ns(0), ES))
    with pytest.raises(InvalidInput, match="default/es trades it on default/paper") as refused:
        set_account(book, account(tiers=[{"from": "0", "execute": "ES", "maxSize": 1}]))
    assert refused.value.field == "TradingStrategy default/mes: spec.instrument"


def test_other_tiers_hold_at_once_where_nothing_trades_and_nothing_is_held():
    book, wanted = bare_book(account()), account(tiers=[TIER, {**TIER, "from": "5000", "maxSize": 1}])
    set_account(book, wanted)
    assert (book.tiers, book.tier_index) == (None, 1)
    assert [tier.max_size for tier in book.tiers_in_force] == [3, 1]


def test_other_tiers_wait_while_somebody_s_position_is_held():
    book = bare_book(account())
    book.positions = {**book.positions, (StrategyId(""), MES): position_of(1, strategy=StrategyId(""))}
    set_account(book, account(tiers=[TIER]))
    assert (book.tiers, book.tier_index) == ((), -1)


def test_a_tier_that_was_kept_over_a_roll_stays_when_only_a_limit_changes():
    tiers = [TIER, {**TIER, "from": "5000", "dayLoss": "400"}]
    for book in (bare_book(account(tiers=tiers)), traded(account(tiers=tiers))):
        book.equity_at_roll = D(2_000)  # it was not flat when that became its equity
        set_account(book, account(tiers=tiers, limits={"maxPosition": 1}))
        assert (book.tiers, book.tier_index, in_force(book)["day_loss"]) == (None, 1, 400)
        assert not loosening_waits(book)


@pytest.mark.parametrize(
    ("before", "after", "held"),
    [
        ({"MES": "50"}, {}, {"MES": 50}),
        ({"MES": "50"}, {"MES": "60"}, {"MES": 50}),
        ({"MES": "50"}, {"MES": "50"}, {}),
        ({"MES": "50"}, {"MES": "40"}, {}),
        ({}, {"MES": "40"}, {}),
        ({"MES": "50", "ES": "500"}, {"MES": "40", "ES": "600"}, {"ES": 500}),
    ],
)
def test_a_margin_that_becomes_looser_is_held(before: dict[str, str], after: dict[str, str], held: dict[str, int]):
    book = traded(account(marginLimits=before))
    set_account(book, account(marginLimits=after, halt=True))
    assert book.margin_limits == held
    assert loosening_waits(book) is bool(held)


@pytest.mark.parametrize("name", [each.name for each in fields(AccountLimits) if each.name != "margin_limits"])
def test_each_limit_of_the_day_that_is_stricter_waits_for_the_roll(name: str):
    book = bare_book(account())
    assert loosening_waits(book) is False
    limit: dict[str, Any] = {name: 1}
    book.day_limits = AccountLimits(**limit)
    assert loosening_waits(book) is True


def test_other_tiers_wait_for_the_roll():
    book = bare_book(account())
    book.tiers = ()
    assert loosening_waits(book) is True


def test_every_bound_of_an_account_that_says_nothing_and_of_one_that_says_all():
    silent, says_all = bare_book(account()), bare_book(account(limits=ALL_LIMITS))
    assert bounds_in_force(silent, account_view(silent, halt="")) == {
        "day_loss": 300,
        "day_target": 500,
        "max_position": 2,
        "max_open_trades": 1,
        "max_orders_per_second": 5,
        "max_entries_per_hour": None,
        "max_order_value": None,
    }
    assert bounds_in_force(says_all, account_view(says_all, halt="")) == {
        "day_loss": 7,
        "day_target": 8,
        "max_position": 9,
        "max_open_trades": 10,
        "max_orders_per_second": 11,
        "max_entries_per_hour": 12,
        "max_order_value": 13,
    }


def sizes(book: Book) -> list[tuple[int, int]]:
    return [(tier.min_size, tier.max_size) for tier in book.tiers_in_force]


@pytest.mark.parametrize(
    ("present", "coming", "until_the_roll"),
    [
        ((2, 3), (1, 1), (1, 1)),
        ((1, 1), (2, 3), (1, 1)),
        ((2, 4), (1, 3), (1, 3)),
        ((1, 3), (2, 4), (1, 3)),
        ((2, 2), (3, 3), (2, 2)),
    ],
)
def test_until_the_roll_a_tier_is_no_larger_than_either_table_has_it(
    present: tuple[int, int], coming: tuple[int, int], until_the_roll: tuple[int, int]
):
    def tier(start: str, size: tuple[int, int]) -> dict[str, Any]:
        return {**TIER, "from": start, "minSize": size[0], "maxSize": size[1]}

    book = traded(account(tiers=[tier("0", (5, 6)), tier("5000", present), tier("50000", (7, 8))]))
    assert book.tier_index == 1
    set_account(book, account(tiers=[tier("0", coming)]))
    assert sizes(book) == [(5, 6), until_the_roll, (7, 8)]
    assert loosening_waits(book)


@pytest.mark.parametrize(
    ("before", "after", "state"),
    [
        ([TIER], [{**TIER, "execute": "ES", "maxSize": 1}], {}),
        ([TIER], [{**TIER, "maxSize": 1}], {"equity_at_roll": D(-1)}),
        ([TIER], [{**TIER, "maxSize": 1}], {"tier_index": -1}),
        ([TIER], [{**TIER, "maxSize": 1}], {"tier_index": 1}),
        ([TIER], [], {}),
        ([], [TIER], {}),
    ],
    ids=["another root", "no tier to come", "no tier now", "a tier of another table", "tiers off", "tiers on"],
)
def test_tiers_that_cannot_be_compared_stay_as_they_are_until_the_roll(
    before: list[dict[str, Any]], after: list[dict[str, Any]], state: dict[str, Any]
):
    book = replace(traded(account(tiers=before)), **state)
    in_force_before = book.tiers_in_force
    set_account(book, account(tiers=after))
    assert book.tiers == in_force_before
    assert loosening_waits(book)


def test_the_first_tier_is_compared_like_any_other():
    book = traded(account(tiers=[TIER]))
    set_account(book, account(tiers=[{**TIER, "maxSize": 1}]))
    assert sizes(book) == [(1, 1)]


def test_the_same_tiers_wait_for_nothing():
    book = traded(account(tiers=[TIER]))
    set_account(book, account(tiers=[TIER], limits={"maxPosition": 1}))
    assert (book.tiers, loosening_waits(book)) == (None, False)


def test_a_manifest_of_the_account_is_read():
    wanted = account(limits={"dayLoss": "7"})
    assert read_account(orjson.dumps(wanted.to_manifest()).decode(), AccountId("default/paper")) == wanted


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
            orjson.dumps(strategy("paper").to_manifest()).decode(),
            "the manifest of the account default/paper",
        ),
    ],
)
def test_what_is_no_manifest_of_the_account_is_refused(text: str, match: str):
    with pytest.raises(InvalidInput, match=match):
        read_account(text, AccountId("default/paper"))


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
    book.strategies[StrategyId("default/mes")] = StrategyBook(
        StrategyId("default/mes"), strategy(), "", "hash", ns(0), MES
    )
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
