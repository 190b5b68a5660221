"""Metrics of the execution service."""

from collections.abc import Iterable
from typing import Final

import structlog
from prometheus_client import Counter, Gauge, Histogram

from leadline.execution.adapters.journal import Restoration
from leadline.execution.core.book import Book
from leadline.execution.core.goals import OVERDUE_SECONDS, Goal, Overdue, open_goals
from leadline.model.durations import NS_PER_SECOND
from leadline.model.ids import AccountId, ContractId, StrategyId
from leadline.model.loop_phase import LoopPhase
from leadline.model.orders import Position
from leadline.runtime.clock import monotonic_s
from leadline.runtime.measurements import LATENCY_BUCKETS

DECISIONS: Final = Counter("leadline_decisions_total", "Decisions by outcome.", ("account", "outcome"))
ORDERS: Final = Counter("leadline_orders_total", "Order states reached.", ("account", "state"))
FILLS: Final = Counter("leadline_fills_total", "Fills booked.", ("account",))
POSITION: Final = Gauge(
    "leadline_position_quantity", "Net signed position of all strategies in size steps.", ("account", "instrument")
)
SESSION_PNL: Final = Gauge(
    "leadline_session_pnl", "Net result of the trading day, less the open result that it began with.", ("account",)
)
UNREALIZED_PNL: Final = Gauge("leadline_unrealized_pnl", "Open result at the last prints.", ("account",))
EQUITY: Final = Gauge("leadline_equity", "Cash equity.", ("account",))
TIER: Final = Gauge("leadline_capital_tier", "Capital tier in force, from 1; 0 when tiers are off.", ("account",))
HALTED: Final = Gauge("leadline_halted", "Halts in force, by what halted.", ("account", "source"))
COMMANDS_WAITING: Final = Gauge(
    "leadline_commands_waiting", "Commands that wait for the loop, 256 at most.", ("account",)
)
COMMANDS_DROPPED: Final = Counter(
    "leadline_commands_dropped_total", "Commands not carried out because their caller had gone.", ("account",)
)
FENCED: Final = Gauge(
    "leadline_strategies_fenced", "Strategies of which a message was refused and that do not count.", ("account",)
)
OVERDUE: Final = Gauge(
    "leadline_overdue_goals",
    "What is to leave the market, or waits for the venue's word, for longer than 10 seconds.",
    ("account",),
)
SESSION_TRADES: Final = Gauge("leadline_session_trades", "Entries of the trading day.", ("account",))
OTHER_ANALYSIS: Final = Counter(
    "leadline_signals_of_other_analysis_total",
    "Messages passed over because their analysis is not the one that was named; counted again after a restart.",
    ("account",),
)
PHASE: Final = Gauge(
    "leadline_account_phase", "1 for what the account's loop does now, 0 for everything else.", ("account", "phase")
)
STEPS: Final = Counter("leadline_execution_steps_total", "Steps of the account's loop.", ("account",))
COMMIT_SECONDS: Final = Histogram(
    "leadline_execution_commit_seconds",
    "Time of a commit of the book, from asking for a connection to the disk.",
    ("account",),
    buckets=LATENCY_BUCKETS,
)
UNPUBLISHED: Final = Gauge(
    "leadline_outbox_unpublished", "Committed events not yet on the bus, counted to 100,000.", ("account",)
)
JOURNAL_RESTORED: Final = Gauge(
    "leadline_send_journal_restored_timestamp_seconds",
    "When the send journal was last found without orders of the book and made whole, by the clock; 0 for never.",
    ("account",),
)

_WAITS: Final = {
    "signals": LoopPhase.WAITING_FOR_SIGNALS,
    "venue": LoopPhase.WAITING_FOR_VENUE,
    "risk": LoopPhase.WAITING_FOR_RISK,
    "database": LoopPhase.WAITING_FOR_DATABASE,
    "disk": LoopPhase.WAITING_FOR_DISK,
    "prints": LoopPhase.WAITING_FOR_PRINTS,
    "parts": LoopPhase.WAITING_FOR_PARTS,
}
"""The phase of a wait by the part that is waited for."""

