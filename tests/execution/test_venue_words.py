"""A venue that says what cannot be: the account is halted once and told why, goes on, keeps its bracket, and trades
again when a person has looked.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leadline.execution.core.venue_reports import LARGEST_QUANTITY, LONGEST_ID
from leadline.execution.loop.ports import PartFailed
from leadline.execution.venues.both_ports import MatchingVenue
from leadline.model.checks.proposals import LARGEST_PRICE
from leadline.model.halts import LONGEST_REASON, HaltSource
from leadline.model.ids import ClientOrderId, ContractId, DecisionId, FillId
from leadline.model.orders import (
    Advanced,
    Bracket,
    LastPrint,
    OrderState,
    Trail,
    Trailing,
    VenueEvent,
    VenueOrder,
    Watch,
)
from leadline.venue.convert import advanced_from_proto, order_as_reported
from leadline.venue.v1 import venue_pb2 as pb
from tests.execution.harness.builders import MES, bar, ns, says, strategy, tape
from tests.execution.harness.desk import Books, Desk, Session
from tests.execution.harness.faults import TrippedVenue, Tripwire
from tests.execution.harness.ports import replace_venue, venue_of
from tests.execution.harness.stores import IN_BOTH, MemoryBooks
from tests.execution.test_halted_account import resume

PRINTS = {
    MES: tape((600, 20_000), (601, 20_000), (700, 20_001), (750, 20_030), (751, 20_030), (800, 20_030), (801, 20_030))
}
ENDS = 850

BAD_TEXTS = ["", "a\x00b", "a\nb", "\x1b[31m", "x" * (LONGEST_ID + 1), "\ud800"]
OF_ORDERS: list[tuple[str, Any]] = [
    *(("client_id", text) for text in BAD_TEXTS),
    *(("contract", text) for text in ("", "a\x00b")),
    *(("tape_contract", text) for text in ("", "a\x00b", "ZZZ")),
    *(("leg", text) for text in ("", "a\x00b")),
    *((name, "a\x00b") for name in ("decision", "parent", "oco")),
    *(("reason", text) for text in ("a\x00b", "a\nb", "x" * (LONGEST_REASON + 1))),
    *(("quantity", value) for value in (0, -1, LARGEST_QUANTITY + 1, 1 << 63)),
    *(("filled", value) for value in (-3, 2, 1 << 63)),
    *((name, value) for name in ("limit_price", "stop_price") for value in (LARGEST_PRICE + 1, -(1 << 63))),
    *(
        ("bracket", bracket)
        for bracket in (Bracket(1 << 63), Bracket(target_price=-(1 << 63)), Bracket(1, trail=Trail(1 << 63, 1)))
    ),
    ("trail", Trailing(1 << 63, 1)),
    ("valid_until_ns", -1),
    ("valid_until_ns", 1 << 63),
    *(("decided_at_ns", value) for value in (-1, (1 << 63) - 1)),
    *(("unread", ((name, "7"),)) for name in ("side", "type")),
    ("state", OrderState.UNKNOWN),
]
OF_FILLS: list[tuple[str, Any]] = [
    *(("fill_id", text) for text in ("", "a\x00b", "x" * (LONGEST_ID + 1))),
    *(("contract", text) for text in ("", "a\x00b")),
    *(("client_id", text) for text in ("", "a\x00b")),
    *(("quantity", value) for value in (0, -1, 2, 1 << 63)),
    *(("price", value) for value in (0, -1, LARGEST_PRICE + 1)),
    *(("time_ns", value) for value in (-1, 0, (1 << 63) - 1)),
    *(("source_index", value) for value in (-1, 1 << 63)),
    *(("k", value) for value in (-1, 1 << 31)),
    ("unread", (("side", "7"),)),
]


class Speaks(TrippedVenue):
    """A venue whose words go through a change; what it does is right."""

    def __init__(
        self,
        venue: MatchingVenue,
        event: Callable[[VenueEvent], VenueEvent] = lambda event: event,
        answer: Callable[[Advanced], Advanced] = lambda answer: answer,
        found: Callable[[VenueOrder], VenueOrder] = lambda order: order,
        positions: Callable[[dict[ContractId, int]], dict[ContractId, int]] = lambda positions: positions,
    ) -> None:
        super().__init__(venue, Tripwire())
        self._event, self._answer, self._found, self._said = event, answer, found, positions

    async def advance(
        self, from_ns: int, to_ns: int, after_event: int, contracts: Sequence[ContractId], watches: Sequence[Watch]
    ) -> Advanced:
        said = await super().advance(from_ns, to_ns, after_event, contracts, watches)
        return self._answer(replace(said, events=tuple(self._event(event) for event in said.events)))

    async def submit(self, order: VenueOrder) -> VenueOrder:
        return self._found(await super().submit(order))

    async def find(self, client_id: ClientOrderId) -> VenueOrder | None:
        found = await super().find(client_id)
        return None if found is None else self._found(found)

    async def positions(self) -> dict[ContractId, int]:
        return self._said(await super().positions())


def desk_of(books: Books, folder: Path) -> Desk:
    """Bars before the entry, behind the bracket, and after it: at 600, 700 and 800 s; the target fills at 750 s."""
    signals = {"default/mes": says([bar(600), bar(700), bar(800, close=20_030)], end=ENDS)}
    return Desk(books, folder, PRINTS, signals, [strategy()], ends=ENDS)


def halts(session: Session) -> list[tuple[int, str]]:
    assert {halt.source for halt in session.switch.halts.in_force} <= {HaltSource.DIFFERENCE}
    return [(halt.number, halt.reason) for halt in session.switch.halts.in_force]


async def live_through(desk: Desk, quoted: str, **words: Any) -> None:
    """From the entry's fill to the next trade: what each of these cases has to come to."""
    first = desk.open(lambda deps: replace_venue(deps, Speaks(venue_of(deps), **words)))
    await first.until(640)
    first.close()
    assert first.market.positions() == {MES: 1}
    await go_through(desk, quoted, **words)


