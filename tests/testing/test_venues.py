"""A venue of another package, as the how-to page has it: declared, planned, refused where it cannot, and traded at."""

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import grpc
import pytest

from leadline.execution.loop.ports import Orders
from leadline.execution.venues.both_ports import BothPorts
from leadline.execution.venues.connect import Reach
from leadline.execution.venues.connection import Connection
from leadline.model.errors import InvalidInput, Unknown
from leadline.model.ids import AccountId, ClientOrderId
from leadline.model.manifest.spec_base import SpecModel
from leadline.model.manifest.venues import GROUP, MEANINGS, NEEDED, Capability, venue_named, venues
from leadline.model.orders import Advanced, VenueOrder
from leadline.testing import TapeTime, prints, replay
from leadline.venue.fill_rules import FillRules
from tests.docs.pages import DOCS, ROOT, blocks
from tests.execution.harness.builders import MES, account, ns, strategy
from tests.installed import install, python_with
from tests.testing.drill_exchange import Exchange
from tests.testing.test_replay import DAY, OWN
from tests.venue.builders import market, order

PAGE = DOCS / "how-to" / "add-a-venue.md"
_DECLARED, _ADAPTER = blocks(PAGE, "python")
(_MANIFEST,) = [block for block in blocks(PAGE, "text") if "kind: TradingAccount" in block.text]

ASKED = """
import json
import sys
from leadline.model.errors import InvalidInput
from leadline.model.manifest.specs import load_manifests
from leadline.model.manifest.venues import NEEDED, PROTECTING, Capability, venue_named
from leadline.plan.plan import plan
from leadline.plan.platform import PlatformSettings
from scripts.crds import definition

(account,) = load_manifests(sys.argv[1])
(strategy, trailing, own) = load_manifests(sys.argv[2])
platform = PlatformSettings(feed={"kind": "sim"})
found = plan(platform, [account], [strategy])
refused = []


def refuse(action):
    try:
        action()
    except InvalidInput as error:
        refused.append(str(error))


for one in (trailing, own):
    plan(platform, [account], [one])  # a stop that the venue does not move is moved by the loop
drill = type(venue_named("drill"))
drill.capabilities -= {Capability.REPLACE}
refuse(lambda: plan(platform, [account], [trailing]))
refuse(lambda: plan(platform, [account], [own]))
for missing in ({one} for one in NEEDED):
    drill.capabilities = frozenset(Capability) - missing
    refuse(lambda: load_manifests(sys.argv[1]))
drill.capabilities = frozenset(Capability) - {Capability.NATIVE_BRACKET}
load_manifests(sys.argv[1])
drill.capabilities -= PROTECTING
refuse(lambda: load_manifests(sys.argv[1]))
spec = definition("TradingAccount")["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
print(json.dumps({
    "workloads": {one.service: sorted(one.calls) for one in found.workloads if one.owner == "account"},
    "section": spec["properties"]["drill"]["properties"]["slippageTicks"]["default"],
    "rule": [rule["rule"] for rule in spec["x-kubernetes-validations"] if "'drill'" in rule["rule"]],
    "refused": refused,
}))
"""
STRATEGIES = """
apiVersion: leadline.dev/v1alpha1
kind: TradingStrategy
metadata: {name: plain}
spec: {instrument: MES, account: {name: exercises}, bracket: {stopTicks: 16}}
---
apiVersion: leadline.dev/v1alpha1
kind: TradingStrategy
metadata: {name: trailing}
spec:
  instrument: MES
  account: {name: exercises}
  bracket: {stopTicks: 16, trail: {triggerTicks: 4, offsetTicks: 8}}
---
apiVersion: leadline.dev/v1alpha1
kind: TradingStrategy
metadata: {name: own}
spec:
  instrument: MES
  account: {name: exercises}
  strategy: {entryPoint: "tests.testing.test_replay:Up"}
"""


def installed(folder: Path, *, name: str = "drill", value: str = "drill:Drill", module: str = _DECLARED.text) -> Path:
    """A folder for the path with the venue in it."""
    return install(folder, "drill", module, GROUP, name, value)


@pytest.fixture
def adapter() -> ModuleType:
    """The adapter of the how-to page."""
    module = ModuleType("drill_adapter")
    exec(compile(_ADAPTER.text, PAGE, "exec"), module.__dict__)
    return module


@pytest.fixture
def fresh() -> Iterator[None]:
    """The list of venues is made anew, here and after the test."""
    venues.cache_clear()
    yield
    venues.cache_clear()
    sys.modules.pop("drill", None)


def test_the_paper_venue_is_declared_by_an_entry_point_and_does_all_that_there_is():
    paper = venue_named("paper")
    assert paper in venues()
    assert (paper.real_money, paper.capabilities, paper.processes) == (False, frozenset(Capability), ("venue",))
    assert type(paper).__module__ == "leadline.execution.venues.paper.venue"
    assert set(MEANINGS) == set(Capability)
    with pytest.raises(Unknown, match="mars"):
        venue_named("mars")


