"""One statement that writes an account's book, so that a commit is one question to the database.

It is written by whoever holds the lease under its epoch, and over the account's row as the same writer has left it;
where either does not hold, nothing is written.
"""

from functools import lru_cache
from typing import Final

from leadline.execution.adapters.rows import UPSERT_ACCOUNT, Insertion

SHAPES: Final = 256
"""Statements that are kept as text: a commit has few kinds of rows, and few of each."""

HELD: Final = "SELECT epoch FROM lease WHERE account = $1 AND epoch = $2 FOR SHARE"
"""The epoch of an account that is still held under it; nobody takes it before the transaction ends."""

# The row of the account as the last transaction has left it, and no other: the statement waits for one whose outcome
# nobody has heard yet.
_FIRST: Final = 4
_ACCOUNT: Final = (
    f"{UPSERT_ACCOUNT.statement(_FIRST, 'held')} "
    "WHERE $3::text IS NULL OR account_state.xmin::text = $3 RETURNING xmin::text AS writer"
)


@lru_cache(SHAPES)
def book_statement(rows: tuple[Insertion, ...]) -> str:
    """The statement of the account's row and of these.

    Its parameters: the account, the epoch, the transaction that wrote the account's row last (null where nobody has
    looked yet), the values of the account's row, and those of the other rows in turn. It answers with one row: `epoch`,
    null where another holds the account, and `writer`, the transaction, null where the account's row is another one.
    """
    steps, first = [f"held AS ({HELD})", f"account AS ({_ACCOUNT})"], _FIRST + len(UPSERT_ACCOUNT.columns)
    for number, row in enumerate(rows):
        steps.append(f"row_{number} AS ({row.statement(first, 'account')})")
        first += len(row.columns)
    answer = "SELECT (SELECT epoch FROM held), (SELECT writer FROM account)"
    return f"WITH {', '.join(steps)} {answer}"
