"""The conformance suite: adapters that keep the port's promises pass, and each broken promise is found by a case."""

import contextlib
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

from leadline.cli.main import run
from leadline.execution.loop.ports import Orders, Refused, Unavailable
from leadline.execution.venues.conformance.stand_in import Call, StandIn, stand_in_of
from leadline.execution.venues.conformance.suite import CASES, Finding, Outcome, cases_named, check
from leadline.execution.venues.connect import Reach
from leadline.execution.venues.paper.stand_in import open_stand_in
from leadline.execution.venues.paper.venue import PaperSection
from leadline.model.errors import InvalidInput, Unknown
from leadline.model.frozen import replace
from leadline.model.ids import AccountId, ClientOrderId, FillId
from leadline.model.manifest.spec_base import SpecModel
from leadline.model.manifest.venues import Capability, Venue, venue_named
from leadline.model.orders import OrderEvents, OrderState, VenueOrder
from leadline.model.ticks import NS_PER_SECOND
from leadline.testing import TapeTime
from leadline.venue.fill_rules import FillRules
from tests.execution.harness.builders import MES, ns
from tests.testing.drill_exchange import Exchange
from tests.testing.test_venues import adapter, open_channel

__all__ = ["adapter"]

ALL = frozenset(Capability)
RULED = ["market-order", "limit-order", "stop-order", "stop-limit-order", "partial-fill", "bracket", "partial-target"]
"""The cases that depend on how an order fills."""


def outcomes(found: Sequence[Finding]) -> dict[str, str]:
    """The cases that did not pass, by name, with why."""
    return {each.name: each.why for each in found if each.outcome is Outcome.FAILED}


@pytest.mark.parametrize("brackets", ["Native", "Attached", "StopOnly"])
@pytest.mark.parametrize("rule", ["Pessimistic", "Nautilus1231"])
async def test_the_paper_venue_passes_over_its_socket_with_brackets_of_its_own_and_without(rule: str, brackets: str):
    section = PaperSection.from_manifest({"fillRule": rule, "brackets": brackets})
    opened = stand_in_of(venue_named("paper"))
    found = await check(lambda: opened(section), venue_named("paper").able(section))
    assert outcomes(found) == {}
    assert len(found) == len(CASES) > 50
    left_out = {name for each in found if each.outcome is Outcome.NOT_CLAIMED for name in each.why.split(", ")}
    assert (
        left_out == {"Native": set(), "Attached": {"native-bracket"}, "StopOnly": {"native-bracket", "oco"}}[brackets]
    )


@pytest.mark.parametrize("rule", ["Optimistic", "NextPrint"])
async def test_the_paper_venue_passes_by_its_other_fill_rules(rule: str):
    section = PaperSection.from_manifest({"fillRule": rule})
    found = await check(lambda: stand_in_of(venue_named("paper"))(section), ALL, cases_named(RULED))
    assert {each.outcome for each in found} == {Outcome.PASSED}


def test_every_case_has_a_name_of_its_own_and_says_what_it_asks():
    assert len({case.name for case in CASES}) == len(CASES)
    assert [case.name for case in CASES if not case.asks.endswith(".") or "\n" in case.asks] == []
    assert [case.name for case in cases_named(["restart", "cancel"])] == ["cancel", "restart"]
    with pytest.raises(Unknown, match="none-such"):
        cases_named(["none-such"])


