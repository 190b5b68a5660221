"""The data directory of a stack on this machine: where everything lies, who may read it, and who holds it."""

import fcntl
import os
import pwd
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import orjson

from leadline.model.errors import InvalidInput, LeadlineError, is_utf8, reason_of
from leadline.runtime.files import write_whole

_SECRET_BYTES: Final = 32
_OTHERS: Final = 0o077
_MARKS: Final = ("token.key", "stack.json")


class DataDirInUse(LeadlineError):
    """Another `leadline up` holds the data directory."""


class NotPrivate(LeadlineError):
    """Somebody else could read or replace what lies in a folder or file that must be this user's alone."""


def check_private(path: Path) -> None:
    """Raises NotPrivate unless `path`, a folder or a file, is this user's and closed to all others; OSError.

    A link is refused, and so is a place below a folder in which everybody may rename what is there.
    """
    found = path.lstat()
    if stat.S_ISLNK(found.st_mode):
        raise NotPrivate(f"{path} is a link: name the folder or file itself")
    if found.st_uid != os.geteuid():
        raise NotPrivate(f"{path} belongs to {user_name(found.st_uid)}, not to {user_name(os.geteuid())}: use another")
    if found.st_mode & _OTHERS:
        mode = stat.S_IMODE(found.st_mode)
        # Only a folder of ours is closed by whoever follows the advice: `chmod 0700 /` ends a machine.
        advice = f"chmod {mode & ~_OTHERS:04o} {path}" if _is_ours(path) else "name a folder for Leadline alone"
        raise NotPrivate(f"{path} has mode {mode:04o}, so others may open it: {advice}")
    for parent in path.absolute().parents:
        above = parent.stat()
        if above.st_mode & stat.S_IWOTH and not above.st_mode & stat.S_ISVTX:
            raise NotPrivate(f"{path} lies below {parent}, where everybody may rename what is there: use another place")


def _is_ours(path: Path) -> bool:
    """Whether a folder, or that of a file, is a data directory by what lies in it."""
    folder = path if path.is_dir() else path.parent
    return any((folder / name).exists() for name in _MARKS)


def user_name(uid: int) -> str:
    """The login name of a user id; `user 1234` where the machine knows none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"


def default_data_dir() -> Path:
    """Where a stack lives when nobody says: `$XDG_DATA_HOME/leadline`, else `~/.local/share/leadline`.

    Raises InvalidInput for a user who has no home folder.
    """
    base = os.environ.get("XDG_DATA_HOME")
    try:
        return (Path(base) if base else Path.home() / ".local" / "share") / "leadline"
    except RuntimeError:
        raise InvalidInput("--data-dir", None, "a folder: this user has no home folder to have one in") from None


def default_catalog() -> Path:
    """Where the catalog is when nobody says: beside the default data directory. Several stacks may use one catalog."""
    return default_data_dir().with_name("leadline-catalog")


def default_studies() -> Path:
    """Where sweeps are kept when nobody says: beside the default data directory."""
    return default_data_dir().with_name("leadline-studies")


def placed_at(path: Path | str) -> Path:
    """Where a path of somebody lies, from the root on. `~` is the home folder; of nobody's, it stays as it is."""
    return Path(os.path.expanduser(path)).absolute()  # noqa: PTH111 - that of pathlib raises RuntimeError


