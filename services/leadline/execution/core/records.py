"""All that the transactions of one account on one tape have written, as values: what the rows of a database would say.

Its keys and bounds are those of the tables: a fill or a decision that is there already, two entries in a contract whose
fate is open, or an order without a size are refused, and then nothing of the transaction is kept.
"""

from bisect import bisect_left, insort
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, replace
from datetime import date
from operator import attrgetter
from typing import Any, Final, NamedTuple

import orjson

from leadline.execution.core.account_settings import with_hot_fields
from leadline.execution.core.book import KEPT_NS, Book, Changes, StrategyBook, is_entry
from leadline.execution.core.booking import Stored, is_foreign
from leadline.execution.core.orders import UNRESOLVED
from leadline.model.errors import NotTaken, Refused
from leadline.model.ids import ClientOrderId, ContractId, DecisionId, FillId, StrategyId
from leadline.model.manifest.specs import TradingAccount
from leadline.model.orders import Fill, Order, OrderState, Position
from leadline.model.proposals import Decision

NEVER_LEFT: Final = frozenset({*UNRESOLVED, OrderState.DEAD, OrderState.EXPIRED_LOCAL})
"""States of an order of which nobody can say that the venue has had it."""

EVENT_KINDS: Final = frozenset({"decision", "order", "fill", "position", "halt", "fence"})
"""The kinds of lines in an account's audit."""


class WrittenOrder(NamedTuple):
    """An order as it was last written, and the epoch of the writer who did."""

    order: Order
    epoch: int


class BookedFill(NamedTuple):
    """A fill, the strategy whose position it moved, and the number of the venue's event that told of it."""

    fill: Fill
    strategy: StrategyId
    venue_event: int


class WrittenEvent(NamedTuple):
    """A line of the audit as it was written. Its body is its own; it shares the texts of the line that was given."""

    event: int
    kind: str
    key: str
    version: int
    instant_ns: int
    body: dict[str, Any]


_ZERO: Final = b"\\u0000"

_Legs = dict[tuple[DecisionId, str], ClientOrderId | None]
_Entries = dict[str, ClientOrderId | None]

_BOOK: Final = attrgetter(*(each.name for each in fields(Book) if each.init))
_STRATEGY: Final = attrgetter(*(each.name for each in fields(StrategyBook)))


