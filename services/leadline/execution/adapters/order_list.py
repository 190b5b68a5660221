"""The question for an account's orders as people list them: the newest, page by page."""

from typing import Any, Final

from leadline.model.ids import AccountId, RunId
from leadline.model.orders import OrderState

MOST_ORDERS: Final = 500
"""Orders in an answer of execution: converting them takes ten milliseconds, for which halts and orders wait."""

SELECT_NEWEST: Final = """
    SELECT i.*, (SELECT sum(f.price * f.quantity)::numeric / sum(f.quantity) FROM fill f
                 WHERE f.tape = i.tape AND f.account = i.account AND f.client_id = i.client_id) AS average
    FROM intent i
    WHERE i.tape = $1 AND i.account = $2 AND ($3 = '' OR i.strategy = $3) AND (NOT $4 OR i.state = ANY($5))
      AND ($6 = '' OR (i.decided_at_ns, i.client_id) < (
          SELECT decided_at_ns, client_id FROM intent WHERE tape = $1 AND account = $2 AND client_id = $6))
    ORDER BY i.decided_at_ns DESC, i.client_id DESC LIMIT $7
"""
"""Rows of `intent` with the average price of their fills, newest first."""

_LIVE: Final = [state.value for state in OrderState if not state.terminal]


def newest(
    tape: RunId, account: AccountId, *, strategy: str, only_working: bool, limit: int, before: str = ""
) -> tuple[Any, ...]:
    """The parameters of `SELECT_NEWEST`. strategy: empty for all. before: a client id, or empty for the newest page."""
    return tape, account, strategy, only_working, _LIVE, before, limit
