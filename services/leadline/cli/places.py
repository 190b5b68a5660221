"""Places in which a command is to write a file, looked at before anything is done for it."""

from pathlib import Path
from tempfile import TemporaryFile

from leadline.model.errors import InvalidInput, reason_of


def check_place(path: Path, option: str) -> None:
    """Whether a page can be written there, before anything is done for it. Nothing is left behind.

    Raises InvalidInput that names the option.
    """
    try:
        if path.is_dir():
            raise InvalidInput(option, str(path), "a file, and this is a folder: name a file in it")
        folder = next(each for each in path.absolute().parents if each.exists())
        if not folder.is_dir():
            raise InvalidInput(option, str(path), f"a file in a folder, and {folder} is none")
        if path.exists():
            path.open("ab").close()
        else:
            TemporaryFile(dir=folder).close()
    except OSError as error:
        raise InvalidInput(option, str(path), f"a place for a file ({reason_of(error)})") from None
