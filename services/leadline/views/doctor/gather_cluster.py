"""Facts of a cluster, asked with kubectl: whatever this person may not see is missing, and says so."""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from leadline.model.errors import LeadlineError
from leadline.runtime import clock
from leadline.runtime.version import package_version
from leadline.views.cluster import cluster_manifests, context_of
from leadline.views.doctor import gather_platform
from leadline.views.doctor.cluster import (
    KINDS,
    NAMESPACE_SECRETS,
    WANTED_RIGHTS,
    Cluster,
    Kind,
    Pod,
    Resource,
)
from leadline.views.doctor.facts import Missing, Services, Trading
from leadline.views.doctor.gather import trading_of
from leadline.views.kubectl import ClusterRefused, kubectl, kubectl_json
from leadline.views.market import StatusView
from leadline.views.opening import open_running
from leadline.views.place import Place
from leadline.views.stack import NotRunning

_CHART: Final = "helm.sh/chart"
_VERSION: Final = "app.kubernetes.io/version"
_PLATFORM: Final = "app.kubernetes.io/part-of=leadline"
_OWN: Final = "app.kubernetes.io/name=leadline"
_ACCOUNT: Final = "leadline.dev/account"
_FORBIDDEN: Final = ("forbidden", "cannot list", "cannot get")


async def gather_cluster(place: Place) -> Cluster:
    """The facts of the namespace of a place. Raises ClusterRefused where no cluster answers."""
    context = await context_of()
    namespace = place.namespace or context.namespace
    version = await kubectl_json("version")
    rights, kinds, pods, claims, charts, resources = await asyncio.gather(
        _rights(namespace), _kinds(), _pods(namespace), _claims(namespace), _charts(), _resources(namespace)
    )
    named = [] if isinstance(resources, Missing) else [each.secret for each in resources if each.secret]
    secrets = await _secrets(namespace, (*NAMESPACE_SECRETS, *named))
    services, halts = await _services(place)
    database, contracts, takes_database = await gather_platform.database(namespace)
    bus, takes_bus = await gather_platform.bus(namespace)
    return Cluster(
        namespace=namespace,
        user=context.user,
        server=version["serverVersion"]["gitVersion"],
        rights=rights,
        kinds=kinds,
        secrets=secrets,
        pods=pods,
        claims=claims,
        charts=charts,
        resources=resources,
        services=services,
        halts=halts,
        cli=package_version(),
        accepted=takes_database if isinstance(takes_database, Missing) else _both(takes_database, takes_bus),
        database=database,
        bus=bus,
        trading=await _trading(namespace, contracts),
    )


def _both(one: Mapping[str, bool], other: Mapping[str, bool] | Missing) -> Mapping[str, bool] | Missing:
    return other if isinstance(other, Missing) else {**one, **other}


async def _trading(namespace: str, contracts: tuple[str, ...]) -> Trading | Missing:
    """The trade of the namespace's manifests, as far as they can be read."""
    try:
        accounts, strategies = await cluster_manifests(namespace)
    except ClusterRefused as error:
        return _missing("strategies and accounts", error)
    specs = [(each.account_name, each.spec) for each in strategies.values()]
    return trading_of(accounts.values(), specs, contracts, clock.today())


def _missing(what: str, error: Exception) -> Missing:
    words = str(error).splitlines()[0] if str(error) else "the cluster did not answer"
    if any(each in words.lower() for each in _FORBIDDEN):
        return Missing(f"{what} may not be looked at with these rights", "ask who runs the cluster")
    return Missing(f"{what} could not be looked at: {words}")


async def _rights(namespace: str) -> Mapping[str, bool]:
    async def one(wanted: str) -> bool:
        verb, _, resource = wanted.partition(" ")
        try:
            answer = await kubectl("auth", "can-i", verb, resource, "--namespace", namespace)
        except ClusterRefused:  # its status says no
            return False
        return answer.decode().strip() == "yes"

    found = await asyncio.gather(*map(one, WANTED_RIGHTS))
    return dict(zip(WANTED_RIGHTS, found, strict=True))


async def _kinds() -> Mapping[str, Kind] | Missing:
    found: dict[str, Kind] = {}
    for name in KINDS:
        try:
            kind = await kubectl_json("get", "customresourcedefinition", f"{name}.leadline.dev")
        except ClusterRefused as error:
            if "(NotFound)" in str(error):
                continue
            return _missing("the kinds of the cluster", error)
        labels = kind["metadata"].get("labels") or {}
        served = tuple(each["name"] for each in kind["spec"]["versions"] if each["served"])
        found[name] = Kind(labels.get(_CHART, "").rpartition("-")[2], served)
    return found


async def _secrets(namespace: str, names: Sequence[str]) -> Mapping[str, bool]:
    """Whether each is there. Only its name is asked for."""
    found: dict[str, bool] = {}
    for name in names:
        try:
            await kubectl("get", "secret", name, "--namespace", namespace, "--output", "name")
        except ClusterRefused as error:
            if "(NotFound)" in str(error):
                found[name] = False
            continue
        found[name] = True
    return found