def write_private(path: Path, data: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    write_whole(path, data, private=True)


def _ensure_secret(path: Path) -> None:
    if not os.path.lexists(path):
        write_private(path, secrets.token_urlsafe(_SECRET_BYTES).encode())
    check_private(path)


class DataDir:
    """Names inside the data directory. Folders are 0700 and made on the way; nothing here is written by services.

    What another user made, or others may open, is refused: NotPrivate.
    """

    def __init__(self, root: Path) -> None:
        self.root = placed_at(root)

    @property
    def token_key_file(self) -> Path:
        """The key that signs and checks tokens, 0600."""
        return self.root / "token.key"

    @property
    def metrics_token_file(self) -> Path:
        """The token that a reader of metrics shows, 0600."""
        return self.root / "metrics.token"

    @property
    def stack_file(self) -> Path:
        """Addresses of the running stack, 0600; absent when nothing runs."""
        return self.root / "stack.json"

    @property
    def instruments_file(self) -> Path:
        """The instruments beside the package's sheet that the stack runs with, 0600; absent when it has none."""
        return self.root / "instruments.json"

    @property
    def instruments_dir(self) -> Path:
        """Where people put files of instruments for every start of this stack; nobody makes it for them."""
        return self.root / "instruments.d"

    @property
    def nats_dir(self) -> Path:
        """Folder of the NATS server."""
        return self._folder("nats")

    @property
    def postgres_dir(self) -> Path:
        """Folder of PostgreSQL."""
        return self._folder("postgres")

    def settings_file(self, workload: str) -> Path:
        """The settings that a workload is started with, 0600."""
        return self._folder("settings") / f"{workload}.json"

    def log_file(self, name: str) -> Path:
        """Log file of a process."""
        return self._folder("logs") / f"{name}.log"

    def volume(self, workload: str) -> Path:
        """The folder that a workload keeps its own files in."""
        return self._folder("volumes") / workload

    def results_dir(self, kind: str) -> Path:
        """The folder of the results of a kind that are kept here; nobody makes it for those who only read."""
        return self.root / kind

    def make_results_dir(self, kind: str) -> Path:
        """As `results_dir`, made with the directory where it is missing. Raises NotPrivate, InvalidInput, OSError."""
        self._make_root()
        return self._folder(kind)

    def ensure_token_key(self) -> None:
        """Make the key that signs tokens when there is none. Raises NotPrivate for one that others may open."""
        _ensure_secret(self.token_key_file)

    def ensure_metrics_token(self) -> None:
        """Make the token of those who read metrics when there is none. Raises as `ensure_token_key`."""
        _ensure_secret(self.metrics_token_file)

    def write_stack(self, stack: dict[str, Any]) -> None:
        """Publish the addresses of the running stack to the other commands."""
        write_private(self.stack_file, orjson.dumps(stack, option=orjson.OPT_INDENT_2))

    def write_instruments(self, document: str) -> Path | None:
        """Keep the instruments that the stack runs with for its services and the commands; empty: it has none."""
        if not document:
            self.instruments_file.unlink(missing_ok=True)
            return None
        write_private(self.instruments_file, document.encode())
        return self.instruments_file

    def check(self) -> None:
        """Raises NotPrivate when the directory, or a secret in it, is not this user's alone. Absent ones are fine."""
        for path in (self.root, self.token_key_file, self.metrics_token_file):
            with suppress(FileNotFoundError):
                check_private(path)

    @contextmanager
    def hold(self) -> Iterator[None]:
        """Make the directory and hold it. Raises DataDirInUse when another process does, NotPrivate.

        The lock is the kernel's: it goes with the process that holds it, however that ends.
        """
        self._make_root()
        descriptor = os.open(self.root / "up.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.pread(descriptor, 32, 0).decode().strip() or "unknown"
                raise DataDirInUse(
                    f"{self.root} is held by `leadline up` with pid {holder}: stop it, or take another --data-dir"
                ) from None
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
            yield
        finally:
            os.close(descriptor)

    def _make_root(self) -> None:
        if not is_utf8(str(self.root)):
            raise InvalidInput("data_dir", str(self.root), "a folder whose path is UTF-8")
        try:
            self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            expected = f"a folder, or a place where one can be made ({reason_of(error)})"
            raise InvalidInput("data_dir", str(self.root), expected) from None
        if self.root.stat().st_uid == os.geteuid() and not any(self.root.iterdir()):
            self.root.chmod(0o700)  # made by hand just now, with the mode that folders get
        self.check()

    def _folder(self, name: str) -> Path:
        folder = self.root / name
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        check_private(folder)
        return folder
