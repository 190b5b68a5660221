"""Opens what a `Place` names: a running stack on this machine or in a cluster, or what a stopped one has left."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from leadline.local.calls import Credentials, Services, same_keys
from leadline.local.data_dir import DataDir
from leadline.model.ids import AccountId
from leadline.model.services import VIEWER, Role
from leadline.views.client import RunningStack
from leadline.views.cluster import Targets, Wanted, cluster_accounts, cluster_stack
from leadline.views.place import Place
from leadline.views.source import Source
from leadline.views.stack import NotRunning, Stack, person, running_stack
from leadline.views.store import stopped_run


def is_stopped(place: Place) -> bool:
    """Whether nothing runs there, and something has run before. Raises NotPrivate."""
    if place.kube or not (DataDir(place.data_dir).root / "postgres" / "data").is_dir():
        return False
    try:
        running_stack(place.data_dir)
    except NotRunning:
        return True
    return False


@asynccontextmanager
async def open_running(place: Place) -> AsyncIterator[RunningStack]:
    """A running stack with all of its services, for a reader. Raises what `open_stack` raises."""
    async with open_stack(place, "cli-viewer", analysis=True) as (stack, services):
        yield RunningStack(stack, services)


@asynccontextmanager
async def open_source(place: Place, *, analysis: bool = False) -> AsyncIterator[Source]:
    """The source that is there for a reader; `analysis`: with the services of the strategies.

    Raises what `open_stack` raises, and NotRunning where no run has begun yet.
    """
    async with AsyncExitStack() as opened:
        if is_stopped(place):
            yield await opened.enter_async_context(stopped_run(place.data_dir))
        else:
            stack, services = await opened.enter_async_context(open_stack(place, VIEWER, analysis=analysis))
            yield RunningStack(stack, services)


@asynccontextmanager
async def open_stack(
    place: Place, role: Role, *, account: AccountId | None = None, analysis: bool = False
) -> AsyncIterator[tuple[Stack, Services]]:
    """A running stack and calls to it, as the person who runs this command.

    In a cluster its executions, or that of one `account` alone, and with `analysis` its analyses too, are reached
    through forwarded ports. Raises NotRunning, and what the cluster says when it does not let this person in.
    """
    async with AsyncExitStack() as opened:
        if place.kube:
            wanted = Wanted(account, analysis)
            stack, credentials = await opened.enter_async_context(cluster_stack(place.namespace, wanted))
        else:
            stack = running_stack(place.data_dir)
            credentials = Credentials(same_keys(DataDir(place.data_dir).token_key_file), person())
        services = Services(credentials, role)
        opened.push_async_callback(services.close)
        yield stack, services


async def find_targets(place: Place, account: str | None, strategy: str | None) -> Targets:
    """The accounts that a command is about: the one that is named, the one of a strategy, else all.

    Raises Unknown for a name that nobody has, NotRunning, and what the cluster says.
    """
    if place.kube:
        return await cluster_accounts(place.namespace, account, strategy)
    stack = running_stack(place.data_dir)
    if strategy is not None:
        [chosen] = stack.chosen_strategies(strategy)
        return Targets((chosen.account,), chosen.name)
    return Targets(stack.chosen_accounts(account))
