"""The paper market: orders matched against the tape, in columns. Synchronous; the service and a backtest call it alike.

Time moves only by `advance`, over whole instants (all prints of all contracts that share a time), and stops at the end
of the first instant at which an order changed or a watch was crossed. Where else it stops makes no difference.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from leadline.model.errors import InvalidInput
from leadline.model.frozen import quickly_made, replace
from leadline.model.ids import NO_ORDER, ClientOrderId, ContractId, fill_id
from leadline.model.market.settlement import SETTLED, settles_at_ns
from leadline.model.orders import (
    Fill,
    LastPrint,
    OrderState,
    Replacement,
    VenueEvent,
    VenueOrder,
    Watch,
)
from leadline.model.ticks import TickColumns
from leadline.venue.brackets import exits
from leadline.venue.checks import check_attached, check_order, check_replacement, check_same
from leadline.venue.fill_rules import (
    FillRules,
    Mark,
    Rest,
    beyond_limit,
    fill_price,
    first_match,
    first_trail,
    mark_after,
    rest_after,
    rests_as_limit,
    takes,
    trailed,
    turn_of,
    within_reach,
)
from leadline.venue.history import MarketHistory
from leadline.venue.settlements import settlement
from leadline.venue.watches import Range, ScaledWatch, first_crossing, price_range, scaled

WINDOW_ROWS: Final = 16_384
"""Prints of a contract that are scanned at once: enough to hide the cost of a call, few enough to stay in the cache."""

_TERMS: Final = ("quantity", "limit_price", "stop_price", "bracket", "valid_until_ns", "trail")


@quickly_made
@dataclass(frozen=True, slots=True)
class Reached:
    """Where the market stands after `advance`.

    `instant_ns` is matched whole; `events` are new; `last_prints` has the last print of each advanced contract that has
    printed; `stopped` says that an order changed or a watch was crossed.
    """

    instant_ns: int
    events: tuple[VenueEvent, ...]
    last_prints: dict[ContractId, LastPrint]
    stopped: bool


class PaperMarket(MarketHistory):
    """Orders, native brackets and net positions of one account on one tape; starts at `instant_ns` with none."""

    def __init__(self, rules: FillRules, instant_ns: int) -> None:
        super().__init__(instant_ns)
        self._rules = rules

    # --- what a caller does ------------------------------------------------------------------------------------------

    def submit(self, order: VenueOrder) -> tuple[VenueOrder, bool]:
        """Take an order: it and False, or the one that has its id already, as it stands, and True.

        InvalidInput when the order makes no sense, or its id stands for another one; nothing is kept of it then.
        """
        if known := self._orders.get(order.client_id):
            check_same(known, order)
            return known, True
        check_order(order)
        if order.bracket is not None and not self._rules.native_brackets:
            raise InvalidInput("order.bracket", order.bracket, "none: this venue makes no brackets")
        if order.oco and not self._rules.pairs:
            raise InvalidInput("order.oco", order.oco, "none: this venue ends no exit with another")
        after_ns = order.decided_at_ns + self._rules.latency_ns
        if order.parent and order.leg.is_exit:
            return self._attach(order, after_ns), False
        return self._rest(_as_sent(order), after_ns), False

    def _attach(self, order: VenueOrder, after_ns: int) -> VenueOrder:
        """Take an exit for what an entry has filled, a pair with the order in its `oco`; refused once that has ended.

        It is no larger than its pair, which may also have come before and name it.
        """
        named = (other.client_id for other in self.live_orders() if other.oco == order.client_id)
        order = replace(order, oco=order.oco or next(named, NO_ORDER))
        twin = self._orders.get(order.oco)
        paired = twin is not None and twin.oco != order.client_id and twin.oco in self._resting
        check_attached(order, self._orders.get(order.parent), twin, paired=paired)
        taken = replace(_as_sent(order), parent=order.parent, oco=order.oco)
        if twin is None:
            return self._rest(taken, after_ns)
        if twin.state.terminal:
            return self._record(replace(taken, state=OrderState.REJECTED, reason="its pair has ended"))
        if twin.oco != order.client_id:
            self._record(replace(twin, oco=order.client_id))
        return self._rest(replace(taken, quantity=min(taken.quantity, twin.remaining)), after_ns)

    def reject(self, order: VenueOrder, reason: str) -> tuple[VenueOrder, bool]:
        """Refuse an order and remember it; a known id is answered as by `submit`."""
        if known := self._orders.get(order.client_id):
            check_same(known, order)
            return known, True
        check_order(order)
        return self._record(replace(_as_sent(order), state=OrderState.REJECTED, reason=reason)), False

    def cancel(self, client_id: ClientOrderId, reason: str) -> VenueOrder:
        """Cancel an order at once, this one only; the order as it stands. Unknown when there is none of that id."""
        order = self.order(client_id)
        return order if order.state.terminal else self._cancel(order, reason)

    def replace(self, wanted: Replacement) -> VenueOrder:
        """Give a working order other terms; the order as it stands.

        One that has ended stays as it ended, and the same terms again change nothing. Another price or a larger size
        takes the order's place in the queue away, another trail does not: an entry then matches prints later than the
        latency from now, an exit those later than now. A size that has filled already ends the order. A bracket leg
        only shrinks: a size that is not below its own changes nothing, for its fill or its twin may have made it
        smaller meanwhile. Its twin keeps its size. Unknown when there is none of that id, InvalidInput for terms that
        it cannot have.
        """
        order = self.order(wanted.client_id)
        if order.state.terminal:
            return order
        check_replacement(order, wanted)
        if order.parent and wanted.quantity is not None:
            wanted = replace(wanted, quantity=min(wanted.quantity, order.quantity))
        terms = ((name, getattr(wanted, name)) for name in _TERMS)
        after = replace(order, **{name: value for name, value in terms if value is not None})
        if after.quantity <= order.filled:
            return self._cancel(order, "replaced by a size that has filled")
        check_order(after)
        if after == order:
            return order
        rest = self._resting[order.client_id]
        if (after.limit_price, after.stop_price) != (order.limit_price, order.stop_price) or (
            after.quantity > order.quantity
        ):
            delay_ns = 0 if order.parent or order.reduce_only else self._rules.latency_ns
            rest = Rest(max(rest.after_ns, self._instant_ns + delay_ns))
            after = replace(after, triggered=after.triggered and after.stop_price == order.stop_price)
        self._resting[order.client_id] = rest
        return self._record(after)

    # --- what the tape does ------------------------------------------------------------------------------------------

    def advance(self, prints: Mapping[ContractId, TickColumns], to_ns: int, watches: Sequence[Watch] = ()) -> Reached:
        """Match the prints up to `to_ns`, or up to the end of the first instant that stops it.

        prints: by contract, complete up to `to_ns`. Rows that were matched before, or are later, do no harm.
        InvalidInput when the prints leave out a contract that an order or a watch needs, or skip some of its rows, or a
        watch makes no sense.
        """
        seen = len(self._events)
        watched = [scaled(watch) for watch in watches]
        needed = [order.tape_contract for order in self.live_orders()]
        needed += [position.tape_contract for watch in watches for position in watch.positions]
        for contract in needed:
            if contract not in prints:
                raise InvalidInput("prints", sorted(prints), f"the tape of {contract} too")
        rest, stopped = self._unmatched(prints, to_ns), False
        while self._instant_ns < to_ns and not stopped:
            stopped, rest = self._advance_window(rest, to_ns, watched)
        last = {contract: self._marks[contract].last for contract in sorted(prints) if contract in self._marks}
        return Reached(self._instant_ns, tuple(self._events[seen:]), last, stopped)

    def _unmatched(self, prints: Mapping[ContractId, TickColumns], to_ns: int) -> dict[ContractId, TickColumns]:
        """Rows that are not matched yet, up to `to_ns`, of the contracts that have some.

        Those of a contract that joined late, up to the present instant, only move its mark.
        """
        found: dict[ContractId, TickColumns] = {}
        for contract in sorted(prints):
            ticks = prints[contract]
            times, start = ticks.time_ns, self._first_unmatched(contract, ticks)
            if start < len(times) and times.item(start) <= self._instant_ns:
                late, start = start, int(times.searchsorted(self._instant_ns, "right"))
                self._absorb(contract, ticks.slice(late, start), self.live_orders())
            if start < len(times) and times.item(start) <= to_ns:
                found[contract] = ticks.slice(start, int(times.searchsorted(to_ns, "right")))
        return found

    def _first_unmatched(self, contract: ContractId, ticks: TickColumns) -> int:
        """The first row that is not matched yet. InvalidInput where rows are skipped."""
        mark = self._marks.get(contract)
        if mark is None:
            return 0
        expected = mark.last.source_index + 1
        if ticks.first_index > expected:
            raise InvalidInput(f"prints[{contract}].first_index", ticks.first_index, f"at most {expected}")
        return min(expected - ticks.first_index, len(ticks.time_ns))

    def _advance_window(
        self, rest: dict[ContractId, TickColumns], to_ns: int, watches: Sequence[ScaledWatch]
    ) -> tuple[bool, dict[ContractId, TickColumns]]:
        """Match one window of prints, whole instants; whether it stopped, and the rows after it where it did not.

        `rest` has prints up to `to_ns`, and no contract without one.
        """
        if not (self._resting or watches or any(self._positions.values())):  # nothing asks for a print
            for contract, ticks in rest.items():
                self._absorb(contract, ticks, ())
            self._instant_ns = to_ns
            return False, {}
        full = [ticks.time_ns.item(WINDOW_ROWS - 1) for ticks in rest.values() if len(ticks.time_ns) >= WINDOW_ROWS]
        end = min(full, default=to_ns)
        window, rest = _cut(rest, end) if full else (rest, {})
        ranges = {contract: price_range(ticks) for contract, ticks in window.items()}
        near = self._within_reach(ranges)
        match_ns = self._first_change_ns(window, near, end)
        crossings = [first_crossing(watch, window, ranges, self._marks) for watch in watches]
        stops = [time_ns for time_ns in (match_ns, *crossings) if time_ns is not None]
        if not stops:
            for contract, ticks in window.items():
                self._absorb(contract, ticks, near)
            self._instant_ns = end
            return False, rest
        stop = min(stops)
        before, after = _cut(window, stop - 1 if match_ns == stop else stop)
        for contract, ticks in before.items():
            self._absorb(contract, ticks, near)
        self._instant_ns = stop
        if match_ns == stop:
            self._expire()
            self._settle()
            for contract, ticks in after.items():
                self._match_instant(contract, ticks)
            self._matched = self.last_event
        return True, {}

    def _within_reach(self, ranges: Mapping[ContractId, Range | None]) -> list[VenueOrder]:
        """Live orders that a window's prices may concern; most windows concern none, and nothing is scanned."""
        live = self.live_orders()
        return [order for order in live if (found := ranges.get(order.tape_contract)) and within_reach(order, *found)]

    def _first_change_ns(
        self, window: dict[ContractId, TickColumns], orders: list[VenueOrder], end_ns: int
    ) -> int | None:
        """When the first live order changes, or a contract settles.

        An order changes when a print of the window fills, triggers or moves it, or it expires.
        """
        found = [order.valid_until_ns for order in self.live_orders() if order.valid_until_ns is not None]
        found += [time_ns for contract in self._concerned() if (time_ns := settles_at_ns(contract)) is not None]
        found = [max(time_ns, self._instant_ns + 1) for time_ns in found if time_ns <= end_ns]
        for order in orders:
            ticks, rest = window[order.tape_contract], self._resting[order.client_id]
            row = min(first_match(self._rules, order, rest, ticks), first_trail(order, rest, ticks))
            if row < len(ticks.time_ns):
                found.append(int(ticks.time_ns[row]))
        return min(found, default=None)

    def _absorb(self, contract: ContractId, ticks: TickColumns, orders: Iterable[VenueOrder]) -> None:
        """Prints that no order answers to: they move the mark, and the queues of those orders that they may concern."""
        mark = mark_after(self._marks.get(contract), ticks) if len(ticks.time_ns) else None
        if mark is None:
            return
        self._marks[contract] = mark
        for order in orders:
            if order.tape_contract == contract:
                self._resting[order.client_id] = rest_after(order, self._resting[order.client_id], ticks)

    def _match_instant(self, contract: ContractId, ticks: TickColumns) -> None:
        """Match the first rows of the contract, those of the present instant, print by print."""
        for row in range(int(ticks.time_ns.searchsorted(self._instant_ns, "right"))):
            self._match_print(contract, ticks.slice(row, row + 1))

    def _expire(self, tape: ContractId | None = None) -> None:
        """End the orders that are valid up to the present instant only: its prints do not match them any more.

        Those on a `tape` alone, where one is named.
        """
        for order in self.live_orders():
            valid = order.valid_until_ns is None or order.valid_until_ns > self._instant_ns
            if not valid and tape in {None, order.tape_contract}:
                self._record(replace(order, state=OrderState.EXPIRED, reason="its validity has ended"))

    def _concerned(self, tape: ContractId | None = None) -> list[ContractId]:
        """The contracts that are held, or have a live order; those that a `tape` prices, where one is named."""
        held = {contract: self._tapes[contract] for contract, quantity in self._positions.items() if quantity}
        held.update((order.contract, order.tape_contract) for order in self.live_orders())
        return sorted(contract for contract, priced_by in held.items() if tape in {None, priced_by})

    def _settle(self, tape: ContractId | None = None) -> None:
        """End what is held and what works in contracts that are settled in cash by now."""
        for contract in self._concerned(tape):
            at_ns = settles_at_ns(contract)
            if at_ns is None or at_ns > self._instant_ns:
                continue
            if held := self._positions.get(contract, 0):
                priced_by = self._tapes[contract]
                self._record(*settlement(contract, priced_by, held, self._marks[priced_by].last, self._instant_ns))
            for order in self.live_orders():
                if order.contract == contract:
                    self._record(replace(order, state=OrderState.EXPIRED, reason=SETTLED))

    def _match_print(self, contract: ContractId, tick: TickColumns) -> None:
        """Match one print (a single row) with every order on its contract, each in its turn, and let stops trail it."""
        before, seen = dict(self._resting), self._marks.get(contract)
        self._absorb(contract, tick, self.live_orders())
        mark = self._marks[contract]
        left = int(tick.size[0])
        turns = sorted(self.live_orders(), key=turn_of)
        for client_id in [order.client_id for order in turns if order.tape_contract == contract]:
            order = self._orders[client_id]
            if client_id not in self._resting:
                continue
            if first_match(self._rules, order, before[client_id], tick) == len(tick.time_ns):
                continue
            if rests_as_limit(order):
                taking = takes(order, before[client_id], seen)
                if taking:
                    self._resting[client_id] = self._resting[client_id]._replace(took=mark.last.source_index)
                if left:
                    left -= self._fill(order, mark, seen, min(order.remaining, left), taking=taking)
            elif beyond_limit(order, fill_price(self._rules, order, mark, seen)):
                self._record(replace(order, triggered=True))
            else:
                self._fill(order, mark, seen, order.remaining)
        self._trail(contract, tick, before)

    def _trail(self, contract: ContractId, tick: TickColumns, before: Mapping[ClientOrderId, Rest]) -> None:
        """Move the stops that follow this print; the next one meets them where they are then."""
        for order in self.live_orders():
            rest = before.get(order.client_id)
            if rest is None or order.tape_contract != contract or first_trail(order, rest, tick) == len(tick.time_ns):
                continue
            self._record(replace(order, stop_price=trailed(order, int(tick.price[0]))))

    def _fill(self, order: VenueOrder, mark: Mark, before: Mark | None, quantity: int, *, taking: bool = False) -> int:
        """Fill up to `quantity` at the mark's last print and return what was filled; the rest as in `fill_price`.

        An entry's fill makes its legs; a leg's fill shrinks or cancels its twin.
        """
        if order.reduce_only:
            quantity = min(quantity, max(0, -order.side.sign * self._positions.get(order.contract, 0)))
            if not quantity:
                self._cancel(order, "nothing to reduce")
                return 0
        filled = order.filled + quantity
        state = OrderState.FILLED if filled == order.quantity else OrderState.PARTIAL
        order = replace(order, filled=filled, state=state)
        fill = Fill(
            fill_id=fill_id(order.client_id, mark.last.source_index),
            client_id=order.client_id,
            contract=order.contract,
            side=order.side,
            quantity=quantity,
            price=fill_price(self._rules, order, mark, before, taking=taking),
            time_ns=mark.last.time_ns,
            source_index=mark.last.source_index,
            k=self._fills.get(order.client_id, 0) + 1,
        )
        self._record(order, fill)
        if order.bracket is not None:
            for leg in exits(order, fill, order.bracket, self._orders):
                self._rest(leg, fill.time_ns)
        if order.oco in self._resting:
            twin = self._orders[order.oco]
            if twin.remaining > quantity:
                self._record(replace(twin, quantity=twin.quantity - quantity))
            else:
                self._cancel(twin, "the other leg filled")
        if order.reduce_only and not rests_as_limit(order) and not order.state.terminal:
            self._cancel(order, "nothing to reduce")
        return quantity

    # --- what a live tape does ---------------------------------------------------------------------------------------

    def clock(self, now_ns: int) -> None:
        """Say what time it is on a live tape, before a caller changes something: its events get this time."""
        self._instant_ns = max(self._instant_ns, now_ns)

    def arrive(self, contract: ContractId, ticks: TickColumns, complete_ns: int) -> tuple[VenueEvent, ...]:
        """Match prints of one contract as they come, waiting for no other contract; the events that they make.

        `complete_ns`: nothing of this contract is waited for up to that instant, so that what ends by then has ended.
        Rows that were matched before do no harm. Each event has the time of its print. InvalidInput where rows are
        skipped.
        """
        seen, began_ns = len(self._events), self._instant_ns
        rest = ticks.slice(self._first_unmatched(contract, ticks), len(ticks))
        while True:
            due_ns = self._due_ns(contract)
            ahead = len(rest) if due_ns is None else int(rest.time_ns.searchsorted(due_ns, "left"))
            window = rest.slice(0, min(ahead, WINDOW_ROWS))
            if len(window):
                row = self._first_row(contract, window)
                self._absorb(contract, window.slice(0, row), self.live_orders())
                if row < len(window):
                    self._instant_ns = int(window.time_ns[row])
                    self._match_print(contract, window.slice(row, row + 1))
                rest = rest.slice(min(row + 1, len(window)), len(rest))
            elif due_ns is not None and (len(rest) or due_ns <= complete_ns):
                self._instant_ns = due_ns
                self._expire(contract)
                self._settle(contract)
            else:
                break
        self._matched = self.last_event
        last = self._marks.get(contract)
        self._instant_ns = began_ns if last is None else max(began_ns, last.last.time_ns)
        return tuple(self._events[seen:])

    def skip(self, contract: ContractId, last_index: int) -> None:
        """Pass over prints of a contract up to a source index, inclusive: they are late, or lost for ever."""
        mark = self._marks.get(contract)
        if mark is not None and mark.last.source_index < last_index:
            self._marks[contract] = replace(mark, last=replace(mark.last, source_index=last_index))

    def number_anew(self, contract: ContractId, first_index: int) -> None:
        """Expect that source index next on a contract: its source has lost its last numbers, and gives them again."""
        mark = self._marks.get(contract)
        if mark is not None:
            self._marks[contract] = replace(mark, last=replace(mark.last, source_index=first_index - 1))

    def _due_ns(self, contract: ContractId) -> int | None:
        """When an order on this tape ends by its validity, or a contract that it prices settles, whichever is first."""
        orders = [order for order in self.live_orders() if order.tape_contract == contract]
        found = [order.valid_until_ns for order in orders if order.valid_until_ns is not None]
        found += [at for name in self._concerned(contract) if (at := settles_at_ns(name)) is not None]
        return min(found, default=None)

    def _first_row(self, contract: ContractId, window: TickColumns) -> int:
        """The first row of prints at which an order on this tape changes; their number where none does."""
        found = price_range(window)
        rows = [
            min(first_match(self._rules, order, rest, window), first_trail(order, rest, window))
            for order in self.live_orders()
            if order.tape_contract == contract and found is not None and within_reach(order, *found)
            for rest in (self._resting[order.client_id],)
        ]
        return min(rows, default=len(window))


def _as_sent(order: VenueOrder) -> VenueOrder:
    """The order without what its sender may claim in the fields that are the venue's."""
    return replace(order, parent=NO_ORDER, oco=NO_ORDER, state=OrderState.WORKING, filled=0, reason="", triggered=False)


def _cut(
    prints: Mapping[ContractId, TickColumns], time_ns: int
) -> tuple[dict[ContractId, TickColumns], dict[ContractId, TickColumns]]:
    """Rows up to that time, inclusive, and those later, each of the contracts that have some."""
    before: dict[ContractId, TickColumns] = {}
    after: dict[ContractId, TickColumns] = {}
    for contract, ticks in prints.items():
        row, size = int(ticks.time_ns.searchsorted(time_ns, "right")), len(ticks.time_ns)
        if row:
            before[contract] = ticks.slice(0, row)
        if row < size:
            after[contract] = ticks.slice(row, size)
    return before, after
