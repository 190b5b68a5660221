"""Checks of a manifest beyond its schema, and values that follow from it and the instrument sheet."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise
from typing import Final

from pydantic.alias_generators import to_camel

from leadline.model.bars import OWN_SERIES
from leadline.model.counted import counted
from leadline.model.durations import DAY, NEVER, parse_duration, parse_validity
from leadline.model.errors import InvalidInput, Unknown
from leadline.model.manifest.account_spec import TradingAccount
from leadline.model.manifest.series_checks import bars_needed, filter_problems, multiplier_problems, series_problems
from leadline.model.manifest.spec_base import SpecModel
from leadline.model.manifest.strategy_spec import (
    PAPER_ACCOUNT,
    Bracket,
    Entries,
    Sizing,
    StrategySpec,
    TradingStrategy,
)
from leadline.model.manifest.venues import MEANINGS, NEEDED, PROTECTING, Capability, venue_named, venues
from leadline.model.market.calendars import Calendar
from leadline.model.market.contracts import instrument_of, parse_contract
from leadline.model.market.hours import SessionHours
from leadline.model.market.instruments import Instrument, instrument
from leadline.model.market.sessions import around_the_clock, calendar_of, resolve_session
from leadline.model.remembered import once_for_each
from leadline.model.ticks import NS_PER_MINUTE
from leadline.nodes.base import Thresholds, known, profile_fields
from leadline.nodes.detectors.absorption import Absorption
from leadline.nodes.detectors.imbalance import Imbalance
from leadline.nodes.registry import detector_types

MOST_PERCENT: Final = 100

_ANY_DAY: Final = date(2025, 1, 1)
"""A contract of a manifest has its whole year: no day makes it another one."""

# Getting flat takes a round to the venue, with room for a retry.
_FLATTEN_SECONDS: Final = 30
# Where the sheet has no profile, the typical bar volume follows from the strategy's own imbalance minimum: among the
# profiles of the sheet it is 60 to 267 times that.
_TYPICAL_VOLUME_PER_IMBALANCE: Final = 100


@dataclass(frozen=True, slots=True)
class Distances:
    """How far a strategy stays away from the ends of its session, in ns.

    It enters from `after_open_ns` after the open until `before_close_ns` before the close, and is flat
    `flatten_before_close_ns` before it, None where it holds over the close. Both None where the session has no close:
    no time of day ends entries or makes it flat, and what the very last bar of a day decides is entered on the next.
    """

    after_open_ns: int
    before_close_ns: int | None
    flatten_before_close_ns: int | None


def signal_instrument(spec: StrategySpec) -> Instrument:
    """The instrument of a strategy's spec, whose prints make the bars; Unknown when the sheet has none."""
    return instrument_of(spec.instrument)


def session_of(spec: StrategySpec) -> tuple[str, SessionHours]:
    """The session on the signal instrument, as id and hours. Raises Unknown and InvalidInput."""
    return resolve_session(signal_instrument(spec), spec.session.value())


@once_for_each
def calendar_of_spec(spec: StrategySpec) -> Calendar:
    """The calendar of the strategy's trading days. Raises Unknown and InvalidInput as `session_of`."""
    _, hours = session_of(spec)
    return calendar_of(signal_instrument(spec), hours)


def never_closes(spec: StrategySpec) -> bool:
    """Whether the strategy's session has no open and no close. Raises Unknown and InvalidInput as `session_of`."""
    _, hours = session_of(spec)
    return around_the_clock(signal_instrument(spec), hours)


@once_for_each
def distances_of(spec: StrategySpec) -> Distances:
    """The distances in force; none where the session is the whole day of a market that never closes.

    Raises Unknown and InvalidInput as `session_of`.
    """
    if never_closes(spec):
        return Distances(0, None, None)
    flatten_ns = spec.flatten_before_close_ns
    return Distances(spec.entries.after_open_ns, max(spec.entries.before_close_ns, flatten_ns or 0), flatten_ns)


