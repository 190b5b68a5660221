"""The send journal of an account: what is said when execution has found it lost and made it whole."""

from leadline.model.counted import counted
from leadline.model.manifest.status_spec import AccountStatus
from leadline.plan.plan import workload_id
from leadline_operator.clients.execution import AccountState
from leadline_operator.conditions import Reason
from leadline_operator.reconcile.context import ReconcileContext


async def show_journal(context: ReconcileContext[AccountStatus], state: AccountState) -> None:
    """Show when execution has made its send journal whole; an Event tells what was not shown before.

    Book and venue agreed, and the account went on: nobody would ask what became of the volume otherwise. The Event is
    told before the status is written, so that a crash between the two tells it again and never not at all.
    """
    restored = state.journal_restored
    if restored is not None and restored != context.status.journal_restored:
        lost = "was lost" if restored.found == 0 else f"had {counted(restored.found, 'order')} and lacked others"
        text = (
            f"the send journal {lost}: execution has put {counted(restored.orders, 'order')} back from the book at "
            f"{restored.at:%Y-%m-%dT%H:%M:%SZ} and goes on, for book and venue agree. See what became of the volume "
            f"of {workload_id('execution', context.key.account)}"
        )
        await context.record_event(Reason.SEND_JOURNAL_RESTORED, text, "Warning")
    context.set_status(journal_restored=restored)
