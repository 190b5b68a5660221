"""Short ways to say what a source wrote."""

from collections.abc import Iterable

import numpy as np

from leadline.ingestion.raw import NANO, RawColumns
from leadline.model.ids import ContractId
from leadline.model.ticks import TickColumns

Row = tuple[int, int, int, int]


def raw_of(rows: Iterable[Row], contract: ContractId = ContractId("MESM2025"), first_row: int = 0) -> RawColumns:
    """Raw prints from rows (time_ns, price in billionths, size in billionths, side), numbered from `first_row`."""
    table = np.array(list(rows), dtype=np.int64).reshape(-1, 4)
    return RawColumns(
        contract,
        table[:, 0],
        table[:, 1],
        table[:, 2],
        table[:, 3],
        np.arange(first_row, first_row + len(table)),
        "rows",
    )


def printed(time_ns: int, price: str = "5000.00", size: int = 1, side: int = 1) -> Row:
    """One raw print with its price as text and a whole size."""
    whole, _, places = price.partition(".")
    return time_ns, int(whole) * NANO + int(places.ljust(9, "0")), size * NANO, side


def rows_of(ticks: TickColumns) -> list[tuple[int, int, int, int]]:
    """The prints of columns as plain tuples, to compare."""
    columns = (ticks.time_ns, ticks.price, ticks.size, ticks.aggressor)
    return list(zip(*(column.tolist() for column in columns), strict=True))
