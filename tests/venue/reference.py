"""The paper market once more, print by print and as plainly as the rules read: the measure of the fast one.

It keeps no marks, windows or columns; it may be as slow as it likes. Pessimistic rule only.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction

from leadline.model.ids import NO_ORDER, ClientOrderId, ContractId, DecisionId, Leg, client_order_id
from leadline.model.orders import Bracket, OrderType, Replacement, Side, Trailing, VenueOrder, Watch
from leadline.model.ticks import NS_PER_SECOND, Aggressor, TickColumns

FillLine = tuple[str, int, int, int, int]
"""(client id, quantity, price, time, source index)"""


def at_the_market(wanted: Replacement) -> Replacement:
    """The new terms that an exit can have which went out at the market: it has no price to move, and does not trail."""
    return replace(wanted, limit_price=None, stop_price=None, trail=None)


@dataclass
class Resting:
    """An order of the reference: its terms as they are now."""

    order: VenueOrder
    after_ns: int
    quantity: int
    filled: int = 0
    queued: int = 0
    fills: int = 0
    limit: int | None = None
    stop: int | None = None
    until_ns: int | None = None
    triggered: bool = False
    takes: bool | None = None
    trail: Trailing | None = None

    @property
    def turn(self) -> int:
        """Stops, then market orders, then limits."""
        return 1 if self.order.type is OrderType.MARKET else 2 if self.stop is None or self.triggered else 0


@dataclass(frozen=True)
class Printed:
    """One print."""

    time_ns: int
    contract: ContractId
    index: int
    price: int
    size: int
    aggressor: int


def merged(tapes: dict[ContractId, TickColumns]) -> list[Printed]:
    """All prints in the order (time, contract, source index)."""
    prints = [
        Printed(
            int(ticks.time_ns[row]),
            contract,
            ticks.first_index + row,
            int(ticks.price[row]),
            int(ticks.size[row]),
            int(ticks.aggressor[row]),
        )
        for contract, ticks in tapes.items()
        for row in range(len(ticks))
    ]
    return sorted(prints, key=lambda one: (one.time_ns, one.contract, one.index))


class Reference:
    """Feed it orders and prints in tape order; read `lines`."""

    def __init__(self, slippage: int, latency_ns: int) -> None:
        self.slippage = slippage
        self.latency_ns = latency_ns
        self.resting: list[Resting] = []
        self.past: list[Printed] = []
        self.position: dict[str, int] = {}
        self.lines: list[FillLine] = []
        self.ever: set[str] = set()

    def attach(self, order: VenueOrder) -> None:
        """An exit for what an entry has filled, which becomes a pair with the other one.

        Nothing comes of it when that has ended or has a pair, nor before the entry has filled.
        """
        there = {one.order.client_id: one for one in self.resting}
        twin = there.get(order.oco)
        if order.parent not in {line[0] for line in self.lines} or (twin is None and order.oco in self.ever):
            return
        if twin is not None and (twin.order.parent != order.parent or twin.order.oco in there):
            return
        self.submit(order)
        if twin is not None:
            twin.order = replace(twin.order, oco=order.client_id)
            self.resting[-1].quantity = min(order.quantity, twin.quantity)

    def submit(self, order: VenueOrder, after_ns: int | None = None) -> None:
        after = order.decided_at_ns + self.latency_ns if after_ns is None else after_ns
        self.ever.add(order.client_id)
        self.resting.append(
            Resting(
                order,
                after,
                order.quantity,
                limit=order.limit_price,
                stop=order.stop_price,
                until_ns=order.valid_until_ns,
                trail=order.trail,
            )
        )

    def cancel(self, client_id: ClientOrderId) -> None:
        self.resting = [one for one in self.resting if one.order.client_id != client_id]

    def replace(self, wanted: Replacement, now_ns: int) -> None:
        for rest in self.resting:
            if rest.order.client_id != wanted.client_id or (rest.until_ns is not None and rest.until_ns <= now_ns):
                continue
            if rest.order.parent and rest.limit is None and rest.stop is None:
                wanted = at_the_market(wanted)
            quantity = rest.filled + rest.quantity if wanted.quantity is None else wanted.quantity
            if rest.order.parent:
                quantity = min(quantity, rest.filled + rest.quantity)
            limit = rest.limit if wanted.limit_price is None else wanted.limit_price
            stop = rest.stop if wanted.stop_price is None else wanted.stop_price
            if quantity <= rest.filled:
                self.cancel(wanted.client_id)
                return
            moved = (limit, stop) != (rest.limit, rest.stop) or quantity > rest.filled + rest.quantity
            if moved:
                entry = not rest.order.parent and not rest.order.reduce_only
                rest.after_ns = max(rest.after_ns, now_ns + (self.latency_ns if entry else 0))
                rest.queued = 0
                rest.takes = None
                rest.triggered = rest.triggered and stop == rest.stop
            rest.limit, rest.stop, rest.quantity = limit, stop, quantity - rest.filled
            rest.trail = wanted.trail or rest.trail
            rest.until_ns = rest.until_ns if wanted.valid_until_ns is None else wanted.valid_until_ns

    def feed(self, prints: Iterable[Printed]) -> None:
        for one in prints:
            self.past.append(one)
            self.match(one)

    def match(self, one: Printed) -> None:
        self.resting = [rest for rest in self.resting if rest.until_ns is None or one.time_ns < rest.until_ns]
        left = one.size
        concerned = [
            rest for rest in self.resting if rest.order.tape_contract == one.contract and one.time_ns > rest.after_ns
        ]
        for rest in sorted(concerned, key=lambda rest: rest.turn):
            order, sign, turn = rest.order, rest.order.side.sign, rest.turn
            if rest not in self.resting:
                continue
            if order.type is OrderType.MARKET:
                self.fill(rest, one, rest.quantity, self.worst(order.side, one) + sign * self.slippage)
            elif turn == 0 and rest.stop is not None and sign * one.price >= sign * rest.stop:
                price = sign * max(sign * one.price, sign * rest.stop) + sign * self.slippage
                if rest.limit is not None and sign * price > sign * rest.limit:
                    rest.triggered = True
                    rest.takes = False
                else:
                    self.fill(rest, one, rest.quantity, price)
            elif turn == 2 and rest.limit is not None:
                left -= self.match_limit(rest, one, left, rest.limit)
        for rest in concerned:
            trail, sign = rest.trail, rest.order.side.sign
            if rest not in self.resting or trail is None or rest.stop is None:
                continue
            if sign * one.price <= sign * trail.from_price:
                rest.stop = sign * min(sign * rest.stop, sign * one.price + trail.offset_ticks)

    def match_limit(self, rest: Resting, one: Printed, left: int, limit: int) -> int:
        """What a limit order gets of what is left of a print."""
        sign = rest.order.side.sign
        if rest.takes is None:
            rest.takes = self.was_through(rest, one)
        if one.price == limit:
            rest.queued += one.size
        reached = one.price == limit and rest.queued > 2 * (rest.filled + rest.quantity)
        through = sign * one.price < sign * limit
        price = limit
        if rest.takes:
            price = sign * min(sign * limit, sign * self.worst(rest.order.side, one) + self.slippage)
        rest.takes = rest.takes and through
        return self.fill(rest, one, min(rest.quantity, left), price) if (reached or through) and left else 0

    def was_through(self, rest: Resting, one: Printed) -> bool:
        """Whether the print before one was beyond the limit: then the order takes, and does not rest yet."""
        sign, before = rest.order.side.sign, [old for old in self.past[:-1] if old.contract == one.contract]
        return bool(before) and rest.limit is not None and sign * before[-1].price < sign * rest.limit

    def worst(self, side: Side, one: Printed) -> int:
        mine = Aggressor.BUY if side is Side.BUY else Aggressor.SELL
        quotes = [old for old in self.past if old.contract == one.contract and old.aggressor == mine]
        if not quotes or one.time_ns - quotes[-1].time_ns > NS_PER_SECOND:
            return one.price
        return side.sign * max(side.sign * one.price, side.sign * quotes[-1].price)

    def fill(self, rest: Resting, one: Printed, quantity: int, price: int) -> int:
        order = rest.order
        held = self.position.get(order.contract, 0)
        if order.reduce_only:
            quantity = min(quantity, max(0, -order.side.sign * held))
            if not quantity or order.type not in {OrderType.LIMIT, OrderType.STOP_LIMIT}:
                self.cancel(order.client_id)
            if not quantity:
                return 0
        self.position[order.contract] = held + order.side.sign * quantity
        self.lines.append((order.client_id, quantity, price, one.time_ns, one.index))
        rest.fills += 1
        rest.filled += quantity
        rest.quantity -= quantity
        if not rest.quantity:
            self.cancel(order.client_id)
        if order.bracket is not None:
            self.protect(rest, one, quantity, price, order.bracket)
        for twin in list(self.resting):
            if twin.order.client_id == rest.order.oco:
                twin.quantity -= quantity
                if twin.quantity <= 0:
                    self.cancel(rest.order.oco)
        return quantity

    def protect(self, rest: Resting, one: Printed, quantity: int, price: int, bracket: Bracket) -> None:
        order, sign = rest.order, rest.order.side.sign
        stop, target = bracket.stop_price, bracket.target_price
        if bracket.stop_ticks is not None:
            stop = price - sign * bracket.stop_ticks
        if bracket.target_ticks is not None:
            target = price + sign * bracket.target_ticks
        ids = [client_order_id(order.decision, Leg(f"{leg}{rest.fills}")) for leg in "ST"]
        both = stop is not None and target is not None
        for mine, twin, at, leg in ((ids[0], ids[1], stop, "S"), (ids[1], ids[0], target, "T")):
            if at is None:
                continue
            passed = sign * price <= sign * at if leg == "S" else sign * price >= sign * at
            kind = OrderType.MARKET if passed else OrderType.STOP if leg == "S" else OrderType.LIMIT
            trail = None
            if kind is OrderType.STOP and bracket.trail is not None:
                trail = Trailing(price + sign * bracket.trail.trigger_ticks, bracket.trail.offset_ticks)
            self.submit(
                VenueOrder(
                    client_id=mine,
                    decision=DecisionId(""),
                    contract=order.contract,
                    tape_contract=order.tape_contract,
                    side=order.side.opposite,
                    type=kind,
                    quantity=quantity,
                    decided_at_ns=one.time_ns,
                    leg=Leg(f"{leg}{rest.fills}"),
                    stop_price=at if kind is OrderType.STOP else None,
                    limit_price=at if kind is OrderType.LIMIT else None,
                    trail=trail,
                    parent=order.client_id,
                    oco=twin if both else NO_ORDER,
                ),
                one.time_ns,
            )


def crossing(watch: Watch, prints: list[Printed], after_ns: int) -> int | None:
    """First instant later than `after_ns`, of prints that move the result, at whose last prints the watch holds."""
    weights: dict[tuple[str, Fraction | None], Fraction] = {}
    base = Fraction(watch.base)
    for held in watch.positions:
        value = Fraction(held.tick_value)
        key = (held.tape_contract, value if held.inverse else None)
        weights[key] = weights.get(key, Fraction(0)) + held.quantity * (1 if held.inverse else value)
        base -= Fraction(held.cost)
    weights = {key: weight for key, weight in weights.items() if weight}
    moving = {contract for contract, _ in weights}
    prints = [one for one in prints if one.contract in moving]
    last: dict[str, int] = {}
    for row, one in enumerate(prints):
        last[one.contract] = one.price
        whole = row + 1 == len(prints) or prints[row + 1].time_ns > one.time_ns
        if not whole or one.time_ns <= after_ns or len(last) < len(moving):
            continue
        result = base + sum(weight * _worth(last[contract], coin) for (contract, coin), weight in weights.items())
        below = watch.at_or_below is not None and result <= Fraction(watch.at_or_below)
        if below or (watch.at_or_above is not None and result >= Fraction(watch.at_or_above)):
            return one.time_ns
    return None


def _worth(price: int, coin: Fraction | None) -> Fraction:
    """A price in ticks, or what an inverse size step is worth at it: to 16 places, at a price of one tick or more."""
    return Fraction(price) if coin is None else -Fraction(round(coin * 10**16 / max(price, 1)), 10**16)