class DrillStandIn:
    """The exchange of the how-to page, as its package would put it behind the adapter of that page."""

    contract = MES
    price = 20_000

    def __init__(self, adapter: ModuleType) -> None:
        self._adapter = adapter
        self._now_ns = ns(1)
        self._exchange = Exchange(TapeTime({}, ns(1), ns(10_000)), FillRules(latency_ns=0), ns(1))
        self._session = _Session(self._exchange)
        vars(sys.modules["drill_exchange"])["session"] = lambda account, contracts: self._session
        self.orders = self._connect()

    def _connect(self) -> Orders:
        connection = self._adapter.connect(Reach(AccountId("default/paper"), SpecModel(), (MES,), open_channel))
        orders: Orders = connection.orders
        return orders

    @property
    def now_ns(self) -> int:
        return self._now_ns

    async def trade(self, price: int, size: int) -> None:
        self._now_ns += NS_PER_SECOND
        self._exchange.trade(MES, self._now_ns, price, size)

    def lose(self, call: Call, *, reaches: bool) -> None:
        self._session.losses[call] = reaches

    async def cut(self) -> None:
        self._session.away = True

    async def mend(self) -> None:
        self._session.away = False

    async def restart(self) -> None:
        self.orders = self._connect()

    async def place(self, order: VenueOrder) -> None:
        self._exchange.send(order)


class _Session:
    """A session of the exchange for one contract, whose calls may be lost."""

    _CALLS: Final = {"send": Call.SUBMIT, "cancel": Call.CANCEL, "change": Call.REPLACE, "order": Call.FIND}

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self.losses: dict[Call, bool] = {}
        self.away = False

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._exchange, name)
        if name in {"time", "listen", "today"}:
            return found

        def called(*arguments: Any) -> Any:
            reaches = None if name not in self._CALLS else self.losses.pop(self._CALLS[name], None)
            if self.away or reaches is False:
                raise Unavailable("the exchange does not answer", "venue")
            if name == "send" and arguments[0].contract != MES:
                raise InvalidInput("order.contract", arguments[0].contract, MES)
            answer = found(*arguments)
            if reaches:
                raise Unavailable("the exchange does not answer", "venue")
            return answer

        return called


async def test_an_adapter_of_another_package_passes(adapter: ModuleType, monkeypatch: pytest.MonkeyPatch):
    """Events that a session pushes are numbered by the adapter, and told again after a start."""
    monkeypatch.setitem(sys.modules, "drill_exchange", ModuleType("drill_exchange"))

    @asynccontextmanager
    async def opened() -> AsyncIterator[StandIn]:
        yield DrillStandIn(adapter)

    found = await check(opened, ALL - {Capability.TRAILING})
    assert outcomes(found) == {}
    assert [each.name for each in found if each.outcome is Outcome.NOT_CLAIMED] == ["trailing-stop"]


class Breaking:
    """An adapter that breaks one promise in front of one that keeps all."""

    def __init__(self, orders: Orders, broken: dict[str, Callable[..., Any]]) -> None:
        self._orders = orders
        self._broken = broken

    def __getattr__(self, name: str) -> Any:
        kept = getattr(self._orders, name)
        if name not in self._broken:
            return kept

        async def called(*arguments: Any) -> Any:
            return await self._broken[name](kept, *arguments)

        return called


async def sends_again(submit: Any, order: VenueOrder) -> VenueOrder:
    try:
        found: VenueOrder = await submit(order)
    except Unavailable:
        found = await submit(replace(order, client_id=ClientOrderId(f"{order.client_id}x")))
    return replace(found, client_id=order.client_id)


async def sends_until_it_is_there(submit: Any, order: VenueOrder) -> VenueOrder:
    try:
        found: VenueOrder = await submit(order)
    except Unavailable:
        found = await submit(order)
    return found


async def takes_silence_for_a_no(submit: Any, order: VenueOrder) -> VenueOrder:
    try:
        found: VenueOrder = await submit(order)
    except Unavailable as error:
        raise Refused(str(error), "venue") from error
    return found


async def takes_silence_for_nothing(find: Any, client_id: str) -> VenueOrder | None:
    try:
        found: VenueOrder | None = await find(client_id)
    except Unavailable:
        return None
    return found


async def answers_with_nothing(call: Any, *arguments: Any) -> Any:
    try:
        return await call(*arguments)
    except Unavailable:
        return {}


