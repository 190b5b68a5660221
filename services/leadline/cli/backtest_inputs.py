"""The manifests and prints of `leadline backtest`, checked before anything begins."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import date

from leadline.backtest.code import code_of
from leadline.backtest.days import BacktestDays, backtest_days, refuse_beyond
from leadline.backtest.feeds import prints_of
from leadline.backtest.identity import Code, Identity, data_of, manifests_document
from leadline.backtest.own_days import in_own_days
from leadline.backtest.prints import Prints
from leadline.cli.manifests import checked_plan, day_of, plan_of
from leadline.cli.options import PlanOptions
from leadline.ingestion.params import FeedParams
from leadline.ingestion.runs import DEFAULT_TRADE_FROM
from leadline.local.binding import feed_params
from leadline.model.errors import InvalidInput
from leadline.model.manifest.own_markets import in_force
from leadline.model.manifest.sweep import Variant
from leadline.plan.plan import Plan
from leadline.study.parts import executed_by
from leadline.study.studied import Studied, one_legged


@dataclass(frozen=True, slots=True)
class BacktestInputs:
    """A plan, its feed with the prints of it, and the range of trading days, both included.

    None: the first day that has its history, and the last at hand. code: as it was loaded, before any of it ran.
    """

    plan: Plan
    code: Code
    feed: FeedParams
    prints: Prints
    first: date | None
    last: date | None

    @property
    def feed_settings(self) -> dict[str, int]:
        """The settings of the feed from which its prints follow."""
        return {"seed": self.feed.seed} if self.feed.kind == "sim" else {}

    def studied(self, variants: Iterable[Variant] = ()) -> Studied:
        """The subject of a study of these manifests, and of variants of them. Raises as `backtest_days`."""
        days = backtest_days(self.prints, self.plan.strategies, self.first, self.last)
        return Studied(self.identity(days), len(days.traded), one_legged(self.plan.strategies, variants))

    def identity(self, days: BacktestDays) -> Identity:
        """The identity of a backtest of these days."""
        plan, traded = self.plan, days.traded
        return Identity(
            self.code,
            manifests_document(plan.accounts, plan.strategies, traded[0].day, traded[-1].day, in_force()),
            data_of(self.feed.kind, self.feed_settings, self.prints, days),
        )


def backtest_inputs(planned: PlanOptions, to: str | None, executed: Collection[str] = ()) -> BacktestInputs:
    """The prints and the days of a backtest. Files are read whole, a catalog's days when their turns come.

    executed: instruments on which orders may be filled, where a catalog has them, beside those of the manifests.
    Raises what `leadline up` would raise before it starts, and InvalidInput for a range that ends before it begins.
    """
    last = None if to is None else day_of(to, "to")
    if list(planned.feed) == ["catalog"]:
        from leadline.backtest.catalog_prints import CatalogPrints  # noqa: PLC0415 - Arrow, which no other feed needs

        if planned.sessions is not None:
            raise InvalidInput("sessions", planned.sessions, "--to, the last day, with a catalog")
        plan, files = plan_of(planned)
        code = code_of(plan.strategies)
        params = feed_params(plan, files)
        assert params.feed.catalog is not None
        as_of = params.trade_from or DEFAULT_TRADE_FROM
        beside = sorted({*params.beside, *executed}.difference(params.instruments))
        kept = CatalogPrints(params.feed.catalog, params.instruments, as_of, beside)
        return _in_order(BacktestInputs(plan, code, params.feed, kept, params.trade_from, last))
    checked = checked_plan(planned)
    assert checked.feed is not None
    code = code_of(checked.plan.strategies)
    params = feed_params(checked.plan, checked.files)
    prints = prints_of(checked.feed, params)
    first = params.trade_from if params.feed.kind == "file" else checked.feed.plan.trade_from
    return _in_order(BacktestInputs(checked.plan, code, params.feed, prints, first, last))


def inputs_of_variants(
    planned: PlanOptions, to: str | None, inputs: BacktestInputs, variants: Iterable[Variant]
) -> BacktestInputs:
    """The inputs of variants of the manifests of `inputs`: with the prints of all that any of them executes."""
    own = [Variant(0, (), tuple(inputs.plan.accounts), tuple(inputs.plan.strategies))]
    executed = executed_by(variants)
    if inputs.feed.kind != "catalog" or executed <= executed_by(own):
        return inputs
    return backtest_inputs(planned, to, executed)


def _in_order(inputs: BacktestInputs) -> BacktestInputs:
    first, last = inputs.first, inputs.last
    if first is not None and last is not None and last < first:
        raise InvalidInput("to", last.isoformat(), f"a day not before --from, {first}")
    prints, first, last = in_own_days(inputs.prints, inputs.plan.strategies, first, last)
    if last is not None and inputs.feed.kind == "sim":
        refuse_beyond(prints, last, ": --sessions makes more")
    return replace(inputs, prints=prints, first=first, last=last)
