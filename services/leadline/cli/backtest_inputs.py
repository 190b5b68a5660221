"""The manifests and prints of `leadline backtest`, checked before anything begins."""

from dataclasses import dataclass
from datetime import date

from leadline.backtest.feeds import prints_of
from leadline.backtest.prints import Prints
from leadline.cli.manifests import checked_plan, day_of, plan_of
from leadline.cli.options import PlanOptions
from leadline.ingestion.runs import DEFAULT_TRADE_FROM
from leadline.local.binding import feed_params
from leadline.model.errors import InvalidInput
from leadline.plan.plan import Plan


@dataclass(frozen=True, slots=True)
class BacktestInputs:
    """A plan, the prints of its feed, and the range of trading days, both included.

    None: the first day that has its history, and the last at hand.
    """

    plan: Plan
    prints: Prints
    first: date | None
    last: date | None


def backtest_inputs(planned: PlanOptions, to: str | None) -> BacktestInputs:
    """The prints and the days of a backtest. Files are read whole, a catalog's days when their turns come.

    Raises what `leadline up` would raise before it starts, and InvalidInput for a range that ends before it begins.
    """
    last = None if to is None else day_of(to, "to")
    if list(planned.feed) == ["catalog"]:
        from leadline.backtest.catalog_prints import CatalogPrints  # noqa: PLC0415 - Arrow, which no other feed needs

        if planned.sessions is not None:
            raise InvalidInput("sessions", planned.sessions, "--to, the last day, with a catalog")
        plan, files = plan_of(planned)
        params = feed_params(plan, files)
        assert params.feed.catalog is not None
        kept = CatalogPrints(params.feed.catalog, params.instruments, params.trade_from or DEFAULT_TRADE_FROM)
        return _in_order(BacktestInputs(plan, kept, params.trade_from, last))
    checked = checked_plan(planned)
    prints = prints_of(checked.feed, feed_params(checked.plan, checked.files))
    return _in_order(BacktestInputs(checked.plan, prints, checked.feed.plan.trade_from, last))


def _in_order(inputs: BacktestInputs) -> BacktestInputs:
    first, last = inputs.first, inputs.last
    if first is not None and last is not None and last < first:
        raise InvalidInput("to", last.isoformat(), f"a day not before --from, {first}")
    return inputs
