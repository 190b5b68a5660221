"""The results of studies as JSON documents. Decimals are text, what is not defined is left out."""

from typing import Any

from leadline.backtest.results import AccountResult
from leadline.study.bootstrap import PERCENTILES
from leadline.study.deflated import Deflated
from leadline.study.run_scenarios import ScenarioResult, ScenariosResult
from leadline.study.stress import StressResult
from leadline.study.sweep import SweepResult
from leadline.study.tiers import TiersResult
from leadline.study.walk_forward import WalkForwardResult
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
        "changed_nothing": found is not whole.baseline and whole.unchanged(found),
        "net_difference": format(account.figures.net - whole.baseline_account.figures.net, "f"),
        **document(account.figures),
    }


def tiers_document(result: TiersResult) -> dict[str, Any]:
    """The document of the tiers: each balance with its figures, its days and the changes of its tier."""
    return {
        "variants_tried": len(result.starts),
        "deflated_sharpe": deflated_document(result.deflated()),
        "starts": [
            {"balance": format(each.balance, "f"), "halted": each.halted}
            if each.account is None
            else {
                "balance": format(each.balance, "f"),
                **_figures(each.account),
                "tier_changes": [document(change) for change in each.account.tier_changes],
                "days": [document(day) for day in each.account.days],
            }
            for each in result.starts
        ],
    }


def stress_document(result: StressResult) -> dict[str, Any]:
    """The document of a stress."""
    paths = result.paths
    return {
        "variants_tried": result.tried,
        "deflated_sharpe": deflated_document(result.deflated()),
        "account": _figures(result.account),
        "slippage": [
            {"ticks": each.slippage, "halted": each.halted}
            if each.account is None
            else {"ticks": each.slippage, "changed_nothing": result.unchanged(each), **_figures(each.account)}
            for each in result.levels
        ],
        "by_hour": [document(each) for each in result.account.by_hour],
        "by_weekday": [document(each) for each in result.account.by_weekday],
        "losing_streaks": [{"length": length, "times": times} for length, times in result.losing],
        "winning_streaks": [{"length": length, "times": times} for length, times in result.winning],
        "bootstrap": {
            "method": "circular block bootstrap of daily results",
            "paths": len(paths.nets),
            "days": paths.days,
            "block_days": paths.block,
            "seed": paths.seed,
            "percentiles": [
                {"percent": each, "drawdown": format(paths.drawdown(each), "f"), "net": format(paths.net(each), "f")}
                for each in PERCENTILES
            ],
            "own_drawdown": format(paths.own_drawdown, "f"),
            "own_net": format(paths.own_net, "f"),
            "deeper": format(paths.deeper, "f"),
            "losing": format(paths.losing, "f"),
        },
    }


def walk_forward_document(result: WalkForwardResult) -> dict[str, Any]:
    """The document of a walk-forward: its folds and the joined days out of sample."""
    return {
        "variants_tried": result.variants,
        "chosen_by": result.figure,
        "folds": [
            {
                **document(fold.window),
                "variant": fold.chosen.number,
                "values": dict(fold.chosen.values),
                "deflated_sharpe": deflated_document(fold.deflated),
                "in_sample": document(fold.inside.figures),
                "out_of_sample": document(fold.outside.figures),
            }
            for fold in result.folds
        ],
        "out_of_sample": {
            "start_equity": format(result.start_equity, "f"),
            "net": format(result.net, "f"),
            "max_drawdown": format(result.drawdown, "f"),
            **({} if result.sharpe is None else {"sharpe": format(result.sharpe, "f")}),
            "days": [document(day) for day in result.days],
        },
    }


def _figures(account: AccountResult) -> dict[str, Any]:
    return {
        "account": account.account,
        "currency": account.currency,
        "start_equity": format(account.start_equity, "f"),
        "end_equity": format(account.end_equity, "f"),
        **document(account.figures),
    }
