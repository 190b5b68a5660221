"""The places of a shard's prints and results: folders of a claim that is mounted, or of a bucket.

What a bucket has is copied to the Pod's own disk, and what is new there is copied back: an object is there whole or not
at all, and the one that says that a result is complete comes last.
"""

from collections.abc import Callable, Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Final

from leadline.backtest.store import ABOUT
from leadline.model.errors import InvalidInput
from leadline.model.manifest.backtest_spec import Bucket, Place

KEYS: Final = ("accessKeyId", "secretAccessKey")
_CONNECT_SECONDS: Final = 10.0
_REQUEST_SECONDS: Final = 60.0
_BLOCK: Final = 1 << 20


class Files:
    """The files of a place, as a folder of this machine: `root`. On a claim they are there."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def pull(self, wanted: Callable[[PurePosixPath], bool]) -> None:
        """Have the files at hand whose paths below the place are wanted.

        Raises OSError, and InvalidInput for a wanted object whose key is no path of a file below the place.
        """

    def push(self, folder: Path, derived: Collection[Path] = ()) -> None:
        """Have the files of a folder below `root` in the place. Raises OSError.

        derived: those that may have other bytes than before, and take the place of what is there.
        """


class BucketFiles(Files):
    """The files of a folder in a bucket. secrets: the folder with the two keys. Raises InvalidInput, OSError."""

    def __init__(self, root: Path, place: Place, secrets: Path) -> None:
        super().__init__(root)
        bucket = place.bucket
        assert bucket is not None
        self._files = _filesystem(bucket, secrets)
        self._base = PurePosixPath(bucket.name, *([place.path] if place.path else []))

    def pull(self, wanted: Callable[[PurePosixPath], bool]) -> None:
        """See `Files`."""
        for key, size in self._listed():
            path = PurePosixPath(key)
            if not wanted(path):
                continue
            if str(path) != key or path.is_absolute() or ".." in path.parts:
                raise InvalidInput(
                    f"s3://{self._base}", key, "keys that are paths of files, without empty parts or dots"
                )
            file = self.root / path
            if file.exists() and file.stat().st_size == size:
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            with self._files.open_input_stream(str(self._base / path)) as source, file.open("wb") as into:
                while block := source.read(_BLOCK):
                    into.write(block)
            if file.stat().st_size != size:
                raise OSError(f"{self._base / path}: {file.stat().st_size} bytes came of {size}")

    def push(self, folder: Path, derived: Collection[Path] = ()) -> None:
        """See `Files`. What else is there already is the same, and stays."""
        there = {PurePosixPath(key) for key, _ in self._listed()}
        files = [each for each in folder.rglob("*") if each.is_file()]
        files.sort(key=lambda each: (each.name == ABOUT, each))
        for file in files:
            path = PurePosixPath(file.relative_to(self.root))
            if file.name.startswith(".") or (path in there and file not in derived):
                continue
            content = file.read_bytes()
            if path in there and self._read(path) == content:
                continue
            with self._files.open_output_stream(str(self._base / path)) as into:
                into.write(content)

    def _read(self, path: PurePosixPath) -> bytes:
        with self._files.open_input_stream(str(self._base / path)) as source:
            found: bytes = source.read()
        return found

    def _listed(self) -> Iterator[tuple[str, int]]:
        """The keys below the place as they are, and the bytes of their objects."""
        from pyarrow import fs  # noqa: PLC0415 - a claim needs nothing of it

        for each in self._files.get_file_info(fs.FileSelector(str(self._base), recursive=True, allow_not_found=True)):
            if each.is_file:
                yield each.path.removeprefix(f"{self._base}/"), each.size


def files_of(place: Place, mounted: Path, scratch: Path, secrets: Path) -> Files:
    """The files of a place: those of a claim where it is mounted, those of a bucket in a folder of their own."""
    return Files(mounted) if place.bucket is None else BucketFiles(scratch, place, secrets)


def _filesystem(bucket: Bucket, secrets: Path) -> Any:
    from pyarrow import fs  # noqa: PLC0415 - as above

    access, secret = (_key(secrets / name) for name in KEYS)
    scheme, _, endpoint = (bucket.endpoint or "https://").partition("://")
    return fs.S3FileSystem(
        access_key=access,
        secret_key=secret,
        region=bucket.region or "us-east-1",
        scheme=scheme,
        endpoint_override=endpoint or None,
        connect_timeout=_CONNECT_SECONDS,
        request_timeout=_REQUEST_SECONDS,
    )


def _key(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        expected = f"a Secret with the keys {' and '.join(KEYS)}"
        raise InvalidInput("bucket.secretName", file.name, expected) from None