_log = structlog.get_logger(__name__)


class Phases:
    """Shows what an account's loop does: a series per phase, and a line when a wait for a part begins and ends."""

    def __init__(self, account: AccountId) -> None:
        self._account = account
        self._waits: tuple[str, str] | None = None
        self._since_s = 0.0
        self.show(LoopPhase.STARTING)

    def show(self, phase: LoopPhase) -> None:
        """The loop is at this phase now."""
        for name in LoopPhase:
            PHASE.labels(self._account, name).set(name == phase)

    def wait(self, part: str, reason: str) -> LoopPhase:
        """The loop waits for a part, which is said once for each reason. Returns the phase."""
        phase = _WAITS.get(part, LoopPhase.WAITING_FOR_PARTS)
        self.show(phase)
        if self._waits is None:
            self._since_s = monotonic_s()
        if self._waits != (phase, reason):
            _log.warning("account.waits", account=self._account, phase=phase, reason=reason)
        self._waits = (phase, reason)
        return phase

    @property
    def waits_for(self) -> str:
        """The part that the loop waits for, and why; empty while it gets on."""
        if self._waits is None:
            return ""
        phase, reason = self._waits
        return f"{phase.replace('_', ' ')}: {reason}"

    def go_on(self, phase: LoopPhase) -> None:
        """The loop has got on; the end of a wait is said."""
        self.show(phase)
        if self._waits is not None:
            seconds = round(monotonic_s() - self._since_s, 3)
            _log.info("account.goes_on", account=self._account, after=self._waits[0], seconds=seconds)
            self._waits = None


class Goals:
    """Shows how much of an account's goals is overdue; each is said once, and its end."""

    def __init__(self, account: AccountId) -> None:
        self._account = account
        self._open = Overdue()
        self.overdue: tuple[Goal, ...] = ()
        OVERDUE.labels(account).set(0)

    def look(self, book: Book, now_s: float) -> None:
        """The account's book is this one now; `now_s` on the monotonic clock."""
        before, self.overdue = self.overdue, self._open.look(open_goals(book), now_s)
        if before == self.overdue:
            return
        OVERDUE.labels(self._account).set(len(self.overdue))
        for goal in self.overdue:
            if goal not in before:
                _log.error("account.overdue", account=self._account, strategy=goal.strategy, goal=goal.words)
        for goal in before:
            if goal not in self.overdue:
                _log.info("account.overdue_ended", account=self._account, strategy=goal.strategy, goal=goal.words)

    def of(self, strategy: StrategyId) -> str:
        """The overdue goals of a strategy, or of the account alone, in words; empty without."""
        words = [goal.words for goal in self.overdue if goal.strategy == strategy]
        return f"for more than {OVERDUE_SECONDS:g} s {' and '.join(words)}" if words else ""


def show_positions(account: AccountId, positions: Iterable[Position]) -> None:
    """Set the gauge of each contract to the sum over the strategies that hold or held it."""
    net: dict[ContractId, int] = {}
    for position in positions:
        net[position.contract] = net.get(position.contract, 0) + position.quantity
    for contract, quantity in net.items():
        POSITION.labels(account, contract).set(quantity)


def show_restored(account: AccountId, restored: Restoration | None) -> None:
    """Set the gauge of a journal that was made whole at some time; None for one that never had to be."""
    JOURNAL_RESTORED.labels(account).set(0 if restored is None else restored.at_ns / NS_PER_SECOND)


def tell_restored(account: AccountId, restored: Restoration) -> None:
    """A journal was made whole just now: a line in the log, and the gauge."""
    show_restored(account, restored)
    _log.warning("account.send_journal_restored", account=account, orders=restored.orders, found=restored.found)
