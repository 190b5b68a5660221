"""What a question may contain: each value is allowed up to its bound on either side, and refused by its name beyond."""

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from leadline.model.errors import InvalidInput
from leadline.model.orders import Bracket, Trail
from leadline.model.proposals import Action, Proposal
from leadline.risk.bounds import check_decimal, check_inputs
from leadline.risk.view import AccountLimits, DecisionInputs, Quote, StrategyLimits, Tier
from tests.risk.builders import LONG, MES, OPEN, account, ask, bar, strategy

COUNT = 1_000_000_000
TICKS = 1_000_000
LAST_NS = 2**63 - 1
MONEY = Decimal(10) ** 15
CENT = Decimal("0.01")
EIGHT_DAYS_NS = 8 * 86_400 * 1_000_000_000

Put = Callable[[Any], DecisionInputs]


def of_account(name: str) -> Put:
    return lambda value: ask(account(**{name: value}), strategy())


def of_limits(name: str) -> Put:
    return lambda value: ask(account(limits=replace(AccountLimits(), **{name: value})), strategy())


def of_tier(name: str) -> Put:
    """A question whose only tier has that value, and else sizes from 1 to 3."""
    return lambda value: ask(
        account(tiers=(replace(Tier(Decimal(0), "MES", 1, 3, None), **{name: value}),), tier_index=0), strategy()
    )


def of_strategy(name: str) -> Put:
    return lambda value: ask(account(), strategy(**{name: value}))


def exits(bracket: Bracket) -> DecisionInputs:
    return ask(account(), strategy(bracket=bracket))


def of_own_limits(name: str) -> Put:
    return lambda value: ask(account(), strategy(limits=replace(StrategyLimits(), **{name: value})))


def of_day(name: str) -> Put:
    return lambda value: ask(account(), strategy(day=replace(strategy().day, **{name: value})))


def of_instrument(name: str) -> Put:
    return lambda value: ask(account(), strategy(execute=(replace(MES, **{name: value}),)), instant=None)


def of_coin_margined(name: str) -> Put:
    return lambda value: ask(account(), strategy(execute=(replace(MES, inverse=True, **{name: value}),)), instant=None)


def of_bar(name: str) -> Put:
    return lambda value: ask(account(), strategy(), replace(bar(), **{name: value}))


def of_key(name: str) -> Put:
    return lambda value: ask(account(), strategy(), replace(bar(), bar=replace(bar().bar, **{name: value})))


def of_reading(name: str) -> Put:
    reading = bar().regime
    assert reading is not None
    return lambda value: ask(account(), strategy(), replace(bar(), regime=replace(reading, **{name: value})))


def of_signal(name: str) -> Put:
    return lambda value: ask(account(), strategy(), bar((replace(bar().signals[0], **{name: value}),)))


def at(instant: int) -> DecisionInputs:
    return replace(ask(account(), strategy()), instant_ns=instant)


def sizes(least: int, most: int) -> DecisionInputs:
    tier = Tier(Decimal(0), "MES", least, most, None)
    return ask(account(tiers=(tier,), tier_index=0), strategy())


def news(begins: int, ends: int) -> DecisionInputs:
    return ask(account(), strategy(news=((begins, ends),)))


def hours(opens: int, closes: int) -> DecisionInputs:
    return ask(account(), strategy(), replace(bar(), session_open_ns=opens, session_close_ns=closes))


def quoted(price: int, time_ns: int) -> DecisionInputs:
    return of_instrument("quote")(Quote(price, time_ns))