def test_the_how_to_page_names_files_that_are_there():
    named = re.findall(r"`((?:services|tests)/[\w/.]+)`", PAGE.read_text())
    assert len(named) == 4
    assert [path for path in named if not (ROOT / path).exists()] == []


def test_one_more_venue_is_in_the_schema_in_the_plan_and_in_the_checks(tmp_path: Path):
    folder = installed(tmp_path)
    answer = python_with(folder, "-c", ASKED, _MANIFEST.text, STRATEGIES)
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout)
    assert found["workloads"] == {"execution": ["risk"]}  # no process of the paper venue
    assert found["section"] == 1
    assert len(found["rule"]) == 2
    refused, own, *unsafe = found["refused"]
    assert "spec.strategy.entryPoint: got 'tests.testing.test_replay:Up', expected the strategy OrderFlow, or " in own
    either = f"{MEANINGS[Capability.TRAILING]} or {MEANINGS[Capability.REPLACE]}"
    expected = f"none, or an account at a venue that {either}: drill does neither"
    assert [
        f"spec.venue: got 'drill', expected a venue that {MEANINGS[one]}" in line
        for one, line in zip([*NEEDED, Capability.NATIVE_BRACKET], unsafe, strict=True)
    ] == [True] * (len(NEEDED) + 1)
    assert f" or {MEANINGS[Capability.ATTACH]}: else nothing is safe there" in unsafe[-1]
    assert f"spec.bracket.trail: got '4 and 8 ticks', expected {expected}" in refused


def test_the_command_lists_it(tmp_path: Path):
    command = ["-c", "from leadline.cli.entry import main; main()", "venues", "drill", "--output", "json"]
    answer = python_with(installed(tmp_path), *command)
    assert answer.returncode == 0, answer.stderr
    [found] = json.loads(answer.stdout)["venues"]
    assert (found["name"], found["environment"], found["section"]) == ("drill", "Paper", "spec.drill")
    assert found["defaults"] == {"slippageTicks": 1}
    assert set(Capability) - set(found["capabilities"]) == {Capability.TRAILING}


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ({"value": "drill:Nothing"}, "got 'drill:Nothing', expected module:Class of a venue that can be imported"),
        ({"value": "drill:DrillSection"}, "a subclass of leadline's Venue with all that it declares"),
        ({"name": "other"}, "got 'other', expected the name of the venue, drill"),
        ({"module": "1 / 0"}, "ZeroDivisionError: division by zero"),
        (
            {"name": "paper", "module": _DECLARED.text.replace('"drill"', '"paper"')},
            "a name of its own; it is taken by ",
        ),
        ({"name": "A-1", "module": _DECLARED.text.replace('"drill"', '"A-1"')}, "lower-case letters and digits"),
        ({"module": _DECLARED.text.replace("adapter = ", "reached = ")}, "with all that it declares"),
    ],
)
@pytest.mark.usefixtures("fresh")
def test_what_cannot_be_a_venue_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made: dict[str, str], words: str
):
    monkeypatch.syspath_prepend(installed(tmp_path, **made))
    with pytest.raises(InvalidInput, match=r"^entry points of leadline\.venues: ") as refused:
        venues()
    assert words in str(refused.value)


@pytest.mark.usefixtures("fresh")
def test_an_installation_without_its_entry_points_says_how_it_is_put_right(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if "site-packages" not in entry])
    with pytest.raises(InvalidInput, match=r"got 'nothing', expected paper, .*`make setup` does"):
        venues()


