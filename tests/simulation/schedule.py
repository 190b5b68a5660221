"""A schedule, drawn from its seed: a short day of prints and proposals, and what goes wrong on it."""

import random
from dataclasses import dataclass, replace
from functools import cache
from typing import Final

from leadline.execution.core.contracts import signal_source
from leadline.model.ids import LIVE, AccountId, ContractId, RunId, StrategyId
from leadline.model.manifest.specs import TradingAccount, TradingStrategy
from leadline.model.orders import Bracket, OrderType
from leadline.model.proposals import Action, Direction, EntryTerms, Proposal
from leadline.model.signals import BarSignals, SignalMessage
from leadline.model.ticks import TickColumns
from tests.execution.harness.builders import (
    BUY,
    DAY,
    DAY_S,
    LONG,
    MES,
    ROLL_S,
    RTH_S,
    SELL,
    SHORT,
    UNKNOWN,
    account,
    bar,
    says,
)
from tests.execution.harness.builders import strategy as strategy_of
from tests.execution.harness.builders import tape as tape_of
from tests.simulation.faults import Fault, Phase, Planned, Tamper
from tests.simulation.points import points, text_of
from tests.simulation.tape_clock import Clock

TAPE: Final = RunId("tape")
MNQ: Final = ContractId("MNQM2025")
ACCOUNT: Final = AccountId("default/paper")
LIVE_SHARE: Final = 0.4
AFTERNOON: Final = Clock(21_000, 120)
"""Entries may be made for 12.5 s then, what is held leaves after 17.5 s, and the session closes after 20 s."""

BRACKETS: Final = ("Native", "Native", "Native", "Attached", "StopOnly")
"""Who makes stop and target of a fill; the more often one stands here, the more schedules have it."""

SETTLE_S: Final = (0.0, 0.0, 1.0, 3.0)
ENTRIES_END_S: Final = 22_500
BARS: Final = 7
FAULTS_END_S: Final = 30.0
"""Seconds after which nothing goes wrong any more."""

CALLS: Final = (
    *("store.commit",) * 6,
    *("store.sending",) * 2,
    *("store.begin",) * 2,
    *("store.write",) * 2,
    "store.renew",
    *("store.confirm",) * 3,
    "store.load",
    "store.recall",
    "store.halts",
    "store.sent",
    "store.acquire",
    *("venue.submit",) * 6,
    *("venue.cancel",) * 3,
    *("venue.advance",) * 3,
    *("venue.find",) * 2,
    "venue.replace",
    "venue.positions",
    "venue.working",
    *("risk.decide",) * 2,
    "outbox.unpublished",
    "outbox.published",
    "bus.publish",
    "bus.resume",
)
"""Calls that faults are drawn from; the more often one stands here, the more often it is hit."""

OFTEN: Final = {
    "store.commit": 60,
    "store.sending": 6,
    "store.begin": 60,
    "store.write": 60,
    "store.renew": 10,
    "store.confirm": 6,
    "venue.advance": 25,
    "venue.submit": 6,
    "risk.decide": 7,
    "outbox.unpublished": 50,
    "outbox.published": 15,
    "bus.publish": 15,
}
"""About how often a call is made in a schedule, where that is more than a few times."""


@dataclass(frozen=True)
class Schedule:
    """All that is drawn before anything runs. Messages are by strategy, each with the seconds before it is said."""

    seed: int
    account: TradingAccount
    strategies: tuple[TradingStrategy, ...]
    prints: dict[ContractId, TickColumns]
    messages: dict[StrategyId, tuple[tuple[float, SignalMessage], ...]]
    faults: tuple[Planned, ...]
    ends: float
    """The end of the tape, in seconds since the first open: the close of that day's session, or of the next.

    Live it is when all that was to happen has happened.
    """
    live: Clock | None = None
    """The tape's clock where the account lives on it."""
    settle_s: float = 0.0
    """For so long an order of which no answer was heard may still come to the venue."""

    @property
    def tape(self) -> RunId:
        """The id of the tape."""
        return TAPE if self.live is None else LIVE


