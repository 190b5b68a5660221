"""Another manifest of the account laid over its book: each limit is the stricter one until the trading day rolls."""

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
from tests.execution.harness.builders import DAY, DAY_S, ES, MES, account, ns, strategy

MES_TIER = {"from": "0", "execute": "MES", "maxSize": 3, "dayLoss": "100"}


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
