"""`leadline plan`: what would run, without running it."""

from leadline.cli.manifests import plan_of
from leadline.cli.options import Output, PlanOptions
from leadline.cli.output import print_json, print_table
from leadline.plan.local import check_feed
from leadline.plan.plan import plan_document
from leadline.plan.sizes import entry_sizes


def print_plan(options: PlanOptions, output: Output) -> None:
    """The workloads and the sizes of entries, as tables or as one document. Raises InvalidInput.

    A feed that needs no file is looked at as `up` does it; files are read by `up` alone, for that takes its time.
    """
    found, files = plan_of(options)
    if not files:
        check_feed(found, files)
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
    print_table(
        "Entries",
        ("strategy", "equity from", "executes", "asks for", "at most", "cut by"),
        [
            (size.strategy, size.start, size.executes, size.asked, size.most, size.cut_by)
            for size in entry_sizes(found.accounts, found.strategies)
        ],
        "No strategy, and so no entries.",
    )
