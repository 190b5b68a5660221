"""The part of a strategy's manifest that decides: detectors, filters, router, or a class of the image."""

from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, TypeVar

from pydantic import Field, create_model, model_validator

from leadline.model.manifest.spec_base import DNS_LABEL_PATTERN, FREE_FORM, SpecModel, Text, refused
from leadline.nodes.base import Detector, DetectorParams
from leadline.nodes.registry import FilterType, detector_types, filter_types
from leadline.nodes.router import RouterParams

ParamsT = TypeVar("ParamsT", bound=DetectorParams)


class DetectorSections(SpecModel):
    """The detectors of order-flow patterns and their thresholds."""

    def of(self, detector: type[Detector[ParamsT, Any]]) -> ParamsT:
        """The section of one detector."""
        section: ParamsT = getattr(self, detector.name)
        return section


class FilterSections(SpecModel):
    """Filters on one series of bars: every one that is named must allow an entry's side."""

    series: Annotated[
        str, Text(DNS_LABEL_PATTERN, "a DNS label: lower-case letters, digits and dashes, at most 20", 20)
    ]
    """The series whose bars they read: the name of one of `spec.series`, or `main`, the strategy's own."""

    def chosen(self) -> tuple[tuple[FilterType, SpecModel], ...]:
        """The filters that are named, with their parameters."""
        sections = ((kind, getattr(self, kind.name)) for kind in filter_types())
        return tuple((kind, params) for kind, params in sections if params is not None)

    @model_validator(mode="after")
    def _at_least_one(self) -> Self:
        if not self.chosen():
            raise refused(f"at least one filter: {', '.join(kind.name for kind in filter_types())}")
        return self


if TYPE_CHECKING:
    Detectors = DetectorSections
    Filters = FilterSections
else:
    # A section for each registered detector, under its name and with its own model.
    Detectors = create_model(
        "Detectors",
        __base__=DetectorSections,
        __doc__=DetectorSections.__doc__,
        **{kind.name: (kind.params_model, kind.params_model()) for kind in detector_types()},
    )
    Filters = create_model(
        "Filters",
        __base__=FilterSections,
        __doc__=FilterSections.__doc__,
        **{kind.name: (kind.params_model | None, None) for kind in filter_types()},
    )


class Logic(SpecModel):
    """The logic of a strategy: the built-in order-flow strategy, or a class in the image."""

    name: Literal["OrderFlow"] | None = None
    """A built-in strategy."""
    entry_point: (
        Annotated[str, Text(r"^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*$", "module:Class", 256)] | None
    ) = None
    """A strategy class of the image, as `package.module:Class`."""
    detectors: Detectors = Detectors()
    """Detectors and thresholds."""
    filters: Annotated[tuple[Filters, ...], Field(max_length=5)] = ()
    """Which sides may be entered, by what further series or its own bars show; without any, both."""
    router: RouterParams = RouterParams()
    """Regime and signal gates."""
    parameters: Annotated[dict[str, Any], Field(max_length=64, json_schema_extra=FREE_FORM)] = Field(
        default_factory=dict
    )
    """Free form, for the class of `entryPoint`."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if (self.name is None) == (self.entry_point is None):
            raise refused("either name or entryPoint")
        return self
