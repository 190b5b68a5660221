"""`leadline plan`: what would run, without running it."""

import typer

from leadline.cli.manifests import (
    FeedOption,
    InstrumentsOption,
    ManifestOption,
    MaxKeptOutOption,
    PlanOptions,
    SeedOption,
    SessionsOption,
    SpeedOption,
    TradeFromOption,
    plan_of,
)
from leadline.cli.output import Output, OutputOption, print_json, print_table
from leadline.plan.plan import plan_document
from leadline.plan.sizes import entry_sizes

app = typer.Typer()


@app.command("plan", epilog="Example: leadline plan -f examples/mes-orderflow.yaml --output json")
def show_plan(
    manifests: ManifestOption,
    feed: FeedOption = None,
    trade_from: TradeFromOption = None,
    seed: SeedOption = 1,
    sessions: SessionsOption = 1,
    speed: SpeedOption = "max",
    max_kept_out: MaxKeptOutOption = 1.0,
    instruments: InstrumentsOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Show the workloads that the manifests become and how large entries can be, and check the manifests on the way."""
    options = PlanOptions(
        manifests, feed or (), trade_from, seed, sessions, speed, max_kept_out, instruments=instruments or ()
    )
    found, _ = plan_of(options)
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
