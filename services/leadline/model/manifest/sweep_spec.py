"""The description of a sweep in a manifest: fields with their values, a draw among them, or a list of variants."""

import re
from decimal import Decimal
from math import prod
from typing import Annotated, Any, Final, Self

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from leadline.model.manifest.spec_base import FREE_FORM, SpecModel, refused

MOST_VARIANTS: Final = 10_000
MOST_VALUES: Final = 1_000
"""Values of one field."""
NUMBER: Final = r"-?[0-9]{1,15}(?:\.[0-9]{1,8})?"
_MOST_SEED: Final = 2**63 - 1


def _number(value: object) -> Decimal:
    if isinstance(value, Decimal):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, str) and re.fullmatch(NUMBER, value):
        return Decimal(value)
    raise refused('a whole number, or a decimal one in quotes, such as "0.25"')


def _text_of(value: Decimal) -> str:
    return format(value.normalize(), "f")


NumberText = Annotated[
    Decimal,
    BeforeValidator(_number),
    PlainSerializer(_text_of, return_type=str),
    WithJsonSchema({"x-kubernetes-int-or-string": True}),
]
"""A whole number, or a decimal one as text so that nobody's parser rounds it; Decimal in Python."""
FieldText = Annotated[str, Field(min_length=1, max_length=256)]
AnyValue = Annotated[Any, Field(json_schema_extra=FREE_FORM)]


class SweptField(SpecModel):
    """One field with the values that it gets, in their order: a list, or a range from, to and step."""

    field: FieldText
    """The field, such as strategy.spec.bracket.stopTicks."""
    values: Annotated[tuple[AnyValue, ...], Field(max_length=MOST_VALUES)] = ()
    """Its values as a manifest writes them. A null leaves the field out."""
    from_: Annotated[NumberText | None, Field(alias="from")] = None
    """First value of a range."""
    to: NumberText | None = None
    """No value of the range is larger."""
    step: NumberText | None = None
    """Distance of the values of a range, above 0."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        bounds = (self.from_, self.to, self.step)
        if len([each for each in bounds if each is not None]) != (0 if self.values else len(bounds)):
            raise refused("either values, one or more, or from, to and step")
        if self.from_ is not None and self.to is not None and self.step is not None:
            if self.step <= 0:
                raise refused("a step above 0")
            if self.to < self.from_:
                raise refused("a range whose `to` is not below its `from`")
            if (self.to - self.from_) // self.step >= MOST_VALUES:
                raise refused(f"a range of at most {MOST_VALUES} values")
        if len({identity_of(each) for each in self.all_values}) < len(self.all_values):
            raise refused("each value once")
        return self

    @property
    def all_values(self) -> tuple[Any, ...]:
        """The values, a range's among them, in order."""
        if self.from_ is None or self.to is None or self.step is None:
            return self.values
        return tuple(self.from_ + number * self.step for number in range(int((self.to - self.from_) // self.step) + 1))


class RandomDraw(SpecModel):
    """A draw among all combinations of the fields' values; each is drawn once at most."""

    count: Annotated[int, Field(ge=1, le=MOST_VARIANTS)]
    """Combinations to draw."""
    seed: Annotated[int, Field(ge=0, le=_MOST_SEED)]
    """The same seed draws the same ones, on every machine."""


class Sweep(SpecModel):
    """Variants of manifests: all combinations of fields, a draw among them, or a list of variants."""

    fields: Annotated[tuple[SweptField, ...], Field(max_length=16)] = ()
    """Fields and their values: every combination is a variant, the last field changing first."""
    random: RandomDraw | None = None
    """So many of the combinations instead of all."""
    variants: Annotated[
        tuple[Annotated[dict[str, Any], Field(min_length=1, max_length=16, json_schema_extra=FREE_FORM)], ...],
        Field(max_length=MOST_VARIANTS),
    ] = ()
    """The variants one by one, each with its fields and values; instead of fields."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        if bool(self.fields) == bool(self.variants):
            raise refused("either fields or variants, one or more")
        if self.random is not None and not self.fields:
            raise refused("fields beside random: there is nothing to draw from")
        combined = self._combined
        if self.random is None and combined > MOST_VARIANTS:
            raise refused(f"at most {MOST_VARIANTS} combinations, or a random draw among the {combined}")
        if self.random is not None and self.random.count > combined:
            raise refused(f"a random count of at most {combined}, the combinations that there are")
        return self

    @property
    def size(self) -> int:
        """The number of variants, without a look at any of them."""
        if self.variants:
            return len(self.variants)
        return self._combined if self.random is None else self.random.count

    @property
    def _combined(self) -> int:
        return prod(len(each.all_values) for each in self.fields)


def identity_of(value: Any) -> str:
    """Another text for another value; 1, true and "1" are three."""
    match value:
        case dict():
            return "{" + ",".join(f"{key}:{identity_of(each)}" for key, each in value.items()) + "}"
        case list() | tuple():
            return "[" + ",".join(map(identity_of, value)) + "]"
        case _:
            return repr(value)
