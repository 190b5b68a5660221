"""Halts as what a transaction stores of them, and as lines of the audit."""

from typing import Any

from leadline.execution.core.book import Book, Changes, note
from leadline.execution.core.halts import Clearing
from leadline.model.halts import Halt


def note_halt(book: Book, changes: Changes, halt: Halt) -> None:
    """Store a halt, and tell of it."""
    changes.halts.append(halt)
    note(book, changes, "halt", _key(halt), 1, {"halted": True, **_facts(halt)})


def note_clearing(book: Book, changes: Changes, clearing: Clearing) -> None:
    """Store that a halt is in force no more, and tell of it."""
    changes.cleared.append(clearing)
    body = {"halted": False, **_facts(clearing.halt), "cleared_by": clearing.by, "clear_reason": clearing.reason}
    note(book, changes, "halt", _key(clearing.halt), 2, body)


def _key(halt: Halt) -> str:
    return f"halt-{halt.number}"


def _facts(halt: Halt) -> dict[str, Any]:
    return {"number": halt.number, "source": halt.source.value, "reason": halt.reason, "by": halt.by}
