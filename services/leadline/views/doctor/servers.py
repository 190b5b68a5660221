"""Checks of the database and of the bus: version, schema, rights, durability, clocks, lag."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from leadline.model.counted import counted
from leadline.model.durations import NS_PER_MILLISECOND
from leadline.schema.grants import Grant, declared_grants
from leadline.schema.migrate import Migration
from leadline.schema.roles import CONNECTION_LIMITS, OWNER_ROLE, login_role
from leadline.schema.streams import MAX_ACK_PENDING, MINIMUM_SERVER, StreamDefinition
from leadline.views.doctor.facts import Bus, Database, Finding, State

OLDEST_POSTGRES: Final = 15
LARGEST_OFFSET_NS: Final = 100 * NS_PER_MILLISECOND
"""Clocks that differ by more tell the times of one order in two orders."""
_MUST_BE_ON: Final = {
    "fsync": "a crash of the machine can lose orders that were sent, and the whole database",
    "full_page_writes": "a crash of the machine can leave pages that are half written",
}
_NOT_COMMITTED: Final = frozenset({"off"})
_DEFAULT_SYNC_SECONDS: Final = 120.0
_MOST_TOLD: Final = 3
_COMPARED: Final = (
    "subjects",
    "storage",
    "max_age",
    "max_bytes",
    "max_msgs_per_subject",
    "discard",
    "deny_delete",
    "deny_purge",
    "duplicate_window",
)


def database_version(database: Database) -> Iterator[Finding]:
    """The server is one that the schema works on."""
    major = database.version // 10_000
    if major < OLDEST_POSTGRES:
        text = f"PostgreSQL is {major}, and the schema needs {OLDEST_POSTGRES} or newer"
        yield Finding("database-version", "database", State.WRONG, text, f"upgrade to PostgreSQL {OLDEST_POSTGRES}")
    else:
        yield Finding("database-version", "database", State.OK, f"PostgreSQL answers, version {major}")


def database_durability(database: Database) -> Iterator[Finding]:
    """A transaction that is committed is on the disk."""
    bad = False
    for name, means in _MUST_BE_ON.items():
        if database.settings.get(name) != "on":
            bad = True
            found = database.settings.get(name, "absent")
            advice = f"ALTER SYSTEM SET {name} = on; SELECT pg_reload_conf();"
            yield Finding("database-durability", name, State.WRONG, f"{name} is {found}: {means}", advice)
    commit = database.settings.get("synchronous_commit", "absent")
    if commit in _NOT_COMMITTED or commit == "absent":
        bad = True
        text = f"synchronous_commit is {commit}: an order can be sent whose row a crash then takes back"
        advice = "ALTER SYSTEM SET synchronous_commit = on; SELECT pg_reload_conf();"
        yield Finding("database-durability", "synchronous_commit", State.WRONG, text, advice)
    if not bad:
        text = "fsync, synchronous_commit and full_page_writes are on: what is committed is on the disk"
        yield Finding("database-durability", "database", State.OK, text)


def schema(database: Database, migrations: Sequence[Migration]) -> Iterator[Finding]:
    """The schema is at the version of this code."""
    had = {each.version: each for each in database.applied}
    known = {each.version for each in migrations}
    wanted = [each for each in migrations if each.requires is None or each.requires in database.extensions]
    missing = [each.name for each in wanted if each.version not in had]
    newer = [each.name for each in database.applied if each.version not in known]
    changed = [each.name for each in wanted if each.version in had and had[each.version].checksum != each.checksum]
    if not had:
        text = "the database has no schema yet"
        yield Finding("schema", "database", State.WRONG, text, "leadline db migrate, or a start with `leadline up`")
    elif newer:
        text = f"a newer release has used this database, which has {_listed(newer)}"
        yield Finding("schema", "database", State.WRONG, text, "run that release, or take another database")
    elif changed:
        text = f"the database has had another text of {_listed(changed)} than this code"
        yield Finding("schema", "database", State.WRONG, text, "run the release that has made it")
    elif missing:
        text = f"the database lacks {_listed(missing)}"
        yield Finding("schema", "database", State.WRONG, text, "leadline db migrate, or a start with `leadline up`")
    else:
        text = f"the schema is at version {max(had)}, as this code needs it"
        yield Finding("schema", "database", State.OK, text)


def roles(database: Database, migrations: Sequence[Migration]) -> Iterator[Finding]:
    """Each service has its role, with the rights that the migrations declare and no others."""
    if not database.applied:
        return
    wanted = {login_role(name) for name in CONNECTION_LIMITS}
    missing = sorted({*wanted, OWNER_ROLE} - set(database.roles))
    declared = {each for each in declared_grants(migrations) if each.role not in missing}
    lacks = sorted(declared - database.grants)
    beyond = sorted(each for each in database.grants - declared if each.role in wanted)
    if missing:
        text = f"the database has no role {_listed(missing)}"
        yield Finding(
            "roles", "database", State.WRONG, text, "leadline db migrate, or `leadline db roles` as its owner"
        )
    if lacks:
        text = f"a right is missing: {_listed(lacks)}"
        yield Finding("roles", "database", State.WRONG, text, _grants("GRANT", "TO", lacks))
    if beyond:
        text = f"a role has a right that nobody declared: {_listed(beyond)}"
        yield Finding("roles", "database", State.WARNING, text, _grants("REVOKE", "FROM", beyond))
    if not (missing or lacks or beyond):
        text = f"{len(wanted)} roles have their rights, and no others"
        yield Finding("roles", "database", State.OK, text)


def _grants(verb: str, word: str, grants: Sequence[Grant]) -> str:
    """The statements that mend rights."""
    found = []
    for role, on, right in grants[:_MOST_TOLD]:
        table, _, column = on.partition(".")
        found.append(f"{verb} {right}{f' ({column})' if column else ''} ON {table} {word} {role};")
    return " ".join(found)


def halts(database: Database) -> Iterator[Finding]:
    """No account is halted, and no strategy is fenced off."""
    for each in database.halts:
        text = f"{each.account} is halted by halt {each.number} ({each.source.lower()}): {each.reason}"
        advice = f'leadline resume --account {each.account} --reason "..." once its cause is gone'
        yield Finding("halts", each.account, State.WARNING, text, advice)
    for strategy, why in sorted(database.fences.items()):
        text = f"{strategy} is fenced off, and nothing that it says counts: {why}"
        advice = f'leadline release {strategy} --reason "..." once its cause is mended'
        yield Finding("halts", strategy, State.WARNING, text, advice)
    if not database.halts and not database.fences:
        yield Finding("halts", "accounts", State.OK, "no account is halted, and no strategy is fenced off")


def dead_letters(database: Database) -> Iterator[Finding]:
    """No reader has put a message aside."""
    for (reader, reason), count in sorted(database.dead_letters.items()):
        text = f"{reader} has put aside {counted(count, 'message')} as {reason}"
        advice = (
            "look at the rows of that reader in the table `dead_letter`, and delete them once their cause is mended"
        )
        yield Finding("dead-letters", reader, State.WARNING, text, advice)
    if not database.dead_letters:
        yield Finding("dead-letters", "database", State.OK, "no message was put aside")


def bus_version(bus: Bus) -> Iterator[Finding]:
    """The server is one that the streams need."""
    found = ".".join(map(str, bus.version))
    if bus.version < MINIMUM_SERVER:
        least = ".".join(map(str, MINIMUM_SERVER))
        text = f"nats-server is {found}, and the streams need {least} or newer"
        yield Finding("bus-version", "bus", State.WRONG, text, f"upgrade nats-server to {least}")
    else:
        yield Finding("bus-version", "bus", State.OK, f"nats-server answers, version {found}")


def bus_durability(bus: Bus) -> Iterator[Finding]:
    """Streams are in files, and an acknowledged message outlives the server's process."""
    bad = False
    for name, stream in sorted(bus.streams.items()):
        if stream.config.get("storage") != "file":
            bad = True
            text = f"the stream {name} is kept in {stream.config.get('storage')}: a restart of the server loses it"
            yield Finding(
                "bus-durability", name, State.WRONG, text, f"delete the stream {name}, and leadline bus migrate"
            )
        if stream.config.get("persist_mode") == "async":
            bad = True
            text = f"the stream {name} acknowledges before it writes: a kill of the server loses messages"
            yield Finding(
                "bus-durability", name, State.WRONG, text, f"delete the stream {name}, and leadline bus migrate"
            )
    if bad:
        return
    seconds = bus.sync_seconds
    if seconds is None:
        text = "streams are in files; how often the server brings them to the disk cannot be read here"
        yield Finding("bus-durability", "bus", State.OK, text)
    elif seconds <= _DEFAULT_SYNC_SECONDS:
        when = "with each message" if not seconds else f"every {seconds:g} s"
        text = f"streams are in files, brought to the disk {when}; what a power cut takes is published again"
        yield Finding("bus-durability", "bus", State.OK, text)
    else:
        text = f"streams are brought to the disk every {seconds:g} s only: a power cut takes as much of them"
        yield Finding("bus-durability", "bus", State.WARNING, text, "set jetstream.sync_interval to 2m or less")