async def forgets_fills(events_since: Any, after_event: int, until_ns: int) -> OrderEvents:
    told: OrderEvents = await events_since(after_event, until_ns)
    return replace(told, events=tuple(replace(event, fill=None) for event in told.events))


async def counts_fills_anew(events_since: Any, after_event: int, until_ns: int) -> OrderEvents:
    told: OrderEvents = await events_since(after_event, until_ns)
    return replace(
        told,
        events=tuple(
            event if event.fill is None else replace(event, fill=replace(event.fill, fill_id=FillId("1")))
            for event in told.events
        ),
    )


async def leaves_holes(events_since: Any, after_event: int, until_ns: int) -> OrderEvents:
    told: OrderEvents = await events_since(after_event, until_ns)
    return replace(told, events=told.events[1:])


async def tells_the_future(events_since: Any, after_event: int, until_ns: int) -> OrderEvents:
    told: OrderEvents = await events_since(after_event, until_ns + 1_000 * NS_PER_SECOND)
    return replace(told, events=tuple(replace(event, instant_ns=until_ns + 1) for event in told.events))


async def hides_strangers(working: Any) -> Sequence[VenueOrder]:
    return [order for order in await working() if order.side.sign > 0]


async def says_it_works(submit: Any, order: VenueOrder) -> VenueOrder:
    with contextlib.suppress(Refused):
        found: VenueOrder = await submit(order)
        return replace(found, state=OrderState.WORKING)
    return order


async def ignores_that_it_reduces(submit: Any, order: VenueOrder) -> VenueOrder:
    found: VenueOrder = await submit(replace(order, reduce_only=False))
    return found


async def cancels_silently(cancel: Any, client_id: str, reason: str) -> None:
    with contextlib.suppress(Unavailable):
        await cancel(client_id, reason)


@pytest.mark.parametrize(
    ("broken", "case"),
    [
        ({"submit": sends_again}, "lost-answer"),
        ({"submit": sends_until_it_is_there}, "lost-order"),
        ({"submit": takes_silence_for_a_no}, "lost-answer-and-fill"),
        ({"find": takes_silence_for_nothing}, "lost-look-up"),
        ({"positions": answers_with_nothing}, "cut-connection"),
        ({"working": answers_with_nothing}, "cut-connection"),
        ({"events_since": forgets_fills}, "market-order"),
        ({"events_since": counts_fills_anew}, "fill-ids"),
        ({"events_since": leaves_holes}, "event-numbers"),
        ({"events_since": tells_the_future}, "event-numbers"),
        ({"working": hides_strangers}, "foreign-order"),
        ({"submit": says_it_works}, "nonsense"),
        ({"cancel": cancels_silently}, "lost-cancel"),
        ({"submit": ignores_that_it_reduces}, "exits-without-a-pair"),
    ],
    ids=lambda value: next(iter(value.values())).__name__ if isinstance(value, dict) else value,
)
async def test_a_broken_promise_is_found(broken: dict[str, Callable[..., Awaitable[Any]]], case: str):
    @asynccontextmanager
    async def opened() -> AsyncIterator[Any]:
        async with open_stand_in(PaperSection()) as stand_in:
            yield Broken(stand_in, broken)

    class Broken:
        def __init__(self, stand_in: StandIn, broken: dict[str, Callable[..., Awaitable[Any]]]) -> None:
            self._stand_in = stand_in
            self._broken = broken

        def __getattr__(self, name: str) -> Any:
            found = getattr(self._stand_in, name)
            return Breaking(found, self._broken) if name == "orders" else found

    (found,) = await check(opened, ALL, cases_named([case]))
    assert found.outcome is Outcome.FAILED, found
    assert "None" not in found.why