def test_a_day_at_a_venue_that_pushes_is_the_day_at_the_paper_venue(
    adapter: ModuleType, monkeypatch: pytest.MonkeyPatch
):
    """The two ports are two objects there, which know nothing of each other."""
    rows = [(ns(second), 20_000 + second // 100, 5, 1) for second in range(1, 900)]
    own = strategy(strategy=OWN, history=0, bars="1m", bracket=(16, 2))
    manifest = account(limits={"dayTarget": "10000"})
    library = ModuleType("drill_exchange")
    monkeypatch.setitem(sys.modules, library.__name__, library)
    exchanges: list[Exchange] = []

    def connect(time: TapeTime) -> Orders:
        exchanges.append(Exchange(time, FillRules(), ns(1) - 1))
        vars(library)["session"] = lambda account, contracts: exchanges[0]
        connection: Connection = adapter.connect(Reach(AccountId("default/paper"), SpecModel(), (MES,), open_channel))
        assert connection.time is time
        return connection.orders

    there = replay(own, prints(MES, rows), DAY, manifest, connect=connect)
    here = replay(own, prints(MES, rows), DAY, manifest)
    assert exchanges[0].market.last_event > 4
    assert sum(one.leg == "T1" for one in there.orders) > 1
    assert (there.decisions, there.orders, there.fills) == (here.decisions, here.orders, here.fills)
    assert (there.result, there.open) == (here.result, here.open)


def test_a_trail_that_the_loop_moves_is_the_venue_s_own_where_prints_are_as_far_apart_as_its_moves(
    adapter: ModuleType, monkeypatch: pytest.MonkeyPatch
):
    """It climbs by four ticks a wave of twelve prints; the stop stays six behind the best of them."""
    wave = (0, 1, 2, 3, 4, 5, 6, 7, 8, 6, 4, 3)
    rows = [(ns(1 + 2 * number), 20_000 + number // 3 + wave[number % 12], 5, 1) for number in range(400)]
    bracket = {"stopTicks": 16, "trail": {"triggerTicks": 4, "offsetTicks": 6}}
    own = strategy(strategy=OWN, history=0, bars="1m", bracket=bracket)
    manifest = account(limits={"dayTarget": "10000"})
    library = ModuleType("drill_exchange")
    monkeypatch.setitem(sys.modules, library.__name__, library)
    exchanges: list[Exchange] = []

    def connect(time: TapeTime) -> Orders:
        exchanges.append(Exchange(time, FillRules(), ns(1) - 1))
        vars(library)["session"] = lambda account, contracts: exchanges[0]
        connection: Connection = adapter.connect(Reach(AccountId("default/paper"), SpecModel(), (MES,), open_channel))
        return connection.orders

    without = frozenset(Capability) - {Capability.TRAILING}
    there = replay(own, prints(MES, rows), DAY, manifest, connect=connect, capabilities=without)
    here = replay(own, prints(MES, rows), DAY, manifest)
    assert all(known.trail is None for known in exchanges[0].market.orders())
    stops = [sum(order.leg == "S1" and order.state == "FILLED" for order in came.orders) for came in (there, here)]
    assert min(stops) > 2
    assert (there.fills, there.result) == (here.fills, here.result)


async def test_events_that_were_pushed_are_told_until_they_are_booked_and_all_again_after_a_start(adapter: ModuleType):
    time = TapeTime(prints(MES, [(ns(second), 20_000, 1, 1) for second in (1, 2, 3)]), ns(0), ns(9))
    exchange = Exchange(time, FillRules(latency_ns=0), ns(0))
    orders = adapter.DrillOrders(exchange)
    exchange.send(
        replace(order(ClientOrderId("E1"), bracket=(4, 4)), contract=MES, tape_contract=MES, decided_at_ns=ns(0))
    )
    [first] = (await orders.events_since(7, ns(0))).events
    assert (first.event, first.order.client_id) == (8, "E1")
    while exchange.market.instant_ns < ns(2):
        await time.advance(exchange.market.instant_ns, ns(9), 8, (MES,), ())
    told = (await orders.events_since(8, ns(0))).events  # nothing later than an instant that has passed
    assert told == ()
    told = (await orders.events_since(8, ns(2))).events
    assert [(event.event, event.order.leg) for event in told] == [(9, "E"), (10, "S1"), (11, "T1")]
    assert (await orders.events_since(8, ns(2))).events == told
    assert (await orders.events_since(11, ns(2))).events == ()
    again = (await adapter.DrillOrders(exchange).events_since(11, ns(2))).events
    assert [(event.event, event.order.leg) for event in again] == [(12, "E"), (13, "E"), (14, "S1"), (15, "T1")]


def open_channel(service: str) -> grpc.aio.Channel:
    """The exchange has no process of ours."""
    raise AssertionError(service)


class Counted:
    """The paper market as a venue whose answers are counted."""

    def __init__(self) -> None:
        self.market = market()
        self.asked: list[tuple[int, int, int]] = []

    async def advance(self, from_ns: int, to_ns: int, after_event: int, *_: object) -> Advanced:
        self.asked.append((from_ns, to_ns, after_event))
        return Advanced(to_ns, self.market.events_after(after_event), {}, positions=self.market.positions())

    async def submit(self, one: VenueOrder) -> VenueOrder:
        return self.market.submit(one)[0]

    async def cancel(self, client_id: str, reason: str) -> None:
        self.market.cancel(ClientOrderId(client_id), reason)

    async def replace(self, *_: object) -> VenueOrder:
        raise AssertionError

    working = find = positions = replace


async def test_what_a_venue_told_with_the_time_is_not_asked_for_again_and_never_told_when_it_is_old():
    venue = Counted()
    both = BothPorts(venue, (MES,))  # type: ignore[arg-type]
    await both.submit(order(ClientOrderId("E1")))
    assert (await both.advance(0, 5, 0, (MES,), ())).instant_ns == 5
    assert [event.order.client_id for event in (await both.events_since(0, 5)).events] == ["E1"]
    assert venue.asked == [(0, 5, 0)]

    await both.advance(5, 6, 1, (MES,), ())
    await both.submit(replace(order(ClientOrderId("E2"))))  # what was told before knows nothing of it
    assert [event.order.client_id for event in (await both.events_since(1, 6)).events] == ["E2"]
    await both.advance(6, 7, 1, (MES,), ())
    assert [event.event for event in (await both.events_since(0, 7)).events] == [1, 2]  # another question
    assert venue.asked == [(0, 5, 0), (5, 6, 1), (6, 6, 1), (6, 7, 1), (7, 7, 0)]
