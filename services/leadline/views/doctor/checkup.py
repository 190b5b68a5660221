"""All checks of one machine, in the order in which they are told. One more check is one line here and its function."""

from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Final, TypeVar

from leadline.schema.migrate import package_migrations
from leadline.schema.streams import Feed, stream_definitions
from leadline.views.doctor import machine, servers, trading
from leadline.views.doctor.facts import Bus, Database, Finding, Here, Machine, Missing, Services, State, Trading

Facts = TypeVar("Facts")
Check = Callable[[Facts], Iterable[Finding]]

MACHINE: Final[tuple[Check[Machine], ...]] = (
    machine.python,
    machine.packages,
    machine.extras,
    machine.disk,
    machine.shared_memory,
    machine.ports,
    machine.permissions,
    machine.synchronised,
)
DATABASE: Final[tuple[tuple[str, Check[Database]], ...]] = (
    ("database-version", servers.database_version),
    ("database-durability", servers.database_durability),
    ("schema", lambda found: servers.schema(found, package_migrations())),
    ("roles", lambda found: servers.roles(found, package_migrations())),
    ("clock-offset", lambda found: servers.clock_offset("database", found.offset_ns, found.uncertain_ns)),
    ("halts", servers.halts),
    ("dead-letters", servers.dead_letters),
)
BUS: Final[tuple[tuple[str, Check[Bus]], ...]] = (
    ("bus-version", servers.bus_version),
    ("bus-durability", servers.bus_durability),
    ("streams", lambda found: servers.streams(found, stream_definitions(_feed_of(found)))),
    ("consumers", servers.consumers),
    ("clock-offset", lambda found: servers.clock_offset("bus", found.offset_ns, found.uncertain_ns)),
)
SERVICES: Final[tuple[tuple[str, Check[Services]], ...]] = (("readiness", trading.readiness), ("feed", trading.feed))
TRADING: Final[tuple[tuple[str, Check[Trading]], ...]] = (
    ("calendar-horizon", trading.calendar_horizon),
    ("contracts", trading.contracts),
    ("margins", trading.margins),
    ("credentials", trading.credentials),
)


def findings_here(here: Here) -> tuple[Finding, ...]:
    """The findings of one machine."""
    return tuple(
        chain(
            chain.from_iterable(check(here.machine) for check in MACHINE),
            findings_of("database", here.database, DATABASE),
            findings_of("bus", here.bus, BUS),
            findings_of("services", here.services, SERVICES),
            findings_of("accounts", here.trading, TRADING),
        )
    )


def findings_of(subject: str, facts: Facts | Missing, checks: Iterable[tuple[str, Check[Facts]]]) -> Iterator[Finding]:
    """The findings of some checks; where their facts are missing, each is unknown and says why.

    Where that is a fault by itself, the first of them is wrong.
    """
    for number, (name, check) in enumerate(checks):
        if isinstance(facts, Missing):
            state = State.WRONG if facts.broken and not number else State.UNKNOWN
            yield Finding(name, subject, state, facts.why, facts.advice)
        else:
            yield from check(facts)


def _feed_of(bus: Bus) -> Feed:
    """The kind of feed that the streams were made for: prints of a replay are refused when there is no room."""
    ticks = bus.streams.get("TICKS")
    return "live" if ticks is not None and ticks.config.get("discard") == "old" else "replay"


def counts(findings: Iterable[Finding]) -> dict[State, int]:
    """How many findings there are of each state, the worst first."""
    states = [State(each.state) for each in findings]
    return {state: states.count(state) for state in reversed(State)}