@cache
def _strategy(name: str, instrument: str, size: int, stop: int, target: int) -> TradingStrategy:
    return strategy_of(name, instrument, size, (stop, target), budget=False, bars="ticks:500")


@cache
def _account(day_loss: int, brackets: str) -> TradingAccount:
    return account(
        paper={"brackets": brackets},
        limits={"dayLoss": str(day_loss), "maxOpenTrades": 2, "maxPosition": 3, "maxEntriesPerHour": 30},
        noStopRiskTicks={"MES": 40, "MNQ": 100},
    )


@cache
def _spec() -> str:
    return signal_source(_strategy("mes", "MES", 1, 8, 12), TAPE, (MES, MNQ), DAY).spec_token


def draw(seed: int) -> Schedule:
    """The schedule of a seed."""
    chance, venues = random.Random(f"schedule {seed}"), random.Random(f"venue {seed}")
    brackets = venues.choice(BRACKETS)
    if chance.random() < LIVE_SHARE:
        return _draw_live(chance, seed, brackets, venues.choice(SETTLE_S))
    both = chance.random() < 0.4
    strategies = [_strategy("mes", "MES", chance.choice([1, 2, 2]), 8, 12)]
    if both:
        strategies.append(_strategy("mnq", "MNQ", 1, 20, 20))
    days = chance.choice([1, 1, 2])
    ends = (days - 1) * DAY_S + RTH_S
    prints, messages = {}, {}
    for contract, first, which in ((MES, 20_000, 0), (MNQ, 90_000, 1)):
        rows = [row for day in range(days) for row in _prints(chance, first, day * DAY_S)]
        prints[contract] = tape_of(*rows)
        if which < len(strategies):
            morning = [at for at, *_ in rows if at % DAY_S < 1800]
            said = _said(chance, strategies[which], contract, rows, morning, ends)
            messages[strategies[which].full_name] = tuple((chance.choice([0.01, 0.05, 0.3, 1.5]), one) for one in said)
    return Schedule(
        seed,
        _account(chance.choice([60, 90, 1000]), brackets),
        tuple(strategies),
        prints,
        messages,
        _faults(chance),
        ends,
    )


def _draw_live(chance: random.Random, seed: int, brackets: str, settle_s: float) -> Schedule:
    """An afternoon on the clock: entries, the flat-by, the close of the session, and in some the next trading day."""
    strategies = [_strategy("mes", "MES", chance.choice([1, 2, 2]), 8, 12)]
    if chance.random() < 0.4:
        strategies.append(_strategy("mnq", "MNQ", 1, 20, 20))
    ends = chance.choice([RTH_S, RTH_S, RTH_S, RTH_S, ROLL_S]) + 600
    prints, messages = {}, {}
    for contract, first, which in ((MES, 20_000, 0), (MNQ, 90_000, 1)):
        rows = _wandering(chance, first, AFTERNOON.begins, ENTRIES_END_S)
        price = rows[-1][1]
        rows += [(at + chance.random(), price + chance.randint(-6, 6), 4, UNKNOWN) for at in range(22_560, 26_940, 60)]
        prints[contract] = tape_of(*rows)
        if which < len(strategies):
            afternoon = [at for at, *_ in rows if at < ENTRIES_END_S]
            said = _said(chance, strategies[which], contract, rows, afternoon, ends)[:-1]
            live = [replace(one, tape=LIVE) for one in said]
            lags = [0.01, 0.01, 0.01, 0.05, 0.05, 0.05, 0.3, 0.3, 0.3, 1.5, 4]
            messages[strategies[which].full_name] = tuple((chance.choice(lags), one) for one in live)
    account, faults = _account(chance.choice([60, 90, 1000]), brackets), _live_faults(chance)
    return Schedule(seed, account, tuple(strategies), prints, messages, faults, ends, AFTERNOON, settle_s)


