"""How an account goes: after its strategies, and only when nothing of it is in the market."""

from leadline.model.manifest.status_spec import AccountPhase, AccountStatus, ConditionType
from leadline.model.manifest.strategy_spec import referenced_account
from leadline_operator.clients.calls import ServiceAway, ServiceRefused
from leadline_operator.conditions import Reason, no
from leadline_operator.kinds import ACCOUNT_FINALIZER, FORCE_DELETE_ANNOTATION, STRATEGY, JsonObject, own_key
from leadline_operator.reconcile.context import ReconcileContext
from leadline_operator.reconcile.deps import annotation, is_paper
from leadline_operator.reconcile.pods import execution_is_gone
from leadline_operator.reconcile.steps import Done

_NAMED = 10
# So that nothing is asked for ever at full speed.
_SLOWER = 5


async def delete(context: ReconcileContext[AccountStatus]) -> Done:
    """Let an account go after its strategies: they leave the market through it."""
    deps = context.deps
    if ACCOUNT_FINALIZER not in (context.found["metadata"].get("finalizers") or ()):
        return Done()
    context.set_status(phase=AccountPhase.DELETING.value)
    if names := await _strategies_left(context):
        text = f"delete or move its strategies first: {', '.join(names[:_NAMED])}"
        return await _not_yet(context, Reason.STRATEGIES_REMAIN, text)
    if annotation(context.found, FORCE_DELETE_ANNOTATION) == context.key.name:
        await context.record_event(Reason.FORCED, f"let go by hand ({FORCE_DELETE_ANNOTATION})", "Warning")
    elif (kept := await _kept(context)) is not None:
        return await _not_yet(context, *kept)
    await deps.demand.withdraw_account(context.key.account)
    await context.record_event(Reason.DELETED, "it is let go; its volumes stay")
    await context.set_finalizer(ACCOUNT_FINALIZER, present=False)
    return Done()


async def _strategies_left(context: ReconcileContext[AccountStatus]) -> list[str]:
    """Strategies of the account that may be in the market, `namespace/name`."""
    listed = await context.deps.every(STRATEGY)
    mine = (item for item in listed if referenced_account(item) == context.key.account and _on_it(item))
    return sorted(own_key(item, STRATEGY).strategy for item in mine)


async def _not_yet(context: ReconcileContext[AccountStatus], reason: Reason, text: str) -> Done:
    context.set_condition(ConditionType.READY, no(reason, text))
    await context.write()
    await context.record_event(reason, text, "Warning")
    return Done(context.deps.params.poll_seconds * _SLOWER)


async def _kept(context: ReconcileContext[AccountStatus]) -> tuple[Reason, str] | None:
    """The reason for which an account stays on which no strategy is: what is still in the market on it.

    A strategy may have gone and left its position, as its policy said. Without execution and venue nobody would look
    after that any more.
    """
    deps, account = context.deps, context.key.account
    if (is_paper(context.found) or context.status.running_hash is None) and await execution_is_gone(deps, context.key):
        return None
    way_out = f"or annotate it with {FORCE_DELETE_ANNOTATION}={context.key.name}"
    deps.forget_state(account)
    try:
        state = await deps.state(account, fresh=True)
    except (ServiceAway, ServiceRefused) as error:
        return Reason.EXECUTION_UNREACHABLE, f"whether it holds anything is not known: {error}; wait, {way_out}"
    held = [
        f"{name} position {here.position}, orders {here.working_orders}"
        for name, here in sorted(state.strategies.items())
        if not here.flat
    ]
    if not held:
        return None
    close = f"leadline flatten --kube --namespace {context.key.namespace} --account {context.key.name} --reason ..."
    return Reason.POSITIONS_OPEN, f"it still holds {'; '.join(held[:_NAMED])}. Close it ({close}), {way_out}"


def _on_it(strategy: JsonObject) -> bool:
    """Whether a strategy may be in the market: the operator has let it in, and not out again."""
    return bool(strategy["metadata"].get("finalizers"))
