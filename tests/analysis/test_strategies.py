"""The order-flow strategy as a whole, and strategies from elsewhere."""

from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leadline.analysis.strategies import OrderFlow, StrategyFailed, load_entry_point
from leadline.model.bars import Bar, FootprintRows
from leadline.model.errors import InvalidInput
from leadline.model.signals import Direction, Pattern, Regime
from leadline.nodes.base import NodeContext
from tests.analysis.builders import (
    DETECTORS,
    MONDAY,
    TABLE,
    THRESHOLDS,
    changed,
    example_bar,
    footprint_bar,
    opinions,
    order_flow,
    random_session,
    random_tape,
    reading_of,
    ticks,
)

MIRRORED_PATTERN = {
    Pattern.BUY_IMBALANCE: Pattern.SELL_IMBALANCE,
    Pattern.STACKED_BUY_IMBALANCE: Pattern.STACKED_SELL_IMBALANCE,
    Pattern.BUYING_EXHAUSTION: Pattern.SELLING_EXHAUSTION,
    Pattern.BUYING_ABSORPTION: Pattern.SELLING_ABSORPTION,
    Pattern.BULLISH_DELTA_DIVERGENCE: Pattern.BEARISH_DELTA_DIVERGENCE,
    Pattern.UNFINISHED_HIGH: Pattern.UNFINISHED_LOW,
    Pattern.UNFINISHED_REVISITED: Pattern.UNFINISHED_REVISITED,
}
MIRRORED_PATTERN |= {mirror: pattern for pattern, mirror in MIRRORED_PATTERN.items()}
MIRRORED_REGIME = {
    Regime.TRENDING_UP: Regime.TRENDING_DOWN,
    Regime.TRENDING_DOWN: Regime.TRENDING_UP,
    Regime.RANGING: Regime.RANGING,
    Regime.VOLATILE: Regime.VOLATILE,
    Regime.NO_TRADE: Regime.NO_TRADE,
}
MIRRORED_SIDE = {Direction.LONG: Direction.SHORT, Direction.SHORT: Direction.LONG}


def mirrored(bar: Bar) -> Bar:
    """Prices upside down, buyers for sellers."""
    rows = bar.rows
    return replace(
        bar,
        open=-bar.open,
        high=-bar.low,
        low=-bar.high,
        close=-bar.close,
        delta=-bar.delta,
        min_delta=-bar.max_delta,
        max_delta=-bar.min_delta,
        cumulative_delta=-bar.cumulative_delta,
        vwap_price_volume=-bar.vwap_price_volume,
        rows=FootprintRows(
            -rows.price[::-1],
            rows.ask[::-1],
            rows.bid[::-1],
            rows.unknown[::-1],
            rows.ask_prints[::-1],
            rows.bid_prints[::-1],
            rows.unknown_prints[::-1],
        ),
    )


def warmed() -> OrderFlow:
    strategy = order_flow()
    for bar in random_session(Random(7), MONDAY, 40):
        strategy.warm(bar)
    return strategy


def test_says_only_warm_up_until_every_input_is_there() -> None:
    answers = opinions(random_tape(seed=1, days=1, bars_a_day=40))
    assert [(reading_of(one).reason, one.signals) for one in answers[:31]] == [("warm_up", ())] * 31
    assert all(reading_of(one).reason != "warm_up" for one in answers[31:])
    assert any(one.signals for one in answers[31:])


def test_a_bar_has_all_its_patterns_in_the_order_of_their_definition() -> None:
    answers = warmed().on_bar(example_bar(ordinal=20))
    assert [(signal.pattern, signal.price) for signal in answers.signals] == [
        (Pattern.BUY_IMBALANCE, ticks("5000.50")),
        (Pattern.BUY_IMBALANCE, ticks("5000.75")),
        (Pattern.BUY_IMBALANCE, ticks("5001.00")),
        (Pattern.STACKED_BUY_IMBALANCE, ticks("5001.00")),
        (Pattern.BUYING_EXHAUSTION, ticks("5001.25")),
        *[(signal.pattern, signal.price) for signal in answers.signals[5:]],
    ]
    assert {signal.pattern for signal in answers.signals[5:]} <= {Pattern.UNFINISHED_REVISITED}
    assert all(signal.approved == (signal.rejection == "") for signal in answers.signals)


def test_says_what_bar_it_speaks_of() -> None:
    bar = example_bar(ordinal=20, known_at_ns=77)
    answers = warmed().on_bar(bar)
    assert (answers.bar, answers.known_at_ns, answers.close) == (bar.key, 77, bar.close)
    assert (answers.session_open_ns, answers.session_close_ns) == (bar.session_open_ns, bar.session_close_ns)