WHOLE: list[tuple[str, Put, int, int]] = [
    ("instant_ns", at, 0, LAST_NS),
    *((f"account.{name}", of_account(name), 0, COUNT) for name in ("trades", "entries_last_hour", "open_trades")),
    *((f"account.{name}", of_account(name), 0, COUNT) for name in ("orders_last_second", "exposure")),
    ("account.streak", of_account("streak"), -COUNT, COUNT),
    ("account.tier_index", of_account("tier_index"), -1, len(account().tiers) - 1),
    *((f"account.limits.{name}", of_limits(name), 0, COUNT) for name in ("max_position", "max_open_trades")),
    ("account.limits.max_orders_per_second", of_limits("max_orders_per_second"), 0, COUNT),
    ("account.limits.max_entries_per_hour", of_limits("max_entries_per_hour"), 0, COUNT),
    ("account.tiers[0].min_size", lambda value: sizes(value, max(value, 0)), 0, COUNT),
    ("account.tiers[0].max_size", of_tier("max_size"), 1, COUNT),
    *((f"strategy.{name}", of_strategy(name), 0, EIGHT_DAYS_NS) for name in ("after_open_ns", "before_close_ns")),
    *((f"strategy.{name}", of_strategy(name), 0, COUNT) for name in ("fixed_size", "max_size")),
    ("strategy.bracket.stop_ticks", lambda value: exits(Bracket(value, 24)), 1, TICKS),
    ("strategy.bracket.target_ticks", lambda value: exits(Bracket(16, value)), 1, TICKS),
    ("strategy.bracket.trail.trigger_ticks", lambda value: exits(Bracket(16, trail=Trail(value, 1))), 0, TICKS),
    ("strategy.bracket.trail.offset_ticks", lambda value: exits(Bracket(16, trail=Trail(0, value))), 1, TICKS),
    ("strategy.entry_offset", of_strategy("entry_offset"), 0, TICKS),
    ("strategy.valid_for_ns", of_strategy("valid_for_ns"), 1, 1_000_000 * 3600 * 10**9),
    ("strategy.max_pending", of_strategy("max_pending"), 1, COUNT),
    ("strategy.slippage_ticks", of_strategy("slippage_ticks"), 0, TICKS),
    ("strategy.news[0].from_ns", lambda value: news(value, LAST_NS), 0, LAST_NS),
    ("strategy.news[0].to_ns", lambda value: news(5, value), 5, LAST_NS),
    *((f"strategy.limits.{name}", of_own_limits(name), 0, COUNT) for name in ("max_position", "max_trades_per_day")),
    ("strategy.limits.max_orders_per_second", of_own_limits("max_orders_per_second"), 0, COUNT),
    *((f"strategy.day.{name}", of_day(name), 0, COUNT) for name in ("trades", "exposure", "orders_last_second")),
    ("strategy.day.position", of_day("position"), -COUNT, COUNT),
    ("strategy.day.groups[0].buys", lambda value: of_day("groups")((("one", value, 0),)), 0, COUNT),
    ("strategy.day.groups[0].sells", lambda value: of_day("groups")((("one", 0, value),)), 0, COUNT),
    ("strategy.execute[0].quote.price", lambda value: quoted(value, 0), -LAST_NS, LAST_NS),
    ("strategy.execute[0].quote.time_ns", lambda value: quoted(0, value), 0, LAST_NS),
    ("strategy.execute[0].staleness_ns", of_instrument("staleness_ns"), 0, LAST_NS),
    ("strategy.execute[0].collar_ticks", of_instrument("collar_ticks"), 0, TICKS),
    ("strategy.execute[0].no_stop_ticks", of_instrument("no_stop_ticks"), 1, TICKS),
    ("strategy.execute[0].gap_ticks", of_instrument("gap_ticks"), 0, TICKS),
    ("bar.bar.ordinal", of_key("ordinal"), 0, LAST_NS),
    ("bar.known_at_ns", of_bar("known_at_ns"), 0, LAST_NS),
    ("bar.session_open_ns", lambda value: hours(value, LAST_NS if value > 0 else 0), 0, LAST_NS),
    ("bar.session_close_ns", lambda value: hours(OPEN, value), OPEN, OPEN + EIGHT_DAYS_NS),
    ("bar.session_close_ns", lambda value: hours(LAST_NS - 1, value), LAST_NS - 1, LAST_NS),
]
MONIES: list[tuple[str, Put, Decimal, Decimal]] = [
    *((f"account.{name}", of_account(name), -MONEY, MONEY) for name in ("equity_at_roll", "realised", "open")),
    *((f"account.{name}", of_account(name), Decimal(0), MONEY) for name in ("worst_case", "margin_in_use")),
    *((f"account.limits.{name}", of_limits(name), Decimal(0), MONEY) for name in ("day_loss", "day_target")),
    ("account.limits.margin_limits.MES", lambda value: of_limits("margin_limits")({"MES": value}), Decimal(0), MONEY),
    ("account.tiers[0].from", of_tier("start"), Decimal(0), MONEY),
    ("account.tiers[0].day_loss", of_tier("day_loss"), Decimal(0), MONEY),
    ("strategy.limits.day_loss", of_own_limits("day_loss"), Decimal(0), MONEY),
    *((f"strategy.day.{name}", of_day(name), -MONEY, MONEY) for name in ("realised", "open")),
    ("strategy.day.worst_case", of_day("worst_case"), Decimal(0), MONEY),
    ("strategy.execute[0].tick_value", of_instrument("tick_value"), CENT, MONEY),
    *((f"strategy.execute[0].{name}", of_instrument(name), Decimal(0), MONEY) for name in ("commission", "margin")),
    ("strategy.execute[0].tick_value", of_coin_margined("tick_value"), CENT, Decimal(10) ** 11),
    ("strategy.execute[0].fee_rate", of_instrument("fee_rate"), Decimal(0), Decimal(1)),
    ("strategy.risk_percent", of_strategy("risk_percent"), Decimal(0), Decimal(100)),
    ("bar.regime.confidence", of_reading("confidence"), Decimal(0), Decimal(1)),
    ("bar.regime.multiplier", of_reading("multiplier"), Decimal(0), Decimal(1000)),
    ("bar.signals[0].strength", of_signal("strength"), Decimal(0), Decimal(1)),
]