def streams(bus: Bus, declared: Iterable[StreamDefinition]) -> Iterator[Finding]:
    """The streams are there with the limits that are declared, and none is nearly full."""
    bad = False
    for definition in declared:
        name, found = definition.name, bus.streams.get(definition.name)
        if found is None:
            bad = True
            text = f"the bus has no stream {name}"
            yield Finding("streams", name, State.WRONG, text, "leadline bus migrate, or a start with `leadline up`")
            continue
        wanted = definition.config(1)
        differs = [key for key in _COMPARED if found.config.get(key, False) != wanted[key]]
        if differs:
            bad = True
            words = ", ".join(f"{key} is {found.config.get(key, 'absent')}, declared {wanted[key]}" for key in differs)
            text = f"the stream {name} is not as declared: {words}"
            yield Finding("streams", name, State.WRONG, text, "leadline bus migrate, or a start with `leadline up`")
        most = definition.max_bytes
        if most > 0 and found.bytes > most * 9 // 10:
            bad = True
            text = f"the stream {name} holds {found.bytes >> 20:,} of {most >> 20:,} MB"
            advice = "look for the reader that is behind: the check `consumers` names it"
            yield Finding("streams", name, State.WARNING, text, advice)
    if not bad:
        yield Finding("streams", "bus", State.OK, "all streams are there, with the limits that are declared")


