"""The registry of the operator: accounts, strategies, backtests. Another kind is a record here and its reconcile."""

from typing import Final

from leadline_operator.cache import named_account, named_strategy
from leadline_operator.kinds import (
    ACCOUNT,
    ACCOUNT_FINALIZER,
    ACCOUNT_LABEL,
    BACKTEST,
    BACKTEST_LABEL,
    CONFIG_MAP,
    DEPLOYMENT,
    DRAIN_FINALIZER,
    JOB,
    POD,
    REVISION,
    SERVICE,
    STATEFUL_SET,
    STRATEGY,
    STRATEGY_LABEL,
)
from leadline_operator.owners import OwnerKind, Owners
from leadline_operator.reconcile.account import reconcile_account
from leadline_operator.reconcile.backtest import reconcile_backtest
from leadline_operator.reconcile.strategy import reconcile_strategy

OWNERS: Final = Owners(
    (
        OwnerKind(
            kind=ACCOUNT,
            label=ACCOUNT_LABEL,
            finalizer=ACCOUNT_FINALIZER,
            children=(STATEFUL_SET, CONFIG_MAP, SERVICE, POD),
            reconcile=reconcile_account,
        ),
        OwnerKind(
            kind=STRATEGY,
            label=STRATEGY_LABEL,
            finalizer=DRAIN_FINALIZER,
            children=(DEPLOYMENT, CONFIG_MAP, REVISION, POD),
            reconcile=reconcile_strategy,
            refers_to=named_account,
        ),
        OwnerKind(
            kind=BACKTEST,
            label=BACKTEST_LABEL,
            # It holds nothing in a market: it goes when it is deleted, and everything that was made for it.
            finalizer=None,
            children=(JOB, CONFIG_MAP, POD),
            reconcile=reconcile_backtest,
            refers_to=named_strategy,
        ),
    )
)
