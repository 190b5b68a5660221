"""Instruments and calendars of one's own: files that stand beside the package's sheet and never change it.

They are read and checked whole, and put in force once, at the start of a process and before anything asks the sheet.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field

from leadline.model import remembered
from leadline.model.durations import parse_duration
from leadline.model.errors import InvalidInput
from leadline.model.ids import derive
from leadline.model.manifest.manifests import InvalidManifest
from leadline.model.manifest.one_document import MAX_FILE_BYTES, in_place, read_document
from leadline.model.manifest.spec_base import ClockText, DecimalText, DurationText, SymbolText, Text, ZoneText
from leadline.model.manifest.yaml_text import YamlDocument
from leadline.model.market import calendars, contracts, instruments
from leadline.model.market.calendars import Calendar
from leadline.model.market.hours import SessionHours
from leadline.model.market.instruments import DEFAULT_COLLAR_TICKS, Instrument, Profile
from leadline.model.strict import StrictModel
from leadline.model.worth import MOST_INVERSE_VALUE

MAX_INSTRUMENTS: Final = 1_000

_TokenText = Annotated[str, Text(r"^[a-z0-9][a-z0-9-]*$", "lower-case letters, digits and dashes, such as binance", 32)]
_SessionText = Annotated[str, Text(r"^[a-z][a-z0-9-]*$", "lower-case letters, digits and dashes, such as rth", 32)]
_CurrencyText = Annotated[str, Text(r"^[A-Z]{3,6}$", "a currency of 3 to 6 upper-case letters, such as USDT", 6)]
_MonthText = Annotated[str, Text(r"^[FGHJKMNQUVXZ][0-9]{4}$", "a month's letter and a year, such as M2025", 5)]
_Title = Annotated[str, Field(min_length=1, max_length=128)]
_Volume = Annotated[int, Field(ge=1, le=1_000_000_000)]
_Ticks = Annotated[int, Field(ge=1, le=1_000_000)]


class _Row(StrictModel):
    """A frozen part of a file: unknown fields refused, no coercion."""

    model_config = ConfigDict(strict=True)


class _Hours(_Row):
    open: ClockText
    close: ClockText
    zone: ZoneText


class _Profile(_Row):
    imbalance_min: _Volume
    absorption_min: _Volume
    typical_bar_volume: _Volume
    stop_ticks: _Ticks
    target_ticks: _Ticks


class _Instrument(_Row):
    """A row as the package's sheet has it; of `tick_value` and `multiplier` one is given. It is its own underlying.

    `multiplier` of an inverse contract is the sum of the quote's currency that one contract of size 1 is a claim on.
    """

    name: _Title
    tick: DecimalText
    size_step: DecimalText
    tick_value: DecimalText | None = None
    multiplier: DecimalText | None = None
    currency: _CurrencyText
    exchange: _Title
    venue: _TokenText
    calendar: _TokenText
    commission: DecimalText | None = None
    fee_rate: DecimalText | None = None
    staleness: DurationText
    collar: _Ticks = DEFAULT_COLLAR_TICKS
    margin: DecimalText | None = None
    margin_rate: DecimalText | None = None
    kind: Literal["future", "perpetual", "etf"]
    roll: Literal["venue", "none"]
    sessions: Annotated[dict[_SessionText, _Hours], Field(min_length=1, max_length=16)]
    profile: _Profile | None = None
    below_zero: bool = False
    inverse: bool = False
    last_days: Annotated[dict[_MonthText, date], Field(max_length=240)] = Field(default_factory=dict)


class _Calendar(_Row):
    """A calendar as the package's files have it."""

    title: _Title
    zone: ZoneText
    open: ClockText
    close: ClockText
    weekdays: Annotated[tuple[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"], ...], Field(min_length=1)]
    valid_from: date
    valid_through: date
    closed: dict[date, str] = Field(default_factory=dict)
    early_close: dict[ClockText, dict[date, str]] = Field(default_factory=dict)
    former_close: dict[date, ClockText] = Field(default_factory=dict)


class OwnMarkets(_Row):
    """Rows of one or more files, by symbol and by the calendar's name. Empty: nothing but the package's sheet."""

    instruments: Annotated[dict[SymbolText, _Instrument], Field(max_length=MAX_INSTRUMENTS)] = Field(
        default_factory=dict
    )
    calendars: Annotated[dict[_TokenText, _Calendar], Field(max_length=MAX_INSTRUMENTS)] = Field(default_factory=dict)

    def document(self) -> str:
        """The rows as a file that `read_own` reads back: the same text for the same rows."""
        return json.dumps(self.model_dump(mode="json", exclude_none=True), sort_keys=True, indent=1)

    def digest(self) -> str:
        """Another one for other rows; empty where there are none."""
        return derive("own-markets", self.document()) if self.instruments or self.calendars else ""


def read_own(files: Iterable[Path]) -> OwnMarkets:
    """The rows of some files together, checked.

    Raises InvalidManifest with everything that is wrong, each with file, field, value and what was expected: among it a
    symbol or calendar that the package or an earlier file has. OSError when a file cannot be read.
    """
    found, problems = OwnMarkets(), list[InvalidInput]()
    refused = _Refused()
    for file in files:
        try:
            own, document = _parse(file)
        except InvalidManifest as refusal:
            problems += refusal.problems
            refused.unread = True
            continue
        wrong = [*_known(own, found), *_problems(own, found, refused)]
        problems += [in_place(problem, document, str(file)) for problem in wrong]
        if wrong:
            refused.calendars |= own.calendars.keys()
        else:
            found = OwnMarkets(
                instruments={**found.instruments, **own.instruments}, calendars={**found.calendars, **own.calendars}
            )
    if problems:
        raise InvalidManifest(problems)
    return found


@dataclass(slots=True)
class _Refused:
    """The names in files that are refused already, so that they are not told as missing, too.

    calendars: by name; unread: one of them may have any.
    """

    calendars: set[str] = field(default_factory=set)
    unread: bool = False


def put_in_force(own: OwnMarkets) -> None:
    """Make these rows what the process knows beside the package's sheet, in place of any before.

    For the start of a process: what has been worked out from other rows is not worked out again.
    """
    global _in_force  # noqa: PLW0603 - the sheet is one for the process, as the package's is
    _in_force = own
    calendars.own_calendars = {name: _calendar(name, row) for name, row in own.calendars.items()}
    instruments.own_instruments = {root: _instrument(root, row) for root, row in own.instruments.items()}
    instruments.own_digest = own.digest()
    contracts.no_entry_from.cache_clear()
    remembered.forget()


def in_force() -> OwnMarkets:
    """The rows that the process knows beside the package's sheet."""
    return _in_force


_in_force = OwnMarkets()


def _parse(file: Path) -> tuple[OwnMarkets, YamlDocument]:
    with file.open("rb") as text:
        raw = text.read(MAX_FILE_BYTES + 1)
    return read_document(raw, str(file), OwnMarkets, "`instruments`, and `calendars` where they are one's own")


def _known(own: OwnMarkets, before: OwnMarkets) -> Iterator[InvalidInput]:
    """Names that the package or an earlier file has already: a file of your own never changes another row."""
    for root in own.instruments:
        if root in before.instruments or root in instruments.sheet_roots():
            yield InvalidInput(f"instruments.{root}", root, "a symbol that is not known already")
    for name in own.calendars:
        if name in before.calendars or name in calendars.packaged_names():
            yield InvalidInput(f"calendars.{name}", name, "a name that no calendar has already")


def _problems(own: OwnMarkets, before: OwnMarkets, refused: _Refused) -> Iterator[InvalidInput]:
    """Problems of rows whose fields are right by themselves."""
    days: dict[str, Calendar] = {}
    for name, row in {**before.calendars, **own.calendars}.items():
        try:
            days[name] = _calendar(name, row)
        except InvalidInput as problem:
            field_name = problem.field.removeprefix(f"{name}.")
            yield InvalidInput(f"calendars.{name}.{field_name}", problem.value, problem.expected)
            refused.calendars.add(name)
        if row.valid_through < row.valid_from:
            expected = f"a day from {row.valid_from} on"
            yield InvalidInput(f"calendars.{name}.valid_through", row.valid_through.isoformat(), expected)
    for root, instrument in own.instruments.items():
        missed = refused.unread or instrument.calendar in refused.calendars
        for each in _row_problems(root, instrument, days, calendar_is_refused=missed):
            yield InvalidInput(f"instruments.{root}.{each.field}", each.value, each.expected)


def _row_problems(
    root: str, row: _Instrument, days: dict[str, Calendar], *, calendar_is_refused: bool
) -> Iterator[InvalidInput]:
    if contracts.dated(root) is not None:
        yield InvalidInput("symbol", root, "a root: letter of a month and year at its end make it a dated contract")
    for name, value in (("tick", row.tick), ("size_step", row.size_step)):
        if value <= 0:
            yield InvalidInput(name, str(value), "more than 0")
    if (row.tick_value is None) == (row.multiplier is None):
        written = None if row.tick_value is None else str(row.tick_value)
        yield InvalidInput("tick_value", written, "either tick_value or multiplier")
    for name, given in (("tick_value", row.tick_value), ("multiplier", row.multiplier), ("margin", row.margin)):
        if given is not None and given <= 0:
            yield InvalidInput(name, str(given), "more than 0")
    yield from _money_problems(row)
    if parse_duration(row.staleness) <= 0:
        yield InvalidInput("staleness", row.staleness, "more than 0")
    if (row.kind == "future") != (row.roll == "venue"):
        yield InvalidInput("roll", row.roll, "venue for a future, none for what does not expire")
    yield from _last_day_problems(row)
    if "rth" not in row.sessions:
        yield InvalidInput("sessions", sorted(row.sessions), "a session rth, the one of strategies that name none")
    known = row.calendar in days or row.calendar in calendars.packaged_names()
    if known or not calendar_is_refused:
        yield from _session_problems(row, days)


def _last_day_problems(row: _Instrument) -> Iterator[InvalidInput]:
    for month, last in row.last_days.items():
        if row.kind != "future":
            yield InvalidInput(f"last_days.{month}", last.isoformat(), "no day of what does not expire")
        elif (last.year, last.month) > (int(month[1:]), contracts.MONTH_CODES.index(month[0]) + 1):
            yield InvalidInput(f"last_days.{month}", last.isoformat(), "a day in or before the month of the contract")


def _money_problems(row: _Instrument) -> Iterator[InvalidInput]:
    """Fees, margin, and what an inverse contract cannot be."""
    if row.commission is None and row.fee_rate is None:
        expected = "commission (per side and size step), fee_rate (a share of the notional), or both, which add up"
        yield InvalidInput("commission", None, expected)
    for name, rate in (("fee_rate", row.fee_rate), ("margin_rate", row.margin_rate)):
        if rate is not None and not 0 < rate <= 1:
            yield InvalidInput(name, str(rate), "a share more than 0 and at most 1, such as 0.0005")
    if row.margin is not None and row.margin_rate is not None:
        yield InvalidInput("margin_rate", str(row.margin_rate), "either margin or margin_rate")
    if not row.inverse:
        return
    if row.tick_value is not None:
        expected = "the multiplier: a tick of an inverse contract is worth another sum at every price"
        yield InvalidInput("tick_value", str(row.tick_value), expected)
    if row.below_zero:
        yield InvalidInput("below_zero", row.below_zero, "false: an inverse contract has no worth at a price of 0")
    if row.multiplier and row.size_step > 0 and row.tick > 0:
        face = row.multiplier * row.size_step
        if face / row.tick * row.tick != face or face / row.tick > MOST_INVERSE_VALUE:
            expected = f"multiplier x size_step / tick exact and at most {MOST_INVERSE_VALUE:f}"
            yield InvalidInput("multiplier", str(row.multiplier), expected)


def _session_problems(row: _Instrument, days: dict[str, Calendar]) -> Iterator[InvalidInput]:
    if row.calendar not in days and row.calendar not in calendars.packaged_names():
        expected = f"a calendar: {', '.join(sorted({*days, *calendars.packaged_names()}))}"
        yield InvalidInput("calendar", row.calendar, expected)
        return
    market = days.get(row.calendar) or calendars.calendar(row.calendar)
    for name, hours in row.sessions.items():
        try:
            own = SessionHours(hours.open, hours.close, hours.zone, name)
            fits = market.of_session(own).fits(own)
        except InvalidInput as problem:
            yield InvalidInput(f"sessions.{name}.{problem.field}", problem.value, problem.expected)
            continue
        if not fits:
            text = f"{hours.open}-{hours.close} {hours.zone}"
            whole = market.hours
            yield InvalidInput(f"sessions.{name}", text, f"hours inside {whole.open}-{whole.close} {whole.zone}")


def _instrument(root: str, row: _Instrument) -> Instrument:
    return Instrument(
        root=root,
        name=row.name,
        tick=row.tick,
        tick_value=_tick_value(row),
        size_step=row.size_step,
        currency=row.currency,
        exchange=row.exchange,
        venue=row.venue,
        calendar=row.calendar,
        commission=row.commission or Decimal(0),
        staleness_ns=parse_duration(row.staleness),
        collar_ticks=row.collar,
        underlying=root,
        margin=row.margin,
        kind=row.kind,
        roll=row.roll,
        sessions={name: SessionHours(each.open, each.close, each.zone, name) for name, each in row.sessions.items()},
        profile=None if row.profile is None else Profile(**row.profile.model_dump()),
        below_zero=row.below_zero,
        inverse=row.inverse,
        last_days=dict(sorted(row.last_days.items())),
        fee_rate=row.fee_rate or Decimal(0),
        margin_rate=row.margin_rate,
    )


def _tick_value(row: _Instrument) -> Decimal:
    """Value of one tick of one size step: given, or tick x size step x multiplier.

    Of an inverse contract what one size step is worth at a price of one tick: multiplier x size step / tick.
    """
    if row.multiplier is None:
        assert row.tick_value is not None
        return row.tick_value
    if row.inverse:
        return row.multiplier * row.size_step / row.tick
    return row.tick * row.size_step * row.multiplier


def _calendar(name: str, row: _Calendar) -> Calendar:
    return calendars.calendar_of({**row.model_dump(), "name": name})


def own_files(folder: Path, named: Sequence[Path]) -> tuple[Path, ...]:
    """The files of a folder, by name, and the ones that somebody has named."""
    return (*sorted(each for ending in ("*.yaml", "*.yml") for each in folder.glob(ending)), *named)
