"""A whole `leadline up` in a process of its own, and the power to kill its parts."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
MES = ROOT / "examples" / "mes-orderflow.yaml"
SERVING = "naming the strategies"
STARTED = "Ctrl-C stops it"
LONGEST_RUN_SECONDS = 200
LAST_WORDS = 1500


@dataclass(frozen=True)
class Ended:
    """What a run came to: its reports, and how many of the kills found their part at work."""

    reports: list[dict[str, Any]]
    killed: int

    @property
    def report(self):
        return self.reports[0]

    @property
    def digest(self):
        return self.report["digest"]


def pids_of(data_dir: Path, part: str) -> list[int]:
    """Processes of one part of the stack: a workload's name, `nats` or `postgres`; none when it is named wrongly."""
    needle = {"nats": f"{data_dir}/nats", "postgres": f"{data_dir}/postgres"}.get(
        part, f"{data_dir}/settings/{part}.json"
    )
    found = []
    for entry in Path("/proc").iterdir():
        try:
            command = (entry / "cmdline").read_bytes() if entry.name.isdigit() else b""
        except OSError:
            continue  # it has ended meanwhile
        if any(argument.startswith(needle.encode()) for argument in command.split(b"\0")):
            found.append(int(entry.name))
    return sorted(found)


def last_words(data_dir: Path) -> str:
    """The end of every log of a stack."""
    logs = sorted([*data_dir.glob("logs/*.log"), *data_dir.glob("*/server.log")])
    return "".join(f"\n{log.name} of {log.parent.name}:\n{log.read_text()[-LAST_WORDS:]}" for log in logs)


async def run_stack(
    manifest: Path,
    data_dir: Path,
    *arguments: str,
    kills: Sequence[tuple[float, str]] = (),
    starting: Callable[[Path], None] | None = None,
    longest: float = LONGEST_RUN_SECONDS,
) -> Ended:
    """Run a manifest to the end of its tape, with SIGKILL to a part so many seconds after the prints begin.

    `kills`: pairs of seconds and part, in their order. `starting` is called with the data directory when every service
    serves and no print flows. A run that takes longer than `longest` seconds has failed.
    """
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "leadline.cli.main", "up", "-f", str(manifest), "--data-dir", str(data_dir)),
        *("--until-end", "--no-live", "--output", "json", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    said = []
    killed = 0
    try:
        async with asyncio.timeout(longest):
            reading = asyncio.create_task(process.stdout.read())
            line = ""
            while STARTED not in line:
                line = (await process.stderr.readline()).decode()
                said.append(line)
                assert line, "".join(said)
                if SERVING in line and starting is not None:
                    starting(data_dir)
            rest = asyncio.create_task(process.stderr.read())
            clock = asyncio.get_running_loop()
            begun = clock.time()
            for moment, part in kills:
                await asyncio.sleep(begun + moment - clock.time())
                found = pids_of(data_dir, part)
                for pid in found:
                    os.kill(pid, signal.SIGKILL)
                killed += bool(found)
            out = await reading
            said.append((await rest).decode())
            code = await process.wait()
    except TimeoutError:
        raise AssertionError(f"no end within {longest} s; {last_words(data_dir)}") from None
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
    assert code == 0, "".join(said)
    return Ended(json.loads(out)["reports"], killed)
