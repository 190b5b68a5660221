"""The platform's settings besides the manifests: the feed of its tape, and the speed."""

from datetime import date
from typing import Literal, Self

from pydantic import Field, model_validator

from leadline.ingestion.params import FeedKind, FeedSettings, Speed
from leadline.model.errors import InvalidInput
from leadline.model.strict import StrictModel


class FeedFile(StrictModel):
    """A file of prints. Where it lies is for the one who runs the plan to know.

    `name` is its name, behind folders only where they tell it from another. `contract` is what it holds: a dated
    contract, or a root whose front contract the prints are.
    """

    name: str = Field(min_length=1, pattern=r"^[^/]+(/[^/]+)*$")
    contract: str = Field(min_length=1)


class Feed(FeedSettings):
    """Where prints come from: simulated from `seed` for `sessions` sessions, replayed from `files`, or pushed.

    A run of whose prints more than `max_kept_out_percent` are faulty fails.
    """

    kind: FeedKind = "sim"
    files: tuple[FeedFile, ...] = ()

    @model_validator(mode="after")
    def _each_file_once(self) -> Self:
        names = [file.name for file in self.files]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"each file of the feed once, and {name} is named {names.count(name)} times")
        return self


class PlatformSettings(StrictModel):
    """Settings of one platform with one feed.

    `trade_from` is the first trading day on which anything is decided; absent, the feed's own choice. `speed` is how
    many seconds of the tape pass in a second, `max` for as fast as it goes.
    """

    feed: Feed = Feed()
    trade_from: date | None = None
    speed: Speed = "max"


def parse_speed(text: str) -> float | Literal["max"]:
    """A speed as people write it; InvalidInput for anything else."""
    if text == "max":
        return "max"
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 100_000:
        raise InvalidInput("speed", text, "max, or a number above 0 and at most 100000, 1 being real time")
    return value
