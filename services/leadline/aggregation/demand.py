"""The series of bars that the rows of the demand ask for."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from leadline.aggregation.builder import BarBuilder, session_from
from leadline.aggregation.live import LiveBuilder
from leadline.model.bars import CLOSE_GRACE_NS
from leadline.model.durations import BarSpec, parse_bar_spec, spec_token
from leadline.model.errors import InvalidInput
from leadline.model.ids import ContractId, RunId
from leadline.model.market.calendars import Calendar
from leadline.model.market.contracts import instrument_of
from leadline.model.market.hours import SessionHours
from leadline.model.market.sessions import calendar_of

Builder = TypeVar("Builder")


@dataclass(frozen=True, slots=True)
class Series:
    """The bars of one contract in one session, cut and laid out in one way: what one builder builds."""

    contract: ContractId
    venue: str
    hours: SessionHours
    bars: BarSpec
    ticks_per_row: int

    @property
    def spec(self) -> str:
        """Bar specification with ticks per row, as in bar keys and subjects, such as `5m-r1`."""
        return spec_token(self.bars.token, self.ticks_per_row)

    @property
    def calendar(self) -> Calendar:
        """The calendar of its sessions. Raises Unknown for a contract without one."""
        return calendar_of(instrument_of(self.contract), self.hours)

    def builder(self, tape: RunId) -> BarBuilder:
        """A builder of these bars that has seen nothing. Raises Unknown for a contract without a calendar."""
        return self._made(BarBuilder, tape)

    def live_builder(self, tape: RunId) -> LiveBuilder:
        """The same for a tape without an end. Raises as `builder`."""
        return self._made(LiveBuilder, tape)

    def begins_ns(self, reached_ns: int) -> int:
        """From when on prints are wanted by a builder that goes on where an earlier one has said all up to a time.

        That is the open of the session that was not over by then, bars that wait for their grace included, else the
        time itself: nothing is open then. Raises Unknown as `session_from`.
        """
        session = session_from(self.calendar, self.hours, reached_ns - CLOSE_GRACE_NS)
        return min(session.open_ns, reached_ns)

    def _made(self, kind: Callable[..., Builder], tape: RunId) -> Builder:
        return kind(
            tape=tape,
            venue=self.venue,
            contract=self.contract,
            calendar=self.calendar,
            hours=self.hours,
            spec=self.bars,
            ticks_per_row=self.ticks_per_row,
        )


def series_of(row: Mapping[str, Any]) -> Series:
    """The series that a row of the demand names.

    `hours` has `open` and `close` as HH:MM on the clock of `zone`, `session` is their id, `bars` the token of what
    closes a bar. Raises InvalidInput when one of them is malformed.
    """
    hours, ticks_per_row = row["hours"], row["ticks_per_row"]
    if not isinstance(hours, Mapping) or not all(
        isinstance(hours.get(name), str) for name in ("open", "close", "zone")
    ):
        raise InvalidInput("hours", hours, "open, close and zone")
    if not isinstance(ticks_per_row, int) or ticks_per_row < 1:
        raise InvalidInput("ticks_per_row", ticks_per_row, "an integer >= 1")
    return Series(
        contract=ContractId(row["contract"]),
        venue=row["venue"],
        hours=SessionHours(hours["open"], hours["close"], hours["zone"], id=row["session"]),
        bars=bar_spec_of(row["bars"]),
        ticks_per_row=ticks_per_row,
    )


def bar_spec_of(token: str) -> BarSpec:
    """Inverse of `BarSpec.token`: `5m`, `ticks500`, `volume2000`. InvalidInput for anything else."""
    return parse_bar_spec(re.sub(r"^(ticks|volume)(?=[0-9])", r"\1:", token))
