"""Where else the tape stops, and how its messages are cut and mixed, changes nothing that an account did."""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from leadline.execution.loop.deps import Deps
from leadline.execution.venues.both_ports import MatchingVenue
from leadline.model.ids import ContractId
from leadline.model.orders import Advanced, Watch
from leadline.model.signals import SignalMessage
from tests.execution.harness.builders import ns
from tests.execution.harness.days import WANDERING_END_S, eventful, wandering
from tests.execution.harness.desk import Books, Desk
from tests.execution.harness.faults import TrippedVenue, Tripwire
from tests.execution.harness.ports import replace_venue, venue_of


class Hesitant(TrippedVenue):
    """A venue that by chance stops long before it was asked to, or does not move at all."""

    def __init__(self, venue: MatchingVenue, chance: random.Random) -> None:
        super().__init__(venue, Tripwire())
        self._chance = chance
        self.stops = 0

    async def advance(
        self, from_ns: int, to_ns: int, after_event: int, contracts: Sequence[ContractId], watches: Sequence[Watch]
    ) -> Advanced:
        if to_ns > from_ns and self._chance.random() < 0.6:
            last = min(to_ns, ns(WANDERING_END_S))
            reach = self._chance.choice([0, 1_000_000, 10**9, 10**12, last - from_ns])
            to_ns = min(from_ns + self._chance.randint(0, reach), last)
            self.stops += 1
        return await super().advance(from_ns, to_ns, after_event, contracts, watches)


def with_progress(messages: Sequence[SignalMessage], chance: random.Random) -> list[SignalMessage]:
    """The same messages with promises strewn in, and with messages said again."""
    found: list[SignalMessage] = []
    before = ns(-60)
    for message in messages:
        promises = sorted(chance.randint(before, message.progress_ns) for _ in range(chance.randint(0, 4)))
        found += [replace(message, progress_ns=progress, bar=None, final=False) for progress in promises]
        found += [message] * chance.randint(1, 2)
        before = message.progress_ns
    return found


async def told(desk: Desk) -> dict[str, Any]:
    """All that the account's rows say but how often they were written."""
    tables = {
        "decision": ("decision_id, instant_ns, accepted, reason, side, quantity, arithmetic", "decision_id"),
        "intent": ("client_id, state, filled, quantity, reason, decided_at_ns, version", "client_id"),
        "fill": ("fill_id, price, quantity, ts_ns, k, venue_event", "fill_id"),
        "position": ("strategy, contract, quantity, realised, commission, decision_id", "strategy"),
        "order_event": ("event, kind, key, version, instant_ns, body", "event"),
        "account_state": (
            "instant_ns, trading_day, equity_at_roll, realised, trades, streak, block, venue_event, last_prints",
            "account",
        ),
        "strategy_state": ("strategy, joined_ns, realised, trades, flatten", "strategy"),
    }
    found = {table: await desk.rows(table, *how) for table, how in tables.items()}
    for event, kind, key, version, instant_ns, body in found.pop("order_event"):
        numbered = kind == "halt"  # and the numbers of halts go on from tape to tape
        said = {name: value for name, value in body.items() if name != "number"}
        found.setdefault("events", []).append((event, kind, "" if numbered else key, version, instant_ns, said))
    return found


@pytest.mark.parametrize("seed", range(8))
async def test_extra_stops_and_other_cuts_change_nothing(books: Books, folder: Path, seed: int):
    await check_stops(eventful(books, folder, "plain"), eventful(books, folder, "stopped"), seed)


@pytest.mark.parametrize("seed", range(4))
async def test_nor_on_days_of_chance(books: Books, folder: Path, seed: int):
    await check_stops(wandering(books, folder, seed, "plain"), wandering(books, folder, seed, "stopped"), seed)


async def check_stops(plain: Desk, desk: Desk, seed: int) -> None:
    """Run one desk straight and its twin with stops at random."""
    await plain.run(read_back=True)
    chance = random.Random(seed)
    venues: list[Hesitant] = []

    def hesitant(deps: Deps) -> Deps:
        venues.append(Hesitant(venue_of(deps), chance))
        return replace_venue(deps, venues[-1])

    desk.signals = {name: with_progress(messages, chance) for name, messages in desk.signals.items()}
    await desk.run(through=hesitant, chance=chance)
    assert venues[0].stops > 10
    assert await told(desk) == await told(plain)
    assert await desk.lines() == await plain.lines()
