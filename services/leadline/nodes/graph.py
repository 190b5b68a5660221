"""A fixed graph of nodes: at each bar every node is asked once, after the nodes that it reads."""

from collections.abc import Iterable, Mapping
from typing import Any

from leadline.model.bars import Bar
from leadline.nodes.base import Inputs, Node, OutputT

AnyNode = Node[Any, Any]


class Graph:
    """Nodes in an order in which each comes after its inputs; else the order in which they were given.

    nodes: one of each class. Raises ValueError when two are of one class, or the input of one is not among them.
    """

    def __init__(self, nodes: Iterable[AnyNode]) -> None:
        given: dict[type[AnyNode], AnyNode] = {}
        for node in nodes:
            if type(node) in given:
                raise ValueError(f"two nodes of one graph are {type(node).__name__}")
            given[type(node)] = node
        self._nodes = _ordered(given)

    @property
    def nodes(self) -> tuple[AnyNode, ...]:
        """The nodes in the order in which they are asked."""
        return self._nodes

    @property
    def warm_up(self) -> int:
        """How many bars the slowest node needs before its output says something."""
        return max((node.warm_up for node in self._nodes), default=0)

    def warm(self, bar: Bar) -> None:
        """Take a bar of a history session in."""
        for node in self._nodes:
            node.warm(bar)

    def update(self, bar: Bar, asked: type[Node[Any, OutputT]]) -> OutputT:
        """Take the next bar of the session in; the output of one of the nodes at its close."""
        inputs = Inputs(bar)
        for node in self._nodes:
            inputs.put(node, node.update(inputs))
        return inputs.of(asked)


def _ordered(given: Mapping[type[AnyNode], AnyNode]) -> tuple[AnyNode, ...]:
    """A class is defined after those that it names, so inputs run in no circle."""
    order: dict[type[AnyNode], AnyNode] = {}

    def place(kind: type[AnyNode], reader: str) -> None:
        if kind in order:
            return
        if kind not in given:
            raise ValueError(f"{reader} reads {kind.__name__}, which is not in the graph")
        for read in given[kind].inputs:
            place(read, kind.__name__)
        order[kind] = given[kind]

    for kind in given:
        place(kind, "")
    return tuple(order.values())
