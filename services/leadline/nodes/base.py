"""What a node is: one step of analysis over closed bars, with parameters of one model and an output of one type.

A node gets each closed bar once, in the order in which the bars closed, and the outputs of its inputs at the same bar.
What it answers follows from them and from its parameters alone: no clock, no randomness, no I/O. A new node is made for
every session of a strategy; the bars of the history sessions warm it.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Generic, Literal, TypeVar

from pydantic import Field

from leadline.model.bars import Bar
from leadline.model.signals import Pattern, Signal
from leadline.model.spec_base import SpecModel

Volume = Annotated[int, Field(ge=1, le=1_000_000_000)]
"""A volume in size steps, as a parameter."""
Levels = Annotated[int, Field(ge=1, le=50)]
"""A number of footprint rows, as a parameter."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What much means for an instrument, in size steps: of a footprint row, of the outer rows together, of a bar."""

    imbalance_min: int
    absorption_min: int
    typical_bar_volume: int


@dataclass(frozen=True, slots=True)
class FromProfile:
    """Marks a parameter that the instrument's profile gives where the manifest leaves it out.

    `threshold` is the field of `Thresholds` that it takes. Without a profile the manifest must have the parameter.
    """

    threshold: Literal["imbalance_min", "absorption_min", "typical_bar_volume"]


class NoParams(SpecModel):
    """No parameters."""


class DetectorParams(SpecModel):
    """What every detector has in its section of the manifest."""

    enabled: bool = True
    """Whether it looks."""


@dataclass(frozen=True, slots=True)
class NodeContext:
    """What a node knows of its market, besides the bars.

    `around_the_clock`: the session has no open and no close whose nearness matters.
    """

    thresholds: Thresholds
    around_the_clock: bool = False


ParamsT = TypeVar("ParamsT", bound=SpecModel)
OutputT = TypeVar("OutputT")


class Inputs:
    """What a node gets at one bar: the closed bar, and the outputs of the nodes that were asked before it."""

    __slots__ = ("_found", "bar")

    def __init__(self, bar: Bar) -> None:
        self.bar: Final = bar
        self._found: dict[type[Any], Any] = {}

    def of(self, node: "type[Node[Any, OutputT]]") -> OutputT:
        """The output of a node that is among the reader's `inputs`; KeyError for one that was not asked."""
        found: OutputT = self._found[node]
        return found

    def put(self, node: "Node[Any, Any]", output: object) -> None:
        """Keep a node's output for the nodes after it."""
        self._found[type(node)] = output


class Node(ABC, Generic[ParamsT, OutputT]):
    """One step of analysis. Its docstring's first line says what it computes, in `leadline nodes` and on its page.

    `name` is unique among the nodes. `params_model` is the one model of its parameters: the manifest's section, what a
    node is made with, and what the documentation shows. `section` is where the manifest has it below `spec`, such as
    `strategy.detectors.stacked`; empty where it has none. `inputs` are the nodes whose output of the same bar it reads.
    """

    name: ClassVar[str]
    section: ClassVar[str]
    params_model: ClassVar[type[SpecModel]] = NoParams
    inputs: "Sequence[type[Node[Any, Any]]]" = ()

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
    """What a detector answers: the signals of its patterns. Another detector's output has more than that."""

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


def profile_fields(params: type[SpecModel]) -> dict[str, str]:
    """The parameters that the instrument's profile gives where they are left out, with the threshold of each."""
    return {
        name: mark.threshold
        for name, field in params.model_fields.items()
        for mark in field.metadata
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
