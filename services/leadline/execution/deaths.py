"""What ends an account's process, and ends it again: the account is halted then, and says why."""

from contextlib import suppress
from pathlib import Path
from typing import Final

import orjson

from leadline.execution.kill_switch import KillSwitch
from leadline.model.halts import HaltSource, printable

DEATHS: Final = 2
"""So many processes in a row may fail at one instant."""


def note_death(file: Path, switch: KillSwitch, instant_ns: int, error: Exception) -> None:
    """Count a failure of the loop at an instant, and halt the account at the second in a row.

    The next process meets the same. It protects what is open as far as it comes, and enters nothing.
    """
    deaths = 1 + _deaths(file, instant_ns)
    with suppress(OSError):  # a full disk does not hide the error that is being told
        file.write_bytes(orjson.dumps({"instant_ns": instant_ns, "deaths": deaths}))
    if deaths >= DEATHS:
        words = printable(f"{type(error).__name__}: {error}")
        reason = f"{DEATHS} processes in a row failed at the instant {instant_ns}: {words}"
        switch.halt(HaltSource.POISON, reason, "execution")


def _deaths(file: Path, instant_ns: int) -> int:
    """How many processes before this one failed at the instant, one after the other."""
    try:
        stored = orjson.loads(file.read_bytes())
        return int(stored["deaths"]) if stored["instant_ns"] == instant_ns else 0
    except (OSError, ValueError, KeyError, TypeError):
        return 0