def consumers(bus: Bus) -> Iterator[Finding]:
    """The durable consumers are there, and not far behind."""
    for name, lag in sorted(bus.lags.items()):
        if lag < 0:
            text = f"the bus has no durable consumer {name}, so its reader gets nothing"
            yield Finding("consumers", name, State.WRONG, text, "leadline bus migrate, or a start with `leadline up`")
        elif lag > MAX_ACK_PENDING:
            text = f"{name} is {counted(lag, 'message')} behind"
            advice = (
                "look at that service's log and at the load of the machine; a run at full speed is behind by nature"
            )
            yield Finding("consumers", name, State.WARNING, text, advice)
        else:
            yield Finding("consumers", name, State.OK, f"{name} is {counted(lag, 'message')} behind")


def clock_offset(name: str, offset_ns: int, uncertain_ns: int) -> Iterator[Finding]:
    """The clock of a server agrees with that of this machine, as far as the way there lets it be known."""
    text = f"the clock of the {name} is {_ms(offset_ns)} off this machine's, known to {_ms(uncertain_ns)}"
    if abs(offset_ns) - uncertain_ns > LARGEST_OFFSET_NS:
        advice = "synchronise both machines' clocks with NTP"
        yield Finding("clock-offset", name, State.WRONG, text, advice)
    else:
        yield Finding("clock-offset", name, State.OK, text)


def _ms(ns: int) -> str:
    return f"{ns / NS_PER_MILLISECOND:,.1f} ms"


def _listed(found: Sequence[object]) -> str:
    more = f" and {len(found) - _MOST_TOLD} more" if len(found) > _MOST_TOLD else ""
    return ", ".join(map(str, found[:_MOST_TOLD])) + more
