"""Measure the shape of the house: `python -m scripts.house`, for the checkout that it stands in or for another one.

What is counted is read out of the files, so that two revisions can be compared:

    python -m scripts.house --output json > /tmp/now.json
    git worktree add /tmp/before REVISION && python -m scripts.house --root /tmp/before
"""

import argparse
import ast
import json
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
ROOMS: Final = ("services/leadline", "operator/leadline_operator")

STATEMENT: Final = re.compile(r"\s*(SELECT|INSERT INTO|DELETE FROM|UPDATE \w+ SET|WITH \w+ AS \()\s")
"""How a statement of SQL begins."""
STORES: Final = re.compile(
    r"services/leadline/(\w+/(\w+_)?store\.py|execution/adapters/\w+\.py|schema/\w+\.py|runtime/(\w+/)?\w+\.py)"
    r"|services/leadline/views/doctor/gather_servers\.py|operator/leadline_operator/clients/\w+\.py"
)
"""Files in which statements of SQL may stand."""

DETECTORS: Final = ("absorption", "divergence", "exhaustion", "imbalance", "stacked", "unfinished")
SERVICES: Final = ("aggregation", "analysis", "execution", "ingestion", "recorder", "risk", "venue")
_RETRY_HELPER: Final = "retry.py"
_GENERATED: Final = "v1"


@dataclass(frozen=True, slots=True)
class House:
    """The figures of a checkout. Files are hand-written Python files with code, without tests and scripts.

    largest_folder: the folder with most files, and how many. sql_outside_stores: statements that stand elsewhere.
    status_tables: files that tell two or more gRPC statuses apart. retry_loops: loops that catch a failure, sleep and
    try again, outside of the one helper. detector_places, service_places: other files than its own module or room in
    which the code names a detector, or spells a service as text: of the one that is named in the fewest, since more
    than that no further one needs.
    """

    files: int
    folders: int
    files_per_folder: float
    largest_folder: tuple[str, int]
    glossary_words: int
    sql_outside_stores: int
    status_tables: int
    retry_loops: int
    detector_places: int
    service_places: int


class Source:
    """A file of the house. `path` is relative to the root of its checkout."""

    def __init__(self, root: Path, file: Path) -> None:
        self.path = file.relative_to(root).as_posix()
        self._file = file

    @cached_property
    def tree(self) -> ast.Module:
        """The file, parsed."""
        return ast.parse(self._file.read_text(encoding="utf-8"))

    @property
    def folder(self) -> str:
        """The folder of the file."""
        return self.path.rpartition("/")[0]

    @cached_property
    def texts(self) -> tuple[str, ...]:
        """The texts that stand in the code."""
        found = (node.value for node in ast.walk(self.tree) if isinstance(node, ast.Constant))
        return tuple(value for value in found if isinstance(value, str))

    @cached_property
    def names(self) -> frozenset[str]:
        """The names that stand in the code, in small letters."""
        return frozenset(name.lower() for node in ast.walk(self.tree) for name in _names(node))

    def statements(self) -> int:
        """Statements of SQL."""
        return sum(bool(STATEMENT.match(text)) for text in self.texts)

    def statuses(self) -> int:
        """Different gRPC statuses that the code names."""
        nodes = (node for node in ast.walk(self.tree) if isinstance(node, ast.Attribute))
        return len({node.attr for node in nodes if _last_name(node.value) == "StatusCode"})

    def retry_loops(self) -> int:
        """Loops that catch a failure and sleep before they try again."""
        loops = (node for node in ast.walk(self.tree) if isinstance(node, ast.While | ast.For | ast.AsyncFor))
        return sum(_tries_again(loop) for loop in loops)


def sources(root: Path) -> list[Source]:
    """The hand-written files of a checkout that have code, by path."""
    found = (file for room in ROOMS for file in sorted((root / room).rglob("*.py")))
    return [
        Source(root, file)
        for file in found
        if _GENERATED not in file.relative_to(root).parts and file.read_text(encoding="utf-8").strip()
    ]


