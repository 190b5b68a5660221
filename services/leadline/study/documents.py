"""The results of studies as JSON documents. Decimals are text, what is not defined is left out."""

from typing import Any

from leadline.study.deflated import Deflated
from leadline.study.sweep import SweepResult


def sweep_result(result: SweepResult, figure: str) -> dict[str, Any]:
    """The document of a sweep: its variants by number, and for each account their order by a figure."""
    return {
        "sweep": result.id,
        "folder": str(result.folder),
        "variants_tried": result.variants,
        "variants_finished": len(result.rows),
        "sorted_by": figure,
        "accounts": [
            {
                "account": account,
                "order": [row.number for row, _ in result.ranked(account, figure)],
                "deflated_sharpe": deflated_document(result.deflated(account, figure)),
            }
            for account in result.accounts
        ],
        "variants": [row.document() for row in result.rows],
    }


def deflated_document(found: Deflated) -> dict[str, Any]:
    """The deflated Sharpe ratio, or the warning in its place."""
    if found.probability is None:
        return {"trials": found.trials, "days": found.days, "warning": found.warning}
    return {
        "trials": found.trials,
        "days": found.days,
        "expected_best_sharpe": format(found.expected_best or 0, "f"),
        "probability": format(found.probability, "f"),
    }