def thresholds_of(spec: StrategySpec) -> Thresholds:
    """Volumes that are large for the instrument: of the sheet's profile, else of the manifest.

    Without a profile in the sheet the manifest must give the minimum of an imbalance and of an absorption; the typical
    bar volume is then 100 times the former. Raises InvalidInput when one is missing.
    """
    missing = next(_threshold_problems(spec), None)
    if missing is not None:
        raise missing
    own = signal_instrument(spec).profile
    if own is not None:
        return Thresholds(own.imbalance_min, own.absorption_min, own.typical_bar_volume)
    detectors = spec.strategy.detectors
    imbalance_min = known(detectors.of(Imbalance).min_volume)
    return Thresholds(
        imbalance_min=imbalance_min,
        absorption_min=known(detectors.of(Absorption).min_volume),
        typical_bar_volume=imbalance_min * _TYPICAL_VOLUME_PER_IMBALANCE,
    )


@once_for_each
def bracket_of(spec: StrategySpec) -> Bracket:
    """The manifest's bracket, else the profile's; InvalidInput when there is neither."""
    if spec.bracket is not None:
        return spec.bracket
    own = signal_instrument(spec).profile
    if own is None:
        raise _needed(spec, "spec.bracket", "stopTicks and targetTicks")
    return Bracket(stop_ticks=own.stop_ticks, target_ticks=own.target_ticks)


