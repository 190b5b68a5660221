"""The `TradingStrategy` manifest: what to trade, on which bars, with which detectors, under which risk."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from leadline.model.bars import OWN_SERIES
from leadline.model.durations import (
    FLATTEN_PATTERN,
    NEVER,
    VALIDITY_PATTERN,
    BarSpec,
    parse_bar_spec,
    parse_duration,
    spec_token,
)
from leadline.model.ids import DEFAULT_NAMESPACE, AccountId, StrategyId, account_id, strategy_id
from leadline.model.manifest.logic_spec import Logic
from leadline.model.manifest.spec_base import (
    API_VERSION,
    DNS_LABEL_PATTERN,
    FREE_FORM,
    BarsText,
    Change,
    ClockText,
    DecimalText,
    DurationText,
    NamespaceText,
    NameText,
    SpecModel,
    SymbolText,
    Text,
    TimeBarsText,
    ZoneText,
    changes,
    refused,
)
from leadline.model.market.hours import SessionHours

PAPER_ACCOUNT: Final = "paper"
"""The account that a strategy trades when it names none. An account of this name is always a paper account."""

MOST_COUNT: Final = 1_000_000
Count = Annotated[int, Field(ge=1, le=MOST_COUNT)]
Ticks = Annotated[int, Field(ge=1, le=100_000)]
FlattenText = Annotated[str, Text(FLATTEN_PATTERN, "a whole number with a unit ms, s, m or h, such as 5m, or never", 8)]
Modifier = Literal["Stacked", "Trending", "WinStreak", "LossStreak"]


def _existing_time(text: str) -> str:
    try:
        datetime.fromisoformat(text)
    except ValueError:
        raise refused("a time in UTC that exists, such as 2025-01-10T13:30:00Z") from None
    return text


UtcText = Annotated[
    str,
    Text(
        r"^20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]Z$",
        "a time in UTC such as 2025-01-10T13:30:00Z",
        20,
    ),
    AfterValidator(_existing_time),
    Field(json_schema_extra={"format": "date-time"}),
]
_SUBDOMAIN: Final = r"[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*"
_QUALIFIED: Final = re.compile(rf"((?=.{{1,253}}/){_SUBDOMAIN}/)?[A-Za-z0-9]([A-Za-z0-9._-]{{0,61}}[A-Za-z0-9])?")
_LABEL: Final = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")


def _named_as_in_kubernetes(found: dict[str, str]) -> dict[str, str]:
    """Labels whose names an API server takes."""
    for name in found:
        if not _QUALIFIED.fullmatch(name):
            raise refused(f"another name than {name!r}: letters, digits, dashes, dots, _, and a domain/ before it")
    return found


def _noted_as_in_kubernetes(found: dict[str, str]) -> dict[str, str]:
    """Notes whose names an API server takes: there their letters may be small or not."""
    _named_as_in_kubernetes({name.lower(): value for name, value in found.items()})
    return found


def _worth_as_in_kubernetes(found: dict[str, str]) -> dict[str, str]:
    """Labels whose values an API server takes."""
    for name, value in found.items():
        if not _LABEL.fullmatch(value):
            raise refused(f"another {name} than {value!r}: letters, digits, dashes, dots, _, which begins and ends so")
    return found


ImageText = Annotated[str, Text(r"^[a-zA-Z0-9][a-zA-Z0-9._:/@-]*$", "an image reference", 512)]


class Metadata(SpecModel):
    """Which object this is."""

    name: NameText
    """Unique per namespace and kind."""
    namespace: NamespaceText = DEFAULT_NAMESPACE
    """The namespace; `default` where absent."""
    labels: Annotated[
        dict[str, Annotated[str, Field(max_length=63)]],
        Field(max_length=256),
        AfterValidator(_named_as_in_kubernetes),
        AfterValidator(_worth_as_in_kubernetes),
    ] = Field(default_factory=dict)
    """Free labels, for people and selectors."""
    annotations: Annotated[
        dict[str, Annotated[str, Field(max_length=262_144)]],
        Field(max_length=256),
        AfterValidator(_noted_as_in_kubernetes),
    ] = Field(default_factory=dict)
    """Free notes."""


class AccountRef(SpecModel):
    """Which account trades."""

    name: NameText
    """The TradingAccount's name."""
    namespace: NamespaceText | None = None
    """The TradingAccount's namespace; the strategy's where absent."""


