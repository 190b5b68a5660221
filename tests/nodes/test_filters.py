"""Filters: which sides may be entered, by the bars of any series."""

from decimal import Decimal
from random import Random
from typing import Any

import pytest

from leadline.model.bars import OWN_SERIES, Bar
from leadline.model.checks.signals import check_answer
from leadline.model.signals import Direction, Regime, RegimeReading
from leadline.nodes.base import Allowed, Filter, Inputs, Node, NoParams
from leadline.nodes.detectors.absorption import Absorption
from leadline.nodes.filters.regimes import Regimes, RegimeSides, RegimesParams
from leadline.nodes.filters.trend import Trend, TrendParams
from leadline.nodes.graph import Graph, SeriesGraph
from leadline.nodes.regime import RegimeNode
from leadline.nodes.router import Router, RouterParams
from tests.analysis.builders import (
    ABSORPTION,
    CONTEXT,
    MONDAY,
    candle,
    example_bar,
    order_flow,
    random_session,
    reading_of,
)


def closes(*values: int) -> list[Bar]:
    return [candle(value + 2, value - 2, value, ordinal=number) for number, value in enumerate(values)]


def answers(node: Filter[Any], bars: list[Bar]) -> list[Allowed]:
    graph = Graph([node])
    return [graph.update(bar, type(node)) for bar in bars]


def test_a_trend_allows_its_side_once_the_slow_average_is_there() -> None:
    """Averages of 1 and of 3 bars: weights 1 and 1/2; the slow one begins with the mean of the first three closes."""
    said = answers(Trend(TrendParams(fast=1, slow=3), CONTEXT), closes(100, 103, 106, 103, 99, 101))
    assert [(each.long, each.short) for each in said] == [
        (False, False),
        (False, False),
        (True, False),  # 106 above 103
        (False, False),  # 103 is 103
        (False, True),  # 99 below 101
        (False, False),  # 101 is 101
    ]
    assert said[4].texts == {"fast": "99.000000", "slow": "101.000000"}
    assert {each.multiplier for each in said} == {1}


def test_a_trend_needs_the_bars_of_its_slow_average() -> None:
    assert Trend(TrendParams(), CONTEXT).warm_up == 21
    assert Trend(TrendParams(fast=3, slow=7), CONTEXT).warm_up == 7


def regimes(regime: Regime, params: RegimesParams) -> Allowed:
    node, inputs = Regimes(params, CONTEXT), Inputs(candle(2, 1, 1))
    inputs.put(RegimeNode(NoParams(), CONTEXT), RegimeReading(regime, Decimal("0.8"), Decimal(0)))
    return node.update(inputs)


@pytest.mark.parametrize(
    ("regime", "long", "short", "multiplier"),
    [
        (Regime.TRENDING_UP, True, False, "1"),
        (Regime.TRENDING_DOWN, False, True, "1"),
        (Regime.RANGING, True, True, "1"),
        (Regime.VOLATILE, True, True, "0.5"),
        (Regime.NO_TRADE, False, False, "1"),
    ],
)
def test_each_regime_of_the_series_allows_its_sides_at_its_size(regime, long, short, multiplier) -> None:
    said = regimes(regime, RegimesParams())
    assert (said.long, said.short, said.multiplier) == (long, short, Decimal(multiplier))
    assert said.texts == {"regime": regime.value, "confidence": "0.8"}


def test_a_manifest_replaces_parts_of_the_table_of_regimes() -> None:
    params = RegimesParams(
        trending_up=RegimeSides(multiplier=Decimal("1.5")),
        no_trade=RegimeSides(side="Both", multiplier=Decimal("0.25")),
    )
    up, none = (regimes(regime, params) for regime in (Regime.TRENDING_UP, Regime.NO_TRADE))
    assert (up.long, up.short, up.multiplier) == (True, False, Decimal("1.5"))
    assert (none.long, none.short, none.multiplier) == (True, True, Decimal("0.25"))


# --- in a graph of several series ------------------------------------------------------------------------------------


class Count(Node[NoParams, int]):
    """The bars of the session, of one series."""

    name = "count"
    section = ""

    def __init__(self, *given) -> None:
        super().__init__(*given)
        self.bars = 0

    def update(self, inputs: Inputs) -> int:
        self.bars += 1
        return self.bars


class Sum(Node[NoParams, int]):
    """The sum of the closes, over sessions."""

    name = "sum"
    section = ""
    spans_sessions = True

    def __init__(self, *given) -> None:
        super().__init__(*given)
        self.sum = 0

    def update(self, inputs: Inputs) -> int:
        self.sum += inputs.bar.close
        return self.sum


class Reader(Node[NoParams, tuple[int | None, int | None]]):
    """What the nodes of the hours answered last."""

    name = "reader"
    section = ""
    further = (("hours", Count), ("hours", Sum))

    def update(self, inputs: Inputs) -> tuple[int | None, int | None]:
        return inputs.last("hours", Count), inputs.last("hours", Sum)


def several(*nodes: type[Node[Any, Any]]) -> SeriesGraph:
    made = [kind(NoParams(), CONTEXT) for kind in nodes]
    return SeriesGraph({"main": [made[0]], "hours": made[1:]})


def test_a_node_reads_the_last_answer_of_another_series_also_one_of_the_history() -> None:
    graph = several(Reader, Count, Sum)
    first, second, third = closes(10, 20, 30)
    graph.warm("hours", first)
    # What remembers over sessions has an answer from the history, and what counts its session's bars has none yet.
    assert graph.take("main", second).of(Reader) == (None, 10)
    graph.take("hours", second)
    assert graph.take("main", third).of(Reader) == (1, 30)
    assert graph.take("main", third).of(Reader) == (1, 30)
    graph.take("hours", third)
    assert graph.take("main", third).of(Reader) == (2, 60)


