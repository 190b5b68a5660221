"""A service of the platform, as its process starts: the code of that service is loaded, and no other.

A stack has a dozen such processes, and every restart waits for what they load.
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from leadline.cli.sparing import without

# `NAME --settings FILE`, as it is written wherever a service is started by a program.
_WORDS: Final = 3


def main(words: Sequence[str]) -> None:
    """Run `leadline service` with these words after it; the process ends with its exit code."""
    if len(words) == _WORDS and words[1] == "--settings" and words[2] and not words[0].startswith("-"):
        sys.exit(run(words[0], Path(words[2])))
    from leadline.cli.main import run as run_command  # noqa: PLC0415 - other ways to write it, and its help

    sys.exit(run_command(["service", *words]))


def run(name: str, settings: Path) -> int:
    """Run one service until SIGTERM or SIGINT. Returns its exit code."""
    # Libraries load these where they are installed, and a service has no use for them: nats for its way over
    # WebSockets, structlog to draw errors on terminals, jwt for tokens that are signed with a key pair.
    with without("aiohttp", "cryptography", "rich"):
        from leadline.runtime.main import run_service  # noqa: PLC0415 - only what is needed
    return run_service(name, settings)


if __name__ == "__main__":
    main(sys.argv[1:])
