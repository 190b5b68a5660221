"""Facts of a cluster, and the checks of them: rights, kinds, Secrets, Pods, claims, versions, and what traders have."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from leadline.model.counted import counted
from leadline.views.doctor.checkup import BUS, DATABASE, TRADING, findings_of
from leadline.views.doctor.facts import Bus, Database, Finding, Missing, Services, State, Trading
from leadline.views.doctor.trading import readiness

WANTED_RIGHTS: Final[Mapping[str, str]] = {
    "list tradingaccounts.leadline.dev": "to find the accounts",
    "list tradingstrategies.leadline.dev": "to find the strategies",
    "get secrets/leadline-token": "to call the services",
    "get statefulsets.apps": "to find the Pod of an account",
    "list pods": "to see whether Pods are ready",
    "create pods/portforward": "to reach the services",
}
"""The rights that `--kube` needs, as `kubectl auth can-i` spells them, each with its purpose."""
KINDS: Final = ("tradingstrategies", "tradingaccounts", "backtests")
API_VERSION: Final = "v1alpha1"
NAMESPACE_SECRETS: Final = ("leadline-token", "leadline-nats", "leadline-database")
"""The Secrets that a trader's namespace has from the chart."""
_NOT_READY: Final = ("Pending", "Running", "Unknown", "Failed")


@dataclass(frozen=True, slots=True)
class Pod:
    """A Pod of the platform or of a trader. phase: such as `Running`. why: why it is not ready, where it says so.

    restarts: of all its containers.
    """

    namespace: str
    name: str
    phase: str
    ready: bool
    restarts: int
    why: str


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of the group leadline.dev: the version of the chart that brought it, and the versions that it serves."""

    chart: str
    served: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Resource:
    """A strategy or an account of the namespace. phase: of its status. ready, why: its condition Ready.

    secret: of its venue's credentials, empty for none. live: it trades for real.
    """

    kind: str
    name: str
    phase: str
    ready: bool
    why: str
    secret: str = ""
    live: bool = False


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster, as far as a person's rights reach.

    rights: whether each of `WANTED_RIGHTS` is this person's. kinds: by plural; missing ones are not there. secrets:
    whether a Secret is there, by name; absent where nobody says. claims: phase of each, by `namespace/name`. charts:
    version of Leadline that each chart's object is labelled with. cli: version of this program. accepted: by Secret and
    key of the namespace, whether its server takes the password. database, bus: of the platform. trading: that of the
    namespace.
    """

    namespace: str
    user: str
    server: str
    rights: Mapping[str, bool]
    kinds: Mapping[str, Kind] | Missing
    secrets: Mapping[str, bool] | Missing
    pods: Sequence[Pod] | Missing
    claims: Mapping[str, str] | Missing
    charts: Mapping[str, str] | Missing
    resources: Sequence[Resource] | Missing
    services: Services | Missing
    halts: tuple[tuple[str, str], ...]
    cli: str
    accepted: Mapping[str, bool] | Missing
    database: Database | Missing
    bus: Bus | Missing
    trading: Trading | Missing


def rights(cluster: Cluster) -> Iterator[Finding]:
    """This person may do what the commands with `--kube` need."""
    missing = [each for each in WANTED_RIGHTS if not cluster.rights.get(each, False)]
    for each in missing:
        text = f"{cluster.user} may not {each} in {cluster.namespace}, which is needed {WANTED_RIGHTS[each]}"
        advice = f"name {cluster.user} under `namespaces[].callers` of the chart, or bind the role leadline-caller"
        yield Finding("cluster-rights", each, State.WRONG, text, advice)
    if not missing:
        text = f"{cluster.user} may do all that the commands with --kube need in {cluster.namespace}"
        yield Finding("cluster-rights", cluster.namespace, State.OK, text)


def kinds(cluster: Cluster) -> Iterator[Finding]:
    """The kinds are there, of this version."""
    if isinstance(cluster.kinds, Missing):
        yield Finding("cluster-kinds", "leadline.dev", State.UNKNOWN, cluster.kinds.why, cluster.kinds.advice)
        return
    bad = False
    for name in KINDS:
        found = cluster.kinds.get(name)
        advice = "helm upgrade --install leadline-crds helm/leadline-crds"
        if found is None:
            bad = True
            yield Finding("cluster-kinds", name, State.WRONG, f"the cluster has no kind {name}.leadline.dev", advice)
        elif API_VERSION not in found.served:
            bad = True
            text = f"{name}.leadline.dev is not served as {API_VERSION}"
            yield Finding("cluster-kinds", name, State.WRONG, text, advice)
        elif found.chart and found.chart != cluster.cli:
            bad = True
            text = f"{name}.leadline.dev is of the chart {found.chart}, and this program is {cluster.cli}"
            yield Finding("cluster-kinds", name, State.WARNING, text, advice)
    if not bad:
        text = f"all {len(KINDS)} kinds are there, served as {API_VERSION}"
        yield Finding("cluster-kinds", "leadline.dev", State.OK, text)