def test_a_reading_carries_the_routers_multiplier_of_its_regime() -> None:
    readings = [reading_of(answers) for answers in opinions(random_tape(seed=5, days=12, bars_a_day=60))]
    assert {reading.regime for reading in readings} == set(Regime)
    assert all(reading.multiplier == TABLE.multiplier(reading.regime) for reading in readings)


@pytest.mark.parametrize(
    ("detector", "patterns"),
    [
        ("imbalance", {Pattern.BUY_IMBALANCE, Pattern.SELL_IMBALANCE}),
        ("stacked", {Pattern.STACKED_BUY_IMBALANCE, Pattern.STACKED_SELL_IMBALANCE}),
        ("exhaustion", {Pattern.BUYING_EXHAUSTION, Pattern.SELLING_EXHAUSTION}),
        ("absorption", {Pattern.BUYING_ABSORPTION, Pattern.SELLING_ABSORPTION}),
        ("divergence", {Pattern.BULLISH_DELTA_DIVERGENCE, Pattern.BEARISH_DELTA_DIVERGENCE}),
        ("unfinished", {Pattern.UNFINISHED_HIGH, Pattern.UNFINISHED_LOW, Pattern.UNFINISHED_REVISITED}),
    ],
)
def test_a_detector_that_is_off_finds_nothing_and_disturbs_no_other(detector, patterns) -> None:
    bars = random_tape(seed=3, days=1, bars_a_day=200)
    strategy = order_flow(changed(DETECTORS, **{detector: changed(getattr(DETECTORS, detector), enabled=False)}))
    with_all, without = opinions(bars), [strategy.on_bar(bar) for bar in bars]
    assert patterns & {signal.pattern for answers in with_all for signal in answers.signals}
    for everything, rest in zip(with_all, without, strict=True):
        assert rest.signals == tuple(signal for signal in everything.signals if signal.pattern not in patterns)


def test_divergence_does_not_reach_into_the_session_before() -> None:
    strategy = warmed()
    highs = (20_020, 20_022, 20_021, 20_022)
    for ordinal, high in enumerate(highs):
        strategy.warm(footprint_bar([(high - 4, 0, 50), (high, 0, 50)], ordinal=ordinal))
    answers = strategy.on_bar(footprint_bar([(20_010, 60, 0), (20_030, 0, 1)], ordinal=0))
    assert Pattern.BEARISH_DELTA_DIVERGENCE not in {signal.pattern for signal in answers.signals}


@given(st.integers(0, 2**32))
def test_prices_upside_down_and_sides_swapped_give_the_mirrored_opinions(seed) -> None:
    bars = random_tape(seed, days=1, bars_a_day=60)
    for one, other in zip(opinions(bars), opinions(map(mirrored, bars)), strict=True):
        scores, swapped = reading_of(one).scores, reading_of(other).scores
        assert [scores.get(regime.value) for regime in MIRRORED_REGIME] == [
            swapped.get(mirror.value) for mirror in MIRRORED_REGIME.values()
        ]
        if scores.get("TRENDING_UP") != scores.get("TRENDING_DOWN"):
            assert reading_of(other).regime is MIRRORED_REGIME[reading_of(one).regime]
        as_if = {
            (MIRRORED_PATTERN[signal.pattern], MIRRORED_SIDE[signal.direction], -signal.price, signal.strength)
            for signal in one.signals
        }
        assert as_if == {(signal.pattern, signal.direction, signal.price, signal.strength) for signal in other.signals}


class Quiet:
    """A strategy from elsewhere, as small as one can be."""

    def __init__(self, parameters, instrument) -> None:
        self.parameters = parameters


def test_a_session_has_a_close_unless_it_is_around_the_clock() -> None:
    late = example_bar(ordinal=20)
    late = replace(late, session_close_ns=late.end_ns + 1)
    for around_the_clock, reason in ((None, "near_close"), (False, "near_close"), (True, "")):
        told = {} if around_the_clock is None else {"around_the_clock": around_the_clock}
        strategy = order_flow(context=NodeContext(THRESHOLDS, **told))
        for bar in random_session(Random(7), MONDAY, 40):
            strategy.warm(bar)
        assert reading_of(strategy.on_bar(late)).reason == reason


def test_auctions_of_earlier_sessions_are_revisited_from_the_lowest_price_up() -> None:
    strategy = warmed()
    # Unfinished: a high, and later one below it; the other ends have traded on one side.
    strategy.warm(footprint_bar([(29_996, 50, 0), (30_000, 50, 50)]))
    strategy.warm(footprint_bar([(29_986, 50, 0), (29_990, 50, 50)]))
    answers = strategy.on_bar(
        footprint_bar([(29_980, 10, 0), (29_990, 1, 1), (30_000, 1, 0), (30_010, 0, 10)], ordinal=1)
    )
    revisited = [signal for signal in answers.signals if signal.pattern is Pattern.UNFINISHED_REVISITED]
    assert [signal.price for signal in revisited if signal.price > 29_000] == [29_990, 30_000]


