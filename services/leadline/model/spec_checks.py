"""What a manifest must satisfy beyond its schema, and what follows from it together with the instrument sheet."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from leadline.model.account_spec import TradingAccount
from leadline.model.contracts import instrument_of
from leadline.model.errors import InvalidInput, Unknown
from leadline.model.hours import SessionHours, zone_of
from leadline.model.instruments import Instrument, Profile, instrument
from leadline.model.sessions import resolve_session
from leadline.model.strategy_spec import Bracket, TradingStrategy

WARM_UP_BARS: Final = 32
"""How many bars the longest indicator needs before it speaks."""
VENUES: Final = ("paper",)
"""The venues that there is an adapter for."""

# Where the sheet has no profile, the typical bar volume follows from the strategy's own imbalance minimum: among the
# profiles of the sheet it is 60 to 267 times that.
_TYPICAL_VOLUME_PER_IMBALANCE: Final = 100


def signal_instrument(strategy: TradingStrategy) -> Instrument:
    """The instrument whose prints make the bars; Unknown when the sheet has none."""
    return instrument_of(strategy.spec.instrument)


def session_of(strategy: TradingStrategy) -> tuple[str, SessionHours]:
    """The strategy's session on its instrument, as id and hours. Raises Unknown and InvalidInput."""
    return resolve_session(signal_instrument(strategy), strategy.spec.session.value())


def profile_of(strategy: TradingStrategy) -> Profile:
    """The sheet's profile with the manifest's thresholds and bracket in its place where they are given.

    Without a profile in the sheet the manifest must give both thresholds and the bracket; the typical bar volume is
    then 100 times the imbalance minimum. Raises InvalidInput when something is missing.
    """
    missing = next(_profile_problems(strategy), None)
    if missing is not None:
        raise missing
    own, detectors = signal_instrument(strategy).profile, strategy.spec.strategy.detectors
    imbalance_min = detectors.imbalance.min_volume or (own.imbalance_min if own else 0)
    bracket = bracket_of(strategy)
    return Profile(
        imbalance_min=imbalance_min,
        absorption_min=detectors.absorption.min_volume or (own.absorption_min if own else 0),
        typical_bar_volume=own.typical_bar_volume if own else imbalance_min * _TYPICAL_VOLUME_PER_IMBALANCE,
        stop_ticks=bracket.stop_ticks,
        target_ticks=bracket.target_ticks,
    )


def bracket_of(strategy: TradingStrategy) -> Bracket:
    """The manifest's bracket, else the profile's; InvalidInput when there is neither."""
    if strategy.spec.bracket is not None:
        return strategy.spec.bracket
    own = signal_instrument(strategy).profile
    if own is None:
        raise _needed(strategy, "spec.bracket", "stopTicks and targetTicks")
    return Bracket(stop_ticks=own.stop_ticks, target_ticks=own.target_ticks)


