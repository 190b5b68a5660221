"""The scenarios: a strategy as it is, and the same with one thing changed at a time.

Each is a manifest with other values in the fields that it names, so that its result is that of a backtest of it.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final, TypeAlias

from leadline.backtest.results import AccountResult, DayLine
from leadline.model.durations import NS_PER_MINUTE, NS_PER_SECOND
from leadline.model.errors import InvalidInput
from leadline.model.manifest.account_spec import DEFAULT_TIERS
from leadline.model.manifest.specs import (
    TradingAccount,
    TradingStrategy,
    calendar_of_spec,
    session_of,
    signal_instrument,
)
from leadline.model.manifest.sweep import Variant, changed
from leadline.model.market.contracts import rolls_by_rule
from leadline.model.market.hours import parse_clock
from leadline.model.market.instruments import instrument, instruments
from leadline.study.adding import MOST_HELD
from leadline.study.rules import ENTRY_POINT

Fields: TypeAlias = Mapping[str, Any]

_BASE: Final[Fields] = {
    "account.spec.startingBalance": "10000",
    "account.spec.tiers": [],
    "account.spec.limits.dayLoss": "400",
    "account.spec.limits.dayTarget": "500",
    "account.spec.limits.maxPosition": None,
    "account.spec.paper.fillRule": "Pessimistic",
    "account.spec.paper.slippageTicks": 1,
    "strategy.spec.sizing": {"mode": "Fixed", "size": 1},
    "strategy.spec.bracket": None,
    "strategy.spec.risk.maxPosition": None,
    "strategy.spec.risk.maxTradesPerDay": None,
    "strategy.spec.risk.dayLoss": None,
}
_REGIMES: Final = ("TRENDING_UP", "TRENDING_DOWN", "RANGING", "VOLATILE")
_FROM_NEW_YORK: Final = {"America/New_York": 0, "America/Chicago": -60}
"""Minutes of clocks that change together with New York's, from that."""
_DAY_MINUTES: Final = 24 * 60
EARLY_LOSS: Final = Decimal(200)
EARLY_MINUTES: Final = 60


@dataclass(frozen=True, slots=True)
class Scenario:
    """One scenario: its number, what it changes in words, and the manifests. `refused` says why it cannot be run.

    `first`: the first traded day, where it has one of its own.
    """

    number: str
    title: str
    variant: Variant | None
    refused: str = ""
    first: date | None = None


def baseline(accounts: Sequence[TradingAccount], strategies: Sequence[TradingStrategy]) -> Variant:
    """The strategy with one contract and the bracket of the instrument's profile, on an account of 10,000.

    Day loss 400, day target 500, no tiers, no modifiers, pessimistic fills. Raises InvalidInput for several strategies,
    and InvalidManifest where the manifest refuses it.
    """
    if len(strategies) != 1:
        names = ", ".join(each.full_name for each in strategies)
        raise InvalidInput("file", names, "one TradingStrategy: scenarios vary one")
    own = [each for each in accounts if each.full_name == strategies[0].account_name]
    return changed(1, _BASE, own, strategies)


def scenarios(base: Variant) -> list[Scenario]:
    """The scenarios that follow from the manifest alone, in their order; the others need the baseline's result."""
    found = list(_of_manifest(base))
    numbered = [(scenario, number) for number, scenario in enumerate(found, 2)]
    return [_made(base, number, *scenario) for scenario, number in numbered]


def after_early_loss(base: Variant, number: int, result: AccountResult) -> Scenario:
    """Scenario 7: no entry for the rest of a day after a loss of 200 within the first 60 minutes.

    Each block ends with its session. The instants are those of the baseline.
    """
    title = f"stop for the day at {-EARLY_LOSS} before open + {EARLY_MINUTES} min"
    news = [
        {"at": _clock(at), "name": "day loss", "before": "0s", "after": f"{close - at}s"}
        for at, close in early_losses(base.strategies[0], result)
    ]
    (strategy,) = base.strategies
    given = strategy.to_manifest()["spec"]["entries"]["news"]
    return _made(base, number, "7", title, {"strategy.spec.entries.news": [*given, *news]})


