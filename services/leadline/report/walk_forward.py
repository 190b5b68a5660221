"""The results of a walk-forward in words, for the terminal and the page."""

from leadline.model.counted import counted
from leadline.model.worth import places
from leadline.report.figures import NO_FIGURE, percent, ratio, signed
from leadline.report.parts import Amount, Cell, Document, Section, equity_line
from leadline.report.sweeps import figure_text, values_text, with_article, words
from leadline.study.walk_forward import Fold, WalkForwardResult


def walk_forward_page(result: WalkForwardResult) -> Document:
    """Each fold with its choice and both results, and the joined equity of the days outside of the samples."""
    decimals = places(result.folds[0].outside.currency)
    own = result.figure != "net"
    name = words(result.figure)
    heads = (
        *("in sample", "out of sample", "variant", "values", "deflated Sharpe", "net in sample"),
        *("trades after", "net after"),
        *((f"{name} in sample", f"{name} after") if own else ()),
    )
    rows = tuple(_row(fold, result.figure, decimals) for fold in result.folds)
    folds = Section("Folds", heads, rows, 4, less=("trades after", "deflated Sharpe", "net in sample", "variant"))
    figures = Section(
        "Out of sample, all folds",
        ("figure", "value"),
        (
            ("net result", Amount(result.net, decimals)),
            *((("of it open at the ends of folds", Amount(result.left_open, decimals)),) if result.left_open else ()),
            ("days", f"{len(result.days):,}"),
            ("largest drawdown at the days' ends", f"{result.drawdown:,.{decimals}f}"),
            ("Sharpe ratio", ratio(result.sharpe)),
            ("result a day, out of sample / in sample", percent(result.efficiency)),
        ),
    )
    each_fold = f"each of {len(result.folds)} folds" if len(result.folds) > 1 else "1 fold"
    intro = (
        f"{counted(result.variants, 'variant')} tried in {each_fold}, chosen by "
        f"{words(result.figure)}. The days out of sample took no part in any choice."
    )
    warning = (
        "The in-sample figures are the best of many. The out-of-sample figures are not, unless somebody changes the "
        "sweep after a look at them."
    )
    if unranked := sum(fold.inside.figure(result.figure) is None for fold in result.folds):
        folds_text = counted(unranked, "fold")
        warning += f" In {folds_text} no variant has {with_article(result.figure)} in sample: the first one was taken."
    if result.left_open:
        warning += " No fold takes over what the one before holds at its end: it counts at its last price."
    line = equity_line("Equity out of sample", result.start_equity, result.days, decimals)
    return Document("Walk-forward", (intro,), (warning,), (folds, figures, line))


def _row(fold: Fold, figure: str, decimals: int) -> tuple[Cell, ...]:
    window = fold.window
    probability = fold.deflated.probability
    both = tuple(figure_text(figure, each.figure(figure), decimals) for each in (fold.inside, fold.outside))
    return (
        f"{window.first} to {window.last}",
        f"{window.then_first} to {window.then_last}",
        str(fold.chosen.number),
        values_text(fold.chosen),
        NO_FIGURE if probability is None else percent(probability),
        signed(fold.inside.figures.net, decimals),
        f"{fold.outside.figures.trade_count:,}",
        Amount(fold.outside.figures.net, decimals),
        *(() if figure == "net" else both),
    )
