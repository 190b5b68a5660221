"""A graph asks each node once, after those that it reads."""

from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from leadline.nodes.base import Inputs, Node, NoParams
from leadline.nodes.detectors.divergence import Divergence
from leadline.nodes.detectors.imbalance import Imbalance
from leadline.nodes.detectors.stacked import Stacked
from leadline.nodes.graph import Graph
from tests.analysis.builders import CONTEXT, DIVERGENCE, IMBALANCE, STACKED, candle, changed, example_bar


class Close(Node[NoParams, int]):
    """The close."""

    name = "close"
    section = "own"
    asked: ClassVar[list[str]] = []

    def update(self, inputs: Inputs) -> int:
        self.asked.append(self.name)
        return inputs.bar.close


class Highest(Node[NoParams, int]):
    """The highest close, over sessions."""

    name = "highest"
    section = "own"
    inputs = (Close,)

    def __init__(self, *given) -> None:
        super().__init__(*given)
        self.seen: list[int] = [0]

    @property
    def warm_up(self) -> int:
        return 3

    def warm(self, bar) -> None:
        self.seen.append(bar.close)

    def update(self, inputs: Inputs) -> int:
        self.seen.append(inputs.of(Close))
        return max(self.seen)


class Room(Node[NoParams, int]):
    """How far the close is from the highest."""

    name = "room"
    section = "own"
    inputs = (Highest, Close)

    def update(self, inputs: Inputs) -> int:
        return inputs.of(Highest) - inputs.of(Close)


def graph(*kinds: type[Node[Any, Any]]) -> Graph:
    return Graph([kind(NoParams(), CONTEXT) for kind in kinds])


def names(nodes: Sequence[Node[Any, Any]]) -> list[str]:
    return [node.name for node in nodes]


def test_a_node_comes_after_its_inputs_in_whatever_order_they_are_given():
    assert names(graph(Room, Highest, Close).nodes) == ["close", "highest", "room"]
    assert names(graph(Highest, Close, Room).nodes) == ["close", "highest", "room"]


def test_each_node_is_asked_once_at_a_bar_and_its_readers_share_the_output():
    Close.asked.clear()
    made = graph(Room, Highest, Close)
    answers = [made.update(candle(close + 1, close - 1, close), Room) for close in (50, 60, 58)]
    assert answers == [0, 0, 2]
    assert Close.asked == ["close"] * 3


def test_history_reaches_the_nodes_that_remember_it():
    made = graph(Room, Highest, Close)
    made.warm(candle(71, 69, 70))
    assert made.update(candle(51, 49, 50), Room) == 20


def test_the_slowest_node_says_how_many_bars_the_graph_needs():
    assert graph().warm_up == 0
    assert graph(Close).warm_up == 1
    assert graph(Close, Highest).warm_up == 3
    assert Graph([Divergence(changed(DIVERGENCE, lookback=9), CONTEXT)]).warm_up == 9


def test_a_graph_without_an_input_of_one_of_its_nodes_is_refused():
    with pytest.raises(ValueError, match="Room reads Highest, which is not in the graph"):
        graph(Room, Close)


def test_two_nodes_of_one_class_are_refused():
    with pytest.raises(ValueError, match="two nodes of one graph are Close"):
        graph(Close, Close)


def test_what_a_node_does_not_read_it_does_not_get():
    with pytest.raises(KeyError):
        graph(Close).update(candle(2, 1, 1), Room)


def test_an_imbalance_that_is_off_is_still_read_by_the_stack():
    made = Graph([Imbalance(changed(IMBALANCE, enabled=False), CONTEXT), Stacked(STACKED, CONTEXT)])
    assert len(made.update(example_bar(), Stacked).signals) == 1
    assert made.update(example_bar(), Imbalance).signals == ()
