"""The results of studies as JSON documents. Decimals are text, what is not defined is left out."""

from typing import Any

from leadline.study.deflated import Deflated
from leadline.study.run_scenarios import ScenarioResult, ScenariosResult
from leadline.study.sweep import SweepResult
from leadline.views.documents import document


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


def scenarios_document(result: ScenariosResult) -> dict[str, Any]:
    """The document of the scenarios: each with its figures and the difference of its net result to the baseline's."""
    return {
        "variants_tried": result.tried,
        "deflated_sharpe": deflated_document(result.deflated()),
        "baseline": _scenario(result.baseline, result),
        "scenarios": [_scenario(each, result) for each in result.scenarios],
        "mondays": {
            "after_friday_at_least_1000": [document(each) for each in result.after_good],
            "after_friday_at_most_minus_300": [document(each) for each in result.after_bad],
        },
    }


def _scenario(found: ScenarioResult, whole: ScenariosResult) -> dict[str, Any]:
    named = {"number": found.number, "title": found.title}
    if found.account is None:
        return {**named, "refused": found.refused}
    account = found.account
    return {
        **named,
        "digest": found.digest,
        "start_equity": format(account.start_equity, "f"),
        "end_equity": format(account.end_equity, "f"),
        "net_difference": format(account.figures.net - whole.baseline_account.figures.net, "f"),
        **document(account.figures),
    }
