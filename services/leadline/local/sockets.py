"""Private folders for sockets. The kernel takes short paths only, and a data directory may have a long one."""

import hashlib
import os
import secrets
import stat
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Final

from leadline.local.data_dir import check_private

# The kernel's limit on the path of a socket.
_LONGEST_PATH: Final = 107
_TMP: Final = Path("/tmp")  # noqa: S108 - the folder in it is made private, or refused


def socket_folder(directory: Path, longest_name: int) -> Path:
    """Where the sockets of `directory` lie: the same path each time, short enough for names of so many bytes.

    It is below $XDG_RUNTIME_DIR where that is this user's, else below the temporary directory. Where somebody else
    holds that name already, it is a path that nobody can know before.
    """
    name = f"leadline-{os.getuid()}-{hashlib.blake2b(bytes(directory), digest_size=6).hexdigest()}"
    for parent in _parents():
        folder = parent / name
        if len(bytes(folder)) + 1 + longest_name > _LONGEST_PATH:
            continue
        return folder if _free_or_mine(folder) else parent / f"leadline-{os.getuid()}-{secrets.token_hex(6)}"
    raise AssertionError(f"a folder right below {_TMP} is short enough")


def make_private(folder: Path) -> None:
    """Make `folder` for this user alone. Raises NotPrivate when it is somebody else's."""
    with suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    if _free_or_mine(folder):
        folder.chmod(0o700)
    check_private(folder)


def _parents() -> list[Path]:
    named = os.environ.get("XDG_RUNTIME_DIR")
    mine = [Path(named)] if named and os.path.isabs(named) and _is_my_folder(Path(named)) else []  # noqa: PTH117
    return [*mine, Path(tempfile.gettempdir()), _TMP]


def _free_or_mine(folder: Path) -> bool:
    return not os.path.lexists(folder) or _is_my_folder(folder)


def _is_my_folder(folder: Path) -> bool:
    try:
        found = folder.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()
