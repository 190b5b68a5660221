"""Purchases: the files as they came, and a ledger with a line before each purchase and one after it.

`<catalog>/.databento/`: the files, named by contract, day and times, and `ledger.jsonl`. A file takes its name when it
is whole, checked and on the disk. The line before a purchase is on the disk before it is asked for, so what may have
been paid for stands there whatever ends this process.
"""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Literal, get_args

import orjson

from leadline.ingestion.databento.days import DATASET, RECORD_BYTES, SCHEMA, DayRequest
from leadline.model.errors import InvalidInput, LeadlineError
from leadline.model.ids import ContractId
from leadline.runtime.files import sync_directory

FOLDER: Final = ".databento"

_LEDGER: Final = "ledger.jsonl"
_LOCK: Final = ".lock"
_OWN: Final = 0o700
State = Literal["begun", "complete", "failed", "refused"]


class FetchAtWork(LeadlineError):
    """Another process buys into this catalog."""


@dataclass(frozen=True, slots=True)
class Purchase:
    """Trades of a day that were asked for.

    at: when, RFC 3339. records: how many Databento said that they are. bytes: of them, unpacked. cost: USD, as it was
    told before. state: complete with a whole file; refused before anything was sent, which costs nothing; failed (`why`
    says it) or begun without a whole file, which may have been paid for.
    """

    at: str
    dataset: str
    schema: str
    symbol: str
    contract: ContractId
    day: date
    start_ns: int
    end_ns: int
    records: int
    bytes: int
    cost: Decimal
    state: State
    why: str = ""

    @property
    def in_doubt(self) -> bool:
        """Whether it may have been paid for, with nothing whole to show for it."""
        return self.state in ("begun", "failed")


class Purchases:
    """The purchases of a catalog."""

    def __init__(self, root: Path) -> None:
        self.folder = root / FOLDER
        self._ledger = self.folder / _LEDGER

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """This process alone buys. Raises FetchAtWork while another one does."""
        self.folder.mkdir(parents=True, exist_ok=True, mode=_OWN)
        descriptor = os.open(self.folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
        except BlockingIOError:
            raise FetchAtWork(f"another `leadline data fetch` buys into {self.folder.parent}: wait for it") from None
        finally:
            os.close(descriptor)

    def file(self, request: DayRequest) -> Path:
        """Where the trades of a request are, or would be."""
        return self.folder / request.name

    def held(self, request: DayRequest) -> Path | None:
        """The whole file of a request, where it was bought already."""
        path = self.file(request)
        return path if path.is_file() else None

    def keep(self, fresh: Path, request: DayRequest) -> None:
        """Give a whole file its name. On the disk when this returns."""
        fresh.rename(self.file(request))
        sync_directory(self.folder)

    def covers(self, request: DayRequest) -> bool:
        """Whether a whole file was bought that has all of a request, be it that it is gone by now."""
        return any(each.state == "complete" for each in self._having(request))

    def in_doubt(self, request: DayRequest) -> Decimal:
        """USD that was perhaps paid already for all of a request, which never arrived whole."""
        same = self._having(request)
        if any(each.state == "complete" for each in same):
            return Decimal(0)
        return sum((each.cost for each in same if each.in_doubt), Decimal(0))

    def _having(self, request: DayRequest) -> list[Purchase]:
        """The purchases that were to have all of a request."""
        same = (each for each in self.all() if (each.contract, each.day) == (request.contract, request.day))
        return [each for each in same if request.within(each.start_ns, each.end_ns)]

    def begin(self, request: DayRequest, records: int, cost: Decimal) -> Purchase:
        """Write down that these trades are asked for now. On the disk when this returns."""
        found = Purchase(
            _now(),
            DATASET,
            SCHEMA,
            request.symbol,
            request.contract,
            request.day,
            request.start_ns,
            request.end_ns,
            records,
            records * RECORD_BYTES,
            cost,
            "begun",
        )
        self._add(found)
        return found

    def end(self, purchase: Purchase, state: State, why: str = "") -> None:
        """Write down what became of it."""
        self._add(replace(purchase, at=_now(), state=state, why=why))

    def mend(self) -> None:
        """Write down as complete what a process that was ended had whole, before it could say so."""
        for each in self.all():
            if each.state == "begun" and self.held(DayRequest(each.contract, each.day, each.start_ns, each.end_ns)):
                self.end(each, "complete")

    def all(self) -> tuple[Purchase, ...]:
        """Every purchase with its last state, in order. Raises InvalidInput for a ledger that somebody has changed."""
        found: list[Purchase] = []
        for number, line in enumerate(self._lines(), 1):
            try:
                each = _purchase(orjson.loads(line))
            except (ValueError, KeyError, TypeError, ArithmeticError) as error:
                raise InvalidInput(f"{self._ledger}:{number}", str(error), "a line as it was written") from None
            begun = next((place for place in reversed(range(len(found))) if _ends(found[place], each)), None)
            if begun is None:
                found.append(each)
            else:
                found[begun] = replace(each, at=found[begun].at)
        return tuple(found)

    def _lines(self) -> list[bytes]:
        """The whole lines. What a crash left of one was never acted upon."""
        try:
            text = self._ledger.read_bytes()
        except FileNotFoundError:
            return []
        return text[: text.rfind(b"\n") + 1].splitlines()

    def _add(self, purchase: Purchase) -> None:
        fresh = not self._ledger.exists()
        with self._ledger.open("ab") as file:
            whole = sum(len(line) + 1 for line in self._lines())
            file.truncate(whole)
            file.write(orjson.dumps(_document(purchase)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if fresh:
            sync_directory(self.folder)


def _ends(begun: Purchase, line: Purchase) -> bool:
    """Whether a line says what became of a purchase."""
    if begun.state != "begun" or line.state == "begun":
        return False
    return replace(begun, at=line.at, state=line.state, why=line.why) == line


def _document(purchase: Purchase) -> dict[str, Any]:
    return {
        "at": purchase.at,
        "dataset": purchase.dataset,
        "schema": purchase.schema,
        "symbol": purchase.symbol,
        "contract": purchase.contract,
        "day": purchase.day.isoformat(),
        "start_ns": purchase.start_ns,
        "end_ns": purchase.end_ns,
        "records": purchase.records,
        "bytes": purchase.bytes,
        "cost": f"{purchase.cost:f}",
        "state": purchase.state,
        "why": purchase.why,
    }


def _purchase(words: dict[str, Any]) -> Purchase:
    if words["state"] not in get_args(State):
        raise ValueError(f"state {words['state']!r}")
    return Purchase(
        **{
            **words,
            "contract": ContractId(words["contract"]),
            "day": date.fromisoformat(words["day"]),
            "cost": Decimal(words["cost"]),
        }
    )


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