def history_needed(spec: StrategySpec, series: str = OWN_SERIES) -> int:
    """The fewest sessions of history that warm the indicators on a series up.

    0 for tick and volume bars: how many a session has, nobody knows beforehand. 0 for a strategy of one's own, which
    has indicators of its own or none. Raises Unknown and InvalidInput as `session_of`.
    """
    bars = next(each.bars for each in spec.all_series if each.name == series)
    if bars.kind != "time" or spec.strategy.entry_point is not None:
        return 0
    _, hours = session_of(spec)
    return -(-bars_needed(spec, series) // bars.bars_in(hours.length_ns))


def strategy_problems(strategy: TradingStrategy) -> Iterator[InvalidInput]:
    """Everything that is wrong with one strategy by itself."""
    spec = strategy.spec
    try:
        own = signal_instrument(spec)
        if spec.instrument != own.root:
            parse_contract(spec.instrument, _ANY_DAY)
    except Unknown as unknown:
        expected = f"a root of the instrument sheet ({', '.join(unknown.known)}) or its dated contract, as GCZ2013"
        yield InvalidInput("spec.instrument", spec.instrument, expected)
        return
    except InvalidInput as error:
        yield InvalidInput("spec.instrument", spec.instrument, error.expected)
        return
    if own.roll == "venue" and spec.instrument == own.root:
        expected = f"a dated contract such as {own.root}Z2025: this root rolls on the venue's data, not by a rule"
        yield InvalidInput("spec.instrument", spec.instrument, expected)
    yield from _session_problems(spec)
    yield from series_problems(spec)
    yield from filter_problems(spec)
    yield from multiplier_problems(spec)
    if spec.strategy.entry_point is None:  # a class of its own asks no detector
        yield from _threshold_problems(spec)
    if own.profile is None and spec.bracket is None:
        yield _needed(spec, "spec.bracket", "stopTicks and targetTicks")
    yield from _entry_problems(spec, own)
    yield from _trail_problems(spec)
    yield from _sizing_problems(spec.sizing)
    if spec.sizing.mode == "RiskPercent" and spec.bracket is not None and spec.bracket.stop_ticks is None:
        yield InvalidInput("spec.bracket.stopTicks", None, "a stop with sizing.mode RiskPercent, which goes by it")
    yield from _repetitions(spec)
    policy = spec.deletion_policy
    if policy.positions == "Flatten" and policy.timeout_seconds < _FLATTEN_SECONDS:
        expected = f"at least {_FLATTEN_SECONDS} with positions Flatten"
        yield InvalidInput("spec.deletionPolicy.timeoutSeconds", policy.timeout_seconds, expected)
    if spec.mode == "Live":
        yield from _live_problems(spec)


def account_problems(account: TradingAccount) -> Iterator[InvalidInput]:
    """Everything that is wrong with one account by itself."""
    spec = account.spec
    known = {venue.name: venue for venue in venues()}
    unreal = [venue.name for venue in known.values() if not venue.real_money]
    if spec.environment == "Live":
        if spec.venue not in known:
            yield InvalidInput("spec.venue", spec.venue, f"a venue with an adapter: {', '.join(known)}")
        if account.metadata.name == PAPER_ACCOUNT:
            yield InvalidInput("spec.environment", "Live", f"Paper, which an account named {PAPER_ACCOUNT} always is")
        if spec.venue in unreal:
            yield InvalidInput("spec.venue", spec.venue, "a real venue with environment Live")
        if spec.credentials.secret_name is None:
            yield InvalidInput("spec.credentials.secretName", None, "the name of a Secret with environment Live")
    else:
        if spec.venue not in unreal:
            yield InvalidInput("spec.venue", spec.venue, f"{' or '.join(unreal)} with environment Paper")
        if spec.credentials.secret_name is not None:
            yield InvalidInput(
                "spec.credentials.secretName", spec.credentials.secret_name, "no credentials with environment Paper"
            )
    able = able_at(account) if spec.venue in known else frozenset(Capability)
    for missing in (capability for capability in NEEDED if capability not in able):
        yield InvalidInput("spec.venue", spec.venue, f"a venue that {MEANINGS[missing]}: else nothing is safe there")
    if not able & PROTECTING:
        either = " or ".join(MEANINGS[one] for one in Capability if one in PROTECTING)
        yield InvalidInput("spec.venue", spec.venue, f"a venue that {either}: else nothing is safe there")
    by_root = (
        ("commission", spec.commission),
        ("marginLimits", spec.margin_limits),
        ("overnightGapTicks", spec.overnight_gap_ticks),
        ("noStopRiskTicks", spec.no_stop_risk_ticks),
    )
    for name, roots in by_root:
        for root in roots:
            yield from _root_problems(f"spec.{name}", root)
    yield from _listed_twice(account)
    yield from _alternative_problems(account)
    yield from _tier_problems(account)


@once_for_each
def market_slippage(account: TradingAccount) -> int:
    """Ticks that market and stop orders of an account lose in what risk reckons with. Raises Unknown for its venue."""
    venue = venue_named(account.spec.venue)
    return venue.slippage_ticks(venue.section_of(account.spec))


def day_problem(strategy: TradingStrategy, days: Calendar, owner: str) -> InvalidInput | None:
    """Why a strategy cannot share an account whose trading day is that of a calendar; None when it can.

    The day's limits, streaks and results of an account need one trading day. `owner` says whose the calendar is.
    """
    own = calendar_of_spec(strategy.spec)
    if own.day_roll == days.day_roll:
        return None
    expected = (
        f"an instrument whose trading day begins at {_roll_text(days)}, as that of {owner} does, "
        f"and not at {_roll_text(own)}: give it an account of its own"
    )
    return InvalidInput("spec.instrument", strategy.spec.instrument, expected)


def _roll_text(days: Calendar) -> str:
    clock, zone, weekdays = days.day_roll
    return f"{clock} {zone}{'' if len(weekdays) < 7 else ' on every day of the week'}"


def _session_problems(spec: StrategySpec) -> Iterator[InvalidInput]:
    try:
        session_of(spec)
    except InvalidInput as problem:
        yield InvalidInput("spec.session", spec.session.to_manifest(), problem.expected)
        return
    except Unknown as unknown:
        expected = f"a session of {spec.instrument}: {', '.join(unknown.known)}"
        yield InvalidInput("spec.session", spec.session.to_manifest(), expected)
        return
    yield from _block_problems(spec)
    yield from _distance_to_nothing(spec) if never_closes(spec) else _no_time_to_enter(spec)
    yield from _history_problems(spec)


def _history_problems(spec: StrategySpec) -> Iterator[InvalidInput]:
    """Series whose history does not warm up what is asked about them."""
    for each in spec.all_series:
        needed = history_needed(spec, each.name)
        if each.history < needed:
            places = {one.name: f"spec.series[{number}].history" for number, one in enumerate(spec.series)}
            bars = f"{bars_needed(spec, each.name)} bars of {each.bars}"
            expected = f"at least {counted(needed, 'session')}, so that {bars} warm the indicators up"
            yield InvalidInput(places.get(each.name, "spec.history"), each.history, expected)


def _block_problems(spec: StrategySpec) -> Iterator[InvalidInput]:
    """Blocks that are none, and those that would be all but what somebody meant."""
    _, hours = session_of(spec)
    for number, block in enumerate(spec.entries.blocks):
        if block.from_ == block.to:
            expected = f"another time than its from, {block.from_}: a block that ends when it begins is none"
        elif block.from_ > block.to and not hours.crosses_midnight:
            session = f"{hours.open}-{hours.close} {hours.zone}"
            expected = f"a time after its from, {block.from_}: the session {session} does not pass midnight"
        else:
            continue
        yield InvalidInput(f"spec.entries.blocks[{number}].to", block.to, expected)


def _distance_to_nothing(spec: StrategySpec) -> Iterator[InvalidInput]:
    """Distances that somebody has chosen to the open or the close of a session that has neither."""
    asked: list[tuple[str, StrategySpec | Entries, str]] = [
        ("spec.entries.afterOpen", spec.entries, "after_open"),
        ("spec.entries.beforeClose", spec.entries, "before_close"),
        ("spec.flattenBeforeClose", spec, "flatten_before_close"),
    ]
    for field, owner, name in asked:
        value = getattr(owner, name)
        if value == type(owner).model_fields[name].default:
            continue
        if value == NEVER or parse_duration(value, field) != 0:
            expected = (
                f"nothing or 0s: {spec.instrument} never closes, and neither does this session; "
                "give the session hours of its own for an open and a close"
            )
            yield InvalidInput(field, value, expected)


def _no_time_to_enter(spec: StrategySpec) -> Iterator[InvalidInput]:
    """Distances to the session's ends that leave nothing between them: such a strategy would never trade."""
    _, hours = session_of(spec)
    entries, minutes = spec.entries, hours.length_ns // NS_PER_MINUTE
    lasts = f"the session lasts {counted(minutes, 'minute')}"
    if (spec.flatten_before_close_ns or 0) >= hours.length_ns:
        yield InvalidInput("spec.flattenBeforeClose", spec.flatten_before_close, f"less than the session: {lasts}")
        return
    before_close_ns = distances_of(spec).before_close_ns or 0
    if entries.before_close_ns >= hours.length_ns:
        yield InvalidInput("spec.entries.beforeClose", entries.before_close, f"less than the session: {lasts}")
        return
    if entries.after_open_ns + before_close_ns >= hours.length_ns:
        kept = before_close_ns // NS_PER_MINUTE
        expected = f"time left for entries before the last {counted(kept, 'minute')}: {lasts}"
        yield InvalidInput("spec.entries.afterOpen", entries.after_open, expected)


def _repetitions(spec: StrategySpec) -> Iterator[InvalidInput]:
    """Problems of items that stand twice in a list."""
    entries, regimes = spec.entries, spec.strategy.router.regimes
    lists: list[tuple[str, Sequence[str], str]] = [
        ("spec.sizing.modifiers", spec.sizing.modifiers, "each modifier once"),
        ("spec.entries.blocks", [f"{block.from_}-{block.to}" for block in entries.blocks], "each block once"),
        ("spec.entries.news", [f"{event.at} {event.name}".strip() for event in entries.news], "each event once"),
    ]
    for name, field in type(regimes).model_fields.items() if regimes else ():
        rule = getattr(regimes, name)
        if rule is not None and rule.patterns is not None:
            place = f"spec.strategy.router.regimes.{field.alias}.patterns"
            lists.append((place, [pattern.value for pattern in rule.patterns], "each pattern once"))
    for field_path, items, expected in lists:
        if len(set(items)) != len(items):
            yield InvalidInput(field_path, list(items), expected)


def _threshold_problems(spec: StrategySpec) -> Iterator[InvalidInput]:
    if signal_instrument(spec).profile is not None:
        return
    logic = spec.strategy
    sections: list[tuple[str, SpecModel]] = [
        (f"spec.strategy.detectors.{kind.name}", logic.detectors.of(kind)) for kind in detector_types()
    ]
    for number, entry in enumerate(logic.filters):
        sections += [(f"spec.strategy.filters[{number}].{kind.name}", params) for kind, params in entry.chosen()]
    for where, section in sections:
        for name in profile_fields(type(section)):
            if getattr(section, name) is None:
                yield _needed(spec, f"{where}.{to_camel(name)}", "a volume")


def _entry_problems(spec: StrategySpec, own: Instrument) -> Iterator[InvalidInput]:
    entries = spec.entries
    if entries.type == "Market":
        if entries.offset_ticks:
            yield InvalidInput("spec.entries.offsetTicks", entries.offset_ticks, "0 with type Market")
        if entries.valid_for != DAY:
            yield InvalidInput("spec.entries.validFor", entries.valid_for, f"{DAY} with type Market")
    elif entries.offset_ticks > own.collar_ticks:
        expected = f"at most {own.collar_ticks}, how far {own.root} may be entered from its bar's close"
        yield InvalidInput("spec.entries.offsetTicks", entries.offset_ticks, expected)
    if entries.max_pending is not None and entries.type == "Market" and spec.strategy.entry_point is None:
        expected = "nothing with type Market: such an entry does not wait"
        yield InvalidInput("spec.entries.maxPending", entries.max_pending, expected)
    if parse_validity(entries.valid_for).kind == "bars" and spec.bar_spec.kind != "time":
        yield InvalidInput(
            "spec.entries.validFor", entries.valid_for, f"{DAY} or a length of time with {spec.bars} bars"
        )
    elif valid_for_ns(spec) == 0:
        yield InvalidInput("spec.entries.validFor", entries.valid_for, "more than nothing")


def _sizing_problems(sizing: Sizing) -> Iterator[InvalidInput]:
    """A mode without the number that it takes, or with the number of another one."""
    mode, size, percent = sizing.mode, sizing.size, sizing.percent
    if (mode == "Fixed") != (size is not None):
        expected = "a number of contracts with mode Fixed" if mode == "Fixed" else f"no size with mode {mode}"
        yield InvalidInput("spec.sizing.size", size, expected)
    if size is not None and size > sizing.max_size:
        yield InvalidInput("spec.sizing.size", size, f"at most maxSize, {sizing.max_size}")
    if (mode == "RiskPercent") != (percent is not None):
        own = mode == "RiskPercent"
        expected = "a percentage of the equity with mode RiskPercent" if own else f"no percent with mode {mode}"
        yield InvalidInput("spec.sizing.percent", percent, expected)
    if percent is not None and not 0 < percent <= MOST_PERCENT:
        yield InvalidInput("spec.sizing.percent", percent, f"more than 0 and at most {MOST_PERCENT}")


def _trail_problems(spec: StrategySpec) -> Iterator[InvalidInput]:
    """A trail that could not move its stop when it is to begin."""
    if spec.bracket is None or spec.bracket.trail is None:
        return
    stop, target, trail = spec.bracket.stop_ticks, spec.bracket.target_ticks, spec.bracket.trail
    if stop is None:
        yield InvalidInput("spec.bracket.stopTicks", None, "a stop with trail, which moves it")
        return
    trigger, offset = trail.trigger_ticks, trail.offset_ticks
    if target is not None and trigger >= target:
        expected = f"less than targetTicks, {target}: the target closes the position before its stop follows"
        yield InvalidInput("spec.bracket.trail.triggerTicks", trigger, expected)
    if offset > stop + trigger:
        expected = (
            f"at most {stop + trigger}, stopTicks and triggerTicks together: so far behind the price is the stop "
            "when it is to follow, and it never goes back"
        )
        yield InvalidInput("spec.bracket.trail.offsetTicks", offset, expected)


def valid_for_ns(spec: StrategySpec) -> int | None:
    """How long a Limit or a Stop works, in nanoseconds from its decision; None as long as entries are allowed.

    Raises ValueError for bars:N of bars that are no time bars.
    """
    valid = parse_validity(spec.entries.valid_for)
    if valid.kind == "day":
        return None
    if valid.kind == "time":
        return valid.length
    if spec.bar_spec.kind != "time":
        raise ValueError(f"{spec.bars} bars have no length in time")
    return valid.length * spec.bar_spec.length


def _needed(spec: StrategySpec, field: str, what: str) -> InvalidInput:
    return InvalidInput(field, None, f"{what}: {spec.instrument} has no profile in the instrument sheet")


def _live_problems(spec: StrategySpec) -> Iterator[InvalidInput]:
    if not spec.acknowledge_live:
        yield InvalidInput("spec.acknowledgeLive", False, "true with mode Live, which trades real money")
    if spec.account.name == PAPER_ACCOUNT:
        expected = f"the name of a live account with mode Live, which {PAPER_ACCOUNT} never is"
        yield InvalidInput("spec.account.name", spec.account.name, expected)
    if spec.image is None or "@sha256:" not in spec.image:
        yield InvalidInput("spec.image", spec.image, "an image pinned by digest (...@sha256:...) with mode Live")
    if spec.risk.day_loss is None:
        yield InvalidInput("spec.risk.dayLoss", None, "a limit with mode Live")
    if spec.risk.max_position is None:
        yield InvalidInput("spec.risk.maxPosition", None, "a limit with mode Live")


def able_at(account: TradingAccount) -> frozenset[Capability]:
    """The capabilities of an account's venue, as its section sets it. Raises Unknown for a name that no venue has."""
    venue = venue_named(account.spec.venue)
    return venue.able(venue.section_of(account.spec))


def _listed_twice(account: TradingAccount) -> Iterator[InvalidInput]:
    """Problems with lists in which each name stands once."""
    spec = account.spec
    for name, found, expected in (
        ("allowedNamespaces", spec.allowed_namespaces, "each namespace once"),
        ("limits.allowedContracts", spec.limits.allowed_contracts, "each contract once"),
    ):
        if len(set(found)) != len(found):
            yield InvalidInput(f"spec.{name}", list(found), expected)


def _alternative_problems(account: TradingAccount) -> Iterator[InvalidInput]:
    """More trades at a time than there can be where the first fill takes all other entries out."""
    most = account.spec.limits.max_open_trades
    if account.spec.pending_entries == "FirstFillWins" and most is not None and most > 1:
        expected = "1, or nothing, with pendingEntries FirstFillWins: one trade at a time"
        yield InvalidInput("spec.limits.maxOpenTrades", most, expected)


def _tier_problems(account: TradingAccount) -> Iterator[InvalidInput]:
    tiers = account.spec.tiers
    if tiers and tiers[0].from_ != 0:
        yield InvalidInput("spec.tiers[0].from", str(tiers[0].from_), '"0", so that every balance has a tier')
    for index, (before, after) in enumerate(pairwise(tiers), start=1):
        if after.from_ <= before.from_:
            yield InvalidInput(f"spec.tiers[{index}].from", str(after.from_), f"more than {before.from_}, ascending")
    for index, tier in enumerate(tiers):
        yield from _root_problems(f"spec.tiers[{index}].execute", tier.execute)
        if tier.min_size > tier.max_size:
            yield InvalidInput(f"spec.tiers[{index}].minSize", tier.min_size, f"at most maxSize, {tier.max_size}")


def _root_problems(field: str, root: str) -> Iterator[InvalidInput]:
    try:
        instrument(root)
    except Unknown as unknown:
        yield InvalidInput(field, root, f"a root of the instrument sheet: {', '.join(unknown.known)}")
