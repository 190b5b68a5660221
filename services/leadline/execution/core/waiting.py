"""Entries that wait for their price: what takes them out of the market again, and when time does.

They were decided when they might be entered. Whatever would refuse them now takes them out, before a print fills them.
What depends on prices (margin of the equity, the day's budget, the collar) is asked at the decision alone: where the
loop happens to stop must change nothing.
"""

from leadline.execution.core.account import account_view, allowed_on, settings
from leadline.execution.core.book import Book, StrategyBook, is_entry
from leadline.execution.core.day import session_today
from leadline.model.contracts import sheet_of
from leadline.model.orders import Order, OrderType
from leadline.risk.gates import open_until, time_refusal
from leadline.risk.limits import free_position, largest_size, trades_refusal
from leadline.risk.reasons import Reason


def waiting_entries(book: Book, strategy: str) -> list[Order]:
    """The live entries of a strategy that wait for a price."""
    return [order for order in book.live_orders(strategy) if is_entry(order) and order.type is not OrderType.MARKET]


def standing_reason(book: Book, strategy: StrategyBook) -> str:
    """Why no entry of a strategy may work, whatever its kind; empty while they may.

    A drain that keeps working orders keeps them as long as nothing else takes them out.
    """
    spec, drain = strategy.manifest.spec, strategy.drain
    if drain is not None and drain.working_orders == "Cancel":
        return "drain"
    if strategy.fence is not None:
        return "fence"
    if not allowed_on(book, strategy):
        return "namespace"
    if book.block or strategy.block:
        return (book.block or strategy.block).lower()
    if drain is None and spec.state == "ReduceOnly":
        return spec.state
    if drain is None and spec.state == "Suspended" and spec.suspend_policy.working_orders == "Cancel":
        return spec.state
    return ""


def taken_out(book: Book, strategy: StrategyBook) -> dict[str, str]:
    """The entries of a strategy that wait and could not be entered any more: the reason by client id.

    The hours, blocks and news are those of the settings in force, and so are the limits: what was tightened since
    holds for what works.
    """
    waiting = waiting_entries(book, strategy.strategy)
    if not waiting:
        return {}
    own = settings(book, strategy)
    session = session_today(book, strategy)
    gate = Reason.OUTSIDE_SESSION if session is None else time_refusal(own, session, book.instant_ns)
    view = account_view(book, halt="")
    every = gate or (Reason.MAX_POSITION if free_position(view, own) < 0 else None)
    if every is None and not book.open_positions(strategy.strategy):
        every = trades_refusal(view, own, more=0)
    found: dict[str, str] = {}
    for order in waiting:
        sheet = sheet_of(order.contract)
        price = order.stop_price if order.limit_price is None else order.limit_price
        margin = None if sheet is None else sheet.margin_at(price or 0)
        pause = None if sheet is None else view.limits.margin_limits.get(sheet.root)
        if every is not None:
            found[order.client_id] = every.value
        elif order.quantity > largest_size(view, own):
            found[order.client_id] = Reason.MAX_SIZE.value
        elif pause is not None and margin is not None and margin > pause:
            found[order.client_id] = Reason.MARGIN_ABOVE_LIMIT.value
    return found


def gate_closes(book: Book, strategy: StrategyBook) -> int | None:
    """When the hours, blocks and news of a strategy take its waiting entries out; None where nothing does."""
    session = session_today(book, strategy)
    if session is None or not waiting_entries(book, strategy.strategy):
        return None
    return open_until(settings(book, strategy), session, book.instant_ns)
