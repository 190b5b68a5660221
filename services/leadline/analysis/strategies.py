"""Strategies: what turns the bars of a session into opinions."""

from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import Any, Final, Protocol

from leadline.model.bars import OWN_SERIES, Bar
from leadline.model.checks.proposals import MOST_WHY
from leadline.model.errors import GivenUp, InvalidInput, RefusedMessage
from leadline.model.market.instruments import Instrument
from leadline.model.proposals import Action, Proposal, Withdrawal
from leadline.model.signals import BarSignals, RegimeReading, Signal
from leadline.nodes.base import Detector, Filter, Node, NodeContext
from leadline.nodes.graph import SeriesGraph
from leadline.nodes.router import Router, RouterParams

AnyKind = type[Node[Any, Any]]

NO_FILTERS: Final[Mapping[str, Sequence[Filter[Any]]]] = MappingProxyType({})


class Strategy(Protocol):
    """One session's worth of opinions; a new one is made for every session.

    It gets the bars of the history sessions, oldest first, then the bars of its own session as they close. What it
    says must follow from these bars and its parameters alone: no clock, no randomness, no I/O.
    """

    def warm(self, bar: Bar) -> None:
        """Take a bar of an earlier session in, without saying anything."""

    def on_bar(self, bar: Bar) -> BarSignals:
        """Take a bar of the session in, and say what there is to say about it."""


class ReadsSeries(Protocol):
    """The further methods of a strategy whose manifest names more than one series of bars.

    At one instant it gets the bars of these series, by their names, before its own bar. It says nothing about them:
    what they show is for what it says at its own next bar.
    """

    def warm_series(self, series: str, bar: Bar) -> None:
        """Take a bar of an earlier session in."""

    def on_series(self, series: str, bar: Bar) -> None:
        """Take a bar of the session in, as it closes."""


class StrategyFactory(Protocol):
    """A class, or a function, that makes a `Strategy`: an entry point names it."""

    def __call__(self, parameters: Mapping[str, object], instrument: Instrument) -> Strategy:
        """A fresh strategy; `parameters` as the manifest has them. Raises InvalidInput when they cannot be used."""


class StrategyFailed(GivenUp):
    """The code of a strategy raised.

    doing: what it was asked for, with the bar where there was one. error: what it raised. The message names the error,
    and the file and line of the strategy that it came from.
    """

    def __init__(self, doing: str, error: BaseException, strategy: str = "") -> None:
        super().__init__(doing, error, strategy)
        self.doing = doing
        self.error = error
        self.strategy = strategy

    def of(self, strategy: str) -> "StrategyFailed":
        """The same failure, with the name of the strategy."""
        return StrategyFailed(self.doing, self.error, strategy)

    def __str__(self) -> str:
        if isinstance(self.error, RefusedMessage):  # it is about what the strategy said, and not about its code
            return f"{self._who} failed {self.doing}: {self.error.detail}"
        words = f"{type(self.error).__name__}: {self.error}".rstrip(": ")
        return f"{self._who} failed {self.doing}: {words}{_place_in_code(self.error)}"

    @property
    def _who(self) -> str:
        return f"the strategy {self.strategy}" if self.strategy else "the strategy"


def _place_in_code(error: BaseException) -> str:
    """File and line of the deepest frame that is the strategy's own, and not this platform's."""
    places = []
    frame = error.__traceback__
    while frame is not None:
        code = frame.tb_frame.f_code
        if not frame.tb_frame.f_globals.get("__name__", "").startswith("leadline."):
            places.append(f" ({code.co_filename}, line {frame.tb_lineno}, in {code.co_name})")
        frame = frame.tb_next
    own = [place for place in places if "site-packages" not in place]
    return (own or places or [""])[-1]


