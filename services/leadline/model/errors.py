"""The errors of the platform: one root, and a child for each thing a caller can do about it.

`InvalidInput` says what was wrong with a value that somebody handed in; `Unknown` says that a name or a day is not
known here. Neither is ever answered by a default.
"""


class LeadlineError(Exception):
    """Root of every error that Leadline raises on purpose."""


class InvalidInput(LeadlineError, ValueError):
    """A value that cannot be accepted.

    field: where the value stands, as its author wrote it (`spec.bars`, `price`).
    value: what was found there, None when nothing was. Never pass a secret.
    expected: what would have been accepted, in words.
    """

    def __init__(self, field: str, value: object, expected: str) -> None:
        super().__init__(field, value, expected)
        self.field = field
        self.value = value
        self.expected = expected

    def __str__(self) -> str:
        got = "nothing" if self.value is None else repr(self.value)
        return f"{self.field}: got {got}, expected {self.expected}"


class Unknown(LeadlineError, LookupError):
    """A name, a symbol or a calendar day that the platform does not know.

    kind: what was looked up (`instrument`, `calendar`, `calendar day`).
    value: the name that was asked for.
    known: what could have been asked for instead, in the order to show it; may be empty.
    """

    def __init__(self, kind: str, value: object, known: tuple[str, ...] = ()) -> None:
        super().__init__(kind, value, known)
        self.kind = kind
        self.value = value
        self.known = known

    def __str__(self) -> str:
        message = f"unknown {self.kind} {self.value!r}"
        return f"{message}, known: {', '.join(self.known)}" if self.known else message
