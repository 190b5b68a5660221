"""The errors of the platform: one root, and a child for each thing a caller can do about it.

`InvalidInput` says what was wrong with a value that somebody handed in; `Unknown` says that a name or a day is not
known here. Neither is ever answered by a default. `Unavailable`, `Refused` and `NotAdmitted` are what becomes of a
question to another part of the platform.
"""

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal
from typing import ClassVar, Final


class LeadlineError(Exception):
    """Root of every error that Leadline raises on purpose.

    Its type says what a caller can do. again_after_s: after how many seconds it is worth asking again, None when the
    answer would be the same. grpc_status: the name of the gRPC status that tells a caller elsewhere the same.
    """

    again_after_s: ClassVar[float | None] = None
    grpc_status: ClassVar[str] = "FAILED_PRECONDITION"


class InvalidInput(LeadlineError, ValueError):
    """A value that cannot be accepted.

    field: where the value stands, as its author wrote it (`spec.bars`, `price`).
    value: what was found there, None when nothing was. Never pass a secret.
    expected: what would have been accepted, in words.
    """

    grpc_status: ClassVar[str] = "INVALID_ARGUMENT"

    def __init__(self, field: str, value: object, expected: str) -> None:
        super().__init__(field, value, expected)
        self.field = field
        self.value = value
        self.expected = expected

    def __str__(self) -> str:
        return f"{_one_line(self.field)}: got {shown(self.value)}, expected {_one_line(self.expected)}"


def shown(value: object) -> str:
    """A value that was found, as its author would write it; of a long one the beginning."""
    return "nothing" if value is None else _cut(_written(value), LONGEST_SHOWN)


def _written(value: object) -> str:
    """A value as a manifest writes it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{name}: {_written(each)}' for name, each in value.items())}}}"
    if isinstance(value, list | tuple | set | frozenset):
        parts = list(map(_written, value))
        return f"[{', '.join(parts if isinstance(value, list | tuple) else sorted(parts))}]"
    return str(value) if isinstance(value, Decimal | date) else repr(value)


def _one_line(text: str) -> str:
    """The words of a sentence, which may have a name in them that somebody made up: as code writes it where it must."""
    return _cut(text if text.isprintable() else repr(text)[1:-1], LONGEST_WORDS)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}..."


class Unknown(LeadlineError, LookupError):
    """A name, a symbol or a calendar day that the platform does not know.

    kind: what was looked up (`instrument`, `calendar`, `calendar day`).
    value: the name that was asked for.
    known: what could have been asked for instead, in the order to show it; may be empty.
    """

    grpc_status: ClassVar[str] = "NOT_FOUND"

    def __init__(self, kind: str, value: object, known: tuple[str, ...] = ()) -> None:
        super().__init__(kind, value, known)
        self.kind = kind
        self.value = value
        self.known = known

    def __str__(self) -> str:
        message = f"unknown {self.kind} {self.value!r}"
        return f"{message}, known: {', '.join(self.known)}{self.hint}" if self.known else message

    @property
    def hint(self) -> str:
        """Words for behind what is known: a known name, or a contract of one, that was written in other letters."""
        text = str(self.value)
        near = next((each for each in self.known if each.casefold() == text.casefold()), "")
        if not near and any(re.fullmatch(rf"{re.escape(each)}[F-Z][0-9]{{1,4}}", text.upper()) for each in self.known):
            near = text.upper()
        return f"; did you mean {near}?" if near not in ("", text) else ""


def error_text(error: Exception) -> str:
    """An error as people read it: one of a file names the file first, and leaves the system's number out."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {reason_of(error)}"
    return str(error)


def reason_of(error: OSError) -> str:
    """The operating system's message of an error, without its number and the name of the file."""
    text = error.strerror or str(error)
    return f"{text[:1].lower()}{text[1:]}"


def is_utf8(text: str) -> bool:
    """Whether a text can go into files, tables and messages, all of which are UTF-8. Names of files need not be."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


class PartFailed(LeadlineError):
    """Another part of the platform did not do what it was asked. part: which one, empty when nobody said."""

    def __init__(self, message: str, part: str = "") -> None:
        super().__init__(message, part)
        self.part = part

    def __str__(self) -> str:
        return str(self.args[0])


class Unavailable(PartFailed):
    """A part does not answer now. Nothing is known of what was asked; asking again is safe unless it was a submit."""

    again_after_s: ClassVar[float | None] = 0.25
    grpc_status: ClassVar[str] = "UNAVAILABLE"


class Refused(PartFailed):
    """A part answered, and the answer was no: the same question gets the same answer."""


class NotTaken(Refused):
    """The database does not take what is written, because of its content: nobody else's doing, now or later."""


class NotAdmitted(Refused):
    """A part does not let this process in, whatever it asks: a key, a role or a version does not fit.

    That is no fault of the question. Somebody has to put it right, so it is asked again, and said meanwhile.
    """

    again_after_s: ClassVar[float | None] = 1.0
    grpc_status: ClassVar[str] = "UNAVAILABLE"


class GivenUp(LeadlineError):
    """Work that ends for good: started again with the same input, it would end the same way."""


class RefusedMessage(LeadlineError, ValueError):
    """A message that its reader cannot use, or must not.

    reason: one of few fixed words, for metrics and tables. detail: where it is wrong, in one printable line of bounded
    length, for it is stored, shown and sent on, and may hold what came with the message.
    """

    grpc_status: ClassVar[str] = "INVALID_ARGUMENT"

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = "".join(each if each.isprintable() else " " for each in detail[:LONGEST_DETAIL]).strip()

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"


LONGEST_DETAIL: Final = 500
LONGEST_SHOWN: Final = 300
LONGEST_WORDS: Final = 1_000
