"""From the options of a command to a plan."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from pathlib import Path

from pydantic import ValidationError

from leadline.analysis.assemble import strategy_maker
from leadline.analysis.strategies import StrategyFailed
from leadline.cli.options import LARGEST_SEED, PlanOptions
from leadline.ingestion.runs import DEFAULT_TRADE_FROM
from leadline.model.errors import InvalidInput, LeadlineError, Unknown
from leadline.model.own_markets import put_in_force, read_own
from leadline.model.spec_checks import calendar_of_spec
from leadline.model.specs import InvalidManifest, TradingAccount, TradingStrategy, load_manifests
from leadline.plan.plan import Plan, expired, plan
from leadline.plan.platform import Feed, FeedFile, PlatformSettings, parse_speed


def plan_of(options: PlanOptions) -> tuple[Plan, dict[str, Path]]:
    """The plan, and where the files lie that its feed names. Raises InvalidInput.

    The instruments that are named are what this process knows from here on.
    """
    put_in_force(read_own(options.instruments))
    manifests = load_manifests(options.manifests)
    strategies = [item for item in manifests if isinstance(item, TradingStrategy)]
    if not strategies:
        raise InvalidInput(str(options.manifests), "no TradingStrategy", "at least one")
    accounts = [item for item in manifests if isinstance(item, TradingAccount)]
    feed, files = _feed(options, strategies)
    day = None if options.trade_from is None else _day(options.trade_from)
    if feed.kind == "push" and day is None:
        raise InvalidInput("--trade-from", None, "a date: a pushed feed cannot be read ahead")
    if day is not None:
        _require_known(day, strategies)
    platform = PlatformSettings(feed=feed, trade_from=day, speed=parse_speed(options.speed))
    try:
        built = plan(platform, accounts, strategies)
        if feed.kind == "sim" and day is None and (problems := list(expired(feed, DEFAULT_TRADE_FROM, strategies))):
            raise InvalidManifest(problems)
        for strategy in strategies:
            check_strategy(strategy)
    except InvalidInput as error:
        raise _in_file(error, options.manifests) from error
    return built, files


def _in_file(error: InvalidInput, file: Path) -> InvalidManifest:
    """What is wrong with an object of a file names the file; what is wrong with the feed is no matter of it."""
    problems = error.problems if isinstance(error, InvalidManifest) else (error,)
    return InvalidManifest(
        [
            InvalidInput(f"{file}: {each.field}", each.value, each.expected)
            if each.field.startswith(("TradingStrategy ", "TradingAccount "))
            else each
            for each in problems
        ]
    )


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
    if options.seed > LARGEST_SEED:
        raise InvalidInput("--seed", options.seed, f"at most {LARGEST_SEED}")
    percent = Decimal(f"{options.max_kept_out:g}")
    if named == ["sim"]:
        return Feed(kind="sim", seed=options.seed, sessions=options.sessions, max_kept_out_percent=percent), {}
    if named == ["push"]:
        return Feed(kind="push", max_kept_out_percent=percent), {}
    files: list[FeedFile] = []
    places: dict[str, Path] = {}
    for text in named:
        contract, path = _file_of(text)
        files.append(FeedFile(name=path.name, contract=contract or _only_symbol(strategies, text)))
        places[path.name] = path
    try:
        return Feed(kind="file", files=tuple(files), max_kept_out_percent=percent), places
    except ValidationError as error:
        raise InvalidInput("--feed", named, error.errors()[0]["msg"].removeprefix("Value error, ")) from None


def _file_of(text: str) -> tuple[str, Path]:
    """The contract that is named, empty when none is, and the file. A path may have `=` in it: what exists wins."""
    whole = Path(text).expanduser().absolute()
    if whole.is_file():
        return "", whole
    contract, _, place = text.partition("=")
    path = Path(place).expanduser().absolute()
    if not place or not path.is_file():
        raise InvalidInput("--feed", text, "sim, push, or a file that exists")
    return contract, path


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
            raise InvalidInput("--trade-from", day.isoformat(), expected) from None


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise InvalidInput("--trade-from", text, "a date such as 2025-10-08") from None
