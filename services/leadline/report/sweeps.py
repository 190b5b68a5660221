"""The results of a sweep in words, for the terminal and the page."""

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Final

from leadline.backtest.results import Figures
from leadline.model.counted import counted
from leadline.model.errors import InvalidInput
from leadline.model.ids import AccountId
from leadline.model.manifest.sweep import shown_value
from leadline.model.worth import places
from leadline.report.figures import FEW_DAYS, NO_FIGURE, percent, ratio
from leadline.report.parts import Amount, Cell, Document, HeatMap, Section
from leadline.study.deflated import Deflated
from leadline.study.rows import LOWER_IS_BETTER, AccountRow, VariantRow
from leadline.study.sweep import SweepResult

MOST_ROWS: Final = 1_000
"""Variants that a page shows, the best; the document of `--output json` and the tables have all."""
_MONEY: Final = frozenset(
    {"net", "open_result", "net_a_day", "commission", "average_win", "average_loss", "max_drawdown"}
)


def sweep_document(result: SweepResult, figure: str, axes: Sequence[str], most: int = MOST_ROWS) -> Document:
    """A sweep: its variants by a figure, the best first, at most so many, and heat maps over two fields.

    axes: the fields of the heat maps, two of them, or none.
    """
    done = len(result.rows)

    def measured(account: AccountId) -> bool:
        return any(found.figure(figure) is not None for _, found in result.ranked(account, figure))

    order = f", sorted by {words(figure)}" if any(map(measured, result.accounts)) else ""
    intro = [f"{counted(result.variants, 'variant')} tried, sweep {result.id}{order}."]
    warnings = []
    if done < result.variants:
        finished = f"{done} of {result.variants} variants {'is' if done == 1 else 'are'} finished"
        warnings.append(f"{finished}; the other shards have the rest to do.")
    if result.halted:
        warnings.append(
            f"{counted(len(result.halted), 'variant')} ended with a halt of the account, and has no figures."
        )
    parts: list[Section | HeatMap] = []
    for account in result.accounts:
        ranked = result.ranked(account, figure)
        if measured(account):
            warnings.append(best_of_many(account, result.deflated(account, figure)))
        else:
            days = counted(len(ranked[0][1].days), "day")
            warnings.append(f"{account}: no variant has {with_article(figure)} in {days}; nothing is sorted.")
        parts.append(_variants(account, ranked, figure, most))
        if axes:
            parts.append(_heat_map(account, ranked, figure, axes))
    if result.halted:
        rows = tuple((str(row.number), values_text(row), row.halted) for row in result.halted)
        parts.append(Section("Halted", ("variant", "values", "reason"), rows, names=3))
    return Document("Sweep", tuple(intro), tuple(warnings), tuple(parts))


def best_of_many(name: str, found: Deflated) -> str:
    """The warning about the best of many: the deflated Sharpe ratio, or why there is none."""
    trials = counted(found.trials, "trial")
    if found.trials < 2:
        return f"{name}: {trials}, so that nothing was chosen among several."
    if found.probability is None:
        return (
            f"{name}: the first of {trials} was chosen after the fact, and its figures are too good to be expected "
            f"again. No deflated Sharpe ratio: {found.warning}."
        )
    share, days = f"{100 * found.probability:.1f} %", counted(found.days, "day")
    few = " So few days say little." if found.days < FEW_DAYS else ""
    return (
        f"{name}: deflated Sharpe ratio of the first of {trials}: {share}. The best of as many without any skill is "
        f"expected to have a Sharpe ratio of {found.expected_best:.2f} over {days}.{few}"
    )


def default_axes(rows: Sequence[VariantRow]) -> tuple[str, ...]:
    """The two fields of which a heat map is made when nobody names them: the first two that have several values."""
    several = [name for name, values in _values_by_field(rows).items() if len(values) > 1]
    return tuple(several[:2]) if len(several) > 1 else ()


def require_axes(text: str, fields: Sequence[str]) -> tuple[str, ...]:
    """The two fields that a person names with a comma between them. Raises InvalidInput where a sweep lacks them."""
    found = tuple(each.strip() for each in text.split(","))
    if len(set(found)) != 2 or not set(found) <= set(fields):
        raise InvalidInput("heat_map", text, f"two of the sweep's fields with a comma between: {', '.join(fields)}")
    return found


def short_names(fields: Sequence[str]) -> dict[str, str]:
    """A short name of each field: as many of its last parts as tell it from the others."""
    found = {}
    for field in fields:
        parts = field.split(".")
        names = (".".join(parts[-count:]) for count in range(1, len(parts) + 1))
        found[field] = next(name for name in names if sum(f".{each}".endswith(f".{name}") for each in fields) == 1)
    return found


def words(figure: str) -> str:
    """The name of a figure as it is read."""
    return f"{figure.capitalize()} ratio" if figure in {"sharpe", "sortino"} else figure.replace("_", " ")


