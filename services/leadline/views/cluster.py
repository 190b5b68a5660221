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
from dataclasses import dataclass
from typing import Final, TypeVar

from leadline.local.calls import Credentials
from leadline.model.ids import (
    UNASSIGNED,
    AccountId,
    RunId,
    StrategyId,
    account_id,
    account_named,
    namespaced_name,
    strategy_named,
)
from leadline.model.manifest.specs import TradingAccount, TradingStrategy, parse_manifest, session_of
from leadline.model.manifest.strategy_spec import referenced_account
from leadline.plan.plan import workload_id
from leadline.runtime.rpc.auth import Keys, one_key
from leadline.runtime.rpc.certificates import Pem
from leadline.views.kubectl import ClusterRefused, kubectl_json, start_kubectl
from leadline.views.stack import NotRunning, Stack, StrategyAddress, series_of

KEYS_SECRET: Final = "leadline-token"  # noqa: S105 - its name
CERTIFICATE_SECRET: Final = "leadline-tls"  # noqa: S105 - its name
GRPC_PORT: Final = 9090
FORWARD_SECONDS: Final = 15.0

_Found = TypeVar("_Found")
_FORWARDED: Final = re.compile(r"Forwarding from 127\.0\.0\.1:(\d+) ")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The part of a stack that a command is about.

    account: that one's execution alone, by `namespace/name`; all of them where absent. analysis: the strategies' too.
    """

    account: AccountId | None = None
    analysis: bool = False


@asynccontextmanager
async def cluster_stack(namespace: str | None, wanted: Wanted) -> AsyncIterator[tuple[Stack, Credentials]]:
    """The stack of a namespace, and what its user shows to call it. Nothing is looked at that was not asked for.

    Raises ClusterRefused, and NotRunning when the namespace has no account.
    """
    context = await context_of()
    chosen = namespaced_name(wanted.account).namespace if wanted.account else namespace or context.namespace
    answers = await asyncio.gather(
        _members(chosen, wanted),
        kubectl_json("get", "secret", KEYS_SECRET, "--namespace", chosen),
        return_exceptions=True,  # whoever fails first leaves no kubectl behind
    )
    accounts, (strategies, left_out) = _or_raise(answers[0])
    secret = _or_raise(answers[1])
    services = {workload_id("execution", account): "execution" for account in accounts}
    workloads = dict.fromkeys(services, "statefulset")
    certificates = await _certificates(chosen, workloads)
    if wanted.analysis:
        analyses = {workload_id("analysis", strategy.name): "analysis" for strategy in strategies}
        services, workloads = services | analyses, workloads | dict.fromkeys(analyses, "deployment")
    async with _forwarded(chosen, workloads) as (addresses, unreachable):
        serving = {address: services[name] for name, address in addresses.items()}

        def keys_of(address: str) -> Keys:
            return one_key(base64.b64decode(secret["data"][serving[address]]).decode())

        names = {address: f"{name}.{chosen}.svc" for name, address in addresses.items()}
        credentials = Credentials(keys_of, context.user, certificates, names)
        stack = Stack(
            tape=RunId(""),
            feed="cluster",
            trade_from="",
            contracts={},
            home=chosen,
            addresses=addresses,
            accounts=accounts,
            strategies=strategies,
            unreachable=unreachable,
            left_out=left_out,
        )
        yield stack, credentials


async def cluster_accounts(namespace: str | None, account: str | None, strategy: str | None) -> "Targets":
    """The accounts that a command of a person is about. No manifest is read: a wrong one elsewhere stops no command.

    account, strategy: `namespace/name`, or a name of the chosen namespace. Raises ClusterRefused, and NotRunning.
    """
    home = namespace or (await context_of()).namespace
    if strategy is not None:
        full = strategy_named(strategy, home)
        place, name = namespaced_name(full)
        found = await kubectl_json("get", "tradingstrategy", name, "--namespace", place)
        return Targets((referenced_account(found),), full)
    if account is not None:
        return Targets((account_named(account, home),))
    return Targets(await _accounts(home))


@dataclass(frozen=True, slots=True)
class Targets:
    """Accounts, and with `strategy` just that one of its account; all `namespace/name`."""

    accounts: tuple[AccountId, ...]
    strategy: StrategyId = UNASSIGNED


@dataclass(frozen=True, slots=True)
class Context:
    """A context of the kubeconfig: the namespace that it means, and the user that it calls the cluster as."""

    namespace: str
    user: str


async def context_of() -> Context:
    """The current context of the kubeconfig. Raises ClusterRefused where there is none."""
    found = (await kubectl_json("config", "view", "--minify", "--flatten"))["contexts"][0]["context"]
    return Context(found.get("namespace") or "default", str(found["user"]))


async def _members(
    namespace: str, wanted: Wanted
) -> tuple[tuple[AccountId, ...], tuple[tuple[StrategyAddress, ...], dict[str, str]]]:
    """The accounts, and the strategies with those that are left out and why."""
    accounts = _accounts(namespace) if wanted.account is None else _itself(wanted.account)
    found, others = await asyncio.gather(
        accounts, _strategies(namespace) if wanted.analysis else _nobody(), return_exceptions=True
    )
    return _or_raise(found), _or_raise(others)


def _or_raise(outcome: _Found | BaseException) -> _Found:
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


async def _itself(account: AccountId) -> tuple[AccountId, ...]:
    return (account,)


async def _nobody() -> tuple[tuple[StrategyAddress, ...], dict[str, str]]:
    return (), {}


async def _accounts(namespace: str) -> tuple[AccountId, ...]:
    """The accounts by name, whatever their manifests say."""
    found = await kubectl_json("get", "tradingaccounts", "--namespace", namespace)
    names = sorted(str(item["metadata"]["name"]) for item in found["items"])
    if not names:
        raise NotRunning(
            f"the namespace {namespace} has no TradingAccount: see `kubectl get tacct --namespace {namespace}`"
        )
    return tuple(account_id(namespace, name) for name in names)


async def cluster_manifests(
    namespace: str | None,
) -> tuple[dict[AccountId, TradingAccount], dict[StrategyId, TradingStrategy]]:
    """The manifests of a namespace that can be read; others are left out. Raises ClusterRefused."""
    home = namespace or (await context_of()).namespace
    accounts: dict[AccountId, TradingAccount] = {}
    strategies: dict[StrategyId, TradingStrategy] = {}
    for plural in ("tradingaccounts", "tradingstrategies"):
        for item in (await kubectl_json("get", plural, "--namespace", home))["items"]:
            parsed = parse_manifest(item)
            if isinstance(parsed, TradingAccount):
                accounts[parsed.full_name] = parsed
            elif isinstance(parsed, TradingStrategy):
                strategies[parsed.full_name] = parsed
    return accounts, strategies


async def _strategies(namespace: str) -> tuple[tuple[StrategyAddress, ...], dict[str, str]]:
    """The strategies that can be read, and the others with what is wrong with them."""
    listed = await kubectl_json("get", "tradingstrategies", "--namespace", namespace)
    found: list[StrategyAddress] = []
    left_out: dict[str, str] = {}
    for item in listed["items"]:
        parsed = parse_manifest(item)
        if isinstance(parsed, TradingStrategy):
            found.append(_address(parsed))
        else:
            problems = parsed if isinstance(parsed, list) else ["no TradingStrategy"]
            left_out[f"TradingStrategy {namespace}/{item['metadata']['name']}"] = "; ".join(map(str, problems))
    return tuple(sorted(found, key=lambda strategy: strategy.name)), left_out


def _address(strategy: TradingStrategy) -> StrategyAddress:
    spec = strategy.spec
    return StrategyAddress(
        name=strategy.full_name,
        account=strategy.account_name,
        contract=spec.instrument,
        session=session_of(spec)[0],
        spec=spec.all_series[-1].token,
        series=series_of(strategy),
    )


async def _certificates(namespace: str, executions: Iterable[str]) -> Callable[[], Pem] | None:
    """Gives the namespace's certificate; None where its services do not want to see one."""
    found = None
    for name in executions:
        with contextlib.suppress(ClusterRefused):
            found = await kubectl_json("get", "statefulset", name, "--namespace", namespace)
            break
    if found is None:
        return None
    if CERTIFICATE_SECRET not in json.dumps(found["spec"]["template"]["spec"].get("volumes", [])):
        return None
    secret = await kubectl_json("get", "secret", CERTIFICATE_SECRET, "--namespace", namespace)
    pem = Pem(*(base64.b64decode(secret["data"][name]) for name in ("tls.key", "tls.crt", "ca.crt")))
    return lambda: pem


@asynccontextmanager
async def _forwarded(namespace: str, wanted: dict[str, str]) -> AsyncIterator[tuple[dict[str, str], dict[str, str]]]:
    """Addresses on this machine by the name of a workload, and why the others have none. `wanted` gives their kinds."""
    processes = [
        (name, await start_kubectl("port-forward", "--namespace", namespace, f"{kind}/{name}", f":{GRPC_PORT}"))
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


@asynccontextmanager
async def forwarded_port(namespace: str, target: str, port: int) -> AsyncIterator[int]:
    """The port of this machine that leads to one of a workload. Raises ClusterRefused where there is no way."""
    process = await start_kubectl("port-forward", "--namespace", namespace, target, f":{port}")
    try:
        outcome = await _forwarding(process)
        if isinstance(outcome, str):
            raise ClusterRefused(f"no way to {target} in {namespace}: {outcome}")
        yield outcome
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


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
