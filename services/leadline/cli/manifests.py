"""From the options of a command to a plan."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from leadline.analysis.assemble import strategy_maker
from leadline.analysis.strategies import StrategyFailed
from leadline.cli.live_options import kinds_of, live_clock, require_live
from leadline.cli.options import LARGEST_SEED, PlanOptions
from leadline.cli.output import announce_reading
from leadline.ingestion.feed import Feed as SeenFeed
from leadline.ingestion.file_names import distinct_names
from leadline.ingestion.runs import DEFAULT_TRADE_FROM
from leadline.local.binding import CATALOG, check_feed
from leadline.local.data_dir import default_catalog, placed_at
from leadline.model.errors import InvalidInput, LeadlineError, Unknown, is_utf8, reason_of
from leadline.model.manifest.backtest_spec import Backtest
from leadline.model.manifest.manifests import no_yaml, placed_in
from leadline.model.manifest.own_markets import put_in_force, read_own
from leadline.model.manifest.spec_checks import calendar_of_spec
from leadline.model.manifest.specs import InvalidManifest, TradingAccount, TradingStrategy, load_manifests
from leadline.plan.plan import Plan, expired, plan
from leadline.plan.platform import Feed, FeedFile, PlatformSettings, parse_speed


@dataclass(frozen=True, slots=True)
class CheckedPlan:
    """A plan, where the files lie that its feed names, and what the feed was found to have; None of a live one."""

    plan: Plan
    files: Mapping[str, Path]
    feed: SeenFeed | None


def checked_plan(options: PlanOptions) -> CheckedPlan:
    """The plan with its feed, all of whose files are read: what is refused, is refused here.

    The instruments that are named are what this process knows from here on. Raises InvalidInput and Unknown, and
    TooManyKeptOut.
    """
    try:
        found, files = plan_of(options)
        announce_reading(files)
        return CheckedPlan(found, files, check_feed(found, files))
    except OSError as error:
        if error.filename is None:
            raise
        expected = f"a file that can be read ({reason_of(error)})"
        raise InvalidInput(_option_of(Path(error.filename), options), str(error.filename), expected) from None


def _option_of(file: Path, options: PlanOptions) -> str:
    """The option that names a file."""
    if file in options.manifests:
        return "--file"
    return "--instruments" if file in options.instruments else "--feed"


def plan_of(options: PlanOptions) -> tuple[Plan, dict[str, Path]]:
    """The plan, and where the files lie that its feed names; none of them is read. Raises as `checked_plan`."""
    _know_instruments(options)
    manifests = load_manifests(*options.manifests)
    for item in manifests:
        if isinstance(item, Backtest):
            expected = "a TradingStrategy or a TradingAccount: a Backtest runs by `leadline backtest --kube`"
            raise InvalidInput("kind", f"Backtest {item.full_name}", expected)
    strategies = [item for item in manifests if isinstance(item, TradingStrategy)]
    if not strategies:
        raise InvalidInput(", ".join(map(str, options.manifests)), "no TradingStrategy", "at least one")
    accounts = [item for item in manifests if isinstance(item, TradingAccount)]
    platform, files = platform_of(options, strategies)
    feed, day = platform.feed, platform.trade_from
    try:
        built = plan(platform, accounts, strategies)
        if (
            feed.kind == "sim"
            and feed.mode == "replay"
            and day is None
            and (problems := list(expired(feed, DEFAULT_TRADE_FROM, strategies)))
        ):
            raise InvalidManifest(problems)
        for strategy in strategies:
            check_strategy(strategy)
    except InvalidInput as error:
        raise _in_files(error, options.manifests) from error
    return built, files


def platform_of(
    options: PlanOptions, strategies: Sequence[TradingStrategy]
) -> tuple[PlatformSettings, dict[str, Path]]:
    """The platform's settings of a plan, and where the files lie that its feed names. Raises as `checked_plan`."""
    if "push" in options.feed and not options.pushed:
        expected = "sim, catalog or files: what is pushed goes into the catalog by `leadline data record`"
        raise InvalidInput("--feed", "push", expected)
    feed, files = _feed(options, strategies)
    day = None if options.trade_from is None else day_of(options.trade_from)
    if feed.kind == "push" and feed.mode == "replay" and day is None:
        raise InvalidInput("trade_from", None, "a date: a pushed feed cannot be read ahead")
    if day is not None:
        _require_known(day, strategies)
    speed = "max" if options.live or options.speed is None else options.speed
    return PlatformSettings(feed=feed, trade_from=day, speed=parse_speed(speed)), files


def _know_instruments(options: PlanOptions) -> None:
    """Without them nobody can say whether a manifest is right; whether it is YAML is said together with them."""
    try:
        put_in_force(read_own(options.instruments))
    except InvalidManifest as refused:
        broken = [problem for file in options.manifests for problem in no_yaml(file)]
        raise InvalidManifest([*refused.problems, *broken]) from None


def _in_files(error: InvalidInput, files: Sequence[Path]) -> InvalidManifest:
    """The error with the file of the object that it names. An error about the feed stays as it is."""
    problems = list(error.problems) if isinstance(error, InvalidManifest) else [error]
    for file in files:
        problems = placed_in(file, problems)
    return InvalidManifest(problems)


