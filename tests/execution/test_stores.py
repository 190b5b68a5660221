"""The two stores of a book, in memory and in PostgreSQL, do the same at the same commands, and refuse the same.

Each command goes to both (`tests.execution.harness.twins`); what either can tell afterwards is compared: the book as it
is loaded, the orders and fills that are recalled, the halts, and what has been sent.
"""

import random
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from leadline.execution.adapters import store as postgres_store
from leadline.execution.adapters.memory_store import MOST_REFUSED_PER_SUBJECT
from leadline.execution.core.account_settings import set_account
from leadline.execution.core.book import (
    KEPT_NS,
    Book,
    Changes,
    Drain,
    Fence,
    HeldLimits,
    RefusedSignal,
    note,
    put_order,
)
from leadline.execution.core.halt_audit import note_clearing, note_halt
from leadline.execution.core.halts import Clearing
from leadline.execution.loop.ports import Fenced, LimitRefused, Refused, Unavailable
from leadline.model.blocks import Block
from leadline.model.durations import NS_PER_SECOND
from leadline.model.errors import RefusedMessage
from leadline.model.halts import Halt, HaltSource
from leadline.model.ids import (
    NO_ORDER,
    ClientOrderId,
    DecisionId,
    FillId,
    Leg,
    RunId,
    StrategyId,
    client_order_id,
    foreign_decision,
)
from leadline.model.orders import (
    Bracket,
    Fill,
    LastPrint,
    Order,
    OrderState,
    OrderType,
    Side,
    Trail,
    Trailing,
)
from leadline.model.proposals import Action, Decision, Direction, EntryTerms, Proposal, Withdrawal
from leadline.risk.view import AccountLimits, StrategyLimits, Tier
from leadline.runtime.bus.dead_letters import MOST_PER_SUBJECT
from leadline.runtime.clock import wall_ns
from tests.execution.harness.books import book_of, fill_of, order_of, position_of
from tests.execution.harness.builders import DAY, ES, MES, account, ns
from tests.execution.harness.checks import AccountStore
from tests.execution.harness.days import eventful, wandering
from tests.execution.harness.faults import Killed, Tripwire, tripped
from tests.execution.harness.sequences import sequences
from tests.execution.harness.stores import MemoryBooks
from tests.execution.harness.twins import TwinBooks, TwinStore

COMMANDS = 50
STRATEGIES = tuple(map(StrategyId, ("default/mes", "default/nq")))
PROPOSALS = (
    Proposal(Action.ENTER, Direction.LONG, why=("BUYING_ABSORPTION",)),
    Proposal(Action.ENTER, withdrawn=Withdrawal.CONFLICT),
    Proposal(Action.EXIT),
    Proposal(
        Action.ENTER,
        Direction.SHORT,
        EntryTerms(OrderType.LIMIT, 20_010, 300),
        Bracket(stop_price=20_020, target_ticks=8, trail=Trail(4, 2)),
        quantity=2,
    ),
)
STATES = tuple(OrderState)
LEGS = tuple(map(Leg, ("E", "S1", "T1", "F1")))