def cancels_when_cut(*legs: str) -> Callable[[], contextlib.AbstractAsyncContextManager[Any]]:
    """A paper venue that cancels the orders of some legs when its account's connection is lost."""

    @asynccontextmanager
    async def opened() -> AsyncIterator[Any]:
        async with open_stand_in(PaperSection()) as stand_in:
            yield CancelsWhenCut(stand_in)

    class CancelsWhenCut:
        def __init__(self, stand_in: Any) -> None:
            self._stand_in = stand_in

        def __getattr__(self, name: str) -> Any:
            return getattr(self._stand_in, name)

        async def cut(self) -> None:
            venue = self._stand_in._venue
            for order in venue.market.live_orders():
                if order.leg in legs:
                    venue.cancel(order.client_id, "its account has no connection")
            await self._stand_in.cut()

    return opened


CUT = ["cut-connection", "exits-outlive-a-cut", "fill-while-cut", "stop-rests-while-cut"]


@pytest.mark.parametrize(
    ("legs", "claimed", "failed"),
    [
        (["E"], ALL, {"cut-connection", "exits-outlive-a-cut", "fill-while-cut"}),
        (["E"], ALL - {Capability.KEEP_ENTRIES}, set()),
        ([], ALL - {Capability.KEEP_ENTRIES}, {"cut-connection", "exits-outlive-a-cut"}),
        (["S1"], ALL, {"exits-outlive-a-cut", "stop-rests-while-cut"}),
    ],
)
async def test_a_venue_does_with_orders_without_a_connection_as_it_declares(
    legs: list[str], claimed: frozenset[Capability], failed: set[str]
):
    found = await check(cancels_when_cut(*legs), claimed, cases_named(CUT))
    assert set(outcomes(found)) == failed


async def test_an_adapter_that_raises_anything_fails_its_case_and_no_other():
    @asynccontextmanager
    async def opened() -> AsyncIterator[StandIn]:
        async with open_stand_in(PaperSection()) as stand_in:
            stand_in.trade = None  # type: ignore[assignment, method-assign]
            yield stand_in

    first, second = await check(opened, ALL, cases_named(["market-order", "cancel-of-nothing"]))
    assert (first.outcome, second.outcome) == (Outcome.FAILED, Outcome.PASSED)
    assert first.why.startswith("the adapter raises TypeError: ")


def test_a_venue_without_a_stand_in_is_refused():
    class Other(Venue[SpecModel]):
        """Another."""

        name = "other"

    with pytest.raises(InvalidInput, match=r"venue other: got nothing, expected module:function that opens"):
        stand_in_of(Other())
    Other.stand_in = "leadline.nowhere:opened"
    with pytest.raises(InvalidInput, match=r"got 'leadline\.nowhere:opened'"):
        stand_in_of(Other())


def test_the_command_prints_each_case_and_fails_with_one(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    section = tmp_path / "section.yaml"
    section.write_text("slippageTicks: 3\nlatency: 2s\n")
    words = ["venue", "check", "paper", "--section", str(section), "--case", "cancel", "--case", "bracket"]
    assert run([*words, "--output", "json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert (found["venue"], found["passed"], found["failed"], found["not_claimed"]) == ("paper", 2, 0, 0)
    assert [(each["name"], each["outcome"]) for each in found["cases"]] == [("cancel", "passed"), ("bracket", "passed")]
    assert run(words) == 0
    assert "2 passed, 0 failed, 0 not claimed" in capfd.readouterr().out
    paper = type(venue_named("paper"))
    monkeypatch.setattr(paper, "stand_in", f"{__name__}:open_a_dead_one")
    assert run(["venue", "check", "paper", "--case", "cancel"]) == 1
    assert "0 passed, 1 failed, 0 not claimed" in capfd.readouterr().out
    section.write_text("slippage: 3\n")
    assert run(["venue", "check", "paper", "--section", str(section)]) == 2
    assert "section.yaml:1: slippage: got 3, expected" in capfd.readouterr().err


@asynccontextmanager
async def open_a_dead_one(section: PaperSection) -> AsyncIterator[StandIn]:
    """A stand-in whose venue does not answer."""
    async with open_stand_in(section) as stand_in:
        await stand_in.cut()
        yield stand_in
