"""The kinds of object that the operator looks at, and the names by which it finds them again."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from leadline.model.ids import AccountId, StrategyId, account_id, namespaced_name, strategy_id
from leadline.model.manifest import kinds
from leadline.model.manifest.spec_base import API_VERSION

JsonObject = dict[str, Any]

FIELD_MANAGER: Final = "leadline-operator"
GROUP, _VERSION = API_VERSION.split("/")
MANAGED_BY: Final = {"app.kubernetes.io/managed-by": FIELD_MANAGER}
MANAGED_SELECTOR: Final = f"app.kubernetes.io/managed-by={FIELD_MANAGER}"
ROLLOUT_HASH: Final = f"{GROUP}/rollout-hash"
GENERATION: Final = f"{GROUP}/generation"
ANALYSIS_HASH: Final = f"{GROUP}/analysis-hash"
DRAIN_FINALIZER: Final = f"{GROUP}/drain"
ACCOUNT_FINALIZER: Final = f"{GROUP}/strategies"
PAUSE_ANNOTATION: Final = f"{GROUP}/pause-reconciliation"
FORCE_DELETE_ANNOTATION: Final = f"{GROUP}/force-delete"


@dataclass(frozen=True, slots=True)
class Kind:
    """A resource of the API: `group` is empty for the core, `plural` is its name in paths."""

    group: str
    version: str
    name: str
    plural: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """`group/version`, as objects say it."""
        return f"{self.group}/{self.version}" if self.group else self.version

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """The path of an object, of a namespace's objects, or of all."""
        parts = ["apis", self.group] if self.group else ["api"]
        parts.append(self.version)
        if self.namespaced and namespace is not None:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, subresource) if part is not None]
        return "/" + "/".join(parts)


_OWNERS: Final = {each.noun: Kind(GROUP, _VERSION, each.name, each.plural) for each in kinds.MANIFEST_KINDS}
STRATEGY: Final = _OWNERS["strategy"]
ACCOUNT: Final = _OWNERS["account"]
BACKTEST: Final = _OWNERS["backtest"]
DEPLOYMENT: Final = Kind("apps", "v1", "Deployment", "deployments")
STATEFUL_SET: Final = Kind("apps", "v1", "StatefulSet", "statefulsets")
REPLICA_SET: Final = Kind("apps", "v1", "ReplicaSet", "replicasets")
JOB: Final = Kind("batch", "v1", "Job", "jobs")
REVISION: Final = Kind("apps", "v1", "ControllerRevision", "controllerrevisions")
CONFIG_MAP: Final = Kind("", "v1", "ConfigMap", "configmaps")
SERVICE: Final = Kind("", "v1", "Service", "services")
POD: Final = Kind("", "v1", "Pod", "pods")
NAMESPACE: Final = Kind("", "v1", "Namespace", "namespaces", namespaced=False)
LEASE: Final = Kind("coordination.k8s.io", "v1", "Lease", "leases")
EVENT: Final = Kind("events.k8s.io", "v1", "Event", "events")

_KNOWN: Final = {
    (kind.api_version, kind.name): kind
    for kind in (
        *_OWNERS.values(),
        DEPLOYMENT,
        STATEFUL_SET,
        REPLICA_SET,
        REVISION,
        JOB,
        CONFIG_MAP,
        SERVICE,
        POD,
        NAMESPACE,
        LEASE,
        EVENT,
    )
}


def owner_label(noun: str) -> str:
    """The label of everything that is made for an owner, by what the plan calls the owner; its value is the name."""
    return f"{GROUP}/{noun}"


STRATEGY_LABEL: Final = owner_label("strategy")
ACCOUNT_LABEL: Final = owner_label("account")
BACKTEST_LABEL: Final = owner_label("backtest")


class Key(NamedTuple):
    """The name of an object that is reconciled: its kind, its namespace and its name."""

    kind: str
    namespace: str
    name: str

    @property
    def full_name(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"

    @property
    def account(self) -> AccountId:
        """The account that it is the key of."""
        assert self.kind == ACCOUNT.name, self
        return account_id(self.namespace, self.name)

    @property
    def strategy(self) -> StrategyId:
        """The strategy that it is the key of."""
        assert self.kind == STRATEGY.name, self
        return strategy_id(self.namespace, self.name)


def kind_of(document: Mapping[str, Any]) -> Kind:
    """The kind of an object. KeyError for one that the operator does not know."""
    return _KNOWN[document["apiVersion"], document["kind"]]


def strategy_key(strategy: StrategyId) -> Key:
    """The key of a strategy."""
    return Key(STRATEGY.name, *namespaced_name(strategy))


def account_key(account: AccountId) -> Key:
    """The key of an account."""
    return Key(ACCOUNT.name, *namespaced_name(account))


def own_key(document: Mapping[str, Any], kind: Kind) -> Key:
    """The key of an owner object itself."""
    metadata = document["metadata"]
    return Key(kind.name, metadata["namespace"], metadata["name"])
