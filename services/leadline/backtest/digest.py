"""The digest of a backtest, day by day: the lines of `leadline.views.digest`, as a run has them in its database."""

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Any

from leadline.execution.core.records import AccountRecords
from leadline.model.ids import AccountId, StrategyId
from leadline.model.orders import Order
from leadline.views.digest import Line, Owners, line_of, owned
from leadline.views.digest_values import decision_row, fill_row, order_row


class RunningDigest:
    """Takes in what days bring, in order, and keeps only lines that are not final yet.

    A line goes into the hash once nothing can come before it any more: everything up to its instant is known, every
    strategy has spoken or acted, so that it is known by its number, and no order before it still works.
    """

    def __init__(self, strategies: Iterable[tuple[AccountId, StrategyId]]) -> None:
        self._expected = set(strategies)
        self._pairs: set[tuple[AccountId, StrategyId]] = set()
        self._rows: list[tuple[str, dict[str, Any]]] = []
        self._said: list[tuple[AccountId, StrategyId, Sequence[Line]]] = []
        self._lines: list[Line] = []
        self._seen: dict[AccountId, tuple[int, int]] = {}
        self._orders: dict[AccountId, int] = {}
        self._working: dict[tuple[AccountId, str], Order] = {}
        self._hash = hashlib.sha256()

    def bars(self, lines: Iterable[Line]) -> None:
        """Take in the lines of a day's bars."""
        self._lines += lines

    def said(self, account: AccountId, strategy: StrategyId, lines: Sequence[Line]) -> None:
        """Take in the lines of what a strategy says on a day; they are nobody's as they come."""
        if lines:
            self._said.append((account, strategy, lines))

    def booked(self, account: AccountId, records: AccountRecords) -> None:
        """Take in what an account has decided and what has filled since it was asked last."""
        decisions, fills = self._seen.get(account, (0, 0))
        for decision in islice(records.decisions.values(), decisions, None):
            self._rows.append(("decision", decision_row(account, decision)))
        for fill in islice(records.fills.values(), fills, None):
            order = records.orders[fill.fill.client_id].order
            self._rows.append(("fill", fill_row(account, fill, order, _bar_key(records, order))))
        self._seen[account] = len(records.decisions), len(records.fills)
        fresh = [written.order for written in islice(records.orders.values(), self._orders.get(account, 0), None)]
        self._orders[account] = len(records.orders)
        waiting = [records.orders[order.client_id].order for (of, _), order in self._working.items() if of == account]
        self._working = {key: order for key, order in self._working.items() if key[0] != account}
        for order in [*waiting, *fresh]:
            if order.state.terminal:
                self._rows.append(("order", order_row(account, order, _bar_key(records, order))))
            else:
                self._working[account, order.client_id] = order

    def complete(self, until_ns: int) -> None:
        """Everything up to an instant has been taken in."""
        self._note_owners()
        if self._pairs >= self._expected:
            earliest = min((order.decided_at_ns for order in self._working.values()), default=until_ns + 1)
            self._hash_before(min(until_ns + 1, earliest))

    def finish(self, records: Mapping[AccountId, AccountRecords]) -> str:
        """The digest in lower-case hexadecimal, once the tapes have ended."""
        self._rows += [
            ("order", order_row(account, order, _bar_key(records[account], order)))
            for (account, _), order in self._working.items()
        ]
        self._note_owners()
        self._hash_before(None)
        return self._hash.hexdigest()

    def _note_owners(self) -> None:
        self._pairs |= {(row["account"], row["strategy"]) for _, row in self._rows if row["strategy"]}
        self._pairs |= {(account, strategy) for account, strategy, _ in self._said}

    def _hash_before(self, end_ns: int | None) -> None:
        """Hash the lines of instants before one; None: all of them."""
        owners = Owners.of(self._pairs)
        self._lines += [line_of(kind, row, owners) for kind, row in self._rows]
        self._lines += [
            owned(line, *owners.place(account, strategy)) for account, strategy, lines in self._said for line in lines
        ]
        self._rows.clear()
        self._said.clear()
        self._lines.sort()
        count = len(self._lines) if end_ns is None else bisect_left(self._lines, end_ns, key=lambda line: line[0][0])
        for _, text, _ in self._lines[:count]:
            self._hash.update(text + b"\n")
        del self._lines[:count]


def _bar_key(records: AccountRecords, order: Order) -> str | None:
    decision = records.decisions.get(order.decision)
    return None if decision is None else decision.bar_key