async def go_through(desk: Desk, quoted: str, **words: Any) -> None:
    """From a process that finds the position and its bracket to the next trade."""
    first = desk.open(lambda deps: replace_venue(deps, Speaks(venue_of(deps), **words)))
    await first.until(650)
    first.close()
    told = halts(first)
    assert any(quoted in reason for _, reason in told), told
    assert all(reason.isprintable() and len(reason) <= LONGEST_REASON for _, reason in told)

    second = desk.open(lambda deps: replace_venue(deps, Speaks(venue_of(deps), **words)))
    await second.until(720)
    assert halts(second) == told
    assert [reason for *_, reason in await desk.decisions()] == ["", "halted"]
    assert [(held.strategy, held.quantity) for held in second.book.open_positions()] == [("default/mes", 1)]
    live = {order.leg: (order.state, order.remaining) for order in second.book.live_orders()}
    assert live == {"S1": (OrderState.WORKING, 1), "T1": (OrderState.WORKING, 1)}

    assert await resume(second, *(number for number, _ in told)) == [number for number, _ in told]
    while not second.book.finished:
        await second.loop.step()
    second.close()
    assert halts(second) == []
    assert [reason for *_, reason in await desk.decisions()] == ["", "halted", ""]
    [held] = second.book.open_positions()
    assert (held.contract, held.quantity, second.market.positions()) == (MES, 1, {MES: 1})
    assert [order.leg for order in second.book.live_orders()] == ["S1", "T1"]


def is_entry_fill(event: VenueEvent) -> bool:
    return event.fill is not None and event.order.leg == "E" and event.instant_ns < ns(700)


def quoted(name: str, value: Any) -> str:
    if name == "unread":
        return f"{value[0][0]} {value[0][1]}"
    if name == "state":
        return "is in a state at the venue that this release does not know"
    shown = ascii(value) if isinstance(value, str) else str(value)
    return f"{name} without end" if name == "reason" and len(value) > LONGEST_REASON else f"{name} {shown[:60]}"


@pytest.mark.parametrize(("name", "value"), OF_ORDERS)
async def test_an_order_in_an_event_says_what_cannot_be(folder: Path, name: str, value: Any):
    def event(said: VenueEvent) -> VenueEvent:
        return replace(said, order=replace(said.order, **{name: value})) if is_entry_fill(said) else said

    await live_through(desk_of(MemoryBooks(), folder), quoted(name, value), event=event)


@pytest.mark.parametrize(("name", "value"), OF_FILLS)
async def test_a_fill_in_an_event_says_what_cannot_be(folder: Path, name: str, value: Any):
    def event(said: VenueEvent) -> VenueEvent:
        if said.fill is None or not is_entry_fill(said):
            return said
        return replace(said, fill=replace(said.fill, **{name: value}))

    await live_through(desk_of(MemoryBooks(), folder), quoted(name, value), event=event)


@pytest.mark.parametrize("at_ns", [-1, 0, ns(-1_000_000), ns(1_000_000), (1 << 63) - 1])
async def test_an_event_is_of_an_instant_that_cannot_be(folder: Path, at_ns: int):
    def event(said: VenueEvent) -> VenueEvent:
        return replace(said, instant_ns=at_ns) if is_entry_fill(said) else said

    await live_through(desk_of(MemoryBooks(), folder), f"an instant that cannot be, {at_ns}", event=event)


