"""Ports of the loopback interface for servers that come and go, which nobody else gets meanwhile."""

import socket
import zlib
from pathlib import Path
from typing import Final, Self

from leadline.model.errors import LeadlineError

LOOPBACK: Final = "127.0.0.1"
_FIRST: Final = 20_000
_EPHEMERAL: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_EPHEMERAL_DEFAULT: Final = 32_768


class Ports:
    """Gives out ports and keeps each until `close`, below those that the kernel gives to outgoing connections.

    A socket that never listens holds the port: a server that sets SO_REUSEADDR, as nearly all do, can listen on it, go
    and come again, and another holder cannot take it. `seed` (a directory) spreads the stacks of one machine over the
    range, so that a client of one that is gone does not meet another.
    """

    def __init__(self, seed: str) -> None:
        self._span = _first_ephemeral() - _FIRST
        self._next = zlib.crc32(seed.encode())
        self._holders: list[socket.socket] = []

    def take(self, *, one_user: bool = False) -> int:
        """A port that was nobody's. Raises LeadlineError when there is none.

        While its server is down another user's server can take it, so that clients must look whom they talk to. Not so
        with `one_user`: such a port is for a server that sets SO_REUSEPORT, which the kernel grants to one user only.
        """
        for _ in range(self._span):
            port = _FIRST + self._next % self._span
            self._next += 1
            holder = _hold(port, socket.SO_REUSEPORT if one_user else socket.SO_REUSEADDR)
            if holder is not None:
                self._holders.append(holder)
                return port
        raise LeadlineError(f"there is no free port from {_FIRST} to {_FIRST + self._span - 1} on {LOOPBACK}")

    def close(self) -> None:
        """Give the ports back. Idempotent."""
        for holder in self._holders:
            holder.close()
        self._holders.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _first_ephemeral() -> int:
    try:
        first = int(_EPHEMERAL.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return _EPHEMERAL_DEFAULT
    # A machine that gives away nearly all ports leaves no better choice than its own upper half.
    return first if first > _FIRST + 1000 else _EPHEMERAL_DEFAULT


def _hold(port: int, shared_by: int) -> socket.socket | None:
    holder = socket.socket()
    try:
        # Alone on it: the option is set only afterwards, for the server that may share it.
        holder.bind((LOOPBACK, port))
    except OSError:
        holder.close()
        return None
    holder.setsockopt(socket.SOL_SOCKET, shared_by, 1)
    return holder