def refused(inputs: DecisionInputs) -> str:
    """The field that the question is refused for."""
    with pytest.raises(InvalidInput) as raised:
        check_inputs(inputs)
    return raised.value.field


@pytest.mark.parametrize(("name", "put", "low", "high"), WHOLE, ids=[each[0] for each in WHOLE])
def test_a_whole_number_is_allowed_from_its_lowest_to_its_highest(name: str, put: Put, low: int, high: int):
    for allowed in (low, high):
        check_inputs(put(allowed))
    assert [refused(put(beyond)) for beyond in (low - 1, high + 1)] == [name, name]


@pytest.mark.parametrize(("name", "put", "low", "high"), MONIES, ids=[each[0] for each in MONIES])
def test_a_decimal_is_allowed_from_its_lowest_to_its_highest(name: str, put: Put, low: Decimal, high: Decimal):
    for allowed in (low, high):
        check_inputs(put(allowed))
    assert [refused(put(beyond)) for beyond in (low - CENT, high + CENT)] == [name, name]


@pytest.mark.parametrize("value", ["0." + "1" * 18, "1E-18", "123456789012345." + "0" * 18, "1." + "0" * 18])
def test_a_decimal_has_eighteen_places_at_the_most(value: str):
    check_decimal("x", Decimal(value), 0, MONEY)
    with pytest.raises(InvalidInput, match="x"):
        check_decimal("x", Decimal(value) * Decimal("0.1") if "E" in value else Decimal(value + "0"), 0, MONEY)


def test_a_decimal_has_34_digits_and_is_no_larger_than_34_places():
    most = Decimal(10) ** 60
    check_decimal("x", Decimal("9" * 34), 0, most)
    check_decimal("x", Decimal("1E+34"), 0, most)
    for dear in (Decimal("9" * 35), Decimal("1E+35"), Decimal("NaN"), Decimal("Infinity"), Decimal("-Infinity")):
        with pytest.raises(InvalidInput, match="of at most 34 digits, 18 of them places"):
            check_decimal("x", dear, -most, most)


TEXTS: list[tuple[str, Put, int]] = [
    ("account.account", of_account("account"), 300),
    ("account.halt", of_account("halt"), 2_000),
    ("account.limits.margin_limits", lambda value: of_limits("margin_limits")({value: Decimal(1)}), 300),
    ("account.tiers[0].execute", of_tier("execute"), 300),
    *((f"strategy.{name}", of_strategy(name), 300) for name in ("strategy", "signal_root", "signal_contract")),
    *((f"strategy.execute[0].{name}", of_instrument(name), 300) for name in ("root", "contract")),
    *((f"bar.bar.{name}", of_key(name), 300) for name in ("contract", "session", "spec")),
    ("strategy.day.groups[0].name", lambda value: of_day("groups")(((value, 0, 0),)), 300),
]


@pytest.mark.parametrize(("name", "put", "longest"), TEXTS, ids=[each[0] for each in TEXTS])
def test_a_text_has_a_longest_length(name: str, put: Put, longest: int):
    check_inputs(put("x" * longest))
    assert refused(put("x" * (longest + 1))) == name


MANY: list[tuple[str, Put, int]] = [
    ("account.tiers", lambda n: ask(account(tiers=(Tier(Decimal(0), "MES", 1, 3, None),) * n), strategy()), 16),
    ("account.limits.margin_limits", lambda n: of_limits("margin_limits")({str(i): Decimal(1) for i in range(n)}), 64),
    ("strategy.blocks", lambda n: of_strategy("blocks")((("12:00", "13:00"),) * n), 32),
    ("strategy.news", lambda n: of_strategy("news")(((1, 2),) * n), 256),
    ("strategy.modifiers", lambda n: of_strategy("modifiers")(("Stacked",) * n), 4),
    ("strategy.execute", lambda n: ask(account(), strategy(execute=(MES,) * n)), 64),
    ("strategy.day.groups", lambda n: of_day("groups")((("one", 0, 0),) * n), 256),
    ("bar.signals", lambda n: ask(account(), strategy(), bar(bar().signals[:1] * n)), 256),
]


