"""Days that the tests of recovery share: several trades, every way out of them, two strategies, two trading days."""

import random
from dataclasses import replace
from pathlib import Path

from leadline.model.ids import ContractId, StrategyId
from leadline.model.manifest.venues import Capability
from leadline.model.orders import Bracket, OrderType, Trail
from leadline.model.proposals import Action, Direction, EntryTerms, Proposal
from leadline.model.signals import BarSignals
from tests.execution.harness.builders import (
    BUY,
    DAY_S,
    LONG,
    MES,
    MNQ,
    RTH_S,
    SELL,
    SHORT,
    UNKNOWN,
    account,
    bar,
    says,
    strategy,
    tape,
)
from tests.execution.harness.desk import Books, Desk

END_S = DAY_S + 2000
WANDERING_END_S = DAY_S + RTH_S


def eventful(books: Books, folder: Path, name: str = "tape") -> Desk:
    """A desk whose two days hold, in this order:

    a long in MES to its target in two partial fills, a conflict, a short in MNQ to its stop, a long in MES refused
    because MNQ is open, a long in MES that is flat by the close; and on the next day a long in MES that the day's loss
    closes, and a long in MNQ that the loss refuses.
    """
    mes = tape(
        (500, 19_999, 3, SELL),
        (600, 20_000, 2, BUY),
        (601, 20_000, 2, BUY),  # in: 2 at 20001, stop 19985, target 20025
        (700, 20_026, 1, BUY),  # 1 at 20025
        (700, 20_020, 4, SELL),
        (710, 20_027, 5, BUY),  # 1 at 20025
        (22_000, 20_000, 1, SELL),
        (22_001, 20_002, 1, BUY),  # in: 2 at 20003
        (23_099, 20_010, 1, BUY),
        (23_200, 20_008, 2, SELL),  # out: 2 at 20007
        (DAY_S + 600, 20_100, 1, BUY),
        (DAY_S + 601, 20_100, 1, BUY),  # in: 2 at 20101
        (DAY_S + 700, 20_095, 1, SELL),
        (DAY_S + 701, 20_086, 1, SELL),  # realised -2.50, open -37.50: the day's loss of 40 is reached
        (DAY_S + 702, 20_087, 1, SELL),  # out: 2 at 20086
        (DAY_S + 1900, 20_090, 1, BUY),
    )
    mnq = tape(
        (599, 90_000, 1, BUY),
        (1200, 90_004, 1, SELL),
        (1201, 90_002, 1, SELL),  # in: 1 at 90001
        (1500, 90_019, 2, BUY),  # out: 1 at 90020
        (DAY_S + 1000, 90_000, 1, BUY),
    )
    signals = {
        "default/mes": says(
            [
                bar(600, LONG),
                bar(900, LONG, SHORT),
                bar(1300, LONG),
                bar(22_000, LONG),
                bar(DAY_S + 600, LONG, close=20_100),
            ],
            end=END_S,
        ),
        "default/mnq": says(
            [bar(1200, SHORT, contract=MNQ, close=90_004), bar(DAY_S + 900, LONG, contract=MNQ, close=90_000)],
            end=END_S,
            strategy=StrategyId("default/mnq"),
        ),
    }
    return Desk(
        books,
        folder,
        {MES: mes, MNQ: mnq},
        signals,
        [strategy("mes", size=2, budget=False), strategy("mnq", "MNQ", bracket=(18, 30))],
        manifest=account(limits={"dayLoss": "40"}),
        ends=END_S,
        name=name,
    )


def managed(books: Books, folder: Path, name: str = "tape") -> Desk:
    """A desk whose strategy looks after what it has: a long whose exits it moves twice and which it leaves, a limit
    that it takes back, a long whose stop follows the price, and one that gets its stop later. The loop moves the
    stops that trail, for the venue does not.
    """
    mes = tape(
        *((599, 20_000), (601, 20_000)),  # in: 1 at 20001
        *((700, 20_004), (800, 20_006), (901, 20_003)),  # out: 1 at 20002
        *((999, 20_000), (1199, 20_001)),
        *((1201, 20_000), (1210, 20_006), (1211.5, 20_009), (1230, 20_004)),  # in at 20001, out at 20003
        *((1300, 20_001), (1301, 20_000), (1320, 20_001), (1340, 19_994), (1390, 20_001)),  # in at 20001, out at 19993
    )
    enter = Proposal(Action.ENTER, Direction.LONG, bracket=Bracket(stop_price=19_980, target_price=20_040))
    wanted = [
        (600, enter),
        (700, Proposal(Action.PROTECT, bracket=Bracket(stop_price=19_990, target_price=20_030))),
        (800, Proposal(Action.PROTECT, bracket=Bracket(stop_price=19_995))),
        (900, Proposal(Action.EXIT)),
        (1000, replace(enter, entry=EntryTerms(OrderType.LIMIT, 19_985))),
        (1100, Proposal(Action.CANCEL)),
        (1200, replace(enter, bracket=Bracket(stop_ticks=20, trail=Trail(4, 4)))),
        (1300, replace(enter, bracket=Bracket(target_price=20_040))),
        (1320, Proposal(Action.PROTECT, bracket=Bracket(stop_price=19_995))),
    ]
    said = [replace(bar(second), regime=None, signals=(), proposals=(proposal,)) for second, proposal in wanted]
    signals = {"default/mes": says(said, end=1400)}
    manifest = account(noStopRiskTicks={"MES": 40})
    desk = Desk(books, folder, {MES: mes}, signals, [strategy()], manifest, ends=1400, name=name)
    desk.capabilities = frozenset(Capability) - {Capability.TRAILING}
    return desk