@dataclass(slots=True)
class AccountRecords:
    """One account on one tape: read what you like, and write by `write` alone.

    `account` is the book without what has records of its own: strategies, orders, positions and decisions. `events` are
    by their numbers, `decisions`, `orders` and `fills` by their ids.
    """

    account: Book | None = None
    strategies: dict[StrategyId, StrategyBook] = field(default_factory=dict)
    positions: dict[tuple[StrategyId, str], Position] = field(default_factory=dict)
    orders: dict[ClientOrderId, WrittenOrder] = field(default_factory=dict)
    decisions: dict[DecisionId, Decision] = field(default_factory=dict)
    fills: dict[FillId, BookedFill] = field(default_factory=dict)
    events: dict[int, WrittenEvent] = field(default_factory=dict)
    # What keys and reads need, kept beside the values: none of it says anything new.
    _sources: dict[tuple[StrategyId, str], DecisionId] = field(default_factory=dict)
    _legs: dict[tuple[DecisionId, str], ClientOrderId | None] = field(default_factory=dict)
    _unresolved_entries: dict[str, ClientOrderId | None] = field(default_factory=dict)
    _told: set[tuple[str, str, int]] = field(default_factory=set)
    _live: dict[ClientOrderId, None] = field(default_factory=dict)
    _orders_of: dict[DecisionId, list[ClientOrderId]] = field(default_factory=dict)
    _orders_by_time: list[tuple[int, ClientOrderId]] = field(default_factory=list)
    _decisions_by_time: list[tuple[int, StrategyId, DecisionId]] = field(default_factory=list)

    def load(self, manifest: TradingAccount, feed_contracts: tuple[ContractId, ...], trade_from: date) -> Book | None:
        """The book as last committed, in values of its own; None before the first transaction.

        `manifest` is that of the process's settings; hot fields that were set since are those of the book.
        """
        if self.account is None:
            return None
        settings = _copy(self.account.settings)
        since = self.account.instant_ns - KEPT_NS
        decided = self._decisions_by_time[bisect_left(self._decisions_by_time, (since,)) :]
        return replace(
            self.account,
            manifest=manifest if settings is None else with_hot_fields(manifest, settings),
            feed_contracts=feed_contracts,
            trade_from=trade_from,
            last_prints=dict(sorted(self.account.last_prints.items())),
            settings=settings,
            margin_limits=dict(sorted(self.account.margin_limits.items())),
            strategies={name: StrategyBook(*_STRATEGY(each)) for name, each in sorted(self.strategies.items())},
            positions=dict(self.positions),
            orders={client_id: self.orders[client_id].order for client_id in self._looked_at(since)},
            entry_instants=[at for at, _, decision in decided if self.decisions[decision].entered],
            decided={decision: at for at, _, decision in decided if at >= self.account.decided_since_ns},
        )

    def recall(self, client_ids: Iterable[ClientOrderId], fill_ids: Iterable[FillId]) -> Stored:
        """The orders and fills of these ids that were ever written."""
        return Stored(
            {client_id: self.orders[client_id].order for client_id in client_ids if client_id in self.orders},
            {fill_id: self.fills[fill_id].fill for fill_id in fill_ids if fill_id in self.fills},
        )

    def sent(self, newest: int) -> frozenset[ClientOrderId]:
        """Client ids of the newest orders that left here, without bracket legs and orders of somebody else."""
        found: list[ClientOrderId] = []
        for _, client_id in reversed(self._orders_by_time):
            if len(found) == newest:
                break
            order = self.orders[client_id].order
            if order.state not in NEVER_LEFT and not order.parent and not is_foreign(order):
                found.append(client_id)
        return frozenset(found)

    def write(self, book: Book, changes: Changes, epoch: int) -> None:
        """Write a book and what has changed in it, all or nothing. Raises Refused."""
        settings = None if book.settings is None else _copy(book.settings)
        events = [
            WrittenEvent(event.event, event.kind, event.key, event.version, event.instant_ns, _plain(event.body))
            for event in changes.events
        ]
        for reason in filter(None, (book.flatten, *[strategy.flatten for strategy in book.strategies.values()])):
            _json(reason)  # it is in no event
        if changes.decisions:
            self._check_decisions(changes.decisions)
        legs, entries = self._check_orders(changes.orders.values()) if changes.orders else ({}, {})
        if changes.fills:
            self._check_fills([fill for fill, _, _ in changes.fills])
        if events:
            self._check_events(events)
        # Nothing from here on can be refused.
        self.account = account = Book(*_BOOK(book))
        account.settings, account.last_prints = settings, dict(book.last_prints)
        account.margin_limits, account.strategies = dict(book.margin_limits), {}
        account.orders, account.positions, account.entry_instants, account.decided = {}, {}, [], {}
        for name, strategy in book.strategies.items():
            self.strategies[name] = StrategyBook(*_STRATEGY(strategy))
        for decision in changes.decisions:
            self.decisions[decision.decision_id] = decision
            self._sources[decision.strategy, decision.source] = decision.decision_id
            insort(self._decisions_by_time, (decision.instant_ns, decision.strategy, decision.decision_id))
        self._legs.update(legs)
        self._unresolved_entries.update(entries)
        for order in changes.orders.values():
            self._put(order, epoch)
        for fill in changes.fills:
            self.fills[fill[0].fill_id] = BookedFill(*fill)
        for position in changes.positions.values():
            self.positions[position.strategy, position.contract] = position
        for event in events:
            self.events[event.event] = event
            self._told.add((event.kind, event.key, event.version))

    def _looked_at(self, since_ns: int) -> Iterator[ClientOrderId]:
        """Ids of the orders that some rule still looks at, each once: the newest, the live, those of what is held."""
        held = [position for position in self.positions.values() if position.quantity]
        found = dict.fromkeys(self._live)
        for position in held:
            found.update(dict.fromkeys(self._orders_of.get(position.decision, ())))
            found.update(dict.fromkeys(lot.client_id for lot in position.lots if lot.client_id in self.orders))
        newest = self._orders_by_time[bisect_left(self._orders_by_time, (since_ns,)) :]
        found.update(dict.fromkeys(client_id for _, client_id in newest))
        return iter(found)

    def _put(self, order: Order, epoch: int) -> None:
        before = self.orders.get(order.client_id)
        self.orders[order.client_id] = WrittenOrder(order, epoch)
        if order.state.terminal:
            self._live.pop(order.client_id, None)
        else:
            self._live[order.client_id] = None
        place = (order.decided_at_ns, order.client_id)
        if before is not None:
            if (before.order.decided_at_ns, before.order.decision) == (order.decided_at_ns, order.decision):
                return
            self._orders_of[before.order.decision].remove(order.client_id)
            self._orders_by_time.remove((before.order.decided_at_ns, order.client_id))
        self._orders_of.setdefault(order.decision, []).append(order.client_id)
        insort(self._orders_by_time, place)

    def _check_decisions(self, decisions: Sequence[Decision]) -> None:
        ids: set[DecisionId] = set()
        sources: set[tuple[StrategyId, str]] = set()
        for decision in decisions:
            known, source = decision.decision_id, (decision.strategy, decision.source)
            if known in self.decisions or known in ids or source in self._sources or source in sources:
                raise refused(f"decision {known} of {decision.strategy} on {decision.source} is there")
            ids.add(known)
            sources.add(source)

    def _check_orders(self, orders: Iterable[Order]) -> tuple[_Legs, _Entries]:
        """The order of each decision's leg after these orders, and the open entry of each contract.

        One after the other, as a database looks at rows.
        """
        legs: _Legs = {}
        entries: _Entries = {}
        for order in orders:
            if order.quantity < 1 or order.filled < 0:
                raise refused(f"order {order.client_id} has {order.filled} of {order.quantity} filled")
            before = self.orders.get(order.client_id)
            if before is not None:
                legs[before.order.decision, before.order.leg] = None
                if _unresolved_entry(before.order):
                    entries[before.order.contract] = None
            leg, contract = (order.decision, order.leg), order.contract
            if (legs[leg] if leg in legs else self._legs.get(leg)) is not None:
                raise refused(f"the leg {order.leg} of decision {order.decision} is there")
            legs[leg] = order.client_id
            if _unresolved_entry(order):
                if (entries[contract] if contract in entries else self._unresolved_entries.get(contract)) is not None:
                    raise refused(f"an entry in {order.contract} whose fate is open is there")
                entries[order.contract] = order.client_id
        return legs, entries

    def _check_fills(self, fills: Sequence[Fill]) -> None:
        ids: set[FillId] = set()
        for fill in fills:
            if fill.fill_id in self.fills or fill.fill_id in ids or fill.quantity < 1:
                raise refused(f"fill {fill.fill_id} of {fill.quantity} is there, or has no size")
            ids.add(fill.fill_id)

    def _check_events(self, events: Sequence[WrittenEvent]) -> None:
        numbers: set[int] = set()
        told: set[tuple[str, str, int]] = set()
        for event in events:
            key = (event.kind, event.key, event.version)
            if event.kind not in EVENT_KINDS:
                raise refused(f"{event.kind!r} is no kind of event")
            if event.event in self.events or event.event in numbers or key in self._told or key in told:
                raise refused(f"event {event.event}, {event.kind} {event.key} version {event.version}, is there")
            numbers.add(event.event)
            told.add(key)


def refused(why: str) -> Refused:
    """The refusal of a transaction that says what its keys do not allow."""
    return NotTaken(f"the store does not take what the book says: {why}", "database")


def _unresolved_entry(order: Order) -> bool:
    return is_entry(order) and order.state in UNRESOLVED


def _copy(value: Any) -> Any:
    """Plain JSON values, again. Raises Refused as `_json`."""
    return orjson.loads(_json(value))


def _plain(body: dict[str, Any]) -> dict[str, Any]:
    """A body of its own. Raises Refused as `_json`."""
    _json(body)
    return dict(body)


def _json(value: Any) -> bytes:
    """The JSON text of plain values. Raises Refused for what a table of JSON cannot hold."""
    content = orjson.dumps(value)
    if _ZERO in content and _ZERO in content.replace(rb"\\", b""):  # the escape, and not these six characters
        raise refused("a text has a zero character in it")
    return bytes(memoryview(content))  # some hundred bytes: orjson's own keep the room of four thousand
