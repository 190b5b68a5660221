"""A whole stack as a user starts it: processes, a data directory, and a look at what is left of it."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import psutil
import structlog

from leadline.cli.main import run
from leadline.local.binding import service_sockets
from leadline.local.data_dir import DataDir
from leadline.local.local_postgres import LocalPostgres

ROOT = Path(__file__).resolve().parents[2]
MANIFEST = ROOT / "examples" / "mes-orderflow.yaml"
PATIENCE_SECONDS = 60.0


def leadline(*arguments: object, timeout: float = 120) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "leadline.cli.main", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, check=False)


def answer(*arguments: object) -> Any:
    """What a command prints as JSON. It runs in this process: to load all that it needs takes longer than it does."""
    out, err, before = io.TextIOWrapper(io.BytesIO()), io.StringIO(), structlog.get_config()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = run([*map(str, arguments), "--output", "json"])
    finally:
        structlog.configure(**before)
    assert code == 0, err.getvalue()
    out.seek(0)
    return json.loads(out.read())


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    """What the condition gives as soon as it gives something: other processes have no event to wait for."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {PATIENCE_SECONDS:g} s: {what}")


def processes_of(data: Path) -> dict[str, psutil.Process]:
    """Everything that runs for a data directory, by the last word of its name."""
    found = {}
    for process in psutil.process_iter():
        try:
            words = process.cmdline()
        except (psutil.NoSuchProcess, psutil.ZombieProcess):
            continue
        if any(str(data) in word for word in words) and process.pid != os.getpid():
            place = [word for word in words if str(data) in word][-1]
            found[Path(place).stem] = process
    return found


class Up:
    """A `leadline up` in the background, stopped at the end whatever the test does."""

    def __init__(self, data: Path, *arguments: str, nohup: bool = False) -> None:
        self.data = data
        self.log = data.with_suffix(".log")
        command = [sys.executable, "-m", "leadline.cli.main", "up", "-f", str(MANIFEST), "--data-dir", str(data)]
        with self.log.open("wb") as output:
            self.process = subprocess.Popen(
                [*(["nohup"] if nohup else []), *command, *arguments],
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def __enter__(self) -> Self:
        wait_for(lambda: (self.data / "stack.json").exists() or self.process.poll() is not None, "the stack is up")
        assert self.process.poll() is None, self.said()
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        self.process.wait(60)

    def said(self) -> str:
        return self.log.read_text()


def nothing_is_left(data: Path) -> bool:
    assert not (data / "stack.json").exists()
    assert not LocalPostgres(DataDir(data).postgres_dir).socket_directory.exists()
    assert not service_sockets(DataDir(data)).exists()
    return not processes_of(data)