async def _pods(namespace: str) -> Sequence[Pod] | Missing:
    try:
        listed = await _everywhere_or_here("pods", namespace, _PLATFORM)
    except ClusterRefused as error:
        return _missing("the Pods", error)
    return tuple(sorted(map(_pod, listed), key=lambda pod: (pod.namespace, pod.name)))


async def _everywhere_or_here(kind: str, namespace: str, selector: str) -> Sequence[dict[str, Any]]:
    """The objects of a selector in all namespaces, as far as they may be seen, and Leadline's of this namespace."""
    own = await kubectl_json("get", kind, "--namespace", namespace, "--selector", _OWN)
    try:
        platform = (await kubectl_json("get", kind, "--all-namespaces", "--selector", selector))["items"]
    except ClusterRefused:
        platform = []
    found = {(item["metadata"]["namespace"], item["metadata"]["name"]): item for item in (*platform, *own["items"])}
    return list(found.values())


def _pod(item: dict[str, Any]) -> Pod:
    status = item.get("status") or {}
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in status.get("conditions") or ())
    containers = [*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())]
    return Pod(
        namespace=item["metadata"]["namespace"],
        name=item["metadata"]["name"],
        phase=status.get("phase", "Unknown"),
        ready=ready,
        restarts=sum(each.get("restartCount", 0) for each in containers),
        why=next(_reasons(status, containers), ""),
    )


def _reasons(status: dict[str, Any], containers: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Why a Pod is not ready, in the cluster's own words."""
    for each in containers:
        waiting = (each.get("state") or {}).get("waiting") or {}
        if waiting.get("reason"):
            yield f"{each['name']}: {waiting['reason']}"
    for condition in status.get("conditions") or ():
        if condition["status"] == "False" and condition.get("reason") not in (None, "ContainersNotReady"):
            yield str(condition["reason"])


async def _claims(namespace: str) -> Mapping[str, str] | Missing:
    try:
        # Those of an account have its label, those of the platform the project's name.
        listed = await _everywhere_or_here("persistentvolumeclaims", namespace, _OWN)
        listed = [*listed, *await _everywhere_or_here("persistentvolumeclaims", namespace, _ACCOUNT)]
    except ClusterRefused as error:
        return _missing("the claims of volumes", error)
    return {
        f"{item['metadata']['namespace']}/{item['metadata']['name']}": str((item.get("status") or {}).get("phase", ""))
        for item in listed
    }


async def _charts() -> Mapping[str, str] | Missing:
    """The version that the objects of each release are labelled with."""
    try:
        listed = await kubectl_json("get", "deployments", "--all-namespaces", "--selector", _PLATFORM)
    except ClusterRefused as error:
        return _missing("the platform", error)
    found = {}
    for item in listed["items"]:
        labels = item["metadata"].get("labels") or {}
        if _VERSION in labels:
            found[f"{item['metadata']['namespace']}/{item['metadata']['name']}"] = str(labels[_VERSION])
    return found


async def _resources(namespace: str) -> Sequence[Resource] | Missing:
    try:
        listed = [
            (await kubectl_json("get", plural, "--namespace", namespace))["items"]
            for plural in ("tradingaccounts", "tradingstrategies")
        ]
    except ClusterRefused as error:
        return _missing("strategies and accounts", error)
    return tuple(_resource(item) for items in listed for item in items)


def _resource(item: dict[str, Any]) -> Resource:
    status, spec = item.get("status") or {}, item.get("spec") or {}
    ready: dict[str, Any] = next((each for each in status.get("conditions") or () if each["type"] == "Ready"), {})
    return Resource(
        kind=item["kind"],
        name=item["metadata"]["name"],
        phase=str(status.get("phase", "")),
        ready=ready.get("status") == "True",
        why=str(ready.get("message") or ready.get("reason") or "").rstrip("."),
        secret=str((spec.get("credentials") or {}).get("secretName") or ""),
        live=item["kind"] == "TradingAccount" and spec.get("environment") == "Live",
    )


async def _services(place: Place) -> tuple[Services | Missing, tuple[tuple[str, str], ...]]:
    """Which services are ready, and why accounts take no entries."""
    try:
        async with open_running(place) as stack:
            return _told(await stack.status())
    except (ClusterRefused, NotRunning, LeadlineError) as error:
        return _missing("the services", error), ()


def _told(found: StatusView) -> tuple[Services | Missing, tuple[tuple[str, str], ...]]:
    halts = [
        (str(account.account), f"halt {halt.number} ({halt.source.lower()}): {halt.reason}")
        for account in found.accounts
        for halt in account.halts
    ]
    fences = [
        (str(account.account), f"its strategy {each.strategy} is fenced off: {each.fence}")
        for account in found.accounts
        for each in account.strategies
        if each.fence
    ]
    return Services(dict(found.health)), (*halts, *fences)