def rivals(books: Books, folder: Path, name: str = "tape") -> Desk:
    """A desk whose two strategies have entries of which the first fill counts: once the other is taken out in time, and
    once both fill within one instant.
    """
    mes = tape((599, 20_000), (700, 20_009), (800, 20_035), (999, 20_000), (1100, 20_010), (1300, 20_011))
    mnq = tape((599, 20_000), (700, 20_000), (999, 20_000), (1100, 19_985), (1101, 19_990), (1300, 19_990))
    above = Proposal(Action.ENTER, Direction.LONG, EntryTerms(OrderType.STOP, 20_008), Bracket(16, 24))
    below = Proposal(Action.ENTER, Direction.SHORT, EntryTerms(OrderType.STOP, 19_992), Bracket(16, 24))

    def said(proposal: Proposal, contract: ContractId) -> list[BarSignals]:
        bars = (bar(second, contract=contract) for second in (600, 1000))
        return [replace(each, regime=None, signals=(), proposals=(proposal,)) for each in bars]

    speech = {
        "default/mes": says(said(above, MES), end=1400),
        "default/mnq": says(said(below, MNQ), end=1400, strategy=StrategyId("default/mnq")),
    }
    owner = account(pendingEntries="FirstFillWins", limits={"maxPosition": 2, "dayLoss": "1000"})
    both = [strategy(), strategy("mnq", "MNQ")]
    return Desk(books, folder, {MES: mes, MNQ: mnq}, speech, both, manifest=owner, ends=1400, name=name)


def in_parts(books: Books, folder: Path, name: str = "tape") -> Desk:
    """A desk whose strategy holds units and lets go of them in parts, of two fills and of one.

    Units of 2 and of 2: one of the older leaves, then the rest of it while the younger one's stop moves, then one of
    what is left.
    """
    mes = tape(
        *((599, 20_000), (601, 20_000), (699, 20_004), (701, 20_004)),  # in: 2 at 20001 and 2 at 20005
        *((799, 20_006), (801, 20_006), (899, 20_008), (901, 20_008)),  # out: 1 at 20005 and 1 at 20007
        *((999, 20_009), (1001, 20_009), (1101, 20_031)),  # out: 1 at 20008, and the rest at its target
    )
    enter = Proposal(Action.ENTER, Direction.LONG, bracket=Bracket(stop_ticks=20, target_ticks=25), unit="first")
    add, moved = replace(enter, action=Action.ADD, unit="second"), Bracket(stop_price=19_990)
    wanted: list[tuple[int, *tuple[Proposal, ...]]] = [
        (600, enter),
        (700, add),
        (800, Proposal(Action.EXIT, unit="first", quantity=1)),
        (900, Proposal(Action.EXIT, unit="first"), Proposal(Action.PROTECT, unit="second", bracket=moved)),
        (1000, Proposal(Action.EXIT, quantity=1)),
    ]
    said = [replace(bar(second), regime=None, signals=(), proposals=tuple(proposals)) for second, *proposals in wanted]
    desk = Desk(books, folder, {MES: mes}, {"default/mes": says(said, end=1200)}, [strategy(size=2)], ends=1200)
    return replace(desk, name=name, manifest=account(limits={"maxPosition": 4, "maxOpenTrades": 1}))


