"""The prints of a run as the recorder stored them, contract by contract."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

import numpy as np

from leadline.model.errors import LeadlineError
from leadline.model.ids import ContractId, RunId
from leadline.model.ticks import TickColumns, concat
from leadline.views.digest_store import run_of

BLOCKS: Final = 16
"""Rows read at once, each with some thousand prints."""
BLOCK: Final = "first_index, last_index, ts_ns, price, size, aggressor"
"""The columns that `block_of` takes."""


class PrintsMissing(LeadlineError):
    """The database lacks prints of a tape, which its days would lack, too. sentence: which ones."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)


@dataclass(frozen=True, slots=True)
class StoredContract:
    """A contract of a run.

    prints: how many of it are stored, or were. of: how many its tape has, 0 while nobody knows. kept_out: faulty ones
    by trading day and reason. first: the index of the first one that the database still keeps.
    """

    contract: ContractId
    source: int
    prints: int
    of: int
    kept_out: dict[tuple[date | None, str], int]
    first: int = 0


@dataclass(frozen=True, slots=True)
class StoredRun:
    """A run of which prints are stored. failure: why its tape is none to trust; empty where it is."""

    tape: RunId
    failure: str
    contracts: tuple[StoredContract, ...]


async def stored_run(connection: Any, tape: RunId, outside: str) -> StoredRun:
    """The contracts of a run that have prints, by name. outside: the reason that is no fault. Raises Unknown."""
    run = await run_of(connection, tape)
    rows = await connection.fetch(
        """
        SELECT contract, source, last_index, coalesce((details -> 'prints' ->> contract)::bigint, 0) AS of,
            (SELECT min(first_index) FROM tick_block WHERE tick_block.source = tick_position.source) AS first
        FROM tick_position JOIN run USING (tape) WHERE tape = $1 AND last_index >= 0 ORDER BY contract
        """,
        tape,
    )
    counts = await connection.fetch(
        "SELECT contract, trading_day, reason, prints FROM kept_out WHERE tape = $1 AND reason <> $2", tape, outside
    )
    return StoredRun(
        tape,
        run["failure"] or "",
        tuple(
            StoredContract(
                ContractId(row["contract"]),
                row["source"],
                row["last_index"] + 1,
                row["of"],
                {
                    (each["trading_day"], each["reason"]): each["prints"]
                    for each in counts
                    if each["contract"] == row["contract"]
                },
                row["last_index"] + 1 if row["first"] is None else row["first"],
            )
            for row in rows
        ),
    )


async def stored_prints(connection: Any, of: StoredContract) -> AsyncIterator[TickColumns]:
    """The prints of a contract in their order, some at a time, from the first one that is kept.

    Raises PrintsMissing where a later one is not there.
    """
    position = of.first
    while position < of.prints:
        rows = await connection.fetch(
            f"""
            SELECT {BLOCK} FROM tick_block WHERE source = $1 AND first_index BETWEEN $2 AND $3
            ORDER BY first_index LIMIT {BLOCKS}
            """,  # noqa: S608 - made of our own column names
            of.source,
            position,
            of.prints - 1,
        )
        blocks = []
        for row in rows:
            if row["first_index"] != position:
                raise _missing(of, position, row["first_index"])
            blocks.append(block_of(row))
            position = row["last_index"] + 1
        if not blocks:
            raise _missing(of, position, of.prints)
        yield concat(blocks)


def block_of(row: Any) -> TickColumns:
    """A row of `tick_block`."""
    return TickColumns(
        np.array(row["ts_ns"], dtype=np.int64),
        np.array(row["price"], dtype=np.int64),
        np.array(row["size"], dtype=np.int64),
        np.array(row["aggressor"], dtype=np.int8),
        row["first_index"],
    )


def _missing(of: StoredContract, first: int, until: int) -> PrintsMissing:
    return PrintsMissing(
        f"prints {first} to {until - 1} of {of.contract} are not stored: the bus had lost them, and their day cannot "
        "be kept whole"
    )