def history_needed(strategy: TradingStrategy) -> int:
    """The fewest sessions of history that warm the indicators up.

    0 for tick and volume bars: how many a session has, nobody knows beforehand. Raises Unknown and InvalidInput as
    `session_of`.
    """
    spec = strategy.spec.bar_spec
    if spec.kind != "time":
        return 0
    _, hours = session_of(strategy)
    return -(-WARM_UP_BARS // spec.bars_in(hours.length_ns))


def strategy_problems(strategy: TradingStrategy) -> Iterator[InvalidInput]:
    """Everything that is wrong with one strategy by itself."""
    spec = strategy.spec
    try:
        own = signal_instrument(strategy)
    except Unknown as unknown:
        expected = f"a root of the instrument sheet ({', '.join(unknown.known)}) or its dated contract, as GCZ2013"
        yield InvalidInput("spec.instrument", spec.instrument, expected)
        return
    if own.roll == "venue" and spec.instrument == own.root:
        expected = f"a dated contract such as {own.root}Z2025: this root rolls on the venue's data, not by a rule"
        yield InvalidInput("spec.instrument", spec.instrument, expected)
    yield from _session_problems(strategy)
    yield from _profile_problems(strategy)
    sizing = spec.sizing
    if (sizing.mode == "Fixed") != (sizing.size is not None):
        expected = "a number of contracts with mode Fixed" if sizing.mode == "Fixed" else "no size with mode Tiered"
        yield InvalidInput("spec.sizing.size", sizing.size, expected)
    if sizing.size is not None and sizing.size > sizing.max_size:
        yield InvalidInput("spec.sizing.size", sizing.size, f"at most maxSize, {sizing.max_size}")
    if len(set(sizing.modifiers)) != len(sizing.modifiers):
        yield InvalidInput("spec.sizing.modifiers", list(sizing.modifiers), "each modifier once")
    if spec.mode == "Live":
        yield from _live_problems(strategy)


def account_problems(account: TradingAccount) -> Iterator[InvalidInput]:
    """Everything that is wrong with one account by itself."""
    spec = account.spec
    if spec.venue not in VENUES:
        yield InvalidInput("spec.venue", spec.venue, f"a venue with an adapter: {', '.join(VENUES)}")
    if spec.environment == "Live":
        if spec.venue == "paper":
            yield InvalidInput("spec.venue", spec.venue, "a real venue with environment Live")
        if spec.credentials.secret_name is None:
            yield InvalidInput("spec.credentials.secretName", None, "the name of a Secret with environment Live")
    elif spec.credentials.secret_name is not None and spec.venue == "paper":
        yield InvalidInput(
            "spec.credentials.secretName", spec.credentials.secret_name, "no credentials for venue paper"
        )
    for name, roots in (("commission", spec.commission), ("marginLimits", spec.margin_limits)):
        for root in roots:
            yield from _root_problems(f"spec.{name}", root)
    yield from _tier_problems(account)


def pair_problems(strategy: TradingStrategy, account: TradingAccount) -> Iterator[InvalidInput]:
    """Everything that keeps a strategy off an account, both being right by themselves."""
    spec, own = account.spec, signal_instrument(strategy)
    namespace = strategy.metadata.namespace
    if strategy.account_name != account.full_name:
        yield InvalidInput("spec.account", strategy.account_name, f"the account {account.full_name}")
    if namespace not in (account.metadata.namespace, *spec.allowed_namespaces):
        expected = f"a namespace that the account {account.full_name} allows"
        yield InvalidInput("metadata.namespace", namespace, expected)
    if strategy.spec.mode != spec.environment:
        expected = f"{spec.environment}, the environment of the account {account.full_name}"
        yield InvalidInput("spec.mode", strategy.spec.mode, expected)
    if own.currency != spec.currency:
        expected = f"an instrument in {spec.currency}, the currency of the account {account.full_name}"
        yield InvalidInput("spec.instrument", strategy.spec.instrument, expected)
    for tier in spec.tiers:
        if instrument(tier.execute).underlying != own.underlying:
            expected = (
                f"an instrument of the underlying of {tier.execute}, which the tier from {tier.from_} of the account "
                f"{account.full_name} executes; or an account with tiers of its own, or with none"
            )
            yield InvalidInput("spec.instrument", strategy.spec.instrument, expected)
            return
    if not spec.tiers and strategy.spec.sizing.mode == "Tiered":
        expected = f"Fixed, because the account {account.full_name} has no tiers"
        yield InvalidInput("spec.sizing.mode", "Tiered", expected)


def _session_problems(strategy: TradingStrategy) -> Iterator[InvalidInput]:
    spec = strategy.spec
    try:
        zone_of(spec.session.zone or "UTC")
        session_of(strategy)
    except InvalidInput as problem:
        yield InvalidInput("spec.session", spec.session.to_manifest(), problem.expected)
        return
    except Unknown as unknown:
        expected = f"a session of {strategy.spec.instrument}: {', '.join(unknown.known)}"
        yield InvalidInput("spec.session", spec.session.to_manifest(), expected)
        return
    needed = history_needed(strategy)
    if spec.history < needed:
        expected = f"at least {needed} sessions, so that {WARM_UP_BARS} bars of {spec.bars} warm the indicators up"
        yield InvalidInput("spec.history", spec.history, expected)


def _profile_problems(strategy: TradingStrategy) -> Iterator[InvalidInput]:
    if signal_instrument(strategy).profile is not None:
        return
    detectors = strategy.spec.strategy.detectors
    for name, detector in (("imbalance", detectors.imbalance), ("absorption", detectors.absorption)):
        if detector.min_volume is None:
            yield _needed(strategy, f"spec.strategy.detectors.{name}.minVolume", "a volume")
    if strategy.spec.bracket is None:
        yield _needed(strategy, "spec.bracket", "stopTicks and targetTicks")


def _needed(strategy: TradingStrategy, field: str, what: str) -> InvalidInput:
    return InvalidInput(field, None, f"{what}: {strategy.spec.instrument} has no profile in the instrument sheet")


def _live_problems(strategy: TradingStrategy) -> Iterator[InvalidInput]:
    spec = strategy.spec
    if not spec.acknowledge_live:
        yield InvalidInput("spec.acknowledgeLive", False, "true with mode Live, which trades real money")
    if "account" not in spec.model_fields_set:
        yield InvalidInput("spec.account", None, "the name of a live account with mode Live")
    if spec.image is None or "@sha256:" not in spec.image:
        yield InvalidInput("spec.image", spec.image, "an image pinned by digest (...@sha256:...) with mode Live")


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
