"""Facts about a platform that checks look at, and a finding: what a check says of them.

Whatever could not be had is a `Missing` with the reason in words: a check then says that it does not know.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from enum import StrEnum

from leadline.schema.grants import Grant
from leadline.views.values import Choice


class State(StrEnum):
    """How a check came out, the worst last."""

    OK = "OK"
    UNKNOWN = "UNKNOWN"
    WARNING = "WARNING"
    WRONG = "WRONG"


@dataclass(frozen=True, slots=True)
class Finding:
    """The result of one check of one thing.

    check: the name of the check. subject: the thing that was looked at. state: `OK`, `UNKNOWN`, `WARNING` or `WRONG`.
    text: one sentence that says what it means. advice: the command or the step that mends it, empty where nothing has
    to be done.
    """

    check: str
    subject: str
    state: Choice
    text: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Missing:
    """Facts that could not be had. why: a clause in words, such as `nothing runs in /data`.

    broken: that is a fault by itself, as that of a server that should answer.
    """

    why: str
    advice: str = ""
    broken: bool = False


@dataclass(frozen=True, slots=True)
class PrivateFile:
    """A file or folder that must be its owner's alone. mode: permission bits; uid: of its owner. readable: by us."""

    path: str
    mode: int
    uid: int
    readable: bool = True


@dataclass(frozen=True, slots=True)
class Machine:
    """This machine, as far as a stack needs it. Sizes in bytes.

    python: version of this interpreter. packages: the version of each distribution that Leadline needs, empty where it
    is not installed, by its name; wanted: the least version of each. servers: the programs of the extra `local`, each
    with its path or empty. folder: the data directory, or the nearest one above it that exists; free, writable: of it.
    shared_memory: free in /dev/shm, absent where there is none. free_ports: whether ports of the loopback interface can
    be taken. synchronised: whether the kernel says that its clock is; absent where it does not say. uid: of this user.
    """

    python: tuple[int, int, int]
    packages: Mapping[str, str]
    wanted: Mapping[str, str]
    servers: Mapping[str, str]
    folder: str
    free: int
    writable: bool
    shared_memory: int | None
    free_ports: bool
    synchronised: bool | None
    uid: int
    files: tuple[PrivateFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Applied:
    """A migration that a database has had."""

    version: int
    name: str
    checksum: str


@dataclass(frozen=True, slots=True)
class Halt:
    """A halt that is in force."""

    account: str
    number: int
    source: str
    reason: str


@dataclass(frozen=True, slots=True)
class Database:
    """A database as its server tells of it.

    version: of the server, such as 180006. settings: `fsync`, `synchronous_commit` and `full_page_writes`. applied: its
    migrations, none where it has no schema. extensions: installed ones. roles: connection limit by name, of those that
    begin with `leadline_`. grants: of these roles. offset_ns: its clock less this one, uncertain by `uncertain_ns`.
    halts: in force. dead_letters: count by reader and reason. fences: why, by the strategy that is fenced off.
    """

    version: int
    settings: Mapping[str, str]
    applied: tuple[Applied, ...]
    extensions: frozenset[str]
    roles: Mapping[str, int]
    grants: frozenset[Grant]
    offset_ns: int
    uncertain_ns: int
    halts: tuple[Halt, ...] = ()
    dead_letters: Mapping[tuple[str, str], int] = field(default_factory=dict)
    fences: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stream:
    """A stream of the bus: its configuration as the server spells it, and the bytes in it."""

    config: Mapping[str, object]
    bytes: int
    messages: int


@dataclass(frozen=True, slots=True)
class Bus:
    """The bus as its server tells of it.

    version: of the server. streams: by name. lags: messages that a durable consumer has not had, by `STREAM/consumer`;
    -1 where it is missing. sync_seconds: how often the server brings what it has written to the disk, absent where its
    configuration cannot be read. offset_ns, uncertain_ns: as of a `Database`.
    """

    version: tuple[int, int, int]
    streams: Mapping[str, Stream]
    lags: Mapping[str, int]
    sync_seconds: float | None
    offset_ns: int
    uncertain_ns: int


@dataclass(frozen=True, slots=True)
class Root:
    """An instrument that is used. valid_through: the last day that its calendar knows, absent for none."""

    root: str
    calendar: str
    valid_through: date | None


@dataclass(frozen=True, slots=True)
class Dated:
    """A contract that is used. last_day: the last on which it can trade, absent for what does not expire."""

    contract: str
    last_day: date | None


@dataclass(frozen=True, slots=True)
class Account:
    """An account. executes: roots that it may execute. margins: those of them whose margin is known.

    limited: those of them that it limits by their margin. venue: of its manifest. live: it trades for real.
    """

    name: str
    venue: str
    live: bool
    executes: tuple[str, ...]
    margins: frozenset[str]
    limited: frozenset[str]


@dataclass(frozen=True, slots=True)
class Trading:
    """The trade: accounts, instruments and contracts. today: the day of this machine's clock, UTC."""

    today: date
    accounts: tuple[Account, ...]
    roots: tuple[Root, ...]
    contracts: tuple[Dated, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """A source of the tape `live`. state: such as `connected` or `stale`. reason: why it is away, else empty.

    lost: connections to it that were lost.
    """

    name: str
    state: str
    reason: str
    lost: int


@dataclass(frozen=True, slots=True)
class Services:
    """The services of a stack that runs. health: `serving`, `not serving`, or why none can ask, by workload.

    sources: of a live feed, none where the feed is another. failure: why the run has failed, empty where it has not.
    """

    health: Mapping[str, str]
    sources: tuple[Source, ...] = ()
    failure: str = ""


@dataclass(frozen=True, slots=True)
class Here:
    """All that was gathered on one machine. data_dir: as it was given. running: whether a stack runs there."""

    data_dir: str
    running: bool
    machine: Machine
    database: Database | Missing
    bus: Bus | Missing
    services: Services | Missing
    trading: Trading | Missing
