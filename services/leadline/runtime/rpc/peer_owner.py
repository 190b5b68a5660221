"""The owner of the process at the other end of a connection on this machine."""

import socket
import sys
from pathlib import Path
from typing import Final

_TABLE: Final = Path("/proc/net/tcp")
_LOCAL, _REMOTE, _OWNER = 1, 2, 7


def peer_owner(connection: socket.socket) -> int | None:
    """The user id that owns the other end of an IPv4 connection of this machine; None when it is not on this machine.

    A connection that its server has not accepted yet belongs to user 0 in the kernel's table: ask after it has spoken.
    """
    mine, theirs = _entry(*connection.getsockname()), _entry(*connection.getpeername())
    for line in _TABLE.read_text().splitlines()[1:]:
        fields = line.split()
        if fields[_LOCAL] == theirs and fields[_REMOTE] == mine:
            return int(fields[_OWNER])
    return None


def _entry(address: str, port: int) -> str:
    """An address as the kernel writes it: the number as it lies in the memory of this machine."""
    return f"{int.from_bytes(socket.inet_aton(address), sys.byteorder):08X}:{port:04X}"
