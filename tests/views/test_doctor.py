"""What checks say of facts."""

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta

import pytest

from leadline.schema.grants import declared_grants
from leadline.schema.migrate import package_migrations
from leadline.schema.roles import CONNECTION_LIMITS, OWNER_ROLE, login_role
from leadline.schema.streams import stream_definitions
from leadline.views.doctor import machine, servers, trading
from leadline.views.doctor.checkup import BUS, DATABASE, MACHINE, SERVICES, TRADING, counts, findings_here
from leadline.views.doctor.facts import (
    Account,
    Applied,
    Bus,
    Database,
    Dated,
    Finding,
    Halt,
    Here,
    Machine,
    Missing,
    PrivateFile,
    Root,
    Services,
    Source,
    State,
    Stream,
    Trading,
)

TODAY = date(2026, 11, 28)
SOUND = Machine(
    python=(3, 11, 7),
    packages={"asyncpg": "0.31.0", "nats-py": "2.12.1"},
    wanted={"asyncpg": "0.31", "nats-py": "2.12"},
    servers={"nats-server": "/bin/nats-server", "postgres": "/bin/postgres"},
    folder="/data",
    free=10 << 30,
    writable=True,
    shared_memory=64 << 20,
    free_ports=True,
    synchronised=True,
    uid=1000,
    files=(PrivateFile("/data/token.key", 0o600, 1000),),
)
BOOK = Database(
    version=180_006,
    settings={"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"},
    applied=tuple(Applied(each.version, each.name, each.checksum) for each in package_migrations()),
    extensions=frozenset(),
    roles={OWNER_ROLE: -1, **{login_role(name): most for name, most in CONNECTION_LIMITS.items()}},
    grants=declared_grants(package_migrations()),
    offset_ns=300_000,
    uncertain_ns=400_000,
)
WIRE = Bus(
    version=(2, 15, 1),
    streams={each.name: Stream(each.config(1), 0, 0) for each in stream_definitions("replay")},
    lags={"TICKS/recorder": 12},
    sync_seconds=120.0,
    offset_ns=0,
    uncertain_ns=0,
)
TRADED = Trading(
    today=TODAY,
    accounts=(Account("default/paper", "paper", False, ("MES", "ES"), frozenset({"MES", "ES"}), frozenset({"MES"})),),
    roots=(Root("MES", "cme", date(2027, 12, 31)),),
    contracts=(Dated("MESZ2026", date(2026, 12, 18)), Dated("BTCUSDT", None)),
)
READY = Services({"risk": "serving", "execution-default-paper": "serving"})
HERE = Here("/data", True, SOUND, BOOK, WIRE, READY, TRADED)
MIGRATIONS = package_migrations()


def states(findings: Iterable[Finding]) -> list[tuple[str, str]]:
    return [(each.subject, each.state) for each in findings]


def only(findings: Iterable[Finding]) -> Finding:
    [found] = findings
    return found


def test_nothing_is_wrong_with_what_is_sound():
    found = findings_here(HERE)
    assert {each.state for each in found} == {"OK"}
    assert counts(found) == {State.WRONG: 0, State.WARNING: 0, State.UNKNOWN: 0, State.OK: len(found)}


def test_each_check_says_the_name_that_it_is_listed_under():
    checked = [*DATABASE, *BUS, *SERVICES, *TRADING]
    here = {each.check for each in findings_here(HERE)}
    assert {name for name, _ in checked} <= here
    assert len(here) == len({name for name, _ in checked}) + len(MACHINE)


def test_a_server_that_should_answer_and_does_not_is_wrong_once():
    silent = Missing("the database does not answer: postgres ended with code 2", "read its log", broken=True)
    found = [each for each in findings_here(replace(HERE, database=silent)) if each.state != "OK"]
    assert [(each.check, each.state) for each in found] == [
        (name, "UNKNOWN" if number else "WRONG") for number, (name, _) in enumerate(DATABASE)
    ]


def test_what_could_not_be_had_is_unknown_and_says_why():
    missing = Missing("nothing runs in /data, so this cannot be known", "start it with `leadline up`")
    found = findings_here(replace(HERE, bus=missing, services=missing))
    unknown = [each for each in found if each.state == "UNKNOWN"]
    assert [each.check for each in unknown] == [name for name, _ in (*BUS, *SERVICES)]
    assert {(each.text, each.advice) for each in unknown} == {(missing.why, missing.advice)}


