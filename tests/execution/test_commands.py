"""What may be asked of an account, each command by itself on a book made by hand: what it changes, what it refuses."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import orjson
import pytest

from leadline.execution.core.book import Book, Drain, Fence, HeldLimits, StrategyBook
from leadline.execution.core.contracts import tiers_of
from leadline.execution.loop.commands import cancellable_entry, drain, release, set_strategy, tighten
from leadline.model.errors import InvalidInput, Unknown
from leadline.model.ids import ClientOrderId, ContractId, StrategyId, derive
from leadline.model.manifest.manifests import InvalidManifest
from leadline.model.manifest.specs import TradingAccount, TradingStrategy
from leadline.model.orders import OrderState
from leadline.risk.view import AccountLimits, StrategyLimits
from tests.execution.harness.books import book_of, order_of, position_of
from tests.execution.harness.builders import ES, MES, NQ, account, ns, strategy

D = Decimal
S = OrderState
NAME = StrategyId("default/mes")
MES_NEXT = ContractId("MESU2025")
LATER = date(2025, 6, 24)
"""A day on which September trades."""
FENCE = Fence("malformed", "a side that is none", ns(500), ns(700))


def text(manifest: TradingStrategy) -> str:
    return orjson.dumps(manifest.to_manifest()).decode()


def named(book: Book, manifest: TradingStrategy | None = None, analysis_hash: str = "hash") -> StrategyBook:
    """A strategy's settings, as the supervisor or the operator names them."""
    manifest = manifest or strategy()
    return set_strategy(book, manifest.full_name, analysis_hash, text(manifest))


def fresh(manifest: TradingAccount | None = None, *feed: ContractId, **fields: Any) -> Book:
    """An account without a strategy."""
    book, _ = book_of(manifest=manifest)
    book.strategies.clear()
    book.feed_contracts = feed or (MES,)
    return replace(book, **fields)


# --- set_strategy ---


def test_a_new_strategy_joins_at_the_account_s_instant_with_the_front_contract():
    book, manifest = fresh(), strategy(size=2)
    found = named(book, manifest, "one")
    assert book.strategies == {NAME: found}
    assert found == StrategyBook(NAME, manifest, found.settings_hash, "one", ns(600), MES)
    assert book.calendar == "cme"


def test_settings_are_named_by_what_they_say_and_not_by_how_they_are_written():
    document = strategy().to_manifest()
    one = set_strategy(fresh(), NAME, "hash", orjson.dumps(document).decode())
    turned = orjson.dumps(dict(reversed(document.items())), option=orjson.OPT_INDENT_2).decode()
    assert set_strategy(fresh(), NAME, "hash", turned).settings_hash == one.settings_hash
    assert named(fresh(), strategy(size=2)).settings_hash != one.settings_hash
    assert one.settings_hash == derive("settings", orjson.dumps(document, option=orjson.OPT_SORT_KEYS).decode())


@pytest.mark.parametrize("given", ["{", '{"kind": "TradingStrategy"}', "[]"])
def test_what_is_no_manifest_of_a_strategy_is_refused(given: str):
    with pytest.raises(InvalidInput, match="expected a TradingStrategy") as refused:
        set_strategy(fresh(), NAME, "hash", given)
    assert refused.value.field == "manifest_json"


@pytest.mark.parametrize(
    ("name", "manifest", "analysis_hash", "field", "expected"),
    [
        ("default/other", strategy(), "hash", "strategy", "the manifest's own name default/mes"),
        (NAME, strategy(account={"name": "prop"}), "hash", "spec.account", "default/paper"),
        (NAME, strategy(), "", "analysis_hash", "the hash of its code and settings"),
        (NAME, strategy(), "h\x00", "analysis_hash", "the hash of its code and settings"),
        (NAME, strategy(), "h" * 129, "analysis_hash", "the hash of its code and settings"),
    ],
)
def test_a_strategy_is_named_with_its_account_and_its_analysis(
    name: str, manifest: TradingStrategy, analysis_hash: str, field: str, expected: str
):
    book = fresh()
    with pytest.raises(InvalidInput) as refused:
        set_strategy(book, StrategyId(name), analysis_hash, text(manifest))
    assert (refused.value.field, refused.value.expected) == (field, expected)
    assert book.strategies == {}


