"""The paper market once more, print by print and as plainly as the rules read: the measure of the fast one.

It keeps no marks, windows or columns; it may be as slow as it likes. Pessimistic rule only.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction

from leadline.model.ids import client_order_id
from leadline.model.orders import OrderType, Side, VenueOrder, Watch
from leadline.model.ticks import NS_PER_SECOND, Aggressor, TickColumns
from leadline.venue.rules import trigger_of

FillLine = tuple[str, int, int, int, int]
"""(client id, quantity, price, time, source index)"""


@dataclass
class Resting:
    """An order of the reference."""

    order: VenueOrder
    after_ns: int
    quantity: int
    queued: int = 0
    fills: int = 0
    oco: str = ""
    twice: int = 0


@dataclass(frozen=True)
class Printed:
    """One print."""

    time_ns: int
    contract: str
    index: int
    price: int
    size: int
    aggressor: int


def merged(tapes: dict[str, TickColumns]) -> list[Printed]:
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

    def submit(self, order: VenueOrder) -> None:
        after = order.decided_at_ns + self.latency_ns
        self.resting.append(Resting(order, after, order.quantity, twice=2 * order.quantity))

    def cancel(self, client_id: str) -> None:
        self.resting = [one for one in self.resting if one.order.client_id != client_id]

    def feed(self, prints: Iterable[Printed]) -> None:
        for one in prints:
            self.past.append(one)
            self.match(one)

    def match(self, one: Printed) -> None:
        left = one.size
        present = list(self.resting)
        for kind in (OrderType.STOP, OrderType.MARKET, OrderType.LIMIT):
            for rest in present:
                order = rest.order
                if order.type is not kind or rest not in self.resting or order.tape_contract != one.contract:
                    continue
                if one.time_ns <= rest.after_ns:
                    continue
                sign = order.side.sign
                if kind is OrderType.MARKET:
                    self.fill(rest, one, rest.quantity, self.worst(order.side, one) + sign * self.slippage)
                elif kind is OrderType.STOP and sign * one.price >= sign * trigger_of(order):
                    price = sign * max(sign * one.price, sign * trigger_of(order))
                    self.fill(rest, one, rest.quantity, price + sign * self.slippage)
                elif kind is OrderType.LIMIT:
                    if one.price == trigger_of(order):
                        rest.queued += one.size
                    reached = one.price == trigger_of(order) and rest.queued > rest.twice
                    if (reached or sign * one.price < sign * trigger_of(order)) and left:
                        left -= self.fill(rest, one, min(rest.quantity, left), trigger_of(order))

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
            if not quantity or order.type is not OrderType.LIMIT:
                self.cancel(order.client_id)
            if not quantity:
                return 0
        self.position[order.contract] = held + order.side.sign * quantity
        self.lines.append((order.client_id, quantity, price, one.time_ns, one.index))
        rest.fills += 1
        rest.quantity -= quantity
        if not rest.quantity:
            self.cancel(order.client_id)
        if order.stop_ticks is not None and order.target_ticks is not None:
            self.protect(rest, one, quantity, price, (order.stop_ticks, order.target_ticks))
        for twin in list(self.resting):
            if twin.order.client_id == rest.oco:
                twin.quantity -= quantity
                if not twin.quantity:
                    self.cancel(rest.oco)
        return quantity

    def protect(self, rest: Resting, one: Printed, quantity: int, price: int, ticks: tuple[int, int]) -> None:
        order, sign = rest.order, rest.order.side.sign
        stop_id, target_id = (client_order_id(order.decision, f"{leg}{rest.fills}") for leg in "ST")
        for mine, twin, kind in ((stop_id, target_id, OrderType.STOP), (target_id, stop_id, OrderType.LIMIT)):
            leg = VenueOrder(
                client_id=mine,
                decision="",
                contract=order.contract,
                tape_contract=order.tape_contract,
                side=order.side.opposite,
                type=kind,
                quantity=quantity,
                decided_at_ns=one.time_ns,
                leg=f"{'S' if kind is OrderType.STOP else 'T'}{rest.fills}",
                stop_price=price - sign * ticks[0] if kind is OrderType.STOP else None,
                limit_price=price + sign * ticks[1] if kind is OrderType.LIMIT else None,
            )
            self.resting.append(Resting(leg, one.time_ns, quantity, oco=twin, twice=2 * quantity))


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
