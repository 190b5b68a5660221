"""The scenarios of a strategy in words, for the terminal and the page."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from leadline.backtest.results import DayLine
from leadline.model.counted import counted
from leadline.model.worth import places
from leadline.report.parts import Amount, Cell, Document, Section
from leadline.report.sweeps import FIGURE_HEADS, LESS_HEADS, UNCHANGED, best_of_many, figure_cells
from leadline.study.run_scenarios import BAD_FRIDAY, GOOD_FRIDAY, ScenarioResult, ScenariosResult

_BASELINE: Final = (
    "Baseline: the strategy with 1 contract and the bracket of the instrument's profile, 10,000 at the start, day loss "
    "400, day target 500, no tiers, no modifiers, pessimistic fills."
)


def scenarios_page(result: ScenariosResult) -> Document:
    """Every scenario with the difference of its net result to the baseline's, and the tables of scenario 14."""
    base = result.baseline_account
    decimals = places(base.currency)
    shown = [each for each in (result.baseline, *result.scenarios) if each.account is not None]
    refused = [each for each in result.scenarios if each.account is None]
    heads = ("", "scenario", *FIGURE_HEADS, "difference")
    rows = tuple(_row(each, result, decimals) for each in shown)
    parts = [
        Section("Scenarios", heads, rows, 2, less=LESS_HEADS),
        _mondays(f"Scenario 14: Mondays after a Friday with {GOOD_FRIDAY:+,} or more", result.after_good, decimals),
        _mondays(f"Scenario 14: Mondays after a Friday with {BAD_FRIDAY:+,} or less", result.after_bad, decimals),
    ]
    if refused:
        rows = tuple((each.number, each.title, each.refused) for each in refused)
        parts.append(Section("Not run", ("", "scenario", "reason"), rows, names=3))
    tried = f"{counted(result.tried, 'variant')} tried: a baseline and changes of it."
    if unchanged := sum(map(result.unchanged, result.scenarios)):
        tried += f" {counted(unchanged, 'further scenario')} changed nothing on these days, which makes no trial."
    warnings = (best_of_many("Best by net result", result.deflated()),)
    return Document("Scenarios", (tried, _BASELINE), warnings, tuple(parts))


def _row(found: ScenarioResult, result: ScenariosResult, decimals: int) -> tuple[Cell, ...]:
    assert found.account is not None
    figures = found.account.figures
    difference: Cell = Amount(figures.net - result.baseline_account.figures.net, decimals)
    if not found.number:
        difference = ""
    elif result.unchanged(found):
        difference = UNCHANGED
    return (found.number, found.title, *figure_cells(figures, decimals), difference)


def _mondays(title: str, days: Sequence[DayLine], decimals: int) -> Section:
    rows: list[tuple[Cell, ...]] = [(day.day.isoformat(), str(day.trades), Amount(day.net, decimals)) for day in days]
    total = Amount(sum((day.net for day in days), Decimal(0)), decimals)
    note = "" if rows else "There is no such Monday in the range."
    if rows:
        rows.append((f"all {len(days)}", str(sum(day.trades for day in days)), total))
    return Section(title, ("day", "trades", "net"), tuple(rows), note=note)
