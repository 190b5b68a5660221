"""The closed list of reasons for which an entry is refused. Stored, shown and counted under these names."""

from enum import StrEnum


class Reason(StrEnum):
    """Why there is no order."""

    NO_APPROVED_SIGNAL = "no_approved_signal"
    CONFLICT = "conflict"
    STRATEGY_NOT_RUNNING = "strategy_not_running"
    HALTED = "halted"
    UNRESOLVED = "unresolved"
    DAY_LOSS = "day_loss"
    DAY_TARGET = "day_target"
    OUTSIDE_SESSION = "outside_session"
    AFTER_OPEN = "after_open"
    BEFORE_CLOSE = "before_close"
    BLOCKED_WINDOW = "blocked_window"
    NEWS = "news"
    NO_TIER = "no_tier"
    NO_CONTRACT = "no_contract"
    MARGIN_ABOVE_LIMIT = "margin_above_limit"
    MARGIN_UNKNOWN = "margin_unknown"
    MAX_OPEN_TRADES = "max_open_trades"
    MAX_TRADES_PER_DAY = "max_trades_per_day"
    MAX_ENTRIES_PER_HOUR = "max_entries_per_hour"
    MAX_ORDERS_PER_SECOND = "max_orders_per_second"
    MAX_POSITION = "max_position"
    MAX_SIZE = "max_size"
    DAY_BUDGET = "day_budget"
    MARGIN = "margin"
    LATE = "late"
    RISK_UNAVAILABLE = "risk_unavailable"
