"""Fixed graphs of nodes: at each bar of a series every node of it is asked once, after the nodes that it reads."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from leadline.model.bars import Bar
from leadline.nodes.base import NOTHING_YET, Filter, Inputs, LastOutputs, Node, OutputT

AnyNode = Node[Any, Any]


class Graph:
    """Nodes of one series in an order in which each comes after its inputs; else the order in which they were given.

    nodes: one of each class. lasting: those of which somebody needs the output before the session's first bar. They,
    filters and the inputs of both are asked at the bars of the history too, as far as they can be.
    Raises ValueError when two are of one class, or the input of one is not among them, or a lasting one that spans
    sessions reads one that does not.
    """

    def __init__(self, nodes: Iterable[AnyNode], lasting: Collection[type[AnyNode]] = ()) -> None:
        given: dict[type[AnyNode], AnyNode] = {}
        for node in nodes:
            if type(node) in given:
                raise ValueError(f"two nodes of one graph are {type(node).__name__}")
            given[type(node)] = node
        self._nodes = _ordered(given)
        filters = [kind for kind in given if issubclass(kind, Filter)]
        asked = frozenset(_asked_over_history(given, [*lasting, *filters]))
        # Over the history a node is asked, or it is told of the bars, or it has nothing to do.
        self._over_history = [
            (node, type(node) in asked)
            for node in self._nodes
            if type(node) in asked or type(node).warm is not Node.warm
        ]

    @property
    def nodes(self) -> tuple[AnyNode, ...]:
        """The nodes in the order in which they are asked."""
        return self._nodes

    @property
    def warm_up(self) -> int:
        """How many bars the slowest node needs before its output says something."""
        return max((node.warm_up for node in self._nodes), default=0)

    def warm(self, bar: Bar, last: LastOutputs = NOTHING_YET) -> Inputs:
        """Take a bar of a history session in; the outputs of the nodes that were asked at it.

        last: what the nodes of other series have answered.
        """
        inputs = Inputs(bar, last)
        for node, asked in self._over_history:
            if asked:
                inputs.put(node, node.update(inputs))
            else:
                node.warm(bar)
        return inputs

    def ask(self, bar: Bar, last: LastOutputs = NOTHING_YET) -> Inputs:
        """Take the next bar of the session in; the output of every node at its close. `last` as `warm` has it."""
        inputs = Inputs(bar, last)
        for node in self._nodes:
            inputs.put(node, node.update(inputs))
        return inputs

    def update(self, bar: Bar, asked: type[Node[Any, OutputT]]) -> OutputT:
        """Take the next bar of the session in; the output of one of the nodes at its close."""
        return self.ask(bar).of(asked)


class SeriesGraph:
    """A graph for each series of bars. A node of one reads the last output of a node of another.

    nodes: by the name of the series.
    Bars come in the one order of all series, so that which output is the last one follows from the bars.
    Raises ValueError as `Graph` does, and when a node reads one of another series that is not there.
    """

    def __init__(self, nodes: Mapping[str, Iterable[AnyNode]]) -> None:
        given = {series: tuple(each) for series, each in nodes.items()}
        self._read = {series: tuple(_read_of(series, given)) for series in given}
        self._graphs = {series: Graph(each, self._read[series]) for series, each in given.items()}
        self._last: dict[tuple[str, type[AnyNode]], Any] = {}

    @property
    def graphs(self) -> Mapping[str, Graph]:
        """The graph of each series."""
        return self._graphs

    def warm(self, series: str, bar: Bar) -> None:
        """Take a bar of a history session in. One of a series without nodes is nobody's."""
        if series in self._graphs:
            self._keep(series, self._graphs[series].warm(bar, self._last))

    def take(self, series: str, bar: Bar) -> Inputs:
        """Take the next bar of the session in; the output of every node of its series."""
        found = self._graphs[series].ask(bar, self._last) if series in self._graphs else Inputs(bar)
        self._keep(series, found)
        return found

    def _keep(self, series: str, found: Inputs) -> None:
        for kind in self._read.get(series, ()):
            if found.has(kind):
                self._last[series, kind] = found.of(kind)


def _read_of(series: str, given: Mapping[str, Iterable[AnyNode]]) -> Iterator[type[AnyNode]]:
    """The nodes of a series that nodes of others read, each once."""
    found: set[type[AnyNode]] = set()
    for other in given.values():
        for node in other:
            for wanted, kind in node.further:
                if not any(type(each) is kind for each in given.get(wanted, ())):
                    raise ValueError(
                        f"{type(node).__name__} reads {kind.__name__} of {wanted}, which is not in a graph"
                    )
                if wanted == series and kind not in found:
                    found.add(kind)
                    yield kind


def _asked_over_history(
    given: Mapping[type[AnyNode], AnyNode], lasting: Collection[type[AnyNode]]
) -> Iterator[type[AnyNode]]:
    for kind in lasting:
        if not kind.spans_sessions:
            continue
        yield kind
        for read in given[kind].inputs:
            if not read.spans_sessions:
                raise ValueError(f"{kind.__name__} spans sessions and reads {read.__name__}, which does not")
        yield from _asked_over_history(given, given[kind].inputs)


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