def secrets(cluster: Cluster) -> Iterator[Finding]:
    """The Secrets that services mount are there by name. No value is read."""
    if isinstance(cluster.secrets, Missing):
        yield Finding("cluster-secrets", cluster.namespace, State.UNKNOWN, cluster.secrets.why, cluster.secrets.advice)
        return
    gone = [name for name in NAMESPACE_SECRETS if cluster.secrets.get(name) is False]
    unknown = [name for name in NAMESPACE_SECRETS if name not in cluster.secrets]
    for name in gone:
        text = f"{cluster.namespace} has no Secret {name}"
        advice = f"name {cluster.namespace} under `namespaces` of the chart, or make the Secret by hand"
        yield Finding("cluster-secrets", name, State.WRONG, text, advice)
    for name in unknown:
        text = f"{cluster.user} may not see whether {cluster.namespace} has the Secret {name}"
        yield Finding("cluster-secrets", name, State.UNKNOWN, text, "ask who may get Secrets there")
    if not gone and not unknown:
        text = f"{cluster.namespace} has the Secrets {', '.join(NAMESPACE_SECRETS)}"
        yield Finding("cluster-secrets", cluster.namespace, State.OK, text)


def pods(cluster: Cluster) -> Iterator[Finding]:
    """Every Pod is ready."""
    if isinstance(cluster.pods, Missing):
        yield Finding("cluster-pods", cluster.namespace, State.UNKNOWN, cluster.pods.why, cluster.pods.advice)
        return
    bad = [each for each in cluster.pods if not each.ready and each.phase in _NOT_READY]
    for each in bad:
        why = f" ({each.why})" if each.why else ""
        times = f" after {counted(each.restarts, 'restart')}" if each.restarts else ""
        text = f"the Pod {each.namespace}/{each.name} is {each.phase.lower()} and not ready{why}{times}"
        advice = f"kubectl describe pod {each.name} --namespace {each.namespace}; kubectl logs {each.name}"
        yield Finding("cluster-pods", f"{each.namespace}/{each.name}", State.WRONG, text, advice)
    if not bad:
        seen = counted(len(cluster.pods), "Pod")
        text = (
            f"{seen} of Leadline are ready" if cluster.pods else "there is no Pod of Leadline that this person may see"
        )
        yield Finding("cluster-pods", cluster.namespace, State.OK if cluster.pods else State.WARNING, text,
                      "" if cluster.pods else "helm install leadline helm/leadline")  # fmt: skip


def claims(cluster: Cluster) -> Iterator[Finding]:
    """Every claim of a volume is bound."""
    if isinstance(cluster.claims, Missing):
        yield Finding("cluster-claims", cluster.namespace, State.UNKNOWN, cluster.claims.why, cluster.claims.advice)
        return
    bad = {name: phase for name, phase in cluster.claims.items() if phase != "Bound"}
    for name, phase in sorted(bad.items()):
        place, _, claim = name.partition("/")
        text = f"the claim {name} is {phase.lower()}, so that its Pod cannot start"
        yield Finding("cluster-claims", name, State.WRONG, text, f"kubectl describe pvc {claim} --namespace {place}")
    if not bad:
        text = f"{counted(len(cluster.claims), 'claim')} of a volume, and all are bound"
        yield Finding("cluster-claims", cluster.namespace, State.OK, text)


def versions(cluster: Cluster) -> Iterator[Finding]:
    """The platform is of this program's version."""
    if isinstance(cluster.charts, Missing):
        yield Finding("cluster-version", "chart", State.UNKNOWN, cluster.charts.why, cluster.charts.advice)
        return
    other = {name: found for name, found in cluster.charts.items() if found != cluster.cli}
    for name, found in sorted(other.items()):
        text = f"{name} is version {found}, and this program is {cluster.cli}"
        advice = "helm upgrade the release, or take the program of its version: what is told may be told wrongly"
        yield Finding("cluster-version", name, State.WARNING, text, advice)
    if not other:
        state = State.OK if cluster.charts else State.UNKNOWN
        text = f"the platform is version {cluster.cli}, as this program" if cluster.charts else "no chart was found"
        yield Finding("cluster-version", "chart", state, text)