class Commands:
    """Random transactions of one account, many of which break a key: what is refused leaves the book as it was."""

    def __init__(self, chance: random.Random, store: TwinStore, book: Book, last_halt: int) -> None:
        self._chance = chance
        self._looks = random.Random(
            1
        )  # apart from what is done, so that another field of an order changes nothing else
        self._store = store
        self._book = book
        self._last_halt = last_halt
        self.outcomes: dict[str, int] = {}

    async def run(self) -> None:
        for _ in range(COMMANDS):
            changes = Changes()
            self._advance()
            for action in self._chance.sample(self._actions(), self._chance.randint(1, 3)):
                action(changes)
            check = self._chance.choice([None, None, lambda book: None, self._busy])
            try:
                await self._store.commit(self._book, changes, check)
                outcome = "written"
            except (Refused, LimitRefused) as error:
                outcome = type(error).__name__
                self._book = await self._store.load() or self._book
            self.outcomes[outcome] = self.outcomes.get(outcome, 0) + 1

    def _actions(self) -> list[Callable[[Changes], None]]:
        return [self._decide, self._move, self._fill, self._hold, self._halt, self._clear, self._set, self._note]

    @staticmethod
    def _busy(book: Book) -> str | None:
        return "busy" if len(book.live_orders()) % 3 else None

    def _advance(self) -> None:
        if self._chance.random() < 0.7:
            self._book.instant_ns += self._chance.choice([1, 10**9, 10**11, KEPT_NS // 3, KEPT_NS])
            self._book.decided.clear()
        self._book.last_prints[MES] = LastPrint(20_000 + self._chance.randint(-5, 5), self._book.instant_ns, 7)
        self._book.realised += Decimal(self._chance.randint(-300, 300)) / 4
        self._book.venue_event += 1

    def _decide(self, changes: Changes) -> None:
        """A decision, most often a new one, and the entry of an accepted one."""
        book, number = self._book, self._chance.randint(1, 40)
        accepted, owner = self._chance.random() < 0.7, self._chance.choice(STRATEGIES)
        key = f"{MES}/rth/5m-r1/{DAY}/{self._chance.choice([number, 1])}"
        decision = Decision(
            decision_id=DecisionId(f"decision-{number}"),
            strategy=StrategyId(owner),
            source=f"{key}{self._chance.choice(['', '#2'])}",
            bar_key=key,
            proposal=self._chance.choice(PROPOSALS),
            instant_ns=book.instant_ns,
            trading_day=DAY,
            accepted=accepted,
            reason="" if accepted else "conflict",
            side=Side.BUY if accepted else None,
            quantity=1,
            contract=self._chance.choice([MES, ES]),
            bracket=Bracket(16, 24),
            patterns=("BUYING_ABSORPTION",),
            regime="RANGING",
            arithmetic=(("size", "1"),),
        )
        changes.decisions.append(decision)
        book.decided[decision.decision_id] = book.instant_ns
        if accepted:
            if decision.entered:
                book.entry_instants.append(book.instant_ns)
            put_order(book, changes, self._order(decision.decision_id, Leg("E"), contract=decision.contract))

    def _order(self, decision: DecisionId, leg: Leg, **changed: Any) -> Order:
        client_id = client_order_id(decision, leg)
        before = self._book.orders.get(client_id)
        if before is not None:
            return replace(before, version=before.version + 1, **changed)
        order = Order(
            client_id=client_id,
            decision=decision,
            leg=leg,
            strategy=self._looks.choice(STRATEGIES),
            contract=MES,
            tape_contract=MES,
            side=Side.SELL,
            type=OrderType.STOP,
            quantity=2,
            decided_at_ns=self._book.instant_ns - self._looks.choice([0, KEPT_NS - 1, KEPT_NS, 3 * KEPT_NS]),
            stop_price=19_990,
            bracket=self._looks.choice([None, Bracket(16, 24), Bracket(stop_price=-5, trail=Trail(0, 6))]),
            trail=self._looks.choice([None, Trailing(20_000, 4)]),
            wanted_price=self._looks.choice([None, 19_995]),
            moved_ns=self._looks.choice([None, self._book.instant_ns]),
            wanted_trail=self._looks.choice([None, Trailing(20_001, 5)]),
            entry_price=self._looks.choice([None, 20_002]),
            protection=self._looks.choice([None, Bracket(stop_price=19_991, trail=Trail(1, 7))]),
            unwanted=self._looks.choice([False, True]),
            group="bar/breakout" if leg == "E" else "",
            taken_out_by=client_id if leg == "E" else NO_ORDER,
            valid_until_ns=self._looks.choice([None, self._book.instant_ns + 1]),
            parent=NO_ORDER if leg == "E" else client_order_id(decision, Leg("E")),
            oco=NO_ORDER if leg == "E" else client_order_id(decision, Leg("T1")),
        )
        return replace(order, **changed)

    def _move(self, changes: Changes) -> None:
        """An order to any state, also one that is forgotten; a foreign one, one without a size, one of a leg again."""
        decision, leg = f"decision-{self._chance.randint(1, 40)}", self._chance.choice(LEGS)
        order = self._order(
            DecisionId(decision), leg, state=self._chance.choice(STATES), reason=self._chance.choice(["", "halt"])
        )
        draw = self._chance.random()
        if draw < 0.1:
            order = replace(order, decision=foreign_decision(order.client_id), leg=Leg("X"), parent=NO_ORDER)
        elif draw < 0.15:
            order = replace(order, quantity=0)
        elif draw < 0.2:
            order = replace(order, filled=-1)
        elif draw < 0.25:
            order = replace(order, client_id=ClientOrderId(f"{order.client_id}-again"))
        put_order(self._book, changes, order)

    def _fill(self, changes: Changes) -> None:
        number = self._chance.randint(1, 60)
        quantity = 0 if self._chance.random() < 0.05 else self._chance.randint(1, 3)
        price = 20_000 + self._chance.randint(-5, 5)
        fill = Fill(
            FillId(f"fill-{number}"),
            ClientOrderId("order"),
            MES,
            Side.BUY,
            quantity,
            price,
            ns(601),
            3,
            1,
            Decimal(number) / 8,
        )
        for _ in range(2 if self._chance.random() < 0.1 else 1):
            changes.fills.append((fill, self._chance.choice(STRATEGIES), self._book.venue_event))

    def _hold(self, changes: Changes) -> None:
        decision = f"decision-{self._chance.randint(1, 40)}"
        quantity = self._chance.choice([-2, 0, 0, 1, 3])
        position = position_of(
            quantity, self._chance.choice(STRATEGIES), self._chance.choice([MES, ES]), DecisionId(decision)
        )
        position = replace(position, realised=Decimal("12.50"), commission=Decimal("1.24"))
        self._book.positions = {**self._book.positions, (position.strategy, position.contract): position}
        changes.positions[position.strategy, position.contract] = position

    def _halt(self, changes: Changes) -> None:
        new = self._chance.random() < 0.8
        number = self._last_halt + 1 if new else self._chance.choice([self._last_halt, 0, -1])
        self._last_halt = max(number, self._last_halt)
        note_halt(self._book, changes, self._a_halt(number))

    def _a_halt(self, number: int) -> Halt:
        return Halt(number, HaltSource.PERSON, "news", "ann", 1_700_000_000_123_456_789 + number)

    def _clear(self, changes: Changes) -> None:
        number = max(1, self._last_halt + 1 - self._chance.randint(0, 4))
        clearing = Clearing(self._a_halt(number), "bob", "over", 1_700_000_060_000_000_000)
        if self._chance.random() < 0.5:
            note_clearing(self._book, changes, clearing)
        else:
            changes.cleared.append(clearing)

    def _set(self, changes: Changes) -> None:
        """What an account and its strategies may be in."""
        book, name = self._book, self._chance.choice(STRATEGIES)
        owner = replace(book.strategies[StrategyId("default/mes")], strategy=StrategyId(name))
        owner.drain = self._chance.choice([None, Drain("one", "Cancel", "Flatten", book.instant_ns)])
        owner.held = self._chance.choice([None, HeldLimits(ns(600), StrategyLimits(3, 2, Decimal("80.5"), 1))])
        owner.fence = self._chance.choice([None, Fence("unreadable", "no message", ns(600), ns(700))])
        owner.realised, owner.trades = Decimal("-3.25"), owner.trades + 1
        owner.flatten, owner.block = self._chance.choice([("", Block.NONE), ("flat_by", Block.DAY_LOSS)])
        book.strategies[name] = owner
        book.block, book.flatten = self._chance.choice(
            [(Block.NONE, ""), (Block.DAY_TARGET, ""), (Block.DAY_LOSS, "day_loss")]
        )
        book.day_limits = self._chance.choice([AccountLimits(), AccountLimits(Decimal("90.5"), None, 2, 1, 3, 4)])
        book.tiers = self._chance.choice(
            [None, (Tier(Decimal(0), "MES", 1, 2, None), Tier(Decimal(9), "ES", 1, 3, Decimal(7)))]
        )
        book.margin_limits = self._chance.choice([{}, {"NQ": Decimal(5), "ES": Decimal("1.5")}])
        book.calendar, book.finished = "cme", self._chance.random() < 0.1

    def _note(self, changes: Changes) -> None:
        """A line of the audit; by chance one whose number, or whose words, were given before."""
        if self._chance.random() < 0.2:
            self._book.last_event = max(0, self._book.last_event - 2)
        key = self._chance.choice(["some", f"key-{self._book.last_event}", f"key-{self._book.last_event}"])
        note(self._book, changes, self._chance.choice(["position"] * 8 + ["weather"]), key, 1, {"terms": [["a", 1]]})


@pytest.mark.integration
@pytest.mark.parametrize("seed", range(sequences(4)))
async def test_commands_of_chance_do_the_same_to_both(twins: TwinBooks, seed: int):
    chance = random.Random(seed)
    book, _ = book_of(manifest=account())
    book.tape = RunId(f"{twins.test}-{seed}")
    store = twins.store(book.tape, account(), (MES,), DAY, "execution-0")
    assert await store.acquire()
    commands = Commands(chance, store, book, (await store.halts([])).last)
    await commands.run()
    assert commands.outcomes["written"] > 5, commands.outcomes
    assert commands.outcomes["NotTaken"] > 1, commands.outcomes
    assert seed >= 4 or commands.outcomes["LimitRefused"] > 1, commands.outcomes
    columns = "decision_id, client_id, state, reason, version, decided_at_ns"
    assert await twins.rows(book.tape, "intent", columns, "client_id")
    assert await twins.rows(book.tape, "order_event", "event, kind, key, version, instant_ns, body", "event")
    assert await twins.rows(book.tape, "strategy_state", "*", "strategy")


@pytest.mark.integration
async def test_two_eventful_days_leave_the_same_rows_and_lines(twins: TwinBooks, folder: Path):
    desk = eventful(twins, folder)
    await desk.run(read_back=True)
    assert len(await desk.lines()) > 20
    assert len(await desk.rows("order_event", "event, kind, key, version, instant_ns, body", "event")) > 50
    assert await desk.rows("fill", "fill_id, client_id, strategy, price, commission, venue_event", "venue_event")
    assert await desk.rows("decision", "decision_id, trading_day, side, patterns, arithmetic", "decision_id")
    assert await desk.rows("position", "strategy, contract, quantity, lots, realised", "strategy, contract")


@pytest.mark.integration
async def test_kills_on_days_of_chance_leave_the_same(twins: TwinBooks, folder: Path):
    desk = wandering(twins, folder, seed=3)
    for at in (40, 90):
        session = desk.open(lambda deps, at=at: tripped(deps, Tripwire(at)))  # type: ignore[misc]
        with pytest.raises(Killed):
            await session.run()
        session.close()
    await desk.run()
    assert len(await desk.lines()) > 20


@pytest.mark.integration
async def test_one_writer_at_a_time(twins: TwinBooks):
    book, changes = book_of()
    book.tape = RunId(twins.test)
    first, second = (twins.store(book.tape, account(), (MES,), DAY, f"execution-{n}") for n in (0, 1))
    with pytest.raises(Fenced):  # it holds nothing yet
        await first.commit(book, changes)
    assert await first.acquire()
    await first.commit(book, changes)
    assert not await second.acquire()
    with pytest.raises(Fenced):
        await second.renew()
    await twins.let_the_lease_run_out()
    await first.renew()  # silent for long, and nobody has taken it: it is still its own
    assert not await second.acquire()
    await twins.let_the_lease_run_out()
    assert await second.acquire()
    checked = first.commit(book, changes, lambda _: "not asked")
    for late in (first.renew(), first.confirm(), first.commit(book, changes), checked):
        with pytest.raises(Fenced):
            await late
    await second.commit(book, changes)
    again = twins.store(book.tape, account(), (MES,), DAY, "execution-1")
    assert await again.acquire()  # the same holder after a restart
    with pytest.raises(Fenced):
        await second.renew()
    await second.release()  # what it does not hold it cannot give back
    assert not await first.acquire()
    await again.release()
    assert await first.acquire()  # given back: nobody waits for its end
    with pytest.raises(Fenced):
        await again.commit(book, changes)
    await twins.let_the_lease_run_out()


@pytest.mark.integration
@pytest.mark.parametrize("ahead_s", [-2, 3600])
async def test_whoever_takes_an_account_knows_how_far_its_clock_is_off(
    twins: TwinBooks, monkeypatch: pytest.MonkeyPatch, ahead_s: int
):
    monkeypatch.setattr(postgres_store, "wall_ns", lambda: wall_ns() + ahead_s * NS_PER_SECOND)
    store = twins.postgres.store(RunId(twins.test), account(), (MES,), DAY, "execution-0")
    assert await store.acquire()
    at_first = store.clock_offset_ns
    await store.renew()
    for found in (at_first, store.clock_offset_ns):
        assert found / NS_PER_SECOND == pytest.approx(ahead_s, abs=0.5)
    await store.release()


@pytest.mark.integration
async def test_the_newest_that_were_sent_are_those_decided_last(twins: TwinBooks):
    book, changes = book_of()
    book.tape = RunId(twins.test)
    store = twins.store(book.tape, account(), (MES,), DAY, "execution-0")
    assert await store.acquire()
    for second in (1, 3, 0, 2):
        order = order_of(OrderState.FILLED, client_id=f"L{second}", decision=f"decision-{second}")
        put_order(book, changes, replace(order, decided_at_ns=ns(600 + second)))
    dead = order_of(OrderState.DEAD, client_id="L4", decision="decision-4")
    put_order(book, changes, replace(dead, decided_at_ns=ns(604)))
    await store.commit(book, changes)
    assert await store.sent(2) == {"L3", "L2"}
    assert await store.sent(3) == {"L3", "L2", "L1"}
    assert await store.sent(4) == await store.sent(256) == {"L3", "L2", "L1", "L0"}


@pytest.mark.integration
async def test_refused_messages_are_kept_once_each_and_no_more_than_so_many(twins: TwinBooks):
    assert MOST_REFUSED_PER_SUBJECT == MOST_PER_SUBJECT
    subject, why = f"ll.{twins.test}.signal", RefusedMessage("unreadable", "no message")
    said = [RefusedSignal(subject, n, "id", f"{n // 2}".encode(), why) for n in range(2 * MOST_PER_SUBJECT + 20)]
    book, changes = book_of()
    book.tape = RunId(twins.test)
    store = twins.store(book.tape, account(), (MES,), DAY, "execution-0")
    assert await store.acquire()
    changes.refused += said
    await store.commit(book, changes)
    kept = [message.sequence for message in twins.memory.database.refused[subject]]
    query = "SELECT sequence FROM dead_letter WHERE subject = $1 ORDER BY sequence"
    assert kept == [row[0] for row in await twins.postgres.reader.fetch(query, subject)]
    assert len(kept) == MOST_PER_SUBJECT


async def written(twins: TwinBooks) -> tuple[AccountStore, Book, Changes]:
    """A store on PostgreSQL, and a book that it has written, with its changes."""
    book, changes = book_of()
    book.tape = RunId(twins.test)
    store = twins.postgres.store(book.tape, account(), (MES,), DAY, "execution-0")
    assert await store.acquire()
    await store.commit(book, changes)
    return store, book, changes


@pytest.mark.integration
async def test_a_commit_is_one_question_to_the_database(twins: TwinBooks):
    store, book, changes = await written(twins)
    asked: list[str] = []
    pool = twins.postgres.pool
    async with pool.acquire() as connection:  # the one that is given out next as well
        connection.add_query_logger(lambda record: asked.append(record.query))
    put_order(book, changes, order_of(OrderState.PENDING, client_id="one"))
    put_order(book, changes, order_of(OrderState.PENDING, "S1", parent="one"))
    note(book, changes, "position", "key", 1, {})
    await store.commit(book, changes)
    assert len(asked) == 1, asked
    await pool.expire_connections()


@pytest.mark.integration
async def test_a_check_sees_what_works_and_what_its_limits_look_back_on(twins: TwinBooks):
    seen: list[set[str]] = []

    def looks(locked: Book) -> None:
        seen.append({*locked.orders})

    for limits in ({}, {"maxEntriesPerHour": 50}):
        manifest = account(limits=limits)
        book, changes = book_of(manifest=manifest, position=1, seconds=1800)
        book.tape = RunId(f"{twins.test}-{len(seen)}")
        for position in book.positions.values():
            changes.positions[position.strategy, position.contract] = position
        for name, state, seconds in (
            ("old", OrderState.FILLED, 600),
            ("new", OrderState.FILLED, 1799.5),
            ("works", OrderState.WORKING, 100),
        ):
            order = order_of(state, client_id=name, decision=f"of-{name}", decided_at_ns=ns(seconds))
            put_order(book, changes, order)
        put_order(book, changes, order_of(OrderState.FILLED, client_id="held", decided_at_ns=ns(50)))
        store = twins.postgres.store(book.tape, manifest, (MES,), DAY, "execution-0")
        assert await store.acquire()
        await store.commit(book, changes)
        await store.commit(book, Changes(), looks)
    assert seen == [{"new", "works", "held"}, {"old", "new", "works", "held"}]


@pytest.mark.integration
async def test_nothing_is_written_over_an_account_that_was_put_back(twins: TwinBooks):
    store, book, changes = await written(twins)
    await twins.postgres.pool.execute("UPDATE account_state SET trades = 7 WHERE tape = $1", book.tape)
    put_order(book, changes, order_of(OrderState.PENDING, client_id="one"))
    for check in (None, lambda _: None):
        with pytest.raises(Unavailable):
            await store.commit(book, changes, check)
    assert await twins.postgres.rows(book.tape, "intent", "client_id", "client_id") == []
    assert await twins.postgres.rows(book.tape, "account_state", "trades", "tape") == [(7,)]


# --- the store in memory alone ---


async def held(books: MemoryBooks) -> tuple[AccountStore, Book]:
    """A store in memory, and a book with one of everything that it has written."""
    book, changes = book_of()
    store = books.store(book.tape, account(), (MES,), DAY, "execution-0")
    assert await store.acquire()
    put_order(book, changes, order_of(OrderState.WORKING))
    book.last_prints[MES] = LastPrint(20_000, ns(600), 1)
    book.margin_limits["ES"] = Decimal(1)
    position = position_of(1)
    book.positions = {**book.positions, (position.strategy, position.contract): position}
    changes.positions[position.strategy, position.contract] = position
    set_account(book, account(limits={"dayLoss": "77"}))
    note(book, changes, "position", "key", 1, {"terms": (1,)})
    body = changes.events[-1].body
    await store.commit(book, changes)
    body["terms"] = "changed"
    return store, book


async def test_a_book_that_is_changed_after_it_was_written_is_not_changed_in_the_store(books: MemoryBooks):
    store, book = await held(books)
    before = await store.load()
    assert before == book
    book.instant_ns += 1
    book.orders = {}
    book.positions = {}
    book.last_prints.clear()
    book.margin_limits.clear()
    book.strategies[StrategyId("default/mes")].trades = 7
    assert book.settings is not None
    book.settings["limits"].clear()
    assert await store.load() == before
    assert (await books.rows(book.tape, "order_event", "body", "event"))[-1] == ({"terms": [1]},)


async def test_nor_is_it_by_a_book_that_was_read(books: MemoryBooks):
    store, book = await held(books)
    found = await store.load()
    assert found is not None
    found.strategies[StrategyId("default/mes")].flatten = "news"
    found.strategies.clear()
    found.orders = {}
    found.positions = {}
    found.last_prints.clear()
    found.margin_limits.clear()
    found.entry_instants.append(1)
    found.decided[DecisionId("decision")] = 1
    assert found.settings is not None
    found.settings["limits"].clear()
    assert await store.load() == book


async def test_a_check_that_fails_leaves_everything_as_it_was(books: MemoryBooks):
    store, book = await held(books)
    before = await store.load()
    changes = Changes()
    put_order(book, changes, order_of(OrderState.CANCELLED))
    changes.fills.append((fill_of(order_of(OrderState.FILLED)), StrategyId("default/mes"), 1))

    def fails(_: Book) -> str | None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await store.commit(book, changes, fails)
    assert await store.load() == before
    assert not (await store.recall([], [FillId("fill")])).fills


async def test_an_account_that_has_written_nothing_is_refused_by_every_check(books: MemoryBooks):
    book, changes = book_of()
    store = books.store(book.tape, account(), (MES,), DAY, "execution-0")
    assert await store.acquire()
    with pytest.raises(LimitRefused) as found:
        await store.commit(book, changes, lambda _: None)
    assert found.value.reason == "unresolved"
    assert await store.load() is None
