"""The node: one step of analysis over closed bars, with parameters of one model and an output of one type.

A node gets each closed bar of one series once, in the order in which the bars closed, and the outputs of its inputs at
the same bar. Of a node of another series it may read the last output. What it answers follows from them and from its
parameters alone: no clock, no randomness, no I/O. A new node is made for every session of a strategy; the bars of the
history sessions warm it.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Final, Generic, Literal, TypeVar

from pydantic import Field

from leadline.model.bars import Bar
from leadline.model.manifest.spec_base import SpecModel
from leadline.model.signals import Pattern, Signal

Volume = Annotated[int, Field(ge=1, le=1_000_000_000)]
"""A volume in size steps, as a parameter."""
Levels = Annotated[int, Field(ge=1, le=50)]
"""A number of footprint rows, as a parameter."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Volumes that are large for an instrument, in size steps: of a footprint row, of the outer rows, of a bar."""

    imbalance_min: int
    absorption_min: int
    typical_bar_volume: int


@dataclass(frozen=True, slots=True)
class FromProfile:
    """Marks a parameter that the instrument's profile gives where the manifest leaves it out.

    `threshold` is the field of `Thresholds` that it takes. Without a profile the manifest must have the parameter.
    """

    threshold: Literal["imbalance_min", "absorption_min", "typical_bar_volume"]


@dataclass(frozen=True, slots=True)
class NamesSeries:
    """Marks a parameter that is the name of a series of bars: the manifest must have one of that name, or it is `main`.

    A series that no filter and no such parameter of a detector names is one that nobody reads.
    """


class NoParams(SpecModel):
    """No parameters."""


class DetectorParams(SpecModel):
    """Parameters that every detector has in its section of the manifest."""

    enabled: bool = True
    """Whether it looks."""


@dataclass(frozen=True, slots=True)
class NodeContext:
    """Facts about the market that a node knows besides the bars.

    `around_the_clock`: the session has no open and no close whose nearness matters.
    """

    thresholds: Thresholds
    around_the_clock: bool = False


NOWHERE: Final = NodeContext(Thresholds(imbalance_min=1, absorption_min=1, typical_bar_volume=1))
"""For nodes that are made to be looked at, and never asked."""

ParamsT = TypeVar("ParamsT", bound=SpecModel)
OutputT = TypeVar("OutputT")


LastOutputs = Mapping[tuple[str, type[Any]], Any]
"""The last output of nodes, by the series that each reads and its class."""

NOTHING_YET: Final[LastOutputs] = MappingProxyType({})


class Inputs:
    """A node's inputs at one bar: the bar, the outputs of nodes before it, and the last outputs of other series."""

    __slots__ = ("_found", "_last", "bar")

    def __init__(self, bar: Bar, last: LastOutputs = NOTHING_YET) -> None:
        self.bar: Final = bar
        self._found: dict[type[Any], Any] = {}
        self._last = last

    def of(self, node: "type[Node[Any, OutputT]]") -> OutputT:
        """The output of a node that is among the reader's `inputs`; KeyError for one that was not asked."""
        found: OutputT = self._found[node]
        return found

    def last(self, series: str, node: "type[Node[Any, OutputT]]") -> OutputT | None:
        """The output of a node of another series at the last bar of that series that was known by now.

        None before its first answer. The node is among the reader's `further`.
        """
        found: OutputT | None = self._last.get((series, node))
        return found

    def has(self, node: "type[Node[Any, Any]]") -> bool:
        """Whether a node was asked at this bar."""
        return node in self._found

    def put(self, node: "Node[Any, Any]", output: object) -> None:
        """Keep a node's output for the nodes after it."""
        self._found[type(node)] = output


