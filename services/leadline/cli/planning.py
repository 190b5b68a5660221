"""`leadline plan`: what would run, without running it."""

import asyncio
import dataclasses
from itertools import groupby
from pathlib import Path

from leadline.cli.manifests import CheckedPlan, checked_plan
from leadline.cli.options import Output, PlanOptions
from leadline.cli.output import people_console, print_json, print_table
from leadline.local.data_dir import DataDir
from leadline.local.left_behind import require_resumable
from leadline.model.manifest.own_markets import own_files
from leadline.model.manifest.strategy_spec import StrategySpec
from leadline.plan.plan import plan_document
from leadline.plan.sizes import EntrySize, entry_sizes
from leadline.report.printable import plain_text
from leadline.views.database import database_of
from leadline.views.stack import NotRunning


def print_plan(options: PlanOptions, output: Output, data_dir: Path | None = None) -> None:
    """The workloads and the sizes of entries, as tables or as one document. Raises what `up` would raise.

    The feed is looked at as `up` does it: its files are read whole. data_dir: of a stack, whose unfinished run is
    looked at, too; the database is started for that where nothing runs.
    """
    if data_dir is not None:
        files = own_files(DataDir(data_dir).instruments_dir, options.instruments)
        options = dataclasses.replace(options, instruments=files)
    checked = checked_plan(options)
    found = checked.plan
    if data_dir is not None:
        asyncio.run(_require_resumable(checked, data_dir))
    if output is Output.JSON:
        print_json(plan_document(found))
        return
    print_table(
        "Plan",
        ("workload", "service", "owner", "reads", "writes", "calls", "after"),
        [
            (
                workload.id,
                workload.service,
                workload.owner_name or workload.owner,
                ", ".join(workload.inputs),
                ", ".join(workload.outputs),
                ", ".join(workload.calls),
                ", ".join(workload.after),
            )
            for workload in found.workloads
        ],
        "Nothing to run.",
        wide_only=("service", "owner", "calls", "after"),
    )
    for each in found.strategies:
        if each.spec.series or each.spec.strategy.filters:
            print_table(
                f"Bars that {each.full_name} reads",
                ("series", "bars", "ticks per row", "history", "filters"),
                [
                    (one.name, one.bars.in_minutes(), one.ticks_per_row, one.history, _filters(each.spec, one.name))
                    for one in each.spec.all_series
                ],
                "",
            )
    for owner in found.accounts:
        if owner.spec.pending_entries == "FirstFillWins":
            words = f"{owner.full_name}: the entries of its strategies are alternatives, the first fill wins"
            people_console().print(plain_text(words))
    sizes = entry_sizes(found.accounts, found.strategies)
    for (strategy, account), own in groupby(sizes, key=lambda size: (size.strategy, size.account)):
        _print_sizes(f"Entries of {strategy} in {account}", list(own))


def _print_sizes(title: str, sizes: list[EntrySize]) -> None:
    """The sizes of one strategy; those that follow the equity with that equity, and the risk of one contract."""
    names = ("equity from", "executes", "at equity", "risk of one", "asks for", "at most per entry", "may wait")
    print_table(
        title,
        (*names, "adds at most", "cut by"),
        [
            (
                each.start,
                each.executes,
                each.equity,
                each.risk,
                each.asked,
                each.most,
                each.waiting,
                None if each.adds is None else str(each.adds),
                each.cut_by,
            )
            for each in sizes
        ],
        "",
        only_where_filled=("at equity", "risk of one", "may wait", "adds at most"),
    )


def _filters(spec: StrategySpec, series: str) -> str:
    """The filters on a series of bars: they say which sides may be entered."""
    entries = (entry for entry in spec.strategy.filters if entry.series == series)
    return ", ".join(kind.name for entry in entries for kind, _ in entry.chosen())


async def _require_resumable(checked: CheckedPlan, data_dir: Path) -> None:
    if checked.feed is None:
        return
    try:
        async with database_of(data_dir) as database:
            await require_resumable(database, checked.plan, checked.feed)
    except NotRunning:
        return  # no run to go on with
