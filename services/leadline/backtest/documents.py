"""The results of a backtest as a JSON document, in the words of `leadline.views.documents`."""

from typing import Any

from leadline.backtest.results import AccountResult, BacktestResult
from leadline.views.documents import document, trade


def result_document(result: BacktestResult) -> dict[str, Any]:
    """The document of a backtest."""
    return {
        "first": result.first.isoformat(),
        "last": result.last.isoformat(),
        "days": result.days,
        "prints": result.prints,
        "missing_sessions": [day.isoformat() for day in result.missing],
        "digest": result.digest,
        "accounts": [_account(each) for each in result.accounts],
    }


def _account(found: AccountResult) -> dict[str, Any]:
    """An account with its figures beside the sums; an absent figure is left out, as every absent field."""
    named = ("days", "by_pattern", "by_regime", "by_hour", "by_weekday", "tier_changes")
    return {
        "account": found.account,
        "currency": found.currency,
        "start_equity": format(found.start_equity, "f"),
        "end_equity": format(found.end_equity, "f"),
        **document(found.figures),
        "decisions": found.decisions,
        "refused": dict(found.refused),
        "zones": list(found.zones),
        **{name: [document(each) for each in getattr(found, name)] for name in named},
        "trades": [trade(each) for each in found.trades],
    }