@pytest.mark.parametrize(("name", "put", "most"), MANY, ids=[each[0] for each in MANY])
def test_there_are_so_many_items_at_the_most(name: str, put: Put, most: int):
    check_inputs(put(most))
    assert refused(put(most + 1)) == name


WORDS: list[tuple[str, Put, tuple[str, ...]]] = [
    ("account.block", of_account("block"), ("", "DAY_LOSS", "DAY_TARGET")),
    ("strategy.state", of_strategy("state"), ("Running", "ReduceOnly", "Suspended")),
    ("strategy.sizing_mode", of_strategy("sizing_mode"), ("Tiered", "Fixed", "RiskPercent")),
    ("strategy.entry_type", of_strategy("entry_type"), ("MARKET", "LIMIT", "STOP")),
    ("strategy.day.block", of_day("block"), ("", "DAY_LOSS", "DAY_TARGET")),
    (
        "strategy.modifiers",
        lambda value: of_strategy("modifiers")((value,)),
        ("Stacked", "Trending", "WinStreak", "LossStreak"),
    ),
]


@pytest.mark.parametrize(("name", "put", "known"), WORDS, ids=[each[0] for each in WORDS])
def test_a_word_is_one_of_those_that_are_known(name: str, put: Put, known: tuple[str, ...]):
    for word in known:
        check_inputs(put(word))
    assert refused(put("other")) == name


@pytest.mark.parametrize(
    ("put", "name"),
    [
        (lambda: of_strategy("session_zone")("Nowhere/At_all"), "strategy.session_zone"),
        (lambda: of_reading("regime")("sunny"), "bar.regime.regime"),
        (lambda: of_signal("direction")("sideways"), "bar.signals[0].direction"),
        (lambda: of_strategy("blocks")((("24:00", "13:00"),)), "strategy.blocks[0].from"),
        (lambda: of_strategy("blocks")((("12:00", "13:00"), ("12:00", "1:00"))), "strategy.blocks[1].to"),
        (lambda: of_strategy("blocks")((("12:00", "12:00"),)), "strategy.blocks[0].to"),
        (lambda: of_instrument("tick_value")(Decimal(0)), "strategy.execute[0].tick_value"),
        (lambda: of_instrument("tick_value")(-CENT), "strategy.execute[0].tick_value"),
    ],
)
def test_what_is_none_of_its_kind_is_named(put: Callable[[], DecisionInputs], name: str):
    assert refused(put()) == name


@pytest.mark.parametrize("name", ["margin", "quote"])
def test_a_contract_may_lack_its_margin_and_its_quote(name: str):
    check_inputs(of_instrument(name)(None))


def test_a_bracket_may_lack_its_stop_and_its_target():
    check_inputs(exits(Bracket()))


def test_risk_decides_what_enters_and_no_proposal_that_is_out_of_bounds():
    def about(proposal: Proposal) -> DecisionInputs:
        return ask(account(), strategy(), proposal=proposal)

    check_inputs(about(LONG))
    assert refused(about(Proposal(Action.EXIT))) == "proposal.action"
    assert refused(about(replace(LONG, quantity=0))) == "proposal.quantity"


def test_a_session_without_a_close_has_no_time_before_it():
    check_inputs(of_strategy("before_close_ns")(None))


def test_a_refused_value_is_shown_with_sixty_characters_at_the_most():
    def shown(value: str) -> str:
        with pytest.raises(InvalidInput) as raised:
            check_inputs(of_strategy("state")(value))
        return str(raised.value.value)

    assert shown("x" * 60) == "x" * 60
    assert shown("x" * 61) == "x" * 60 + "..."


@pytest.mark.parametrize("bracket", [Bracket(16, stop_price=5), Bracket(16, target_price=5)])
def test_an_exit_at_a_price_has_no_distance_to_size_by(bracket: Bracket):
    with pytest.raises(InvalidInput, match=r"strategy\.bracket\.(stop|target)_price: got 5, expected no price"):
        check_inputs(exits(bracket))


@pytest.mark.parametrize("wrong", [{"max_size": -1}, {"state": "Asleep"}, {"signal_root": "M" * 301}])
def test_a_question_is_looked_through_however_much_of_it_was_looked_through_before(wrong: dict[str, Any]):
    question = ask(account(), strategy())
    own = question.strategy
    check_inputs(question)
    check_inputs(question)
    with pytest.raises(InvalidInput, match=f"strategy.{next(iter(wrong))}"):
        check_inputs(replace(question, strategy=replace(own, **wrong)))
    far = (replace(own.execute[0], collar_ticks=-1), *own.execute[1:])
    with pytest.raises(InvalidInput, match=r"strategy.execute\[0\].collar_ticks"):
        check_inputs(replace(question, strategy=replace(own, execute=far)))