@pytest.mark.parametrize(
    ("broken", "check", "subject", "state", "words", "advice"),
    [
        (replace(SOUND, python=(3, 10, 9)), machine.python, "3.10.9", "WRONG", "needs 3.11", "install Python 3.11"),
        (
            replace(SOUND, packages={"asyncpg": "0.9.4", "nats-py": "2.12"}),
            machine.packages,
            "asyncpg",
            "WRONG",
            "the package asyncpg is 0.9.4, and Leadline needs 0.31 or newer",
            "python -m pip install 'asyncpg>=0.31'",
        ),
        (
            replace(SOUND, packages={"asyncpg": "1.0"}),
            machine.packages,
            "nats-py",
            "WRONG",
            "the package nats-py is not installed",
            "python -m pip install 'nats-py>=2.12'",
        ),
        (replace(SOUND, writable=False), machine.disk, "/data", "WRONG", "may not write in /data", "--data-dir"),
        (replace(SOUND, free=200 << 20), machine.disk, "/data", "WARNING", "has 200 MB left", "make room"),
        (replace(SOUND, free=100 << 20), machine.disk, "/data", "WRONG", "has 100 MB left", "make room"),
        (replace(SOUND, shared_memory=1 << 20), machine.shared_memory, "/dev/shm", "WARNING", "1 MB", "--shm-size"),
        (replace(SOUND, shared_memory=None), machine.shared_memory, "/dev/shm", "UNKNOWN", "no /dev/shm", ""),
        (replace(SOUND, free_ports=False), machine.ports, "127.0.0.1", "WRONG", "no port", "ss -ltn"),
        (replace(SOUND, synchronised=False), machine.synchronised, "clock", "WARNING", "nothing", "chrony"),
        (replace(SOUND, synchronised=None), machine.synchronised, "clock", "UNKNOWN", "does not say", "ask"),
        (
            replace(SOUND, files=(PrivateFile("/data/token.key", 0o644, 1000),)),
            machine.permissions,
            "/data/token.key",
            "WRONG",
            "has mode 0644, so that others may open it",
            "chmod 0600 /data/token.key",
        ),
        (
            replace(SOUND, files=(PrivateFile("/data/nats", 0o700, 0),)),
            machine.permissions,
            "/data/nats",
            "WRONG",
            "belongs to user 0, and not to user 1000",
            "chown 1000 /data/nats",
        ),
        (
            replace(SOUND, files=(PrivateFile("/data/token.key", 0o000, 1000, readable=False),)),
            machine.permissions,
            "/data/token.key",
            "WRONG",
            "cannot be read",
            "chmod u+r /data/token.key",
        ),
    ],
)
def test_a_fault_of_the_machine_is_found(broken, check, subject, state, words, advice):
    found = only(check(broken))
    assert (found.subject, found.state) == (subject, state)
    assert words in found.text
    assert advice in found.advice


def test_a_server_that_is_missing_is_a_warning_beside_the_one_that_is_there():
    broken = replace(SOUND, servers={"nats-server": "", "postgres": "/bin/postgres"})
    assert states(machine.extras(broken)) == [("nats-server", "WARNING"), ("postgres", "OK")]


@pytest.mark.parametrize(
    ("setting", "value"), [("fsync", "off"), ("full_page_writes", "off"), ("synchronous_commit", "off")]
)
def test_a_database_that_forgets_is_wrong(setting: str, value: str):
    found = only(servers.database_durability(replace(BOOK, settings={**BOOK.settings, setting: value})))
    assert (found.subject, found.state) == (setting, "WRONG")
    assert f"ALTER SYSTEM SET {setting} = on" in found.advice


def test_stricter_ways_to_commit_are_fine():
    for value in ("local", "remote_write", "remote_apply"):
        found = only(
            servers.database_durability(replace(BOOK, settings={**BOOK.settings, "synchronous_commit": value}))
        )
        assert found.state == "OK"


def test_a_schema_that_is_not_of_this_code_is_wrong():
    first, *rest = BOOK.applied
    assert "lacks" in only(servers.schema(replace(BOOK, applied=tuple(rest)), MIGRATIONS)).text
    changed = replace(BOOK, applied=(replace(first, checksum="other"), *rest))
    assert f"another text of {first.name}" in only(servers.schema(changed, MIGRATIONS)).text
    newer = replace(BOOK, applied=(*BOOK.applied, Applied(99, "0099_more.sql", "")))
    assert "newer release" in only(servers.schema(newer, MIGRATIONS)).text
    assert "no schema" in only(servers.schema(replace(BOOK, applied=()), MIGRATIONS)).text
    assert list(servers.roles(replace(BOOK, applied=()), MIGRATIONS)) == []