class OrderFlow:
    """The detectors, the filters, the regime and the router, as graphs of nodes, and one proposal of what they saw.

    detectors: of one session, with their parameters; those that are off are asked only where another reads them.
    filters: of one session, by the name of the series that each reads. A further series has a graph of its own, of the
    nodes that somebody reads there.
    Before every input of the regime is available it says nothing but that.
    """

    def __init__(
        self,
        detectors: Iterable[Detector[Any, Any]],
        router: RouterParams,
        context: NodeContext,
        filters: Mapping[str, Sequence[Filter[Any]]] = NO_FILTERS,
    ) -> None:
        known = {type(detector): detector for detector in detectors}
        looking = [kind for kind, detector in known.items() if detector.params.enabled]
        asked = tuple((series, type(each)) for series, found in filters.items() for each in found)
        named: dict[tuple[str, AnyKind], Node[Any, Any]] = {
            (series, type(each)): each for series, found in filters.items() for each in found
        }
        graph: dict[str, dict[AnyKind, Node[Any, Any]]] = {}

        def place(series: str, node: Node[Any, Any]) -> None:
            """Put a node into the graph of a series, with what it reads."""
            graph.setdefault(series, {})[type(node)] = node
            for where, kind in (*((series, kind) for kind in node.inputs), *node.further):
                if kind not in graph.get(where, ()):
                    place(where, made(where, kind))

        def made(series: str, kind: AnyKind) -> Node[Any, Any]:
            """A node with the parameters that the manifest has for it, the defaults where it has none."""
            if (series, kind) in named:
                return named[series, kind]
            if series == OWN_SERIES and kind in known:
                return known[kind]
            return kind(known[kind].params if kind in known else kind.params_model(), context)

        place(OWN_SERIES, Router(router, context, looking, asked))
        self._graph = SeriesGraph({series: nodes.values() for series, nodes in graph.items()})

    def warm(self, bar: Bar) -> None:
        """Fold a bar of an earlier session."""
        self._graph.warm(OWN_SERIES, bar)

    def warm_series(self, series: str, bar: Bar) -> None:
        """Fold a bar of another series of an earlier session."""
        self._graph.warm(series, bar)

    def on_series(self, series: str, bar: Bar) -> None:
        """Fold a bar of another series."""
        self._graph.take(series, bar)

    def on_bar(self, bar: Bar) -> BarSignals:
        """Fold a bar of the session; its regime, its patterns with the router's word on each, and the entry on them."""
        routed = self._graph.take(OWN_SERIES, bar).of(Router)
        return propose(bar, *one_entry(routed.signals), signals=routed.signals, regime=routed.regime)


def propose(
    bar: Bar, *proposals: Proposal, signals: Sequence[Signal] = (), regime: RegimeReading | None = None
) -> BarSignals:
    """A strategy's answer to a bar: its proposals in the order in which they are decided, signals and regime."""
    return BarSignals(
        bar=bar.key,
        known_at_ns=bar.known_at_ns,
        close=bar.close,
        session_open_ns=bar.session_open_ns,
        session_close_ns=bar.session_close_ns,
        regime=regime,
        signals=tuple(signals),
        proposals=proposals,
    )


def one_entry(signals: Sequence[Signal]) -> tuple[Proposal, ...]:
    """The one proposal that a bar's signals come to: an entry on those that are approved, at the manifest's terms.

    It is owned by the strongest of them; ties keep their order. Where they speak for both sides, or none is approved,
    it is withdrawn, so that a decision says why. A bar without signals proposes nothing.
    """
    if not signals:
        return ()
    approved = sorted((signal for signal in signals if signal.approved), key=lambda signal: -signal.strength)
    why = tuple(signal.pattern.value for signal in approved[:MOST_WHY])
    if not approved:
        return (Proposal(Action.ENTER, withdrawn=Withdrawal.NO_APPROVED_SIGNAL),)
    if len({signal.direction for signal in approved}) > 1:
        return (Proposal(Action.ENTER, why=why, withdrawn=Withdrawal.CONFLICT),)
    return (Proposal(Action.ENTER, approved[0].direction, why=why),)


def load_entry_point(entry_point: str) -> StrategyFactory:
    """The factory that `module:name` names; InvalidInput when there is no such thing to call, or its module raises."""
    expected = "module:name of an importable strategy"
    module_name, _, name = entry_point.partition(":")
    try:
        factory: object = getattr(import_module(module_name), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidInput("spec.strategy.entryPoint", entry_point, f"{expected} ({error})") from error
    except (Exception, SystemExit) as error:
        raise InvalidInput(
            "spec.strategy.entryPoint", entry_point, f"{expected} ({StrategyFailed('while imported', error)})"
        ) from error
    if not callable(factory):
        raise InvalidInput("spec.strategy.entryPoint", entry_point, expected)
    return factory
