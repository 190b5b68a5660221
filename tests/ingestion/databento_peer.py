"""The process that answers for Databento, started and told what to do."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Peer:
    """Where it answers."""

    url: str

    def tell(self, *faults: dict[str, Any]) -> None:
        """Make it misbehave so from here on, and forget what it was asked."""
        body = json.dumps(faults).encode()
        with urllib.request.urlopen(f"{self.url}/tell", body, timeout=10) as answer:
            answer.read()

    def asked(self, method: str = "") -> list[dict[str, str]]:
        """What it was asked since: the fields of each call of a method, of all without a name."""
        with urllib.request.urlopen(f"{self.url}/asked", timeout=10) as answer:
            found: list[dict[str, str]] = json.load(answer)
        return [each for each in found if method in ("", each["method"])]


@contextmanager
def started() -> Iterator[Peer]:
    """The process, until this is left."""
    command = [sys.executable, "-m", "tests.ingestion.databento_server"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Peer(f"http://127.0.0.1:{process.stdout.readline().strip()}")
        finally:
            process.stdin.close()
            process.wait(timeout=10)
