"""The summary of a backtest as the status of its object has it, short enough for a Pod's last words."""

from decimal import Decimal
from typing import Final

from leadline.backtest.kept import KeptBacktest
from leadline.model.errors import LeadlineError
from leadline.model.manifest.backtest_spec import RankBy
from leadline.model.manifest.backtest_status import MOST_BEST, BestVariant, Summary, SweepSummary
from leadline.model.manifest.sweep import shown_value
from leadline.study.rows import AccountRow, VariantRow, figure_named
from leadline.study.sweep import SweepResult

MESSAGE_BYTES: Final = 4096
"""Bytes of a termination message that Kubernetes keeps."""
_LONGEST_VALUES: Final = 512


class AllHalted(LeadlineError):
    """The accounts of all variants of a sweep were halted: there is nothing to rank."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)

    def __str__(self) -> str:
        return "the account of every variant was halted, of the first one because {}".format(*self.args)


def summary_of_run(found: KeptBacktest, days: int) -> Summary:
    """The summary of a run that is kept, of so many traded days."""
    (account,) = found.accounts
    return Summary(
        id=found.id,
        digest=found.digest,
        days=days,
        trades=account["trade_count"],
        net=account["net"],
        sharpe=account.get("sharpe"),
        max_drawdown=account["max_drawdown"],
        currency=account["currency"],
    )


def summary_of_sweep(result: SweepResult, rank_by: RankBy, days: int) -> Summary:
    """The summary of a sweep of one account, all of whose variants are finished. Raises AllHalted."""
    if not result.accounts:
        raise AllHalted(result.rows[0].halted)
    (account,) = result.accounts
    figure = figure_named(rank_by)
    ranked, luck = result.ranked(account, figure), result.deflated(account, figure)
    (row, best), *_ = ranked
    return Summary(
        id=result.id,
        digest=row.digest,
        days=days,
        trades=best.figures.trade_count,
        net=_text(best.figures.net),
        sharpe=None if best.figures.sharpe is None else _text(best.figures.sharpe),
        max_drawdown=_text(best.figures.max_drawdown),
        currency=best.currency,
        sweep=SweepSummary(
            tried=result.variants,
            halted=len(result.halted),
            rank_by=rank_by,
            probability=None if luck.probability is None else _text(luck.probability),
            warning=luck.warning,
            best=tuple(_best(*each) for each in ranked[:MOST_BEST]),
        ),
    )


def summary_text(summary: Summary) -> str:
    """A summary as JSON; of a sweep with as many of its best variants as find room."""
    while len((text := summary.model_dump_json(by_alias=True, exclude_none=True)).encode()) > MESSAGE_BYTES:
        sweep = summary.sweep
        assert sweep is not None
        summary = summary.model_copy(update={"sweep": sweep.model_copy(update={"best": sweep.best[:-1]})})
    return text


def _best(row: VariantRow, account: AccountRow) -> BestVariant:
    values = ", ".join(f"{name}={shown_value(value)}" for name, value in row.values)
    figures = account.figures
    return BestVariant(
        number=row.number,
        values=values if len(values) <= _LONGEST_VALUES else f"{values[: _LONGEST_VALUES - 3]}...",
        trades=figures.trade_count,
        net=_text(figures.net),
        sharpe=None if figures.sharpe is None else _text(figures.sharpe),
        max_drawdown=_text(figures.max_drawdown),
    )


def _text(value: Decimal) -> str:
    return format(value, "f")