def test_both_ends_of_a_bar_of_one_price_are_revisited_the_high_first() -> None:
    strategy = warmed()
    strategy.warm(footprint_bar([(30_000, 50, 50)]))
    answers = strategy.on_bar(footprint_bar([(29_980, 10, 0), (30_000, 1, 0), (30_010, 0, 10)], ordinal=1))
    revisited = [signal for signal in answers.signals if signal.pattern is Pattern.UNFINISHED_REVISITED]
    assert [signal.direction for signal in revisited if signal.price == 30_000] == [Direction.LONG, Direction.SHORT]


def raised_by(source: str, file: str, module: str, **names: object) -> Exception:
    """What `on_bar` of a file of a module raises, without this test's own frame; `names` are known to the code."""
    own: dict[str, Any] = {"__name__": module, **names}
    exec(compile(source, file, "exec"), own)
    with pytest.raises(ZeroDivisionError) as raised:
        own["on_bar"]()
    return raised.value.with_traceback(raised.tb.tb_next)


def of_module(name: str, source: str, file: str) -> object:
    """The function `beneath` of a file of a module."""
    names: dict[str, Any] = {"__name__": name}
    exec(compile(source, file, "exec"), names)
    return names["beneath"]


OWN = "def on_bar():\n    return beneath()"
BENEATH = "def beneath():\n    return 1 / 0"
LIBRARY = "/usr/lib/site-packages/averages.py"


def test_a_failure_names_the_error_and_the_deepest_line_that_is_the_strategy_s() -> None:
    inner = raised_by("def on_bar():\n    return helper()\n\n\ndef helper():\n    return 1 / 0", "mine.py", "mine")
    failed = StrategyFailed("at the bar", inner)
    assert (failed.doing, failed.error, failed.strategy) == ("at the bar", inner, "")
    assert str(failed.of("default/mes")).startswith("the strategy default/mes failed at the bar: ")
    assert str(failed) == (
        "the strategy failed at the bar: ZeroDivisionError: division by zero (mine.py, line 6, in helper)"
    )
    assert str(StrategyFailed("while made", ValueError())) == "the strategy failed while made: ValueError"


@pytest.mark.parametrize(
    ("file", "module", "place"),
    [
        ("mine.py", "mine", " (mine.py, line 2, in on_bar)"),  # the platform's own line below it does not say much
        (LIBRARY, "averages", f" ({LIBRARY}, line 2, in on_bar)"),  # nothing is nearer
        ("order_flow.py", "leadline.analysis.strategies", ""),
    ],
)
def test_a_failure_beneath_the_strategy_names_the_line_that_led_there(file: str, module: str, place: str) -> None:
    error = raised_by(OWN, file, module, beneath=of_module("leadline.venue.tape", BENEATH, "tape.py"))
    assert str(StrategyFailed("x", error)) == f"the strategy failed x: ZeroDivisionError: division by zero{place}"


def test_a_failure_in_a_library_names_the_strategy_s_line() -> None:
    error = raised_by(OWN, "mine.py", "mine", beneath=of_module("averages", BENEATH, LIBRARY))
    assert str(StrategyFailed("x", error)).endswith("(mine.py, line 2, in on_bar)")


def test_an_entry_point_names_the_strategy() -> None:
    factory = load_entry_point("tests.analysis.test_strategies:Quiet")
    assert factory.__name__ == "Quiet"  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "entry_point",
    [
        "tests.analysis.no_such_module:Quiet",
        "tests.analysis.test_strategies:NoSuchClass",
        "tests.analysis.test_strategies:MONDAY",
        "nonsense",
        ":Quiet",
    ],
)
def test_an_entry_point_that_names_nothing_to_call_is_refused(entry_point) -> None:
    with pytest.raises(InvalidInput, match="entryPoint") as refusal:
        load_entry_point(entry_point)
    assert refusal.value.value == entry_point
    assert "the strategy failed" not in str(refusal.value)


@pytest.mark.parametrize(("code", "error"), [("1 / 0", "ZeroDivisionError"), ("raise SystemExit(2)", "SystemExit: 2")])
def test_a_module_that_raises_while_it_is_imported_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str, error: str
) -> None:
    (tmp_path / "raises_here.py").write_text(f"{code}\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(InvalidInput, match=f"the strategy failed while imported: {error}"):
        load_entry_point("raises_here:Quiet")