def resources(cluster: Cluster) -> Iterator[Finding]:
    """Strategies and accounts are as their manifests want them."""
    if isinstance(cluster.resources, Missing):
        found = cluster.resources
        yield Finding("cluster-resources", cluster.namespace, State.UNKNOWN, found.why, found.advice)
        return
    bad = [each for each in cluster.resources if not each.ready]
    for each in bad:
        why = f": {each.why}" if each.why else ""
        text = f"the {each.kind} {each.name} is not ready, it is {each.phase or 'not looked at yet'}{why}"
        advice = f"kubectl describe {each.kind.lower()} {each.name} --namespace {cluster.namespace}"
        yield Finding("cluster-resources", each.name, State.WARNING, text, advice)
    if not bad:
        text = f"{counted(len(cluster.resources), 'strategy or account', 'strategies and accounts')}, and all are ready"
        yield Finding("cluster-resources", cluster.namespace, State.OK, text)


def credentials(cluster: Cluster) -> Iterator[Finding]:
    """The Secret of each account that trades for real is there. No value is read."""
    if isinstance(cluster.resources, Missing):
        yield Finding("credentials", cluster.namespace, State.UNKNOWN, cluster.resources.why, cluster.resources.advice)
        return
    live = [each for each in cluster.resources if each.live]
    for each in live:
        advice = (
            f"kubectl create secret generic {each.secret or 'NAME'} --namespace {cluster.namespace} --from-file ..."
        )
        there = None if isinstance(cluster.secrets, Missing) else cluster.secrets.get(each.secret)
        if not each.secret:
            text = f"the account {each.name} trades for real, and its manifest names no Secret of credentials"
            yield Finding("credentials", each.name, State.WRONG, text, advice)
        elif there is None:
            text = f"{cluster.user} may not see whether the Secret {each.secret} of the account {each.name} is there"
            yield Finding("credentials", each.name, State.UNKNOWN, text, "ask who may get Secrets there")
        elif not there:
            text = f"the account {each.name} trades for real, and its Secret {each.secret} is not there"
            yield Finding("credentials", each.name, State.WRONG, text, advice)
        else:
            text = f"the Secret {each.secret} of the account {each.name} is there"
            yield Finding("credentials", each.name, State.OK, text)
    if not live:
        yield Finding("credentials", cluster.namespace, State.OK, "no account here trades for real")


def acceptance(cluster: Cluster) -> Iterator[Finding]:
    """Bus and database take the passwords that the namespace's Secrets hold. No value is told."""
    if isinstance(cluster.accepted, Missing):
        found = cluster.accepted
        yield Finding("cluster-passwords", cluster.namespace, State.UNKNOWN, found.why, found.advice)
        return
    for key in sorted(key for key, taken in cluster.accepted.items() if not taken):
        text = f"the password in {key} of {cluster.namespace} is refused: what uses it cannot start again"
        advice = "helm upgrade the release, which writes the Secret anew; docs/how-to/change-credentials.md"
        yield Finding("cluster-passwords", key, State.WRONG, text, advice)
    if all(cluster.accepted.values()):
        text = f"bus and database take the {len(cluster.accepted)} passwords of {cluster.namespace}"
        yield Finding("cluster-passwords", cluster.namespace, State.OK, text)


def halts(cluster: Cluster) -> Iterator[Finding]:
    """No account is halted, and no strategy is fenced off, as far as their executions say."""
    for account, why in cluster.halts:
        advice = f'leadline resume --kube --account {account} --reason "..." once its cause is gone'
        yield Finding("halts", account, State.WARNING, f"{account} takes no entries: {why}", advice)
    if not cluster.halts:
        if isinstance(cluster.services, Missing):
            yield Finding("halts", cluster.namespace, State.UNKNOWN, cluster.services.why, cluster.services.advice)
        else:
            yield Finding("halts", cluster.namespace, State.OK, "no account is halted")


def services_ready(cluster: Cluster) -> Iterator[Finding]:
    """Every service of the namespace says that it is ready."""
    if isinstance(cluster.services, Missing):
        yield Finding("readiness", cluster.namespace, State.UNKNOWN, cluster.services.why, cluster.services.advice)
    else:
        yield from readiness(cluster.services)


CLUSTER: Final = (
    rights,
    kinds,
    versions,
    secrets,
    acceptance,
    pods,
    claims,
    resources,
    credentials,
    services_ready,
    halts,
)


def findings_in_cluster(cluster: Cluster) -> tuple[Finding, ...]:
    """The findings of one namespace of a cluster, and of the platform as far as it can be seen."""
    return tuple(
        chain(
            chain.from_iterable(check(cluster) for check in CLUSTER),
            findings_of("database", cluster.database, [each for each in DATABASE if each[0] != "halts"]),
            findings_of("bus", cluster.bus, BUS),
            findings_of("accounts", cluster.trading, [each for each in TRADING if each[0] != "credentials"]),
        )
    )