def check_strategy(strategy: TradingStrategy) -> None:
    """Make the strategy once, as its service will. Raises InvalidInput when that does not work."""
    try:
        strategy_maker(strategy.spec)()
    except LeadlineError as error:
        raise _of(strategy, error) from error
    except (Exception, SystemExit) as error:
        raise _of(strategy, StrategyFailed("when it was made", error)) from error


def _of(strategy: TradingStrategy, error: Exception) -> InvalidInput:
    if isinstance(error, InvalidInput):
        return InvalidInput(f"TradingStrategy {strategy.full_name}: {error.field}", error.value, error.expected)
    asked = strategy.spec.strategy.entry_point or strategy.spec.strategy.name
    where = f"TradingStrategy {strategy.full_name}: spec.strategy"
    return InvalidInput(where, asked, f"a strategy that can be made ({error})")


def _feed(options: PlanOptions, strategies: Sequence[TradingStrategy]) -> tuple[Feed, dict[str, Path]]:
    named = list(options.feed) or ["sim"]
    others: dict[str, str] = {}
    if options.live:
        named, others = kinds_of(named)
    _require_effect(options, named)
    for kind in ("sim", "catalog", "push"):
        if kind in named and len(named) > 1:
            expected = f"{kind} by itself, or files: prints come from one source"
            raise InvalidInput("--feed", ", ".join(named), expected)
    how = _how(options, named[0] if named[0] in {"sim", "catalog", "push"} else "file", others)
    if named == ["sim"]:
        seed, sessions = (1 if each is None else each for each in (options.seed, options.sessions))
        return Feed(kind="sim", seed=seed, sessions=sessions, **how), {}
    if named == ["catalog"]:
        feed = Feed(kind="catalog", sessions=options.sessions or 1, **how)
        return feed, {CATALOG: placed_at(options.catalog or default_catalog())}
    if named == ["push"]:
        return Feed(kind="push", **how), {}
    kinds = "sim, catalog, push" if options.pushed else "sim, catalog"
    given = [(text, *_file_of(text, kinds)) for text in named]
    names = distinct_names([str(path) for _, _, path in given])
    try:
        files = tuple(
            FeedFile(name=names[str(path)], contract=contract or _only_symbol(strategies, text))
            for text, contract, path in given
        )
        feed = Feed(kind="file", files=files, **how)
    except ValidationError as error:
        raise InvalidInput("--feed", ", ".join(named), error.errors()[0]["msg"].removeprefix("Value error, ")) from None
    return feed, {name: Path(path) for path, name in names.items()}


def _how(options: PlanOptions, kind: str, kinds: Mapping[str, str]) -> dict[str, Any]:
    """The settings of a feed that are of no one kind."""
    found: dict[str, Any] = {"max_kept_out_percent": Decimal(f"{options.max_kept_out:g}")}
    if not options.live:
        require_live(options)
        return found
    shift, rate = live_clock(options, kind, kinds)
    return {**found, "mode": "live", "shift": shift, "clock_rate": rate, **({"kinds": kinds} if kinds else {})}


def _require_effect(options: PlanOptions, named: Sequence[str]) -> None:
    """Raises InvalidInput for a seed that is too large, and for what this feed takes no notice of."""
    for option, value, kinds in (
        ("--seed", options.seed, ("sim",)),
        ("--sessions", options.sessions, ("sim", "catalog")),
        ("--catalog", options.catalog, ("catalog",)),
    ):
        if value is not None and not set(kinds) & set(named):
            feeds = " or ".join(f"--feed {kind}" for kind in kinds)
            raise InvalidInput(option, value, f"{feeds} with it, which {named[0]} is not")
    if options.seed is not None and options.seed > LARGEST_SEED:
        raise InvalidInput("--seed", options.seed, f"at most {LARGEST_SEED}")


def _file_of(text: str, kinds: str) -> tuple[str, Path]:
    """The contract that is named, empty when none is, and the file. A path may have `=` in it: what exists wins.

    kinds: what a feed may be that is no file.
    """
    contract, path = "", placed_at(text)
    if not _is_file(path):
        contract, equals, place = text.partition("=")
        if equals and not contract:
            raise InvalidInput("--feed", text, "CONTRACT=FILE: a contract before the =, or the file alone")
        path = placed_at(place)
        if not place or not _is_file(path):
            raise InvalidInput("--feed", text, f"{kinds}, or a file that exists, and is no folder and no pipe")
    if not is_utf8(str(path)):
        # It goes into settings and tables, which are.
        raise InvalidInput("--feed", text, "a file whose path is UTF-8: rename it, or the folder that it is in")
    return contract, path


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long, a folder that lets nobody in
        return False


def _only_symbol(strategies: Sequence[TradingStrategy], text: str) -> str:
    symbols = sorted({strategy.spec.instrument for strategy in strategies})
    if len(symbols) != 1:
        raise InvalidInput(
            "--feed", text, f"CONTRACT=FILE, because the strategies read {', '.join(symbols) or 'nothing'}"
        )
    return symbols[0]


def _require_known(day: date, strategies: Sequence[TradingStrategy]) -> None:
    for strategy in strategies:
        try:
            calendar_of_spec(strategy.spec).market(day)
        except Unknown as unknown:
            expected = f"a {unknown.kind}: {', '.join(unknown.known)}"
            raise InvalidInput("trade_from", day.isoformat(), expected) from None


def day_of(text: str, field: str = "trade_from") -> date:
    """A trading day as it is typed. Raises InvalidInput that names the field."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidInput(field, text, "a date such as 2025-10-08") from None
