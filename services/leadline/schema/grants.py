"""The rights that the migrations give to roles, read from their text, so that a database can be held to them."""

import re
from collections.abc import Iterable
from typing import Final, NamedTuple

from leadline.schema.migrate import Migration

_STATEMENT: Final = re.compile(r"\bGRANT\s+(?P<rights>[^;]+?)\s+ON\s+(?P<on>[^;]+?)\s+TO\s+(?P<roles>[^;]+);")
_RELATION: Final = re.compile(r"\bCREATE\s+(?:TABLE|VIEW)\s+(?:IF\s+NOT\s+EXISTS\s+)?(\w+)", re.IGNORECASE)
_RIGHT: Final = re.compile(r"([A-Z]+)(?:\s*\(([^)]*)\))?")
_EVERY_TABLE: Final = "ALL TABLES IN SCHEMA public"
_VERSIONS: Final = "schema_version"


class Grant(NamedTuple):
    """A right of a role on a table, or on one column of it (`order_event.published`)."""

    role: str
    on: str
    right: str

    def __str__(self) -> str:
        return f"{self.right} on {self.on} for {self.role}"


def declared_grants(migrations: Iterable[Migration]) -> frozenset[Grant]:
    """The rights on tables and views that these migrations, in their order, give."""
    relations, found = [_VERSIONS], set()
    for migration in migrations:
        text = re.sub(r"--[^\n]*", "", migration.sql)
        for match in re.finditer(rf"{_RELATION.pattern}|{_STATEMENT.pattern}", text, re.IGNORECASE):
            if match["rights"] is None:
                relations.append(match[1])
            elif (names := _names(match["on"], relations)) is not None:
                rights = [(each[1].upper(), each[2]) for each in _RIGHT.finditer(match["rights"])]
                found |= {
                    Grant(role.strip(), f"{name}.{column}" if column else name, right)
                    for role in match["roles"].split(",")
                    for name in names
                    for right, column in rights
                }
    return frozenset(found)


def _names(on: str, relations: list[str]) -> list[str] | None:
    """The tables that a grant is about; None for one on something else."""
    words = " ".join(on.split())
    if words == _EVERY_TABLE:
        return list(relations)
    if words.startswith(("SCHEMA ", "SEQUENCE ", "FUNCTION ")):
        return None
    return [name.strip() for name in words.removeprefix("TABLE ").split(",")]