def with_article(figure: str) -> str:
    """The name of a figure as it is read behind its indefinite article."""
    name = words(figure)
    return f"{'an' if name[0] in 'aeiou' else 'a'} {name}"


def figure_text(name: str, value: Decimal | None, decimals: int) -> str:
    """A figure of this name as it is read; money has so many decimals."""
    if value is None:
        return NO_FIGURE
    if name in _MONEY:
        return f"{value:,.{decimals}f}"
    return f"{value:,}" if value == value.to_integral_value() else f"{value:.2f}"


def _variants(account: AccountId, ranked: Sequence[tuple[VariantRow, AccountRow]], figure: str, most: int) -> Section:
    fields = list(_values_by_field([row for row, _ in ranked]))
    names = short_names(fields)
    rows = []
    for row, found in ranked[:most]:
        decimals, values = places(found.currency), dict(row.values)
        extra = () if figure in _SHOWN else (figure_text(figure, found.figure(figure), decimals),)
        rows.append(
            (
                str(row.number),
                *(shown_value(values[field]) if field in values else "as given" for field in fields),
                *extra,
                *figure_cells(found.figures, decimals),
            )
        )
    heads = (
        "variant",
        *(names[field] for field in fields),
        *(() if figure in _SHOWN else (words(figure),)),
        *FIGURE_HEADS,
    )
    left = len(ranked) - len(rows)
    note = f"{counted(left, 'more variant')} in the tables and the JSON document." if left else ""
    less = tuple(head for head in LESS_HEADS if head != _SHOWN.get(figure))
    return Section(f"Variants of {account}", heads, tuple(rows), 1 + len(fields), note, less)


_SHOWN: Final = {
    "trade_count": "trades",
    "win_rate": "win rate",
    "net": "net",
    "profit_factor": "profit factor",
    "max_drawdown": "drawdown",
    "sharpe": "Sharpe",
    "sortino": "Sortino",
}
FIGURE_HEADS: Final = tuple(_SHOWN.values())
UNCHANGED: Final = "changed nothing"
"""Stands for the difference of a variant that trades as the one that it is compared with."""
LESS_HEADS: Final = ("Sortino", "win rate", "profit factor", "Sharpe", "trades", "drawdown")
"""Those that a narrow terminal leaves out, the least important first."""


def figure_cells(figures: Figures, decimals: int) -> tuple[Cell, ...]:
    """The cells of a row below `FIGURE_HEADS`; money has so many decimals."""
    return (
        f"{figures.trade_count:,}",
        percent(figures.win_rate),
        Amount(figures.net, decimals),
        ratio(figures.profit_factor),
        f"{figures.max_drawdown:,.{decimals}f}",
        ratio(figures.sharpe),
        ratio(figures.sortino),
    )


def _heat_map(
    account: AccountId, ranked: Sequence[tuple[VariantRow, AccountRow]], figure: str, axes: Sequence[str]
) -> HeatMap:
    """The best by the figure at each place: where there are more fields than two, of all their values."""
    down, across = axes
    by_field = _values_by_field(sorted((row for row, _ in ranked), key=lambda row: row.number))
    names = short_names(list(by_field))
    found: dict[tuple[str, str], Decimal | None] = {}
    for row, each in ranked:
        values = dict(row.values)
        if down in values and across in values:
            found.setdefault((shown_value(values[down]), shown_value(values[across])), each.figure(figure))
    decimals = places(ranked[0][1].currency) if figure in _MONEY else 2 if figure in _RATIOS else 0
    title = f"{words(figure)[0].upper()}{words(figure)[1:]} of {account}"
    if len(by_field) > len(axes):
        title += ", the best over the other fields"
    rows, columns = _in_order(by_field.get(down, ())), _in_order(by_field.get(across, ()))
    matrix = tuple(tuple(found.get((one, other)) for other in columns) for one in rows)
    return HeatMap(title, names[down], names[across], rows, columns, matrix, decimals, figure not in LOWER_IS_BETTER)


def _in_order(values: Sequence[str]) -> tuple[str, ...]:
    """The values of an axis: numbers by size, others as the sweep has them."""
    try:
        return tuple(sorted(values, key=Decimal))
    except InvalidOperation:
        return tuple(values)


_RATIOS: Final = frozenset({"win_rate", "profit_factor", "sharpe", "sortino", "exposure"})


def _values_by_field(rows: Sequence[VariantRow]) -> dict[str, tuple[str, ...]]:
    """The values of each field in the order of the variants' numbers, as they are shown."""
    found: dict[str, dict[str, None]] = {}
    for row in sorted(rows, key=lambda each: each.number):
        for name, value in row.values:
            found.setdefault(name, {})[shown_value(value)] = None
    return {name: tuple(values) for name, values in found.items()}


def values_text(row: VariantRow) -> str:
    """The fields of a variant by their short names, with their values."""
    names = short_names([name for name, _ in row.values])
    return ", ".join(f"{names[name]} {shown_value(value)}" for name, value in row.values)
