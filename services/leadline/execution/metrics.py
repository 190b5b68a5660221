"""Metrics of the execution service."""

from typing import Final

from prometheus_client import Counter, Gauge, Histogram

LATENCY_BUCKETS: Final = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)

DECISIONS: Final = Counter("leadline_decisions_total", "Decisions by outcome.", ("account", "outcome"))
ORDERS: Final = Counter("leadline_orders_total", "Order states reached.", ("account", "state"))
FILLS: Final = Counter("leadline_fills_total", "Fills booked.", ("account",))
POSITION: Final = Gauge("leadline_position_quantity", "Signed position in size steps.", ("account", "instrument"))
SESSION_PNL: Final = Gauge("leadline_session_pnl", "Net result of the trading day.", ("account",))
UNREALIZED_PNL: Final = Gauge("leadline_unrealized_pnl", "Open result at the last prints.", ("account",))
EQUITY: Final = Gauge("leadline_equity", "Cash equity.", ("account",))
TIER: Final = Gauge("leadline_capital_tier", "Capital tier in force, from 1; 0 when tiers are off.", ("account",))
HALTED: Final = Gauge("leadline_halted", "Halts in force, by what halted.", ("account", "source"))
SESSION_TRADES: Final = Gauge("leadline_session_trades", "Entries of the trading day.", ("account",))
OTHER_ANALYSIS: Final = Counter(
    "leadline_signals_of_other_analysis_total",
    "Messages passed over because their analysis is not the one that was named; counted again after a restart.",
    ("account",),
)
STEPS: Final = Counter("leadline_execution_steps_total", "Steps of the account's loop.", ("account",))
COMMIT_SECONDS: Final = Histogram(
    "leadline_execution_commit_seconds", "Time of a commit of the book.", ("account",), buckets=LATENCY_BUCKETS
)
UNPUBLISHED: Final = Gauge("leadline_outbox_unpublished", "Committed events not yet on the bus.", ("account",))
