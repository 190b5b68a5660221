"""Markdown for the generators of pages."""

from collections.abc import Sequence


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [_line(heads), _line(["---"] * len(heads)), *map(_line, rows)]
    return "\n" + "\n".join(lines) + "\n\n"


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", r"\|").replace("\n", " ") for cell in cells) + " |"


def code(value: object) -> str:
    """A value in the type of code; nothing for nothing."""
    return f"`{value}`" if str(value) else ""


def codes(values: Sequence[object]) -> str:
    """Values in the type of code, separated by commas."""
    return ", ".join(code(value) for value in values)
