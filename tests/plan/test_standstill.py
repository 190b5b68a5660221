"""A service that stays at one message is told of, by the message and for how long."""

import asyncio

from leadline.local import standstill
from leadline.local.binding import BoundWorkload
from leadline.local.data_dir import DataDir
from leadline.local.logfile import LogFile
from leadline.local.process import KeptProcess
from leadline.local.standstill import STANDS_SECONDS, Standstills
from leadline.local.supervisor import Supervisor
from leadline.model.ids import StrategyId
from leadline.plan.plan import plan
from leadline.plan.platform import PlatformSettings
from leadline.runtime.bus.bus import Received
from leadline.runtime.poison import Handling
from leadline.runtime.settings import ServiceSettings
from tests.plan.builders import strategy

FIRST = Received("ll.bar", 1, b"", "ll.bar/1")
SECOND = Received("ll.bar", 2, b"", "ll.bar/2")


def test_a_message_that_takes_long_is_told_once_and_shown_with_its_seconds(tmp_path):
    handling, found = Handling(tmp_path), Standstills()
    with handling.of("BARS", FIRST):
        handling.at("the bar that begins at noon")
        assert found.look("analysis", tmp_path, 100.0) is None
        assert found.look("analysis", tmp_path, 100.0 + STANDS_SECONDS - 1) is None
        assert found.look("analysis", tmp_path, 107.0) == "has been at the bar that begins at noon for 7 s"
        assert found.look("analysis", tmp_path, 108.0) is None
        assert found.work_of("analysis") == "has been at the bar that begins at noon for 8 s"
    assert found.look("analysis", tmp_path, 109.0) is None
    assert found.work_of("analysis") == ""


def test_many_messages_are_no_standstill_and_one_without_words_is_told_by_its_name(tmp_path):
    handling, found = Handling(tmp_path), Standstills()
    for second, message in enumerate((FIRST, SECOND) * 10):
        with handling.of("BARS", message):
            handling.at("a bar")
            assert found.look("aggregation", tmp_path, float(second)) is None
    with handling.of("TICKS", FIRST):
        assert found.look("aggregation", tmp_path, 30.0) is None
        assert found.look("aggregation", tmp_path, 40.0) == "has been at TICKS 1 ll.bar ll.bar/1 for 10 s"


def test_a_service_that_has_died_at_a_message_is_at_none(tmp_path):
    found = Standstills()
    assert found.look("analysis", tmp_path, 0.0) is None
    with Handling(tmp_path).of("BARS", FIRST):
        found.look("analysis", tmp_path, 1.0)
        found.forget("analysis")
        assert found.look("analysis", tmp_path, 10.0) is None


async def test_the_supervisor_says_which_strategy_stands_at_which_bar_and_stops_it(tmp_path, monkeypatch):
    monkeypatch.setattr(standstill, "STANDS_SECONDS", 0.0)
    said: list[str] = []
    data, name = DataDir(tmp_path / "data"), "analysis-default-flow"
    stands = "the strategy default/flow has been at the bar that begins at noon for 0 s"
    with data.hold():
        supervisor = Supervisor(plan(PlatformSettings(), [], [strategy("flow")]), data, {}, said.append)
        settings = ServiceSettings.model_construct(listen="")
        supervisor.bound = (
            BoundWorkload(supervisor.plan.workload("analysis", StrategyId("default/flow")), settings, ()),
        )
        process = KeptProcess(name, ["sleep", "60"], LogFile(data.log_file(name)))
        supervisor._processes[name], supervisor._serving[name] = process, asyncio.Event()
        supervisor._serving[name].set()
        await process.start()
        handling = Handling(data.volume(name))
        with handling.of("BARS", FIRST):
            handling.at("the bar that begins at noon")
            supervisor._look_for_standstills()
            supervisor._look_for_standstills()
            (part,) = [each for each in supervisor.status() if each.name == name]
            await supervisor.stop()
    assert (part.health, part.trouble) == ("not serving", stands)
    assert said == [f"{name} does not answer: {stands}", f"{name} is killed if it does not stop: {stands}"]
    assert process.state == "stopped"


async def test_the_supervisor_knows_which_part_it_has_given_up(tmp_path):
    with DataDir(tmp_path / "data").hold():
        supervisor = Supervisor(plan(PlatformSettings(), [], []), DataDir(tmp_path / "data"), {}, print)
        before = supervisor.given_up
        supervisor._server_failed("nats", "it died eleven times")
        known = supervisor.given_up
        await supervisor.stop()
    assert (before, known) == ("", "nats")