@pytest.mark.parametrize("number", [-1, 0, 4, 7, (1 << 63) - 1])
async def test_an_event_has_a_number_that_cannot_be(folder: Path, number: int):
    def event(said: VenueEvent) -> VenueEvent:
        return replace(said, event=number) if is_entry_fill(said) else said

    await live_through(
        desk_of(MemoryBooks(), folder), f"the venue numbers its events 1, {number}, 3, 4 after 0", event=event
    )


async def with_a_position(desk: Desk) -> Desk:
    """The desk with its position and bracket, of which nothing wrong was said yet."""
    session = desk.open()
    await session.until(640)
    session.close()
    assert halts(session) == []
    return desk


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("contract", "a\x00b"),
        ("leg", ""),
        ("parent", "a\x00b"),
        ("reason", "a\x00b"),
        ("quantity", 0),
        ("filled", -3),
        ("filled", 2),
        ("stop_price", 1 << 63),
        ("decided_at_ns", -1),
        ("unread", (("side", "7"),)),
    ],
)
async def test_an_order_that_is_asked_for_says_what_cannot_be(folder: Path, name: str, value: Any):
    desk = await with_a_position(desk_of(MemoryBooks(), folder))
    wrong = replace_once(name, value)
    await go_through(desk, quoted(name, value), found=wrong)


def replace_once(name: str, value: Any) -> Callable[[VenueOrder], VenueOrder]:
    """What changes a field of the stop whenever it is told of."""
    return lambda order: replace(order, **{name: value}) if order.leg == "S1" else order


@pytest.mark.parametrize("quantity", [LARGEST_QUANTITY + 1, -(1 << 63)])
@pytest.mark.parametrize("contract", [MES, "a\x00b"])
async def test_the_venue_holds_what_cannot_be(folder: Path, contract: ContractId, quantity: int):
    def answer(said: Advanced) -> Advanced:
        return replace(said, positions={**(said.positions or {}), contract: quantity})

    def positions(said: dict[ContractId, int]) -> dict[ContractId, int]:
        return {**said, contract: quantity} if silence[0] else said

    silence = [True]
    desk = await with_a_position(desk_of(MemoryBooks(), folder))
    session = desk.open(lambda deps: replace_venue(deps, Speaks(venue_of(deps), answer=answer, positions=positions)))
    await session.until(720)
    told = halts(session)
    assert [reason for _, reason in told] == [
        f"the venue tells of a position that cannot be: {quantity} of {contract!a}"
    ]
    assert [reason for *_, reason in await desk.decisions()] == ["", "halted"]
    assert {order.leg for order in session.book.live_orders()} == {"S1", "T1"}
    session.close()
    await go_through(desk, "a position that cannot be", positions=lambda said: said)


@pytest.mark.parametrize(
    "last",
    [
        LastPrint(0, ns(640), 1),
        LastPrint(LARGEST_PRICE + 1, ns(640), 1),
        LastPrint(20_000, (1 << 63) - 1, 1),
        LastPrint(20_000, -1, 1),
        LastPrint(20_000, ns(640), 1 << 63),
    ],
)
async def test_a_last_print_cannot_be(folder: Path, last: LastPrint):
    def answer(said: Advanced) -> Advanced:
        return replace(said, last_prints={MES: last}) if said.instant_ns < ns(650) else said

    desk = await with_a_position(desk_of(MemoryBooks(), folder))
    await go_through(desk, "a last print that cannot be: 'MESM2025'", answer=answer)


@pytest.mark.parametrize("at_ns", [-1, (1 << 63) - 1])
async def test_the_venue_comes_to_an_instant_that_cannot_be(folder: Path, at_ns: int):
    """There is nowhere to go then: the account waits, halted, and its bracket stays at the venue."""
    desk = await with_a_position(desk_of(MemoryBooks(), folder))
    for _ in range(2):
        session = desk.open(
            lambda deps: replace_venue(
                deps, Speaks(venue_of(deps), answer=lambda said: replace(said, instant_ns=at_ns))
            )
        )
        with pytest.raises(PartFailed, match="an instant that cannot be"):
            await session.start()
        session.close()
        assert halts(session) == [(1, f"the venue has come to an instant that cannot be, {at_ns}")]
        assert {order.leg for order in session.market.live_orders()} == {"S1", "T1"}
    await go_through(desk, "an instant that cannot be")