def measure(root: Path) -> House:
    """The figures of a checkout. Raises SystemExit where there is none."""
    files = sources(root)
    if not files:
        raise SystemExit(f"house: {root}: got no checkout, expected one with {' and '.join(ROOMS)}")
    folders = Counter(file.folder for file in files)
    [(largest, most)] = folders.most_common(1)
    return House(
        files=len(files),
        folders=len(folders),
        files_per_folder=round(len(files) / len(folders), 1),
        largest_folder=(largest, most),
        glossary_words=_glossary_words(root / "docs" / "reference" / "glossary.md"),
        sql_outside_stores=sum(file.statements() for file in files if not STORES.fullmatch(file.path)),
        status_tables=sum(file.statuses() > 1 for file in files),
        retry_loops=sum(file.retry_loops() for file in files if not file.path.endswith(f"/{_RETRY_HELPER}")),
        detector_places=min(_places_of_detector(files, name) for name in DETECTORS),
        service_places=min(_places_of_service(files, name) for name in SERVICES),
    )


def rows(house: House) -> Iterator[tuple[str, str]]:
    """What is printed of a house: a name and a figure for each."""
    folder, most = house.largest_folder
    yield "files", str(house.files)
    yield "files per folder", f"{house.files_per_folder} in {house.folders} folders"
    yield "largest folder", f"{most} in {folder}"
    yield "words of the glossary", str(house.glossary_words)
    yield "SQL statements outside stores", str(house.sql_outside_stores)
    yield "files that tell gRPC statuses apart", str(house.status_tables)
    yield "retry loops outside of the helper", str(house.retry_loops)
    yield "other files that a detector needs", str(house.detector_places)
    yield "other files that a service needs", str(house.service_places)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the figures; return the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.house",
        description="Measure the shape of the house: files and folders, and in how many places a thing is said.",
        epilog="example: python -m scripts.house --root /tmp/before --output json",
    )
    parser.add_argument("--root", type=Path, default=ROOT, help="the checkout to measure; default: this one")
    parser.add_argument("--output", choices=("text", "json"), default="text", help="how to print; default: text")
    chosen = parser.parse_args(arguments)
    house = measure(chosen.root.resolve())
    if chosen.output == "json":
        print(json.dumps(asdict(house), indent=2))
        return 0
    shown = list(rows(house))
    width = max(len(name) for name, _ in shown)
    for name, figure in shown:
        print(f"{name:<{width}}  {figure}")
    return 0


def _names(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.arg(arg=name):
            yield name
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            yield name
        case ast.keyword(arg=str(name)):
            yield name
        case ast.alias(name=name):
            yield from name.split(".")


def _last_name(node: ast.AST) -> str:
    return next(_names(node), "")


def _tries_again(loop: ast.AST) -> bool:
    inside = list(ast.walk(loop))
    sleeps = any(isinstance(node, ast.Call) and _last_name(node.func) == "sleep" for node in inside)
    caught = [handler for node in inside if isinstance(node, ast.Try) for handler in node.handlers]
    return sleeps and any(not isinstance(handler.body[-1], ast.Raise | ast.Return) for handler in caught)


def _places_of_detector(files: Sequence[Source], name: str) -> int:
    """Files other than its own in which the code has the detector's name, as text or as part of a name."""
    parts = re.compile(rf"(^|_){name}s?($|_)|^{name}[a-z]*$")
    others = (file for file in files if Path(file.path).stem != name)
    return sum(name in file.texts or any(parts.search(each) for each in file.names) for file in others)


def _places_of_service(files: Sequence[Source], name: str) -> int:
    """Files outside of its own room in which the service's name is spelled as a text."""
    others = (file for file in files if f"services/leadline/{name}" != "/".join(file.path.split("/")[:3]))
    return sum(name in file.texts for file in others)


def _glossary_words(page: Path) -> int:
    if not page.exists():
        return 0
    return len(re.findall(r"^## ", page.read_text(encoding="utf-8"), re.MULTILINE))


if __name__ == "__main__":
    sys.exit(main())