@pytest.mark.parametrize("length", [1, 128])
def test_the_hash_of_an_analysis_has_a_bounded_length(length: int):
    assert named(fresh(), analysis_hash="h" * length).analysis_hash == "h" * length


def test_a_strategy_without_a_stop_is_refused_while_a_tier_that_goes_on_may_fill_it_with_a_root_of_unknown_risk():
    tiers = [[{"from": "0", "execute": root, "maxSize": 1}] for root in ("ES", "MES")]
    before, after = [account(tiers=rows, noStopRiskTicks={"MES": 40}) for rows in tiers]
    book, without_stop = fresh(after), strategy(bracket={"targetTicks": 16})
    assert named(book, without_stop).contract == MES
    book.tiers = tiers_of(before)
    with pytest.raises(InvalidManifest, match="noStopRiskTicks of the account default/paper has no risk for ES"):
        named(book, without_stop)


def test_a_manifest_whose_texts_no_table_can_hold_is_refused():
    book, given = fresh(), strategy().to_manifest()
    given["metadata"]["annotations"] = {"note": "zero \x00"}
    with pytest.raises(InvalidInput, match="texts that a table can hold"):
        set_strategy(book, NAME, "hash", orjson.dumps(given).decode())
    assert book.strategies == {}
    given["metadata"]["annotations"] = {"note": r"six characters: \u0000"}
    assert set_strategy(book, NAME, "hash", orjson.dumps(given).decode()) is book.strategies[NAME]


def test_a_strategy_that_does_not_fit_its_account_is_refused():
    with pytest.raises(InvalidManifest, match=r"TradingStrategy default/mes: spec\.instrument"):
        named(fresh(account(tiers=[{"from": "0", "execute": "NQ", "maxSize": 1}])))


def test_a_day_whose_contract_the_feed_does_not_have_is_refused():
    with pytest.raises(Unknown, match=rf"unknown contract of the feed 'MES on {LATER}', known: {MES}$"):
        named(fresh(trading_day=LATER))


def test_the_first_strategy_gives_the_account_its_trading_day_and_another_one_is_refused():
    coin = strategy("coin", "BTCUSDT", strategy={"entryPoint": "acme:Own"})
    book = fresh(account(currency="USDT"), ContractId("BTCUSDT"))
    with pytest.raises(InvalidInput, match="as that of the account default/paper does"):
        named(replace(book, calendar="cme"), coin)
    named(book, coin)
    assert book.calendar == "24x7"
    other = fresh(calendar="comex")  # its trading day begins when that of MES does
    named(other)
    assert other.calendar == "comex"


def test_two_strategies_never_share_a_contract_and_one_may_be_named_again():
    book = fresh(None, MES, ES)
    named(book)
    named(book)
    with pytest.raises(InvalidInput, match="default/mes trades it on default/paper") as refused:
        named(book, strategy("other", "MES"))
    assert refused.value.field == "TradingStrategy default/other: spec.instrument"
    assert list(book.strategies) == [NAME]
    book.strategies[NAME].drain = Drain("gone", "Cancel", "Keep", ns(0))  # flat: only its history is left
    assert named(book, strategy("other", "MES")).contract == MES


def test_a_strategy_keeps_the_contract_that_it_reads_until_its_own_roll():
    book = fresh(None, MES, MES_NEXT)
    named(book)
    book.trading_day = LATER
    assert named(book, strategy(size=2)).contract == MES
    assert named(book, strategy(instrument=MES_NEXT)).contract == MES_NEXT
    assert named(book).contract == MES_NEXT


def test_another_contract_is_refused_while_the_strategy_holds_one():
    book = fresh(None, MES, NQ)
    before = named(book)
    book.positions = {**book.positions, (NAME, MES): position_of(1)}
    with pytest.raises(InvalidInput, match="no other contract while it holds one") as refused:
        named(book, strategy(instrument="NQ"))
    assert (refused.value.field, refused.value.value) == ("spec.instrument", "NQ")
    assert book.strategies[NAME] == before
    assert named(book, strategy(instrument=MES)).contract == MES  # the same contract by its own name
    book.positions = {}
    assert named(book, strategy(instrument="NQ")).contract == NQ