def beside_a_part(books: Books, folder: Path, name: str = "tape") -> Desk:
    """A desk whose strategy lets go of a part of 2 behind a stop, which 1 without a stop joins before that has left.

    That gets its stop before the part has left, too, and all leaves later.
    """
    mes = tape(
        *((599, 20_000), (601, 20_000), (649, 19_995), (699, 19_995)),  # in: 2 at 20001
        *((700.02, 19_989), (702, 19_992), (703, 19_995)),  # in: 1 at 19990; out: 1 at 19991
        *((799, 19_995), (801, 19_995)),  # out: 2 at 19994
    )
    enter = Proposal(Action.ENTER, Direction.LONG, bracket=Bracket(stop_ticks=20, target_ticks=40), quantity=2)
    waits, bare = EntryTerms(OrderType.LIMIT, 19_990), Bracket(target_ticks=40)
    part, stop = Proposal(Action.EXIT, quantity=1), Proposal(Action.PROTECT, bracket=Bracket(stop_price=19_970))
    wanted: list[tuple[int, *tuple[Proposal, ...]]] = [
        (600, enter),
        (650, replace(enter, action=Action.ADD, entry=waits, bracket=bare, quantity=1)),
        (700, part),
        (701, stop),
        (800, Proposal(Action.EXIT)),
    ]
    said = [
        replace(bar(second, close=19_995), regime=None, signals=(), proposals=tuple(proposals))
        for second, *proposals in wanted
    ]
    manifest = account(limits={"maxPosition": 4, "dayLoss": "2000"}, noStopRiskTicks={"MES": 100})
    signals = {"default/mes": says(said, end=1000)}
    return Desk(books, folder, {MES: mes}, signals, [strategy(size=3)], manifest, ends=1000, name=name)


def wandering(books: Books, folder: Path, seed: int, name: str = "tape") -> Desk:
    """A desk on two random days: prices that wander, signals and whims at random, everything that limits can say."""
    chance, moods = random.Random(seed), random.Random(-1 - seed)
    prints, rows_of = {}, {}
    for contract, first in ((MES, 20_000), (MNQ, 90_000)):
        price, rows = first, []
        second = 300.0
        while second < WANDERING_END_S:
            price += chance.choice([-9, -3, -2, -1, 0, 0, 1, 2, 3, 9])
            rows.append((second, price, chance.randint(1, 4), chance.choice([SELL, UNKNOWN, BUY])))
            in_day = second % DAY_S < RTH_S
            second += chance.choice([0, 0.01, 0.5, 20, 120]) if in_day else chance.choice([600, 7200])
        prints[contract], rows_of[contract] = tape(*rows), rows

    def whim(close: int) -> list[Proposal]:
        """Now and then it adds to what it has, leaves it, takes entries back, or wants its exits somewhere near.

        All of it with a unit in mind, or with all of them.
        """
        action = moods.choice([*Action, *[None] * 4])
        if action is None or action is Action.ENTER:
            return []
        unit = moods.choice(["", "main", "other"])
        if action is Action.ADD:
            return [Proposal(action, moods.choice([*Direction]), unit=unit)]
        if action is Action.EXIT:
            return [Proposal(action, unit=unit, quantity=moods.choice([None, 1, 1]))]
        near = Bracket(stop_price=close + moods.randint(-12, 12), target_price=close + moods.randint(-12, 12))
        return [Proposal(action, bracket=near if action is Action.PROTECT else None, unit=unit)]

    def signal_messages(contract: ContractId) -> list[BarSignals]:
        """Bars that are known by the first print at their end or after it, or by two seconds of grace."""
        ends = sorted({day + 300 * chance.randint(1, 78) for day in (0, DAY_S) for _ in range(12)})
        found = {}
        for end in ends:
            close = next(price for second, price, *_ in reversed(rows_of[contract]) if second < end)
            known = next((second for second, *_ in rows_of[contract] if second >= end), end + 2)
            patterns = chance.choice([(LONG,), (SHORT,), (LONG, SHORT)])
            known = min(known if chance.random() < 0.8 else min(known, end + 2), WANDERING_END_S)
            said = bar(known, *patterns, contract=contract, close=close)
            found[known] = replace(said, proposals=(*said.proposals, *whim(close)))
        return list(found.values())

    limits = {
        "dayLoss": str(chance.choice([90, 140])),
        "dayTarget": str(chance.choice([40, 100])),
        "maxEntriesPerHour": 3 if seed % 4 == 0 else 30,  # one entry too many halts for the rest of the tape
    }
    return Desk(
        books,
        folder,
        prints,
        {
            "default/mes": says(signal_messages(MES), end=WANDERING_END_S),
            "default/mnq": says(signal_messages(MNQ), end=WANDERING_END_S, strategy=StrategyId("default/mnq")),
        },
        [
            strategy("mes", size=2, bracket=(8, 12), budget=False, risk={"dayLoss": "80"}),
            strategy("mnq", "MNQ", bracket=(20, 20), flattenBeforeClose="2h"),
        ],
        manifest=account(limits={**limits, "maxOpenTrades": 2, "maxPosition": 3}),
        ends=WANDERING_END_S,
        name=name,
    )
