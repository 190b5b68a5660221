"""The halts of a report, in words."""

from leadline.report.clock import moment
from leadline.views.halts import ReportedHalt


def since_text(halt: ReportedHalt) -> str:
    """Number, source, who and since when."""
    return f"halt {halt.number} ({halt.source.lower()}, by {halt.by}, {moment(halt.at_ns)})"


def until_text(halt: ReportedHalt) -> str:
    """When and by whom it was cleared."""
    if halt.cleared_at_ns is None:
        return "in force"
    return f"cleared {moment(halt.cleared_at_ns)} by {halt.cleared_by}: {halt.clear_reason}"