def test_bars_of_a_series_that_nobody_reads_change_nothing() -> None:
    graph = several(Reader, Count, Sum)
    graph.warm("days", closes(5)[0])
    graph.take("days", closes(5)[0])
    assert graph.take("main", closes(6)[0]).of(Reader) == (None, None)


def test_a_reader_of_a_node_that_is_not_there_is_refused() -> None:
    with pytest.raises(ValueError, match="Reader reads Sum of hours, which is not in a graph"):
        several(Reader, Count)


class Mixed(Sum):
    """Spans sessions, and reads what does not."""

    inputs = (Count,)


def test_what_spans_sessions_reads_nothing_that_does_not() -> None:
    nodes = [kind(NoParams(), CONTEXT) for kind in (Mixed, Count)]
    Graph(nodes)  # nobody needs it before the session's first bar
    with pytest.raises(ValueError, match="Mixed spans sessions and reads Count, which does not"):
        Graph(nodes, [Mixed])


# --- before the router -----------------------------------------------------------------------------------------------


class Up(Filter[NoParams]):
    """Long only, at half of the size."""

    name = "up"

    def update(self, inputs: Inputs) -> Allowed:
        return Allowed(long=True, short=False, multiplier=Decimal("0.5"), texts={"close": str(inputs.bar.close)})


def test_the_router_asks_every_filter_for_the_side_and_multiplies_the_size() -> None:
    random = Random(3)
    history, today = random_session(random, MONDAY, 60), random_session(random, MONDAY.replace(day=18), 60)
    plain = order_flow()
    filtered = order_flow(filters={"main": [Up(NoParams(), CONTEXT)]})
    silent = order_flow(filters={"hours": [Up(NoParams(), CONTEXT)]})  # of which no bar comes
    for bar in history:
        for strategy in (plain, filtered, silent):
            strategy.warm(bar)
    refused = set()
    for bar in today:
        before, after, nothing = (strategy.on_bar(bar) for strategy in (plain, filtered, silent))
        assert reading_of(after).multiplier == reading_of(before).multiplier / 2
        assert {name: reading_of(after).inputs[name] for name in ("main.up", "main.up.close")} == {
            "main.up": "long",
            "main.up.close": str(bar.close),
        }
        assert reading_of(nothing).inputs["hours.up"] == "none"
        for was, now, none in zip(before.signals, after.signals, nothing.signals, strict=True):
            may = was.approved and was.direction is Direction.LONG
            assert (now.approved, none.approved) == (may, False)
            assert now.rejection == ("filtered" if was.approved and not may else was.rejection)
            assert none.rejection == ("filtered" if was.approved else was.rejection)
            refused |= {now.rejection}
    assert refused >= {"", "filtered"}


class Large(Up):
    """Both sides at a hundred times of the size."""

    name = "large"

    def update(self, inputs: Inputs) -> Allowed:
        return Allowed(long=True, short=True, multiplier=Decimal(100))


def test_the_product_of_all_multipliers_is_one_that_can_be_said() -> None:
    several = {name: [Large(NoParams(), CONTEXT)] for name in ("a", "b", "main")}
    strategy = order_flow(filters=several)
    bars = random_session(Random(3), MONDAY, 60)
    for bar in bars[:-1]:
        strategy.warm(bar)
        for series in ("a", "b"):
            strategy.warm_series(series, bar)
    said = strategy.on_bar(bars[-1])
    assert reading_of(said).multiplier in (Decimal(0), Decimal(1000))
    check_answer(bars[-1], said)


def test_the_regime_of_another_series_is_that_of_its_own_bars() -> None:
    history = random_session(Random(8), MONDAY, 50)
    (today, *_) = random_session(Random(9), MONDAY.replace(day=18), 3)
    strategy, alone = (
        order_flow(filters={"hours": [Regimes(RegimesParams(), CONTEXT)]}),
        RegimeNode(NoParams(), CONTEXT),
    )
    for bar in history:
        strategy.warm_series("hours", bar)
    reading = [alone.update(Inputs(bar)) for bar in history][-1]
    inputs = reading_of(strategy.on_bar(today)).inputs
    assert reading.scores  # it is warm, and the strategy's own is not
    assert (inputs["hours.regimes.regime"], inputs["hours.regimes.confidence"]) == (
        reading.regime.value,
        str(reading.confidence),
    )


class Near(Node[NoParams, int]):
    """How many signals of absorption the last hour had."""

    name = "near"
    section = ""
    further = (("hours", Absorption),)

    def update(self, inputs: Inputs) -> int:
        found = inputs.last("hours", Absorption)
        return -1 if found is None else len(found.signals)


def test_a_detector_of_another_series_is_read_too_with_the_parameters_of_the_manifest() -> None:
    bar = example_bar()
    near, detector = Near(NoParams(), CONTEXT), Absorption(ABSORPTION, CONTEXT)
    graph = SeriesGraph({"main": [near], "hours": [detector]})
    assert graph.take("main", bar).of(Near) == -1
    graph.warm("hours", bar)
    assert graph.take("main", bar).of(Near) == len(detector.update(Inputs(bar)).signals)


def test_a_router_reads_the_filters_of_its_own_bars_and_of_others() -> None:
    router = Router(RouterParams(), CONTEXT, [], [(OWN_SERIES, Up), ("hours", Trend)])
    assert router.inputs == (RegimeNode, Up)
    assert router.further == (("hours", Trend),)
