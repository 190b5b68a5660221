"""Parts of the reference that tell what a cluster says: the words of statuses, conditions and Events."""

import ast
import inspect
from collections.abc import Callable, Sequence
from enum import StrEnum
from itertools import pairwise

import leadline_operator.metrics
from leadline.model.manifest.backtest_status import BacktestPhase
from leadline.model.manifest.status_spec import AccountPhase, ConditionType, RolloutReason, RolloutStep, StrategyPhase
from leadline_operator.conditions import Reason
from leadline_operator.reconcile import account, backtest, strategy
from scripts._markdown import code, table
from scripts._reference_platform import metric_rows


def phases() -> str:
    """Phases of each kind."""
    kinds = (("a strategy", StrategyPhase), ("an account", AccountPhase), ("a backtest", BacktestPhase))
    return "\n" + "".join(f"Of {name}:\n{_words(words)}" for name, words in kinds)


def conditions() -> str:
    """Condition types."""
    return _words(ConditionType)


def reasons() -> str:
    """The closed list of reasons."""
    return _words(Reason)


def steps() -> str:
    """Steps of a rollout, in their order."""
    return _words(RolloutStep)


def rollout_reasons() -> str:
    """What makes another version necessary."""
    return _words(RolloutReason)


def reconcile_steps() -> str:
    """Steps of a reconcile of each kind, in their order."""
    pages = (("a strategy", strategy), ("an account", account), ("a backtest", backtest))
    return "".join(f"\nOf {name}:\n{_steps((*page.GATES, page.admit, *page.STEPS))}" for name, page in pages)


def operator_metrics() -> str:
    """What the operator serves to Prometheus."""
    return table(("metric", "kind", "labels", "meaning"), metric_rows(leadline_operator.metrics))


def _steps(steps: Sequence[Callable[..., object]]) -> str:
    """Each function with the first sentence of what it does."""
    return table(
        ("step", "what it does"),
        [(code(step.__name__), str(inspect.getdoc(step)).partition("\n")[0]) for step in steps],
    )


def _words(words: type[StrEnum]) -> str:
    """Each member with the text that stands below it in the code."""
    [definition] = ast.parse(inspect.getsource(words)).body
    assert isinstance(definition, ast.ClassDef)
    meanings = {
        member.targets[0].id: text.value.value
        for member, text in pairwise(definition.body)
        if isinstance(member, ast.Assign)
        and isinstance(member.targets[0], ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
    }
    return table(("word", "meaning"), [(code(word.value), str(meanings[word.name])) for word in words])
