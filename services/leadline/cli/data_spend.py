"""`leadline data spend`: the purchases of a catalog."""

from dataclasses import asdict
from decimal import Decimal
from pathlib import Path

from leadline.cli.options import Output
from leadline.cli.output import print_json, print_table
from leadline.ingestion.databento.store import Purchases
from leadline.local.data_dir import placed_at

_COLUMNS = ("at (UTC)", "dataset", "symbol", "day", "trades", "bytes", "USD", "state")


def print_spend(folder: Path, output: Output) -> None:
    """Every purchase of a catalog and their sum, as a table or as one document."""
    purchases = Purchases(placed_at(folder))
    found = purchases.all()
    whole = sum((each.cost for each in found if each.state == "complete"), Decimal(0))
    doubtful = sum((each.cost for each in found if each.in_doubt), Decimal(0))
    if output is Output.JSON:
        print_json({"purchases": [asdict(each) for each in found], "spent": whole, "perhaps_spent": doubtful})
        return
    rows = [
        (
            each.at.removesuffix("+00:00").replace("T", " "),
            each.dataset,
            each.symbol,
            each.day,
            f"{each.records:,}",
            f"{each.bytes:,}",
            f"{each.cost:.4f}",
            f"{each.state}: {each.why}" if each.why else each.state,
        )
        for each in found
    ]
    print_table(str(purchases.folder.parent), _COLUMNS, rows, "nothing was bought into this catalog")
    if found:
        print(f"{dollars(whole)} for whole days")
    if doubtful:
        print(f"{dollars(doubtful)} at most for days that did not arrive whole: see Databento's own account of it")


def dollars(cost: Decimal) -> str:
    """US dollars, never less than they are."""
    return f"${cost.quantize(Decimal('0.01'), rounding='ROUND_UP')}"