def test_naming_a_strategy_ends_its_drain_and_what_is_being_closed_is_closed_all_the_same():
    book, _ = book_of(drain=Drain("one", "Cancel", "Flatten", ns(0)), flatten="drain")
    owner = book.strategies[NAME]
    owner.realised, owner.trades = D(7), 3
    after = named(book)
    assert (after.drain, after.flatten, after.realised, after.trades) == (None, "drain", 7, 3)


@pytest.mark.parametrize(
    ("before", "manifest", "analysis_hash", "joins"),
    [
        ({}, strategy(size=2), "hash", False),
        ({}, strategy(size=2), "another", True),
        ({}, strategy(state="Suspended"), "hash", False),
        ({}, strategy(state="Suspended"), "another", True),
        ({"drain": Drain("one", "Cancel", "Keep", ns(0))}, strategy(), "hash", True),
        ({"drain": Drain("one", "Cancel", "Keep", ns(0))}, strategy(state="Suspended"), "hash", False),
        ({"fence": FENCE}, strategy(state="Suspended"), "hash", False),
    ],
)
def test_who_was_not_waited_for_or_has_another_analysis_joins_at_the_account_s_instant(
    before: dict[str, Any], manifest: TradingStrategy, analysis_hash: str, joins: bool
):
    book, _ = book_of(**before)
    after = named(book, manifest, analysis_hash)
    assert (after.manifest, after.analysis_hash) == (manifest, analysis_hash)
    assert after.joined_ns == (ns(600) if joins else ns(0))
    assert after.settings_hash == named(fresh(), manifest).settings_hash


@pytest.mark.parametrize(("seconds", "joined"), [(600, 700), (800, 800)])
def test_naming_a_strategy_ends_its_fence_and_what_it_said_before_is_not_heard_again(seconds: float, joined: float):
    book, _ = book_of(seconds=seconds, fence=FENCE)
    after = named(book)
    assert (after.fence, after.cleared_ns, after.joined_ns) == (None, ns(700), ns(joined))


def test_what_was_cleared_before_stays_cleared():
    book, _ = book_of(cleared_ns=ns(700))
    assert named(book, analysis_hash="another").joined_ns == ns(700)


HELD = StrategyLimits(max_position=2, max_trades_per_day=10, day_loss=D(200), max_orders_per_second=5)
LOOSE, STRICT = {"maxPosition": 4, "dayLoss": "300"}, {"maxPosition": 2, "dayLoss": "200"}


@pytest.mark.parametrize(
    ("exposed", "before", "after", "holds"),
    [
        (True, STRICT, LOOSE, True),
        (True, STRICT, {"maxPosition": 1, "dayLoss": "300"}, True),
        (True, LOOSE, STRICT, False),
        (True, STRICT, STRICT, False),
        (False, STRICT, LOOSE, False),
    ],
)
def test_looser_limits_wait_for_a_strategy_that_is_exposed(
    exposed: bool, before: dict[str, Any], after: dict[str, Any], holds: bool
):
    book = fresh()
    named(book, strategy(risk=before))
    if exposed:
        book.positions = {**book.positions, (NAME, MES): position_of(1)}
    held = named(book, strategy(risk=after)).held
    if not holds:
        assert held is None
        return
    assert held is not None
    assert (held.since_ns, held.limits.max_position, held.limits.day_loss) == (ns(600), 2, 200)


def test_limits_that_are_held_stay_held_while_the_settings_stay_looser():
    book, _ = book_of(position=1, held=HeldLimits(ns(300), HELD))
    assert named(book, strategy(risk=LOOSE)).held == HeldLimits(ns(600), HELD)
    assert named(book, strategy(risk={"maxPosition": 1, "maxTradesPerDay": 1, "dayLoss": "1"})).held is None


