"""How an entry is priced and by what it exits: the proposal's terms, else those of the strategy's manifest."""

from dataclasses import dataclass

from leadline.model.frozen import quickly_made, replace
from leadline.model.orders import Bracket, OrderType, Side
from leadline.model.proposals import Proposal
from leadline.risk.reasons import Reason
from leadline.risk.view import StrategySettings


@quickly_made
@dataclass(frozen=True, slots=True)
class Terms:
    """The terms of one entry. `price` in ticks, None at the market; `valid_for_ns` None: as long as entries may."""

    type: OrderType
    price: int | None
    valid_for_ns: int | None
    bracket: Bracket


def terms_of(strategy: StrategySettings, proposal: Proposal, close: int, side: Side) -> Terms:
    """The terms of an entry on a bar that closed at `close` (ticks)."""
    bracket = strategy.bracket if proposal.bracket is None else proposal.bracket
    own = proposal.entry
    if own is not None:
        return Terms(own.type, own.price, own.valid_for_ns, bracket)
    return Terms(strategy.entry_type, _price(strategy, close, side), strategy.valid_for_ns, bracket)


def _price(strategy: StrategySettings, close: int, side: Side) -> int | None:
    """Where an entry waits, ticks: a limit on the better side of the bar's close, a stop beyond it."""
    if strategy.entry_type is OrderType.MARKET:
        return None
    away = 1 if strategy.entry_type is OrderType.STOP else -1
    return close + away * side.sign * strategy.entry_offset


def worst_price(kind: OrderType, price: int | None, quote: int, side: Side) -> int:
    """The price in ticks from which an entry is sized and limited, where the market is at `quote`.

    An entry at the market is priced by the quote, and so is a stop that the market has passed: it fills at once.
    """
    if price is None:
        return quote
    if kind is not OrderType.STOP:
        return price
    return max(price, quote) if side is Side.BUY else min(price, quote)


def terms_refusal(terms: Terms, side: Side, quote: int, *, group: str = "") -> Reason | None:
    """Why an entry cannot have these terms where the market is at `quote` (ticks); None when it can.

    Alternatives of a `group` wait for a price. No exit may be where the entry has passed it already, at whichever price
    it fills: a limit that the market has passed may get its own price or that of the market.
    """
    if group and terms.price is None:
        return Reason.GROUP_AT_MARKET
    price = worst_price(terms.type, terms.price, quote, side)
    prices = [price]
    if terms.type is OrderType.LIMIT and (price - quote) * side.sign > 0:
        prices.append(quote)
    passed = any(_passes(terms.bracket, side, each) for each in prices)
    return Reason.EXIT_BEYOND_ENTRY if passed else None


def _passes(bracket: Bracket, side: Side, price: int) -> bool:
    """Whether an entry at `price` (ticks) is at an exit of its bracket, or beyond it."""
    stop, target = bracket.stop_at(price, side), bracket.target_at(price, side)
    stopped_out = stop is not None and (price - stop) * side.sign <= 0
    return stopped_out or (target is not None and (target - price) * side.sign <= 0)


def at_distances(strategy: StrategySettings, bracket: Bracket, side: Side, price: int) -> StrategySettings:
    """The settings by which an entry at `price` (ticks) with this bracket is sized: its exits as distances."""
    stop, target = bracket.stop_at(price, side), bracket.target_at(price, side)
    distances = Bracket(
        None if stop is None else max((price - stop) * side.sign, 0),
        None if target is None else max((target - price) * side.sign, 0),
        trail=bracket.trail,
    )
    return strategy if distances == strategy.bracket else replace(strategy, bracket=distances)