def test_a_right_that_is_missing_and_one_too_many_are_told_with_the_statement_that_mends_them():
    [lost] = [each for each in BOOK.grants if each == ("leadline_execution", "order_event.published", "UPDATE")]
    more = lost._replace(on="candle", right="DELETE")
    found = list(servers.roles(replace(BOOK, grants=(BOOK.grants - {lost}) | {more}), MIGRATIONS))
    assert [each.state for each in found] == ["WRONG", "WARNING"]
    assert found[0].advice == "GRANT UPDATE (published) ON order_event TO leadline_execution;"
    assert found[1].advice == "REVOKE DELETE ON candle FROM leadline_execution;"


def test_a_role_that_is_missing_is_told_without_its_rights():
    roles = {name: most for name, most in BOOK.roles.items() if name != "leadline_recorder"}
    grants = frozenset(each for each in BOOK.grants if each.role != "leadline_recorder")
    found = only(servers.roles(replace(BOOK, roles=roles, grants=grants), MIGRATIONS))
    assert (found.state, found.text) == ("WRONG", "the database has no role leadline_recorder")


def test_halts_fences_and_dead_letters_are_warnings_with_the_command_that_ends_them():
    broken = replace(
        BOOK,
        halts=(Halt("default/paper", 3, "PERSON", "news"),),
        fences={"default/mes": "price, bar.close"},
        dead_letters={("recorder", "unreadable"): 1},
    )
    halted, fenced = servers.halts(broken)
    assert halted.text == "default/paper is halted by halt 3 (person): news"
    assert halted.advice.startswith("leadline resume --account default/paper")
    assert fenced.advice.startswith("leadline release default/mes")
    assert only(servers.dead_letters(broken)).text == "recorder has put aside 1 message as unreadable"


def test_old_servers_are_wrong():
    assert only(servers.database_version(replace(BOOK, version=140_002))).state == "WRONG"
    assert only(servers.bus_version(replace(WIRE, version=(2, 13, 9)))).state == "WRONG"


def _with(name: str, **config: object) -> Bus:
    stream = WIRE.streams[name]
    return replace(WIRE, streams={**WIRE.streams, name: replace(stream, config={**stream.config, **config})})


def test_a_stream_with_another_limit_is_told_with_both():
    found = only(servers.streams(_with("BARS", max_age=1), stream_definitions("replay")))
    assert (found.subject, found.state) == ("BARS", "WRONG")
    assert "max_age is 1, declared 5184000000000000" in found.text
    missing = replace(WIRE, streams={name: each for name, each in WIRE.streams.items() if name != "RUNS"})
    assert only(servers.streams(missing, stream_definitions("replay"))).text == "the bus has no stream RUNS"


def test_the_streams_of_a_live_feed_are_held_to_those_of_a_live_feed():
    live = {each.name: Stream(each.config(1), 0, 0) for each in stream_definitions("live")}
    assert {each.state for each in findings_here(replace(HERE, bus=replace(WIRE, streams=live)))} == {"OK"}


def test_a_stream_that_is_nearly_full_is_a_warning():
    full = replace(WIRE, streams={**WIRE.streams, "TICKS": replace(WIRE.streams["TICKS"], bytes=1000 << 20)})
    assert "holds 1,000 of 1,024 MB" in only(servers.streams(full, stream_definitions("replay"))).text


@pytest.mark.parametrize(
    ("bus", "state", "words"),
    [
        (_with("ORDERS", storage="memory"), "WRONG", "a restart of the server loses it"),
        (_with("ORDERS", persist_mode="async"), "WRONG", "a kill of the server loses messages"),
        (replace(WIRE, sync_seconds=600.0), "WARNING", "every 600 s only"),
        (replace(WIRE, sync_seconds=0.0), "OK", "with each message"),
        (replace(WIRE, sync_seconds=None), "OK", "cannot be read here"),
    ],
)
def test_the_durability_of_the_bus(bus: Bus, state: str, words: str):
    found = only(servers.bus_durability(bus))
    assert found.state == state
    assert words in found.text


def test_a_consumer_far_behind_and_one_that_is_missing():
    found = servers.consumers(
        replace(WIRE, lags={"BARS/recorder": -1, "SIGNALS/recorder": 1, "TICKS/recorder": 90_000})
    )
    assert [(each.subject, each.state) for each in found] == [
        ("BARS/recorder", "WRONG"),
        ("SIGNALS/recorder", "OK"),
        ("TICKS/recorder", "WARNING"),
    ]


