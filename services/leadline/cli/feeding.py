"""What of a feed's prints did not reach a bar, in words."""

from leadline.ingestion.tally import OUTSIDE
from leadline.ingestion.v1 import ingestion_pb2


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