def _live_faults(chance: random.Random) -> tuple[Planned, ...]:
    """As on a tape that ends; and the source falls silent, its prints come late, a clock is set and put right again."""
    found = [each for each in _faults(chance) if each.fault is not Fault.CLOCK]
    if chance.random() < 0.3:
        found.append(Planned(Fault.OUTAGE, chance.uniform(0, 16), "source", seconds=chance.choice([1, 4, 9])))
    found += [Planned(Fault.LATE_PRINTS, chance.randint(1, 60)) for _ in range(chance.choice([0, 0, 1, 3]))]
    if chance.random() < 0.2:
        at, step_s = chance.uniform(0, 10), chance.choice([-2, -0.3, 0.05, 0.3, 2])
        found += [Planned(Fault.CLOCK, at, seconds=step_s), Planned(Fault.CLOCK, at + 3, seconds=-step_s)]
    return tuple(found)


def _prints(chance: random.Random, first: int, opens: float) -> list[tuple[float, int, int, int]]:
    """The prints of a day whose session opens at a second: of its morning, and around its close."""
    rows = [(opens + at, price, size, side) for at, price, size, side in _wandering(chance, first, 300.0, 1800)]
    price = rows[-1][1]
    last = (23_000, 23_105, 23_110, 23_200, 23_398)
    return rows + [(opens + at + chance.random(), price + chance.randint(-6, 6), 2, UNKNOWN) for at in last]


def _wandering(chance: random.Random, first: int, begins: float, ends: float) -> list[tuple[float, int, int, int]]:
    """Prints between two seconds whose price goes up and down by chance."""
    price, second, rows = first, begins, []
    while second < ends:
        price += chance.choice([-9, -3, -2, -1, 0, 0, 1, 2, 3, 9])
        rows.append((second, price, chance.randint(1, 4), chance.choice([SELL, UNKNOWN, BUY])))
        second += chance.choice([0, 0.01, 0.5, 20, 60])
    return rows


def _said(
    chance: random.Random,
    strategy: TradingStrategy,
    contract: ContractId,
    rows: list[tuple[float, int, int, int]],
    times: list[float],
    ends: float,
) -> list[SignalMessage]:
    times = sorted({chance.choice(times) + chance.choice([0, 0.05, 1]) for _ in range(BARS)})
    bars: list[BarSignals] = []
    for number, second in enumerate(times, 1):
        close = next(price for at, price, *_ in reversed(rows) if at <= second)
        patterns = chance.choice([(LONG,), (SHORT,), (LONG,), (SHORT,), (LONG, SHORT)])
        made = bar(second, *patterns, contract=contract, close=close)
        key = replace(made.bar, spec=_spec(), ordinal=number)
        whims = [whim for whim in (_whim(chance, close) for _ in range(2)) if whim is not None]
        bars.append(replace(made, bar=key, proposals=(*made.proposals, *whims)))
    return says(bars, end=ends, strategy=strategy.full_name)


def _whim(chance: random.Random, close: int) -> Proposal | None:
    """Now and then a strategy does something else than enter."""
    kind = chance.randrange(9)
    if kind == 0:
        return Proposal(Action.EXIT, quantity=chance.choice([None, 1]))
    if kind == 1:
        return Proposal(Action.CANCEL)
    if kind == 2:
        near = Bracket(stop_price=close + chance.randint(-12, 12), target_price=close + chance.randint(-12, 12))
        return Proposal(Action.PROTECT, bracket=near)
    if kind == 3:
        side = chance.choice([*Direction])
        away = -1 if side is Direction.LONG else 1
        limit = EntryTerms(OrderType.LIMIT, close + away * chance.randint(1, 6))
        return Proposal(Action.ADD, side, entry=limit, bracket=Bracket(stop_ticks=10, target_ticks=14))
    return None


