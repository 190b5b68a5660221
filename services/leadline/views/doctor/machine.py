"""Checks of the machine: interpreter, packages, room, rights of files, clock."""

from collections.abc import Iterator
from typing import Final

from leadline.local.disk import LOW_BYTES, NEEDED_BYTES
from leadline.views.doctor.facts import Finding, Machine, State

OLDEST_PYTHON: Final = (3, 11)
LEAST_SHARED_MEMORY: Final = 16 << 20
"""PostgreSQL keeps what parallel workers share there."""
SHARED_MEMORY: Final = "/dev/shm"  # noqa: S108 - looked at, and not used
_OTHERS: Final = 0o077


def python(machine: Machine) -> Iterator[Finding]:
    """The interpreter is one that Leadline runs on."""
    found = ".".join(map(str, machine.python))
    if machine.python[:2] < OLDEST_PYTHON:
        oldest = ".".join(map(str, OLDEST_PYTHON))
        text = f"Python is {found}, and Leadline needs {oldest} or newer"
        yield Finding("python", found, State.WRONG, text, f"install Python {oldest} and make the environment again")
    else:
        yield Finding("python", found, State.OK, f"Python is {found}")


def packages(machine: Machine) -> Iterator[Finding]:
    """The distributions that Leadline needs are installed, each new enough."""
    bad = False
    for name, least in sorted(machine.wanted.items()):
        found = machine.packages.get(name, "")
        advice = f"python -m pip install '{name}>={least}'" if least else f"python -m pip install {name}"
        if not found:
            bad = True
            yield Finding("packages", name, State.WRONG, f"the package {name} is not installed", advice)
        elif least and _numbers(found) < _numbers(least):
            bad = True
            text = f"the package {name} is {found}, and Leadline needs {least} or newer"
            yield Finding("packages", name, State.WRONG, text, advice)
    if not bad:
        text = f"all {len(machine.wanted)} packages that Leadline needs are installed"
        yield Finding("packages", "packages", State.OK, text)


def extras(machine: Machine) -> Iterator[Finding]:
    """The servers of the extra `local` are there, which `leadline up` starts."""
    for name, path in sorted(machine.servers.items()):
        if path:
            yield Finding("extras", name, State.OK, f"{name} is installed")
        else:
            text = f"there is no {name}, so `leadline up` cannot start a stack here"
            yield Finding("extras", name, State.WARNING, text, "python -m pip install 'leadline[local]'")


def disk(machine: Machine) -> Iterator[Finding]:
    """The data directory can be written, and its disk has room for a stack."""
    folder, free = machine.folder, machine.free >> 20
    if not machine.writable:
        text = f"this user may not write in {folder}"
        yield Finding("disk", folder, State.WRONG, text, "take another --data-dir, or a folder that is yours")
        return
    advice = "make room on that disk, or take another --data-dir"
    if machine.free < LOW_BYTES:
        text = f"the disk of {folder} has {free:,} MB left, so that what is traded may not be stored"
        yield Finding("disk", folder, State.WRONG, text, advice)
    elif machine.free < NEEDED_BYTES:
        text = f"the disk of {folder} has {free:,} MB left, and a stack needs {NEEDED_BYTES >> 20} MB to start"
        yield Finding("disk", folder, State.WARNING, text, advice)
    else:
        yield Finding("disk", folder, State.OK, f"the disk of {folder} has {free:,} MB left")


def shared_memory(machine: Machine) -> Iterator[Finding]:
    """The shared memory of the machine has room for PostgreSQL."""
    found = machine.shared_memory
    if found is None:
        text = f"this machine has no {SHARED_MEMORY} that could be looked at"
        yield Finding("shared-memory", SHARED_MEMORY, State.UNKNOWN, text)
    elif found < LEAST_SHARED_MEMORY:
        text = f"{SHARED_MEMORY} has {found >> 20} MB left, and PostgreSQL may need more for large questions"
        advice = "give it 64 MB, such as with `docker run --shm-size 64m`"
        yield Finding("shared-memory", SHARED_MEMORY, State.WARNING, text, advice)
    else:
        yield Finding("shared-memory", SHARED_MEMORY, State.OK, f"{SHARED_MEMORY} has {found >> 20:,} MB left")


def ports(machine: Machine) -> Iterator[Finding]:
    """Ports of the loopback interface can be taken."""
    if machine.free_ports:
        yield Finding("ports", "127.0.0.1", State.OK, "ports of the loopback interface are free")
    else:
        text = "no port of the loopback interface can be taken, so no stack can start"
        yield Finding("ports", "127.0.0.1", State.WRONG, text, "end the programs that hold them: `ss -ltn` lists them")


def permissions(machine: Machine) -> Iterator[Finding]:
    """Keys, passwords and settings are their owner's alone."""
    bad = False
    for each in machine.files:
        if each.uid != machine.uid:
            bad = True
            text = f"{each.path} belongs to user {each.uid}, and not to user {machine.uid}, who runs this"
            yield Finding("permissions", each.path, State.WRONG, text, f"chown {machine.uid} {each.path}")
        elif each.mode & _OTHERS:
            bad = True
            text = f"{each.path} has mode {each.mode:04o}, so that others may open it"
            yield Finding("permissions", each.path, State.WRONG, text, f"chmod {each.mode & ~_OTHERS:04o} {each.path}")
        elif not each.readable:
            bad = True
            text = f"{each.path} cannot be read by its owner"
            yield Finding("permissions", each.path, State.WRONG, text, f"chmod u+r {each.path}")
    if bad:
        return
    if machine.files:
        text = f"{len(machine.files)} keys, passwords and folders are their owner's alone"
        yield Finding("permissions", machine.folder, State.OK, text)
    else:
        text = "there are no keys yet: the first start makes them"
        yield Finding("permissions", machine.folder, State.OK, text)


def synchronised(machine: Machine) -> Iterator[Finding]:
    """The kernel says that its clock is synchronised."""
    if machine.synchronised is None:
        text = "this machine does not say whether its clock is synchronised"
        yield Finding("clock-synchronised", "clock", State.UNKNOWN, text, "ask who runs the machine")
    elif machine.synchronised:
        yield Finding("clock-synchronised", "clock", State.OK, "the kernel says that its clock is synchronised")
    else:
        text = "the kernel says that nothing synchronises its clock; a live feed would be judged by a wrong time"
        yield Finding("clock-synchronised", "clock", State.WARNING, text, "start chrony or systemd-timesyncd")


def _numbers(version: str) -> tuple[int, ...]:
    """The numbers of a version, for an order: `2.1rc1` as (2, 1)."""
    found = []
    for part in version.split("."):
        digits = part[: len(part) - len(part.lstrip("0123456789"))]
        if not digits:
            break
        found.append(int(digits))
    return tuple(found)