class SessionSpec(SpecModel):
    """A session by name, or by open, close and zone."""

    name: Literal["rth", "globex"] | None = None
    """A named session of the instrument's sheet: regular hours, or all of the electronic ones."""
    open: ClockText | None = None
    """First minute, on the zone's clock."""
    close: ClockText | None = None
    """End, not included; at or before the open it is on the next day."""
    zone: ZoneText | None = None
    """IANA time zone of open and close."""

    @model_validator(mode="after")
    def _one_way(self) -> Self:
        written = [part for part in (self.open, self.close, self.zone) if part is not None]
        if len(written) != (0 if self.name else 3):
            raise refused("either a name, or open, close and zone")
        return self

    def value(self) -> str | SessionHours:
        """The name, or the hours. InvalidInput for an unknown zone."""
        if self.open is not None and self.close is not None and self.zone is not None:
            return SessionHours(self.open, self.close, self.zone)
        return self.name or "rth"


class SeriesSpec(SpecModel):
    """Further bars of the strategy's instrument and session, which it reads beside its own."""

    name: Annotated[str, Text(DNS_LABEL_PATTERN, "a DNS label: lower-case letters, digits and dashes, at most 20", 20)]
    """Under which the strategy gets them; not `main`, which is its own bars' name."""
    bars: TimeBarsText
    """The length of a bar: a length of time from the session's open."""
    ticks_per_row: Annotated[int, Field(ge=1, le=10_000)] = 1
    """Height of a footprint row in ticks."""
    history: Annotated[int, Field(ge=0, le=60)] = 5
    """Sessions before today's whose bars it gets first."""


@dataclass(frozen=True, slots=True)
class BarSeries:
    """Bars that a strategy reads: under which name, what closes them, and the sessions of history that it gets."""

    name: str
    bars: BarSpec
    ticks_per_row: int
    history: int

    @property
    def token(self) -> str:
        """Bars with ticks per row, as bar keys and subjects have it, such as `1h-r1`."""
        return spec_token(self.bars.token, self.ticks_per_row)


class Window(SpecModel):
    """A part of the day, half-open, on the session's clock; past midnight when `to` is before `from`."""

    from_: Annotated[ClockText, Field(alias="from")]
    """First minute without entries."""
    to: ClockText
    """First minute with entries again."""


class NewsEvent(SpecModel):
    """A published event around which nothing is entered."""

    at: UtcText
    """When it is published, UTC."""
    name: Annotated[str, Field(max_length=128)] = ""
    """A name for people."""
    before: DurationText = "15m"
    """No entries for this long before it."""
    after: DurationText = "15m"
    """No entries for this long after it."""


class Entries(SpecModel):
    """When and how positions are opened."""

    type: Literal["Market", "Limit", "Stop"] = "Market"
    """Order type of entries. Limit: at the bar's close or better. Stop: at the market once the price has gone on."""
    offset_ticks: Annotated[int, Field(ge=0, le=100_000)] = 0
    """How far from the bar's close a Limit (below a buy) or a Stop (above a buy) is placed, in ticks."""
    valid_for: Annotated[str, Text(VALIDITY_PATTERN, "day, a length such as 15m, or bars:N", 9)] = "day"
    """How long a Limit or a Stop works: a length of time, so many time bars, or as long as entries are allowed."""
    partial_for: DurationText = "15s"
    """How long after its first fill what is left of an entry goes on working."""
    max_pending: Annotated[int, Field(ge=1, le=100)] | None = None
    """How many entries may wait at a time, of successive bars and on either side. The first fill takes the others out,
    and nothing new is entered until the strategy is flat. Where absent each entry stands by itself.
    """
    after_open: DurationText = "5m"
    """No entries for this long after the session's open."""
    before_close: DurationText = "15m"
    """No entries for this long before the session's close."""
    blocks: Annotated[tuple[Window, ...], Field(max_length=32)] = ()
    """Parts of the day without entries."""
    news: Annotated[tuple[NewsEvent, ...], Field(max_length=256)] = ()
    """Events without entries around them."""

    @property
    def partial_for_ns(self) -> int:
        """`partialFor` in nanoseconds."""
        return parse_duration(self.partial_for, "partialFor")

    @property
    def after_open_ns(self) -> int:
        """`afterOpen` in nanoseconds."""
        return parse_duration(self.after_open, "afterOpen")

    @property
    def before_close_ns(self) -> int:
        """`beforeClose` in nanoseconds."""
        return parse_duration(self.before_close, "beforeClose")


