"""Free ports of the loopback interface that stay free for a service that restarts."""

import socket
import zlib
from pathlib import Path
from typing import Final

from leadline.model.errors import LeadlineError

LOOPBACK: Final = "127.0.0.1"
_FIRST: Final = 20_000
_EPHEMERAL: Final = Path("/proc/sys/net/ipv4/ip_local_port_range")
_EPHEMERAL_DEFAULT: Final = 32_768


def free_ports(count: int, seed: str) -> list[int]:
    """`count` ports on which nothing listens, below those that the kernel gives to outgoing connections.

    A port that the kernel may give away could be gone when a service that died wants it again. `seed` (the data
    directory) spreads the stacks of one machine over the range. Raises LeadlineError when there are not enough.
    """
    span = _first_ephemeral() - _FIRST
    start = zlib.crc32(seed.encode())
    found: list[int] = []
    for step in range(span):
        if len(found) == count:
            return found
        port = _FIRST + (start + step) % span
        if _is_free(port):
            found.append(port)
    raise LeadlineError(f"fewer than {count} free ports from {_FIRST} to {_FIRST + span - 1} on {LOOPBACK}")


def _first_ephemeral() -> int:
    try:
        first = int(_EPHEMERAL.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        return _EPHEMERAL_DEFAULT
    # A machine that gives away nearly all ports leaves no better choice than its own upper half.
    return first if first > _FIRST + 1000 else _EPHEMERAL_DEFAULT


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
