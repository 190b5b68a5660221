"""A stack in a cluster, reached as its user reaches the cluster: with kubectl, the kubeconfig and its rights.

Ports are forwarded to the services of one namespace. Whoever may read the namespace's keys, and its certificate where
calls are encrypted, may call: the cluster's own rules decide, and the audit names the user of the kubeconfig.
"""

import asyncio
import base64
import contextlib
import json
import re
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any, Final

from leadline.cli.stack import NotRunning, Stack, StrategyAddress
from leadline.execution.v1 import execution_pb2
from leadline.model.errors import LeadlineError
from leadline.model.specs import InvalidManifest, Manifest, TradingAccount, TradingStrategy, parse_manifest, session_of
from leadline.plan.calls import CALL_SECONDS, Credentials, Services, patiently
from leadline.plan.plan import workload_id
from leadline.runtime.auth import Keys, one_key
from leadline.runtime.certificates import Pem

KEYS_SECRET: Final = "leadline-token"  # noqa: S105 - its name
CERTIFICATE_SECRET: Final = "leadline-tls"  # noqa: S105 - its name
GRPC_PORT: Final = 9090
FORWARD_SECONDS: Final = 15.0

_FORWARDED: Final = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+) ")


class ClusterRefused(LeadlineError):
    """kubectl could not do what was asked; its own words say why."""


@asynccontextmanager
async def cluster_stack(namespace: str | None, *, analysis: bool) -> AsyncIterator[tuple[Stack, Credentials]]:
    """The stack of a namespace, and what its user shows to call it.

    Raises ClusterRefused, and NotRunning when the namespace has no account.
    """
    context = await _json("config", "view", "--minify", "--flatten")
    chosen = namespace or context["contexts"][0]["context"].get("namespace") or "default"
    user = str(context["contexts"][0]["context"]["user"])
    found, secret = await asyncio.gather(
        _json("get", "tradingaccounts,tradingstrategies", "--namespace", chosen),
        _json("get", "secret", KEYS_SECRET, "--namespace", chosen),
    )
    accounts, strategies = _objects(found["items"])
    if not accounts:
        raise NotRunning(f"the namespace {chosen} has no TradingAccount: see `kubectl get tacct --namespace {chosen}`")
    wanted = {workload_id("execution", account.full_name): "statefulset" for account in accounts}
    if analysis:
        wanted |= {workload_id("analysis", strategy.full_name): "deployment" for strategy in strategies}
    certificates = await _certificates(chosen, next(iter(wanted)))
    async with _forwarded(chosen, wanted) as (addresses, unreachable):
        services = {address: name.partition("-")[0] for name, address in addresses.items()}

        def keys_of(address: str) -> Keys:
            return one_key(base64.b64decode(secret["data"][services[address]]).decode())

        names = {address: f"{name}.{chosen}.svc" for name, address in addresses.items()}
        credentials = Credentials(keys_of, user, certificates, names)
        stack = Stack(
            tape=await _tape(accounts, addresses, credentials),
            feed="cluster",
            trade_from="",
            contracts={},
            addresses=addresses,
            accounts=tuple(account.full_name for account in accounts),
            strategies=tuple(_address(strategy) for strategy in strategies),
            unreachable=unreachable,
        )
        yield stack, credentials


def _objects(items: Iterable[dict[str, Any]]) -> tuple[list[TradingAccount], list[TradingStrategy]]:
    found: list[Manifest] = []
    for item in items:
        parsed = parse_manifest(item)
        if isinstance(parsed, list):
            raise InvalidManifest(parsed)
        found.append(parsed)
    found.sort(key=lambda manifest: manifest.full_name)
    return (
        [one for one in found if isinstance(one, TradingAccount)],
        [one for one in found if isinstance(one, TradingStrategy)],
    )


def _address(strategy: TradingStrategy) -> StrategyAddress:
    spec = strategy.spec
    return StrategyAddress(
        name=strategy.full_name,
        account=strategy.account_name,
        contract=spec.instrument,
        session=session_of(spec)[0],
        spec=f"{spec.bar_spec.token}-r{spec.ticks_per_row}",
    )


async def _certificates(namespace: str, execution: str) -> Callable[[], Pem] | None:
    """Gives the namespace's certificate; None where its services do not want to see one."""
    found = await _json("get", "statefulset", execution, "--namespace", namespace)
    if CERTIFICATE_SECRET not in json.dumps(found["spec"]["template"]["spec"].get("volumes", [])):
        return None
    secret = await _json("get", "secret", CERTIFICATE_SECRET, "--namespace", namespace)
    pem = Pem(*(base64.b64decode(secret["data"][name]) for name in ("tls.key", "tls.crt", "ca.crt")))
    return lambda: pem


async def _tape(accounts: Iterable[TradingAccount], addresses: dict[str, str], credentials: Credentials) -> str:
    """The tape that the accounts are on; empty when none of them can be reached."""
    names = (workload_id("execution", account.full_name) for account in accounts)
    address = next((addresses[name] for name in names if name in addresses), None)
    if address is None:
        return ""
    services = Services(credentials, "cli-viewer")
    try:
        stub = services.execution(address)
        request = execution_pb2.GetStateRequest()
        return (await patiently(lambda: stub.GetState(request, timeout=CALL_SECONDS), CALL_SECONDS)).tape
    finally:
        await services.close()


async def _json(*arguments: str) -> Any:
    process = await _kubectl(*arguments, "--output", "json")
    out, complaint = await process.communicate()
    if process.returncode:
        raise ClusterRefused(complaint.decode().strip() or f"kubectl {' '.join(arguments)} failed")
    return json.loads(out)


async def _kubectl(*arguments: str) -> asyncio.subprocess.Process:
    pipe = asyncio.subprocess.PIPE
    try:
        return await asyncio.create_subprocess_exec("kubectl", *arguments, stdout=pipe, stderr=pipe)
    except FileNotFoundError:
        raise ClusterRefused("there is no kubectl on the PATH, and --kube asks the cluster through it") from None


@asynccontextmanager
async def _forwarded(namespace: str, wanted: dict[str, str]) -> AsyncIterator[tuple[dict[str, str], dict[str, str]]]:
    """Addresses on this machine by the name of a workload, and why the others have none. `wanted` gives their kinds."""
    processes = [
        (name, await _kubectl("port-forward", "--namespace", namespace, f"{kind}/{name}", f":{GRPC_PORT}"))
        for name, kind in wanted.items()
    ]
    try:
        outcomes = await asyncio.gather(*(_forwarding(process) for _, process in processes))
        pairs = list(zip((name for name, _ in processes), outcomes, strict=True))
        addresses = {name: f"127.0.0.1:{outcome}" for name, outcome in pairs if isinstance(outcome, int)}
        yield addresses, {name: outcome for name, outcome in pairs if isinstance(outcome, str)}
    finally:
        for _, process in processes:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
        await asyncio.gather(*(process.wait() for _, process in processes))


async def _forwarding(process: asyncio.subprocess.Process) -> int | str:
    """The local port, or why there is none."""
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(FORWARD_SECONDS):
            while line := (await process.stdout.readline()).decode():
                if match := _FORWARDED.match(line):
                    return int(match.group(1))
            return (await process.stderr.read()).decode().strip()
    except TimeoutError:
        return f"no answer within {FORWARD_SECONDS:g} s"