class Node(ABC, Generic[ParamsT, OutputT]):
    """One step of analysis. Its docstring's first line says what it computes, in `leadline nodes` and on its page.

    `name` is unique among the nodes. `params_model` is the one model of its parameters: the manifest's section, what a
    node is made with, and what the documentation shows. `section` is where the manifest has it below `spec`, such as
    `strategy.detectors.stacked`; empty where it has none. `inputs` are the nodes whose output of the same bar it reads,
    `further` the nodes of other series, each after the name of its series, whose last output it reads.

    `spans_sessions`: `update` may be asked at the bars of the history in the place of `warm`, so that readers of
    another series have an answer before the session's first bar. A node whose memory is that of one session may not.
    """

    name: ClassVar[str]
    section: ClassVar[str]
    params_model: ClassVar[type[SpecModel]] = NoParams
    inputs: "Sequence[type[Node[Any, Any]]]" = ()
    further: "Sequence[tuple[str, type[Node[Any, Any]]]]" = ()
    spans_sessions: ClassVar[bool] = False

    def __init__(self, params: ParamsT, context: NodeContext) -> None:
        self.params: Final = in_force(params, context.thresholds)
        self.context: Final = context

    @property
    def warm_up(self) -> int:
        """How many bars it must have seen, the current one included, before its output says something."""
        return 1

    def warm(self, bar: Bar) -> None:
        """Take a bar of a history session in. A node whose memory is that of one session has nothing to do."""

    @abstractmethod
    def update(self, inputs: Inputs) -> OutputT:
        """Take the next bar of the session in; the output at its close."""


@dataclass(frozen=True, slots=True)
class Found:
    """A detector's output: the signals of its patterns. A detector may give out more than that."""

    signals: Sequence[Signal]


FoundT = TypeVar("FoundT", bound=Found)
DetectorParamsT = TypeVar("DetectorParamsT", bound=DetectorParams)


class Detector(Node[DetectorParamsT, FoundT]):
    """A node that finds patterns. Its section of the manifest is `strategy.detectors` with its name.

    `patterns` are those that it can find. A detector that is off is asked only where another one reads its output.
    """

    patterns: ClassVar[tuple[Pattern, ...]]
    params_model: ClassVar[type[SpecModel]] = DetectorParams

    def thresholds(self) -> dict[str, str]:
        """The parameters in force by their names in the manifest, and what else it measures against."""
        values = self.params.to_manifest()
        return {name: str(value) for name, value in values.items() if name != "enabled"}

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "name" in cls.__dict__:
            cls.section = f"strategy.detectors.{cls.name}"


@dataclass(frozen=True, slots=True)
class Allowed:
    """A filter's output: the sides that may be entered, at how many times of the size.

    `multiplier` is at least 0. `texts` are the numbers that show why, by short names; they stand in the
    bar's reading.
    """

    long: bool
    short: bool
    multiplier: Decimal = Decimal(1)
    texts: Mapping[str, str] = field(default_factory=dict)


class Filter(Node[ParamsT, Allowed]):
    """A node that says which sides may be entered, on whichever series the manifest puts it.

    Its section is that of an entry of `strategy.filters`, with its name. What it answered at the last bar of its series
    holds until the next one, over the open of a session too: it is asked at the bars of the history as well.
    """

    spans_sessions = True

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "name" in cls.__dict__:
            cls.section = f"strategy.filters[].{cls.name}"


def series_fields(params: type[SpecModel]) -> tuple[str, ...]:
    """The parameters that are the name of a series of bars."""
    return tuple(
        name
        for name, each in params.model_fields.items()
        if any(isinstance(mark, NamesSeries) for mark in each.metadata)
    )


def profile_fields(params: type[SpecModel]) -> dict[str, str]:
    """The parameters that the instrument's profile gives where they are left out, with the threshold of each."""
    return {
        name: mark.threshold
        for name, each in params.model_fields.items()
        for mark in each.metadata
        if isinstance(mark, FromProfile)
    }


def in_force(params: ParamsT, thresholds: Thresholds) -> ParamsT:
    """The parameters with everything that the manifest leaves to the instrument's profile."""
    left_out = {
        name: getattr(thresholds, threshold)
        for name, threshold in profile_fields(type(params)).items()
        if getattr(params, name) is None
    }
    return params.model_copy(update=left_out) if left_out else params


def known(volume: int | None) -> int:
    """A parameter that `in_force` has filled in."""
    assert volume is not None, "a parameter that the profile gives is known once the node is made"
    return volume