def early_losses(strategy: TradingStrategy, result: AccountResult) -> list[tuple[int, int]]:
    """The seconds (UTC) at which a day first had lost `EARLY_LOSS` within `EARLY_MINUTES` of its open, and its close's.

    A second is the first whole one that is not before the instant.
    """
    hours, market = session_of(strategy.spec)[1], calendar_of_spec(strategy.spec)
    starts, equity = {}, result.start_equity
    for line in result.days:
        starts[line.day], equity = equity, line.equity
    found: dict[date, tuple[int, int]] = {}
    for point in result.equity:
        day = market.trading_day(point.time_ns)
        session = market.session(day, hours) if day in starts and day not in found else None
        if session is None or point.time_ns >= session.open_ns + EARLY_MINUTES * NS_PER_MINUTE:
            continue
        if point.equity - starts[day] <= -EARLY_LOSS:
            found[day] = (-(-point.time_ns // NS_PER_SECOND), -(-session.close_ns // NS_PER_SECOND))
    return list(found.values())


def from_worst_drawdown(base: Variant, number: int, result: AccountResult) -> Scenario:
    """Scenario 19: the baseline from the first day of its worst drawdown on."""
    day = worst_drawdown_begins(result.start_equity, result.days)
    if day is None:
        return Scenario("19", "start on the worst drawdown's first day", None, "there is no drawdown at a day's end")
    variant = Variant(number, (), base.accounts, base.strategies)
    return Scenario("19", f"start on the worst drawdown's first day, {day}", variant, first=day)


def adding_at(base: Variant, number: int, bars: Sequence[str]) -> Scenario:
    """Scenario 16: an entry at these bars adds to what is held; see `leadline.study.adding`."""
    spec = base.strategies[0].to_manifest()["spec"]
    fields = {
        "strategy.spec.strategy": {
            "entryPoint": ENTRY_POINT,
            "parameters": {"rule": "add", "spec": spec, "adds": list(bars)},
        },
        "account.spec.limits.maxPosition": MOST_HELD,
    }
    return _made(base, number, "16", f"add to a winner once per new signal, at most {MOST_HELD}", fields)


def worst_drawdown_begins(start: Decimal, days: Sequence[DayLine]) -> date | None:
    """The first day of the largest fall of the equity at the days' ends; None where it never falls."""
    peak, begins, worst, found = start, None, Decimal(0), None
    for line in days:
        if line.equity >= peak:
            peak, begins = line.equity, None
            continue
        begins = begins or line.day
        if peak - line.equity > worst:
            worst, found = peak - line.equity, begins
    return found


def mondays(days: Sequence[DayLine], after: Callable[[Decimal], bool]) -> list[DayLine]:
    """Scenario 14: the Mondays after a Friday whose result is as asked."""
    by_day = {line.day: line for line in days}
    return [
        line
        for line in days
        if line.day.weekday() == 0
        and (friday := by_day.get(line.day - timedelta(days=3))) is not None
        and after(friday.net)
    ]


def _of_manifest(base: Variant) -> Iterator[tuple[str, str, Fields | str]]:
    """Number and title of each scenario, with the fields that it changes, or the reason why it cannot be run."""
    (strategy,) = base.strategies
    own = signal_instrument(strategy.spec)
    yield "1", "fill rule optimistic", {"account.spec.paper.fillRule": "Optimistic"}
    yield "2", "slippage of 2 ticks", {"account.spec.paper.slippageTicks": 2}
    for letter, loss in zip("abc", ("300", "400", "500"), strict=True):
        yield f"3{letter}", f"day loss limit {loss}", {"account.spec.limits.dayLoss": loss}
    yield "4", "size 2 while ATR(14) < 3 points", _ruled(strategy, "calm")
    yield "5", "size by regime: trending 2, ranging 1, volatile 1", _tiered(own.root, 2, 2, 1, 1)
    streak = _tiered(own.root, 1, 1, 1, 1, "WinStreak", "LossStreak")
    yield "6", "size 2 after 3 wins in a row, 1 after 2 losses", streak
    for letter, most in zip("abc", (5, 10, None), strict=True):
        title = "unlimited trades a day" if most is None else f"at most {most} trades a day"
        yield f"8{letter}", title, {"strategy.spec.risk.maxTradesPerDay": most}
    yield "9", "stacked-imbalance trades at size 2", _ruled(strategy, "stacked")
    yield "10", "size 2 when an exhaustion follows an absorption within 3 bars", _ruled(strategy, "reversal")
    yield "11", "only the first 60 min", _only(strategy, EARLY_MINUTES)
    yield "12", "not the first 30 min", {"strategy.spec.entries.afterOpen": "30m"}
    yield "13", "only 14:00 to 16:00 in New York", _in_new_york(strategy, "14:00", "16:00")
    yield "15", "roll weeks only", _roll_weeks(strategy)
    for letter, size in zip("ab", (1, 2), strict=True):
        sizing = {"strategy.spec.sizing": {"mode": "Fixed", "size": size}}
        loss = str(300 * size)
        yield f"17{letter}", f"size {size}, day loss limit {loss}", {**sizing, "account.spec.limits.dayLoss": loss}
    yield "18", "capital ladder by equity", _ladder(strategy)
    for number, balance in (("20", "2500"), ("21", "5000"), ("22", "10000")):
        yield number, f"capital tiers from {int(balance):,}", _default_tiers(strategy, balance)


def _made(base: Variant, number: int, name: str, title: str, fields: Fields | str) -> Scenario:
    if isinstance(fields, str):
        return Scenario(name, title, None, fields)
    try:
        return Scenario(name, title, changed(number, fields, base.accounts, base.strategies))
    except InvalidInput as refused:
        return Scenario(name, title, None, str(refused))


def _ruled(strategy: TradingStrategy, rule: str) -> Fields:
    spec = strategy.to_manifest()["spec"]
    logic = {"entryPoint": ENTRY_POINT, "parameters": {"rule": rule, "spec": spec}}
    return {"strategy.spec.strategy": logic, "strategy.spec.sizing.size": 2}


def _tiered(root: str, up: int, down: int, ranging: int, volatile: int, *modifiers: str) -> Fields:
    """One tier that holds at every equity, so that modifiers and regime alone make the size."""
    regimes = {name: str(value) for name, value in zip(_REGIMES, (up, down, ranging, volatile), strict=True)}
    return {
        "account.spec.tiers": [{"from": "0", "execute": root, "minSize": 1, "maxSize": 2}],
        "strategy.spec.sizing": {"mode": "Tiered", "modifiers": list(modifiers)},
        **{f"strategy.spec.strategy.router.regimes.{name}.multiplier": value for name, value in regimes.items()},
    }


def _only(strategy: TradingStrategy, minutes: int) -> Fields:
    """Entries in so many minutes after the open alone."""
    hours = session_of(strategy.spec)[1]
    return _blocked(strategy, (_later(hours.open, minutes), hours.close))


def _in_new_york(strategy: TradingStrategy, begin: str, end: str) -> Fields | str:
    """Entries between two times of New York's clock alone."""
    hours = session_of(strategy.spec)[1]
    if hours.zone not in _FROM_NEW_YORK:
        return f"the session's clock is that of {hours.zone}, whose distance from New York's changes"
    first, last = (_later(clock, _FROM_NEW_YORK[hours.zone]) for clock in (begin, end))
    over = not hours.crosses_midnight and last >= hours.close
    return _blocked(strategy, (hours.open, first), *(() if over else ((last, hours.close),)))


def _blocked(strategy: TradingStrategy, *windows: tuple[str, str]) -> Fields:
    """These windows without entries, beside those that there are. One that begins where it ends is none."""
    given = strategy.to_manifest()["spec"]["entries"]["blocks"]
    return {"strategy.spec.entries.blocks": [*given, *({"from": one, "to": to} for one, to in windows if one != to)]}


def _later(clock: str, minutes: int) -> str:
    """The time of day so many minutes after another one."""
    at = parse_clock(clock)
    hour, minute = divmod((at.hour * 60 + at.minute + minutes) % _DAY_MINUTES, 60)
    return f"{hour:02d}:{minute:02d}"


def _roll_weeks(strategy: TradingStrategy) -> Fields | str:
    if not rolls_by_rule(strategy.spec.instrument):
        return f"{strategy.spec.instrument} is no root whose roll follows from the trading day"
    return {"strategy.spec.strategy": _ruled(strategy, "roll_week")["strategy.spec.strategy"]}


def _ladder(strategy: TradingStrategy) -> Fields | str:
    """Sizes of the micro and of the full contract by equity, of an underlying that has both."""
    found = _micro_and_full(strategy)
    if found is None:
        return f"the underlying of {strategy.spec.instrument} has no micro beside a full-size contract"
    rungs = ((0, 0, 1), (5_000, 0, 3), (10_000, 1, 1), (20_000, 1, 2), (30_000, 1, 3), (40_000, 1, 4))
    tiers = [
        {"from": str(equity), "execute": found[full], "minSize": size, "maxSize": size} for equity, full, size in rungs
    ]
    most = max(size for _, _, size in rungs)
    return {
        "account.spec.tiers": tiers,
        "account.spec.limits.maxPosition": most,
        "strategy.spec.sizing": {"mode": "Tiered", "modifiers": [], "maxSize": most},
    }


def _micro_and_full(strategy: TradingStrategy) -> tuple[str, str] | None:
    """The roots of the smallest and the largest future of the strategy's underlying, where these are two."""
    underlying = signal_instrument(strategy.spec).underlying
    found = sorted((each for each in instruments() if each.underlying == underlying), key=lambda each: each.tick_value)
    return (found[0].root, found[-1].root) if len(found) > 1 else None


def _default_tiers(strategy: TradingStrategy, balance: str) -> Fields | str:
    underlying = signal_instrument(strategy.spec).underlying
    if any(instrument(tier.execute).underlying != underlying for tier in DEFAULT_TIERS):
        return f"the capital tiers execute {' and '.join(sorted({tier.execute for tier in DEFAULT_TIERS}))}"
    return {
        "account.spec.startingBalance": balance,
        "account.spec.tiers": [tier.to_manifest() for tier in DEFAULT_TIERS],
        "account.spec.limits.dayLoss": None,
        "strategy.spec.sizing": {"mode": "Tiered", "modifiers": []},
    }


def _clock(seconds: int) -> str:
    """A second of UTC as manifests write it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
