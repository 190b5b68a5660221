"""The service reads the series of a strategy from as many subjects, and says what the cores say of them."""

from collections.abc import Sequence
from contextlib import aclosing
from itertools import pairwise
from pathlib import Path
from random import Random

import pytest

from leadline.local.local_nats import LocalNats
from leadline.model.ids import AccountId, StrategyId
from leadline.model.manifest.specs import rollout_fields
from leadline.model.signals import BarSignals, SignalMessage
from leadline.model.subjects import SIGNALS, bar_subject, signal_subject
from leadline.model.wire.bars import encode_bar
from leadline.model.wire.signals import decode_signal
from leadline.runtime.bus.bus import Bus
from leadline.runtime.runs import Run, announce_run
from leadline.testing.replay import TAPE
from tests.analysis.test_series import CONTRACT, DAYS, TRADED, signals, strategy, told
from tests.analysis.test_service import running
from tests.stack import bus_as

pytestmark = pytest.mark.integration

SUBJECT = signal_subject(TAPE, AccountId("default/paper"), StrategyId("default/mes"))


def arrivals(seed: int) -> list[str]:
    """Series by series, whose next message the bus gets: each in its order, one before another by chance."""
    dice, left = Random(seed), {name: len(messages) for name, messages in told().items()}
    found: list[str] = []
    while any(left.values()):
        name = dice.choice(sorted(each for each in left if left[each]))
        taken = min(dice.randint(1, 90), left[name])
        left[name] -= taken
        found += [name] * taken
    return found


async def published(bus: Bus, count: int) -> list[SignalMessage]:
    """The first messages on the strategy's subject; waits for them."""
    found: list[SignalMessage] = []
    async with aclosing(bus.ordered(SIGNALS, SUBJECT)) as messages:
        while len(found) < count:
            found.append(decode_signal((await anext(messages)).payload))
    return found


def answers(messages: Sequence[SignalMessage]) -> list[tuple[int, bool, BarSignals | None]]:
    return [(message.progress_ns, message.final, message.bar) for message in messages]


@pytest.mark.parametrize("seed", [1, 2])
async def test_whichever_series_the_bus_has_first_and_wherever_it_restarts_it_says_the_same(
    nats_server: LocalNats, tmp_path: Path, seed: int
) -> None:
    fields, order = rollout_fields(strategy()), arrivals(seed)
    subjects = {each.name: bar_subject(TAPE, "cme", CONTRACT, "rth", each.token) for each in strategy().spec.all_series}
    there, found = dict.fromkeys(subjects, 0), list[SignalMessage]()
    async with bus_as(nats_server, "ingestion") as bus:
        await announce_run(bus, Run(TAPE, "sim", {CONTRACT: "cme"}, TRADED, 2, tuple(DAYS), (), 0))
    async with bus_as(nats_server, "aggregation") as bars, bus_as(nats_server, "execution") as reader:
        for begin, end in pairwise((0, len(order) // 3, len(order) - 5, len(order))):
            coming = []
            for name in order[begin:end]:
                message = told()[name][there[name]]
                coming.append((subjects[name], encode_bar(message), f"{subjects[name]}/{there[name]}"))
                there[name] += 1
            await bars.publish_many(coming)
            expected = signals({name: told()[name][:count] for name, count in there.items()})
            async with running(nats_server, tmp_path, fields):
                found = await published(reader, len(expected))
        assert (await reader.state(SIGNALS)).messages == len(found)
    assert answers(found) == answers(signals(told()))
    assert found[-1].final
