"""Prints of a feed that did not reach a bar, in words."""

from collections.abc import Iterable

from leadline.cli.output import print_table
from leadline.model.counted import counted
from leadline.report.clock import day_and_time
from leadline.views.market import FeedContractView, SeriesView, UnfinishedBarView


def tape_ns(contract: FeedContractView) -> int:
    """How far the tape of a contract is, ns UTC: its last print, or where nobody here has seen it the last watermark.

    0 before its first print.
    """
    return contract.last_time_ns or (contract.watermark_ns if contract.prints else 0)


def last_print_text(contract: FeedContractView) -> str:
    """The time of the last print. Of a run that another process has published whole, the time by which it was."""
    if contract.last_time_ns or not contract.prints:
        return day_and_time(contract.last_time_ns)
    return f"by {day_and_time(contract.watermark_ns)}"


def kept_out_text(contract: FeedContractView) -> str:
    """Faulty prints of a contract: how many, and the most frequent reason."""
    if not contract.quarantined:
        return "0"
    reason = max(sorted(contract.quarantined), key=lambda name: contract.quarantined[name])
    more = "" if len(contract.quarantined) == 1 else " ..."
    return f"{contract.faulty:,} ({reason.replace('_', ' ')}{more})"


def unfinished_text(unfinished: Iterable[UnfinishedBarView]) -> str:
    """How many prints each series lacks that ended inside a bar; empty where none did."""
    return ", ".join(
        f"{counted(item.prints, 'print')} of {item.bar.contract} in an unfinished bar "
        f"({item.bar.session} {item.bar.spec})"
        for item in unfinished
    )


def print_unfinished(series: Iterable[SeriesView]) -> None:
    """The series whose tape ended inside a bar, where there are any: those prints are in no bar."""
    bars = [each.unfinished for each in series if each.unfinished is not None]
    if bars:
        rows = [
            (item.bar.contract, item.bar.session, item.bar.spec, item.bar.trading_day, f"{item.prints:,}")
            for item in bars
        ]
        columns = ("contract", "session", "bars", "trading day", "prints")
        print_table("Prints at the tape's end in an unfinished bar", columns, rows, "")
