"""`leadline plan`: what would run, without running it."""

from itertools import groupby

from leadline.cli.manifests import checked_plan
from leadline.cli.options import Output, PlanOptions
from leadline.cli.output import print_json, print_table
from leadline.plan.plan import plan_document
from leadline.plan.sizes import entry_sizes


def print_plan(options: PlanOptions, output: Output) -> None:
    """The workloads and the sizes of entries, as tables or as one document. Raises what `up` would raise.

    The feed is looked at as `up` does it: its files are read whole.
    """
    found, _ = checked_plan(options)
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
    sizes = entry_sizes(found.accounts, found.strategies)
    for (strategy, account), own in groupby(sizes, key=lambda size: (size.strategy, size.account)):
        print_table(
            f"Entries of {strategy} in {account}",
            ("equity from", "executes", "asks for", "at most", "cut by"),
            [(size.start, size.executes, size.asked, size.most, size.cut_by) for size in own],
            "",
        )
