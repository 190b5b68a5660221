"""Text of others (reasons, names, errors of venues) as text: nothing in it is obeyed by a terminal or starts a line."""

import unicodedata
from typing import Final

from rich.text import Text

# Control characters, marks that turn the direction of what follows, and separators of lines and paragraphs.
_UNSEEN: Final = frozenset({"Cc", "Cf", "Zl", "Zp", "Cs", "Co"})


def printable(value: object) -> str:
    """The text of a value with every character that a terminal would obey, and not show, written as an escape."""
    text = str(value)
    if text.isprintable():
        return text
    return "".join(_shown(character) for character in text)


def plain_text(value: object, style: str = "") -> Text:
    """The same as a piece that a console draws as it is: brackets in it are no markup."""
    return Text(printable(value), style=style)


def _shown(character: str) -> str:
    if unicodedata.category(character) not in _UNSEEN:
        return character
    return character.encode("unicode_escape", "surrogatepass").decode("ascii")
