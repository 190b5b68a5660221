"""Where the commands look for a running stack: on this machine, or in a cluster."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from leadline.cli.cluster import Targets, Wanted, cluster_accounts, cluster_stack
from leadline.cli.options import Place
from leadline.cli.stack import Stack, person, qualified, running_stack
from leadline.local.calls import Credentials, Services, same_keys
from leadline.local.data_dir import DataDir
from leadline.runtime.settings import Role


@asynccontextmanager
async def open_stack(
    place: Place, role: Role, *, account: str | None = None, analysis: bool = False
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
        return Targets((stack.chosen_strategies(strategy)[0].account,), qualified(strategy))
    return Targets(stack.chosen_accounts(account))
