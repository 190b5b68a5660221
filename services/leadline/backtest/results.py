"""The results of a backtest, as values."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from leadline.backtest.account import AccountRun
from leadline.backtest.run import Outcome
from leadline.model.ids import AccountId
from leadline.model.worth import places
from leadline.views.trades import Reasons, Trade, trades_of


@dataclass(frozen=True, slots=True)
class AccountResult:
    """One account at the end of a backtest. Money is in its currency, `net` after commissions."""

    account: AccountId
    currency: str
    trades: tuple[Trade, ...]
    start_equity: Decimal
    end_equity: Decimal

    @property
    def places(self) -> int:
        """Decimals with which sums of the account's currency are shown."""
        return places(self.currency)

    @property
    def net(self) -> Decimal:
        """The result of all that is closed, and of what open positions have realised."""
        return self.end_equity - self.start_equity

    @property
    def wins(self) -> int:
        """Trades that won after commission."""
        return sum(trade.net > 0 for trade in self.trades)


@dataclass(frozen=True, slots=True)
class BacktestResult:
    """A backtest as a whole: its first and last traded day, how many there are, and its accounts by name."""

    first: date
    last: date
    days: int
    prints: int
    digest: str
    accounts: tuple[AccountResult, ...]


def result_of(outcome: Outcome) -> BacktestResult:
    """The results of an outcome."""
    days = outcome.days.traded
    return BacktestResult(
        first=days[0].day,
        last=days[-1].day,
        days=len(days),
        prints=outcome.days.prints,
        digest=outcome.digest,
        accounts=tuple(_account(name, run) for name, run in outcome.accounts.items()),
    )


def _account(name: AccountId, run: AccountRun) -> AccountResult:
    book, records = run.book, run.records
    fills = sorted(records.fills.values(), key=lambda booked: (booked.venue_event, booked.fill.k))
    reasons = {
        decision.decision_id: Reasons((*decision.patterns, "")[0], decision.regime)
        for decision in records.decisions.values()
    }
    orders = {client_id: written.order for client_id, written in records.orders.items()}
    trades, _ = trades_of([(booked.strategy, booked.fill) for booked in fills], orders, reasons)
    spec = book.manifest.spec
    end = book.equity_at_roll + book.realised
    return AccountResult(name, spec.currency, tuple(trades), spec.starting_balance, end)