@pytest.mark.parametrize(
    ("offset_ms", "uncertain_ms", "state"),
    [(90, 1, "OK"), (-250, 1, "WRONG"), (250, 200, "OK"), (3_600_000, 5, "WRONG")],
)
def test_a_clock_is_off_only_when_that_is_certain(offset_ms: int, uncertain_ms: int, state: str):
    found = only(servers.clock_offset("database", offset_ms * 1_000_000, uncertain_ms * 1_000_000))
    assert (found.subject, found.state) == ("database", state)


@pytest.mark.parametrize(("days", "state"), [(-1, "WRONG"), (0, "WARNING"), (29, "WARNING"), (30, "OK")])
def test_a_calendar_near_its_end(days: int, state: str):
    roots = (Root("GOLD", "mine", TODAY + timedelta(days=days)),)
    found = only(trading.calendar_horizon(replace(TRADED, roots=roots)))
    assert (found.subject, found.state) == ("GOLD (mine)", state)
    assert "mine" in found.text


def test_a_calendar_that_knows_no_day_is_wrong():
    assert only(trading.calendar_horizon(replace(TRADED, roots=(Root("NIFTY", "nse", None),)))).state == "WRONG"


@pytest.mark.parametrize(
    ("days", "state", "words"), [(-2, "OK", "replays"), (1, "WARNING", "1 day,"), (5, "OK", "5 days")]
)
def test_a_contract_near_its_last_day(days: int, state: str, words: str):
    dated = (Dated("MESZ2026", TODAY + timedelta(days=days)),)
    found = only(trading.contracts(replace(TRADED, contracts=dated)))
    assert found.state == state
    assert words in found.text


def test_a_margin_that_nobody_knows_is_wrong_where_the_account_limits_it():
    [account] = TRADED.accounts
    found = list(trading.margins(replace(TRADED, accounts=(replace(account, margins=frozenset()),))))
    assert [(each.subject, each.state) for each in found] == [
        ("default/paper MES", "WRONG"),
        ("default/paper ES", "WARNING"),
    ]


def test_an_account_that_trades_for_real_needs_credentials_that_are_not_here():
    [account] = TRADED.accounts
    found = only(trading.credentials(replace(TRADED, accounts=(replace(account, live=True, venue="rithmic"),))))
    assert found.state == "UNKNOWN"
    assert "trades for real at rithmic" in found.text


def test_a_service_that_is_not_ready_is_named():
    found = only(trading.readiness(replace(READY, health={"risk": "serving", "recorder": "not serving"})))
    assert (found.subject, found.state, found.text) == ("recorder", "WRONG", "recorder does not say that it is ready")


def test_a_source_that_is_away_is_wrong_and_one_whose_markets_are_closed_is_not():
    sources = (
        Source("push", "gap", "connection refused.", 3),
        Source("sim", "connected", "", 1),
        Source("file", "closed", "", 0),
    )
    found = list(trading.feed(replace(READY, sources=sources)))
    assert states(found) == [("push", "WRONG"), ("sim", "OK"), ("file", "OK")]
    assert found[0].text == (
        "the source push is away, and prints may be missing (connection refused): "
        "nothing is entered on its contracts meanwhile"
    )
    assert found[1].text == "the source sim is connected, after 1 lost connection"
    failed = only(trading.feed(replace(READY, failure="2 percent of the prints were faulty.")))
    assert (failed.state, failed.text) == ("WRONG", "the run has failed: 2 percent of the prints were faulty")


def test_sentences_are_plain():
    broken = replace(
        HERE,
        machine=replace(
            SOUND, python=(3, 9, 1), files=(PrivateFile("/data/token.key", 0o644, 1000),), free_ports=False
        ),
        database=replace(BOOK, settings={}, applied=(), dead_letters={("r", "x"): 2}),
        bus=replace(WIRE, streams={}, lags={"A/b": -1}),
        services=replace(READY, health={"risk": "not serving"}),
        trading=replace(TRADED, roots=(Root("X", "y", None),)),
    )
    for each in (*findings_here(HERE), *findings_here(broken)):
        assert not re.search(r"\b(None|True|False)\b|\[\]|\.$", each.text), each.text
        assert not re.match(r"(what|who|which|how|why)\b", each.text, re.IGNORECASE), each.text
        if each.state in ("WRONG", "WARNING"):
            assert each.advice, each
