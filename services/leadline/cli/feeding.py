"""What of a feed's prints did not reach a bar, in words."""

from collections.abc import Iterable

from leadline.aggregation.v1 import aggregation_pb2
from leadline.cli.output import print_table
from leadline.ingestion.tally import OUTSIDE
from leadline.ingestion.v1 import ingestion_pb2
from leadline.model.v1 import model_pb2


def outside(contract: ingestion_pb2.ContractStatus) -> int:
    """Good prints of a contract in no session that bars are built of."""
    return sum(item.prints for item in contract.kept_out if item.reason == OUTSIDE)


def kept_out_text(contract: ingestion_pb2.ContractStatus) -> str:
    """Faulty prints of a contract: how many, and the most frequent reason."""
    if not contract.quarantined:
        return "0"
    total = sum(contract.quarantined.values())
    reason = max(sorted(contract.quarantined), key=lambda name: contract.quarantined[name])
    more = "" if len(contract.quarantined) == 1 else " ..."
    return f"{total:,} ({reason.replace('_', ' ')}{more})"


def unfinished_text(unfinished: Iterable[model_pb2.UnfinishedBar]) -> str:
    """How many prints each series lacks that ended inside a bar; empty where none did."""
    return ", ".join(
        f"{item.prints:,} prints of {item.bar.contract} in an unfinished bar ({item.bar.session} {item.bar.spec})"
        for item in unfinished
    )


def print_unfinished(series: Iterable[aggregation_pb2.Series]) -> None:
    """The series whose tape ended inside a bar, where there are any: those prints are in no bar."""
    bars = [each.unfinished for each in series if each.HasField("unfinished")]
    if bars:
        rows = [
            (item.bar.contract, item.bar.session, item.bar.spec, item.bar.trading_day, f"{item.prints:,}")
            for item in bars
        ]
        columns = ("contract", "session", "bars", "trading day", "prints")
        print_table("Prints at the tape's end in an unfinished bar", columns, rows, "")
