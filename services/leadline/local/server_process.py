"""A server process of this machine: started with its parent's fate, watched, and stopped for certain."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from leadline.local.child import dies_with_parent
from leadline.model.errors import LeadlineError

STOP_GRACE_SECONDS: Final = 15.0
MAX_LOG_BYTES: Final = 8 * 1024 * 1024
_TAIL_BYTES: Final = 2000


class ServerFailed(LeadlineError):
    """A server did not start or did not stay up. The message ends with the last of its log."""


class ServerProcess:
    """One server, in a session of its own so that Ctrl-C does not reach it, with its output in `log`.

    It gets the signal `death` when this process dies.
    """

    def __init__(self, name: str, log: Path, death: signal.Signals) -> None:
        self._name = name
        self._log = log
        self._death = death
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        """Its process id, None while it is down."""
        return None if self._process is None or self._process.poll() is not None else self._process.pid

    def start(self, argv: Sequence[str], env: Mapping[str, str] | None = None) -> None:
        """Start it; whether it works is the caller's to find out. Raises OSError when it cannot be run."""
        assert self.pid is None, f"{self._name} runs already"
        self._log.parent.mkdir(parents=True, exist_ok=True)
        if self._log.exists() and self._log.stat().st_size > MAX_LOG_BYTES:
            self._log.replace(self._log.with_name(self._log.name + ".1"))
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: S603 - the command line is our own
                dies_with_parent(argv, self._death),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                env=None if env is None else dict(env),
            )

    def stop(self, how: signal.Signals, grace_seconds: float = STOP_GRACE_SECONDS) -> None:
        """Send `how` and wait; after the grace SIGKILL to its whole session. Idempotent."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(how)
        try:
            process.wait(grace_seconds)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def check(self) -> None:
        """Raises ServerFailed when it has ended."""
        if self._process is None or self._process.poll() is not None:
            code = None if self._process is None else self._process.returncode
            raise self.failure(f"ended with code {code}")

    def failure(self, what: str) -> ServerFailed:
        """An error that says what happened and shows the last of the log."""
        tail = self._log.read_bytes()[-_TAIL_BYTES:].decode(errors="replace") if self._log.exists() else ""
        return ServerFailed(f"{self._name} {what}; {self._log}:\n{tail}")