class Sizing(SpecModel):
    """How many contracts an entry has."""

    mode: Literal["Tiered", "Fixed", "RiskPercent"] = "Tiered"
    """Tiered: one contract, changed by modifiers, regime and the account's tier. Fixed: `size`. RiskPercent: as many
    as `percent` of the equity pays for when they are stopped out. All up to the limits.
    """
    size: Annotated[int, Field(ge=1, le=10_000)] | None = None
    """Contracts of an entry; with mode Fixed only, and needed there."""
    percent: DecimalText | None = None
    """Percent of the equity that an entry may lose at its stop; with mode RiskPercent only, and needed there."""
    max_size: Annotated[int, Field(ge=1, le=10_000)] = 2
    """Most contracts of an entry, in every mode."""
    modifiers: Annotated[tuple[Modifier, ...], Field(max_length=4)] = ("Stacked", "Trending", "WinStreak", "LossStreak")
    """Rules that add or remove a contract in mode Tiered."""
    respect_day_budget: bool = True
    """Whether the rest of the day's loss limit bounds the size."""


class Trail(SpecModel):
    """A stop that follows the price."""

    trigger_ticks: Annotated[int, Field(ge=0, le=100_000)]
    """It follows once the price has gone so far beyond the fill, in ticks."""
    offset_ticks: Ticks
    """How far it stays behind the best price since, in ticks."""


class Bracket(SpecModel):
    """The exits of an entry, as distances from each fill; for the next entry."""

    stop_ticks: Ticks | None = None
    """Distance of the stop in ticks; no stop where absent, which the account allows by noStopRiskTicks."""
    target_ticks: Ticks | None = None
    """Distance of the target in ticks; no target where absent."""
    trail: Trail | None = None
    """How the stop follows the price; it stays where absent. It needs a stop."""


class StrategyRisk(SpecModel):
    """Limits of this strategy; they can only be stricter than the account's."""

    max_position: Count | None = None
    """Most contracts open at a time."""
    max_trades_per_day: Count | None = None
    """Most entries per trading day."""
    day_loss: DecimalText | None = None
    """Loss of a trading day at which the strategy stops and is flattened."""
    max_orders_per_second: Annotated[int, Field(ge=1, le=1000)] = 5
    """Most orders sent per second."""
    max_entries_per_hour: Count | None = None
    """Most entries within an hour: one more halts the account until a person resumes. Unlimited where absent."""
    max_entries_per_session: Count | None = None
    """Most entries of a trading day: one more halts the account until a person resumes. Unlimited where absent."""


class SuspendPolicy(SpecModel):
    """Policy for orders and positions when a strategy is suspended."""

    working_orders: Literal["Cancel", "Keep"] = "Cancel"
    """Working entry orders."""
    positions: Literal["Keep", "Flatten"] = "Keep"
    """Open positions; their protection stays with them."""


class DeletionPolicy(SpecModel):
    """Policy for orders and positions when a strategy is deleted."""

    working_orders: Literal["Cancel", "Keep"] = "Cancel"
    """Working entry orders."""
    positions: Literal["Refuse", "Flatten", "Keep"] = "Refuse"
    """Open positions: the deletion waits, flattens, or leaves them with their protection."""
    timeout_seconds: Annotated[int, Field(ge=1, le=86_400)] = 120
    """How long to try; at least 30 when positions is Flatten."""
    on_timeout: Literal["Retain", "Force"] = "Retain"
    """Afterwards: keep the object, or let it go with a warning."""


