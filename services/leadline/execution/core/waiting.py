"""Entries that wait for their price: what takes them out of the market again, and when time does.

They were decided when they might be entered. Whatever would refuse them now takes them out, before a print fills them.
What depends on prices (margin of the equity, the day's budget, the collar) is asked at the decision alone: where the
loop happens to stop must change nothing.
"""

from typing import Final

from leadline.execution.core.account import account_view, allowed_on, no_stop_ticks, settings
from leadline.execution.core.book import Book, StrategyBook, is_entry
from leadline.execution.core.closes import session_today
from leadline.execution.core.exit_reasons import ExitReason
from leadline.model.blocks import Block
from leadline.model.drains import DrainOrders
from leadline.model.ids import ClientOrderId, StrategyId
from leadline.model.market.contracts import sheet_of
from leadline.model.orders import Order, OrderType
from leadline.risk.gates import open_until, time_refusal
from leadline.risk.limits import free_position, largest_size, trades_refusal
from leadline.risk.reasons import Reason
from leadline.risk.view import AccountView, StrategySettings

_OF_BLOCK: Final = {Block.DAY_LOSS: ExitReason.DAY_LOSS, Block.DAY_TARGET: ExitReason.DAY_TARGET}


def waiting_entries(book: Book, strategy: StrategyId) -> list[Order]:
    """The live entries of a strategy that wait for a price."""
    return [order for order in book.live_orders(strategy) if is_entry(order) and order.type is not OrderType.MARKET]


def standing_reason(book: Book, strategy: StrategyBook) -> ExitReason | None:
    """Why no entry of a strategy may work, whatever its kind; None while they may.

    A drain that keeps working orders keeps them as long as nothing else takes them out.
    """
    spec, drain = strategy.manifest.spec, strategy.drain
    if drain is not None and drain.working_orders == DrainOrders.CANCEL:
        return ExitReason.DRAIN
    if strategy.fence is not None:
        return ExitReason.FENCE
    if not allowed_on(book, strategy):
        return ExitReason.NAMESPACE
    if block := book.block or strategy.block:
        return _OF_BLOCK[block]
    if drain is None and spec.state == "ReduceOnly":
        return ExitReason.REDUCE_ONLY
    if drain is None and spec.state == "Suspended" and spec.suspend_policy.working_orders == "Cancel":
        return ExitReason.SUSPENDED
    return None


def taken_out(book: Book, strategy: StrategyBook) -> dict[ClientOrderId, str]:
    """The entries of a strategy that wait and could not be entered any more: the reason by client id.

    The hours, blocks and news are those of the settings in force, and so are the limits: what was tightened since
    holds for what works.
    """
    waiting = waiting_entries(book, strategy.strategy)
    if not waiting:
        return {}
    view = account_view(book, halt="")
    own = settings(book, strategy, view)
    every = _refused_now(book, strategy, own, view)
    reasons = ((order.client_id, every or _not_this_one(book, order, own, view)) for order in waiting)
    return {client_id: reason.value for client_id, reason in reasons if reason is not None}


def _refused_now(book: Book, strategy: StrategyBook, own: StrategySettings, view: AccountView) -> Reason | None:
    """Why no entry of a strategy may wait: what another holds, the time, or more in the market than limits allow."""
    session = session_today(book, strategy)
    if view.first_fill_wins and any(held.strategy != strategy.strategy for held in book.open_positions()):
        return Reason.NOT_FLAT
    gate = Reason.OUTSIDE_SESSION if session is None else time_refusal(own, session, book.instant_ns)
    if gate is not None:
        return gate
    if own.max_pending is not None and own.day.pending > own.max_pending:
        return Reason.MAX_PENDING
    if free_position(view, own) < 0:
        return Reason.MAX_POSITION
    # What adds to a position opens no other trade.
    return None if book.open_positions(strategy.strategy) else trades_refusal(view, own, more=0)


def _not_this_one(book: Book, order: Order, own: StrategySettings, view: AccountView) -> Reason | None:
    """Why an entry may not be as large as it is, not without a stop, or not in its contract."""
    if order.quantity > largest_size(view, own):
        return Reason.MAX_SIZE
    bracketed = order.bracket is not None and order.bracket.has_stop
    if not bracketed and no_stop_ticks(book, order.contract) is None:
        return Reason.NO_STOP
    sheet = sheet_of(order.contract)
    pause = None if sheet is None else view.limits.margin_limits.get(sheet.root)
    margin = None if sheet is None else sheet.margin_at(order.price or 0)
    return Reason.MARGIN_ABOVE_LIMIT if pause is not None and margin is not None and margin > pause else None


def gate_closes(book: Book, strategy: StrategyBook) -> int | None:
    """When the hours, blocks and news of a strategy take its waiting entries out; None where nothing does."""
    session = session_today(book, strategy) if waiting_entries(book, strategy.strategy) else None
    if session is None:
        return None
    return open_until(settings(book, strategy), session, book.instant_ns)