@IN_BOTH
async def test_a_fill_under_an_id_that_no_table_holds_is_a_position_all_the_same(books: Books, folder: Path):
    """The book's entry works while the venue holds its position: the position is taken over, and the entry settled."""

    def event(said: VenueEvent) -> VenueEvent:
        if said.fill is None or not is_entry_fill(said):
            return said
        order = replace(
            said.order,
            client_id=ClientOrderId("a\x00b"),
            reason="\x00",
            decision=DecisionId("\x00"),
            parent=ClientOrderId("\x00"),
        )
        return replace(
            said, order=order, fill=replace(said.fill, client_id=ClientOrderId("a\x00b"), fill_id=FillId("\x00"))
        )

    desk = desk_of(books, folder)
    session = desk.open(lambda deps: replace_venue(deps, Speaks(venue_of(deps), event=event)))
    await session.until(650)
    session.close()
    assert [(leg, state) for leg, *_, state in await desk.orders()] == [
        ("E", "FILLED"),
        ("S1", "WORKING"),
        ("T1", "WORKING"),
    ]
    assert await desk.rows("position", "strategy, quantity", "contract") == [("default/mes", 1)]
    assert await desk.fills() == []  # none is made up
    assert [reason for _, reason in halts(session)] == [
        (
            "event 2 of the venue, on order 'a\\x00b', says what cannot be, client_id 'a\\x00b', decision '\\x00',"
            " parent '\\x00', reason '\\x00': it is passed over"
        ),
        f"book [] and venue [('{MES}', 1)] hold different positions",
        f"+1 {MES} is taken over from the venue, at 20000: default/mes holds 1 now",
        f"order {session.book.live_orders()[0].parent} has 1 filled at the venue, its fills come to 0",
    ]
    # The bracket closes it at the venue, as any other position.
    last = await desk.run()
    assert last.market.positions() == {}
    assert [(leg, second) for leg, second, *_ in await desk.fills()] == [("T1", 750)]


@pytest.mark.parametrize("there", [True, False])
async def test_a_stop_under_an_id_that_cannot_be_is_asked_for_by_its_right_one(folder: Path, there: bool):
    """It protects its position if the venue has it; else the position is closed."""

    class Forgets(Speaks):
        async def find(self, client_id: ClientOrderId) -> VenueOrder | None:
            found = await super().find(client_id)
            return None if found is not None and found.leg == "S1" and not there else found

    def event(said: VenueEvent) -> VenueEvent:
        return (
            replace(said, order=replace(said.order, client_id=ClientOrderId("a\x00b")))
            if said.order.leg == "S1"
            else said
        )

    desk = desk_of(MemoryBooks(), folder)
    session = await desk.run(through=lambda deps: replace_venue(deps, Forgets(venue_of(deps), event=event)))
    assert session.market.positions() == {}
    assert any(r"says what cannot be, client_id 'a\x00b'" in reason for _, reason in halts(session))
    ends = [("T1", 750)] if there else [("F1", 700)]
    assert [(leg, second) for leg, second, *_ in await desk.fills()] == [("E", 601), *ends]


async def test_a_position_that_an_unheard_fill_has_closed_is_not_closed_again(folder: Path):
    def event(said: VenueEvent) -> VenueEvent:
        if said.fill is None or said.order.leg != "T1":
            return said
        return replace(
            said,
            order=replace(said.order, client_id=ClientOrderId("a\x00b")),
            fill=replace(said.fill, fill_id=FillId("")),
        )

    desk = desk_of(MemoryBooks(), folder)
    session = await desk.run(through=lambda deps: replace_venue(deps, Speaks(venue_of(deps), event=event)))
    assert session.book.open_positions() == [] == session.book.live_orders()
    assert [leg for leg, *_ in await desk.orders()] == ["E", "S1", "T1"]
    assert f"-1 {MES} is taken over from the venue, at 20030: default/mes holds 0 now" in session.halted


async def test_an_answer_about_another_order_leaves_the_fate_open_until_its_own_id_is_asked_for(folder: Path):
    desk = desk_of(MemoryBooks(), folder)

    class Confuses(Speaks):
        async def submit(self, order: VenueOrder) -> VenueOrder:
            return replace(await super().submit(order), client_id=ClientOrderId("a\x00b"))

    session = await desk.run(through=lambda deps: replace_venue(deps, Confuses(venue_of(deps))))
    assert r"with 'a\x00b'" in session.halted
    assert [(leg, state) for leg, *_, state in await desk.orders()] == [("E", "CANCELLED")]
    assert list(desk.sent.values()) == [1]


def test_words_of_the_protocol_that_this_release_does_not_know_are_handed_on_as_unread():
    order = pb.VenueOrder(client_id="one", side=7, type=9, state=11, quantity=-3)  # type: ignore[arg-type]
    heard = order_as_reported(order)
    assert (heard.unread, heard.state, heard.quantity) == ((("side", "7"), ("type", "9")), OrderState.UNKNOWN, -3)
    fill = pb.VenueFill(fill_id="f", side=7)  # type: ignore[arg-type]
    said = pb.AdvanceToResponse(events=[pb.VenueEvent(event=1, order=order, fill=fill), pb.VenueEvent(event=2)])
    first, second = advanced_from_proto(said).events
    assert first.fill is not None
    assert (first.order, first.fill.unread) == (heard, (("side", "7"),))
    assert second.order.unread == (("side", "0"), ("type", "0"))