# --- release ---


def test_a_person_s_release_ends_the_fence_and_is_told():
    book, changes = book_of(fence=FENCE)
    assert release(book, changes, NAME, "ann", "looked at") is FENCE
    assert book.strategies[NAME].fence is None
    [event] = changes.events
    assert (event.kind, event.body["cleared_by"], event.body["clear_reason"]) == ("fence", "ann", "looked at")


def test_only_a_strategy_that_is_fenced_off_is_released():
    book, changes = book_of()
    with pytest.raises(Unknown, match=r"unknown strategy 'default/who', known: default/mes$"):
        release(book, changes, StrategyId("default/who"), "ann", "why")
    with pytest.raises(InvalidInput, match="strategy: got 'default/mes', expected one that is fenced off"):
        release(book, changes, NAME, "ann", "why")
    assert changes.events == []


# --- drain ---


@pytest.mark.parametrize("positions", ["Keep", "Flatten", "Refuse"])
@pytest.mark.parametrize("working", ["Cancel", "Keep"])
def test_a_drain_is_in_force_and_closes_positions_where_it_says_so(working: str, positions: str):
    book, _ = book_of()
    wanted = Drain("d" * 128, working, positions, ns(600))
    assert drain(book, NAME, wanted) is wanted
    owner = book.strategies[NAME]
    assert owner.drain is wanted
    assert owner.flatten == ("drain" if positions == "Flatten" else "")


@pytest.mark.parametrize("length", [1, 128])
def test_the_id_of_a_drain_has_a_bounded_length(length: int):
    book, _ = book_of()
    assert drain(book, NAME, Drain("d" * length, "Cancel", "Keep", 0)).drain_id == "d" * length


def test_a_strategy_that_is_being_closed_already_keeps_its_reason():
    book, _ = book_of(flatten="a person")
    drain(book, NAME, Drain("one", "Cancel", "Flatten", ns(600)))
    assert book.strategies[NAME].flatten == "a person"


def test_a_drain_said_again_changes_nothing_and_another_one_takes_its_place():
    book, _ = book_of()
    first = drain(book, NAME, Drain("one", "Cancel", "Keep", ns(600)))
    assert drain(book, NAME, Drain("one", "Cancel", "Keep", ns(900))) is first
    for other in (Drain("one", "Keep", "Keep", ns(900)), Drain("one", "Cancel", "Flatten", ns(900))):
        with pytest.raises(InvalidInput, match="another id: this one drains with Cancel and Keep") as refused:
            drain(book, NAME, other)
        assert (refused.value.field, refused.value.value) == ("drain_id", "one")
    assert (book.strategies[NAME].drain, book.strategies[NAME].flatten) == (first, "")
    second = Drain("two", "Keep", "Refuse", ns(900))
    assert drain(book, NAME, second) is second
    assert book.strategies[NAME].drain is second


@pytest.mark.parametrize(
    ("wanted", "field", "expected"),
    [
        (Drain("", "Cancel", "Keep", 0), "drain_id", "1 to 128 printable characters"),
        (Drain("d" * 129, "Cancel", "Keep", 0), "drain_id", "1 to 128 printable characters"),
        (Drain("d\x00", "Cancel", "Keep", 0), "drain_id", "1 to 128 printable characters"),
        (Drain("one", "cancel", "Keep", 0), "working_orders", "Cancel or Keep"),
        (Drain("one", "Refuse", "Keep", 0), "working_orders", "Cancel or Keep"),
        (Drain("one", "Cancel", "Cancel", 0), "positions", "Keep or Flatten or Refuse"),
    ],
)
def test_words_that_a_drain_does_not_know_are_refused(wanted: Drain, field: str, expected: str):
    book, _ = book_of()
    with pytest.raises(InvalidInput) as refused:
        drain(book, NAME, wanted)
    assert (refused.value.field, refused.value.value) == (field, getattr(wanted, field))
    assert refused.value.expected == expected
    assert book.strategies[NAME].drain is None