class StrategySpec(SpecModel):
    """The wish for one strategy."""

    state: Annotated[Literal["Running", "ReduceOnly", "Suspended"], changes(Change.HOT)] = "Running"
    """Trade, only close, or stop."""
    mode: Annotated[Literal["Paper", "Live"], changes(Change.ROLLOUT_SUSPENDED)] = "Paper"
    """Live trades real money and needs acknowledgeLive, a live account, its limits in risk and an image by digest."""
    acknowledge_live: Annotated[bool, changes(Change.IGNORE)] = False
    """Says that mode Live is meant."""
    account: Annotated[AccountRef, changes(Change.ROLLOUT_SUSPENDED)] = AccountRef(name=PAPER_ACCOUNT)
    """The account that trades."""
    instrument: Annotated[SymbolText, changes(Change.ROLLOUT)]
    """A root, which follows the roll, or a dated contract such as GCZ2013."""
    session: Annotated[SessionSpec, changes(Change.ROLLOUT)] = SessionSpec(name="rth")
    """The part of the day whose prints make the bars; rth where absent."""
    bars: Annotated[BarsText, changes(Change.ROLLOUT)] = "5m"
    """The length of a bar: a length of time from the session's open, ticks:N prints or volume:N size steps."""
    ticks_per_row: Annotated[int, Field(ge=1, le=10_000), changes(Change.ROLLOUT)] = 1
    """Height of a footprint row in ticks."""
    history: Annotated[int, Field(ge=0, le=60), changes(Change.ROLLOUT)] = 5
    """Sessions before today's over which indicators are folded."""
    series: Annotated[tuple[SeriesSpec, ...], Field(max_length=4), changes(Change.ROLLOUT)] = ()
    """Further bars that filters or a class of one's own read, such as 60m for a trend beside its 5m."""
    strategy: Annotated[Logic, changes(Change.ROLLOUT)] = Logic(name="OrderFlow")
    """The logic that decides; OrderFlow with its defaults where absent."""
    entries: Annotated[Entries, changes(Change.HOT)] = Entries()
    """When and how positions are opened."""
    flatten_before_close: Annotated[FlattenText, changes(Change.HOT)] = "5m"
    """How long before the session's close everything is closed; never: held over the close, which the account allows by
    overnightGapTicks.
    """
    sizing: Annotated[Sizing, changes(Change.HOT)] = Sizing()
    """How many contracts."""
    bracket: Annotated[Bracket | None, changes(Change.HOT)] = None
    """Stop and target; the instrument's profile where absent."""
    risk: Annotated[StrategyRisk, changes(Change.HOT)] = StrategyRisk()
    """Limits of this strategy."""
    update_policy: Annotated[Literal["WhenFlat", "Auto", "Manual"], changes(Change.IGNORE)] = "WhenFlat"
    """When a rollout starts: flat, at once, or when restartNonce changes."""
    suspend_policy: Annotated[SuspendPolicy, changes(Change.IGNORE)] = SuspendPolicy()
    """Policy for orders and positions when it is suspended."""
    deletion_policy: Annotated[DeletionPolicy, changes(Change.IGNORE)] = DeletionPolicy()
    """Policy for orders and positions when it is deleted."""
    image: Annotated[ImageText | None, changes(Change.ROLLOUT)] = None
    """Image of the strategy's workload; the platform's where absent."""
    resources: Annotated[dict[str, Any], Field(max_length=16, json_schema_extra=FREE_FORM), changes(Change.ROLLOUT)] = (
        Field(default_factory=dict)
    )
    """Requests and limits of the workload, as Kubernetes writes them."""
    restart_nonce: Annotated[int, Field(ge=0, le=2_147_483_647), changes(Change.ROLLOUT)] = 0
    """A new number restarts the workload."""

    @property
    def holds_overnight(self) -> bool:
        """Whether positions are held over the session's close."""
        return self.flatten_before_close == NEVER

    @property
    def flatten_before_close_ns(self) -> int | None:
        """`flattenBeforeClose` in nanoseconds; None for never."""
        return None if self.holds_overnight else parse_duration(self.flatten_before_close, "flattenBeforeClose")

    @property
    def bar_spec(self) -> BarSpec:
        """`bars`, parsed."""
        return parse_bar_spec(self.bars)

    @property
    def all_series(self) -> tuple[BarSeries, ...]:
        """All bars that the strategy reads, in the order of bars that are known at one instant: its own are the last.

        Its own have the name `main`.
        """
        further = (
            BarSeries(each.name, parse_bar_spec(each.bars), each.ticks_per_row, each.history)
            for each in sorted(self.series, key=lambda each: each.name)
        )
        return (*further, BarSeries(OWN_SERIES, self.bar_spec, self.ticks_per_row, self.history))

    @property
    def longest_history(self) -> int:
        """The sessions before today's of which any of its series needs bars."""
        return max(each.history for each in self.all_series)


class TradingStrategy(SpecModel):
    """A strategy's manifest."""

    api_version: Literal["leadline.dev/v1alpha1"] = API_VERSION
    """The version of the manifest's schema."""
    kind: Literal["TradingStrategy"] = "TradingStrategy"
    """The kind of object."""
    metadata: Metadata
    """Which object this is."""
    spec: StrategySpec
    """The wish for it."""

    @property
    def full_name(self) -> StrategyId:
        """`namespace/name`."""
        return strategy_id(self.metadata.namespace, self.metadata.name)

    @property
    def account_name(self) -> AccountId:
        """`namespace/name` of the account that trades it."""
        reference = self.spec.account
        return account_id(reference.namespace or self.metadata.namespace, reference.name)


def referenced_account(document: Mapping[str, Any]) -> AccountId:
    """The account that trades a strategy, by the strategy's object, whatever else is wrong with that."""
    reference = (document.get("spec") or {}).get("account") or {}
    namespace = reference.get("namespace") or document["metadata"]["namespace"]
    return account_id(namespace, reference.get("name") or PAPER_ACCOUNT)