def _faults(chance: random.Random) -> tuple[Planned, ...]:
    """Two or three deaths, and five or more other faults."""
    found = [_death(chance) for _ in range(chance.choice([1, 2, 2, 3, 4]))]
    if chance.random() < 0.5:
        at, phase, way_s = chance.choice([1, 1, 1, 2, 3, 5]), chance.choice([*Phase]), chance.choice([0, 0.1])
        if chance.random() < 0.5:
            found.append(Planned(Fault.KILL_SELDOM, at, "seldom", phase, way_s))
        else:
            found.append(Planned(Fault.KILL_POINT, at, text_of(chance.choice(points())), phase, way_s))
    if chance.random() < 0.1:
        found.append(Planned(Fault.STOP, chance.uniform(0.5, 8)))
    if chance.random() < 0.25:
        rivals = chance.choice([1, 1, 2])
        found += [Planned(Fault.RIVAL, chance.uniform(0.5, 8)) for _ in range(rivals)]
        still_s = chance.choice([1.5, 6, 12, 12, 40, 120])
        if chance.random() < 0.4:
            found.append(Planned(Fault.STAND_STILL, chance.randint(20, 400), seconds=still_s))
        else:
            name = chance.choice(["store.commit", "store.sending", "store.confirm", "venue.submit"])
            found.append(Planned(Fault.STAND_AT, chance.randint(1, OFTEN[name]), name, seconds=still_s))
    found += [_of_a_call(chance) for _ in range(chance.randint(4, 9))]
    if chance.random() < 0.5:
        part = chance.choice(["database", "venue", "risk", "bus", "disk"])
        found.append(Planned(Fault.OUTAGE, chance.uniform(0, 10), part, seconds=chance.choice([0.3, 2, 9])))
    if chance.random() < 0.25:
        kind, number = chance.choice([*Tamper]), chance.randint(1, 6)
        found.append(Planned(Fault.TAMPER, chance.uniform(0.5, 8), kind, seconds=number))
    if chance.random() < 0.1:
        found.append(Planned(Fault.LOST_TAIL, chance.uniform(0.5, 8), seconds=chance.choice([0.03, 0.3, 2])))
    if chance.random() < 0.1:
        found.append(Planned(Fault.LOST_STREAM, chance.uniform(0.5, 8), seconds=chance.choice([0.3, 2, 30])))
    if chance.random() < 0.1:
        found.append(Planned(Fault.CLOCK, chance.uniform(0, 8), seconds=chance.choice([-3600, -1, 1, 3600])))
    return tuple(found)


def _of_a_call(chance: random.Random) -> Planned:
    """Something goes wrong with one call."""
    name = chance.choice(CALLS)
    count = chance.randint(1, OFTEN.get(name, 4))
    kind = chance.randrange(9)
    if kind < 3:
        return Planned(Fault.LOST_CALL, count, name)
    if kind < 6:
        return Planned(Fault.LOST_ANSWER, count, name)
    if kind < 8 or not name.startswith("venue."):
        phase = chance.choice([Phase.BEFORE, Phase.ANSWER])
        return Planned(Fault.SLOW, count, name, phase, chance.choice([0.1, 0.4, 2, 7]))
    if name == "venue.find":  # one who is asked twice with a pause between has to know then
        return Planned(Fault.STALE, count, name, seconds=chance.choice([0.05, 0.2]))
    if name in ("venue.positions", "venue.working"):
        return Planned(Fault.STALE, count, name, seconds=chance.choice([0.05, 1, 4]))
    if name == "venue.submit" and chance.random() < 0.5:
        return Planned(Fault.REJECTED, count, name)
    return Planned(Fault.FAILS, count, name, chance.choice([Phase.BEFORE, Phase.ANSWER]))


def _death(chance: random.Random) -> Planned:
    if chance.random() < 0.5:
        return Planned(Fault.KILL, chance.randint(1, 450))
    name = chance.choice(CALLS)
    count = chance.randint(1, OFTEN.get(name, 3))
    return Planned(Fault.KILL_AT, count, name, chance.choice([*Phase]), chance.choice([0, 0.1]))