def test_a_strategy_that_the_account_never_heard_of_cannot_be_drained():
    book, _ = book_of()
    book.strategies[StrategyId("default/a")] = book.strategies[NAME]
    with pytest.raises(Unknown, match=r"unknown strategy 'default/who', known: default/a, default/mes$"):
        drain(book, StrategyId("default/who"), Drain("one", "Cancel", "Keep", 0))


# --- tighten ---

LIMITS = {
    "dayLoss": "300",
    "dayTarget": "500",
    "maxPosition": 4,
    "maxOpenTrades": 3,
    "maxOrdersPerSecond": 5,
    "maxEntriesPerHour": 20,
}
IN_FORCE = {
    "day_loss": D(300),
    "day_target": D(500),
    "max_position": 4,
    "max_open_trades": 3,
    "max_orders_per_second": 5,
    "max_entries_per_hour": 20,
}


@pytest.mark.parametrize(("name", "bound"), IN_FORCE.items())
def test_a_limit_may_become_stricter_or_stay_and_never_looser(name: str, bound: Any):
    book, _ = book_of(manifest=account(limits=LIMITS))
    one: Any = D("0.01") if isinstance(bound, D) else 1
    for wrong in (bound + one, 0 * bound, -one):
        with pytest.raises(InvalidInput) as refused:
            tighten(book, AccountLimits(**{name: wrong}))
        assert (refused.value.field, refused.value.value) == (name, wrong)
        assert refused.value.expected == f"more than 0 and at most {bound}"
    assert book.day_limits == AccountLimits()
    for right in (bound, bound - one, one):
        tighten(book, AccountLimits(**{name: right}))
        assert book.day_limits == AccountLimits(**{name: right})
    with pytest.raises(InvalidInput, match=f"more than 0 and at most {one}$"):
        tighten(book, AccountLimits(**{name: bound}))  # what was tightened is in force


def test_a_limit_that_the_account_does_not_have_may_be_anything_above_nothing():
    book, _ = book_of()
    with pytest.raises(InvalidInput, match=r"expected more than 0$"):
        tighten(book, AccountLimits(max_entries_per_hour=0))
    tighten(book, AccountLimits(max_entries_per_hour=1_000_000))
    assert book.day_limits.max_entries_per_hour == 1_000_000


def test_limits_add_up_over_calls_and_one_that_is_refused_keeps_all_of_its_call_out():
    book, _ = book_of(manifest=account(limits=LIMITS))
    tighten(book, AccountLimits(day_loss=D(200), max_position=3))
    tighten(book, AccountLimits(max_open_trades=1))
    assert book.day_limits == AccountLimits(day_loss=D(200), max_position=3, max_open_trades=1)
    with pytest.raises(InvalidInput, match="max_open_trades"):
        tighten(book, AccountLimits(day_loss=D(100), max_open_trades=2))
    assert book.day_limits.day_loss == 200


# --- cancellable_entry ---


@pytest.mark.parametrize("state", [S.WORKING, S.PARTIAL])
def test_a_working_entry_can_be_cancelled(state: OrderState):
    entry = order_of(state)
    assert cancellable_entry(book_of(entry)[0], entry.client_id) is entry


@pytest.mark.parametrize("state", [state for state in S if state not in {S.WORKING, S.PARTIAL}])
def test_an_entry_in_any_other_state_cannot(state: OrderState):
    entry = order_of(state)
    with pytest.raises(InvalidInput) as refused:
        cancellable_entry(book_of(entry)[0], entry.client_id)
    assert refused.value.expected == f"a working entry, this one is {state}"
    assert (refused.value.field, refused.value.value) == ("client_id", entry.client_id)


def test_protective_orders_are_not_cancelled_one_by_one_and_unknown_ones_name_the_entries():
    stop, entry = order_of(S.WORKING, "S1"), order_of(S.WORKING)
    book, _ = book_of(stop, entry)
    with pytest.raises(InvalidInput, match="protective orders are not cancelled one by one"):
        cancellable_entry(book, stop.client_id)
    with pytest.raises(Unknown, match=f"unknown order 'nobody', known: {entry.client_id}$"):
        cancellable_entry(book, ClientOrderId("nobody"))
