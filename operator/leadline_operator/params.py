"""The operator's settings: the platform that it belongs to, and how often it does things."""

from typing import Any, Literal

from pydantic import ConfigDict, Field

from leadline.model.strict import ServiceParams, StrictModel
from leadline.plan.platform import PlatformSettings
from leadline.runtime.settings import Address


class BusPlace(StrictModel):
    """Where the bus is. `monitor` answers `/healthz`; absent where nobody may ask it."""

    servers: tuple[str, ...] = Field(min_length=1)
    monitor: Address | None = None


class PlatformPeers(StrictModel):
    """Where the platform's services are that workloads of traders call."""

    risk: Address
    ingestion: Address


class Storage(StrictModel):
    """The volumes of journal and ledger. `class` is absent or empty for the cluster's default."""

    model_config = ConfigDict(populate_by_name=True)

    storage_class: str = Field(default="", alias="class")
    size: str = "1Gi"
    access_mode: Literal["ReadWriteOnce", "ReadWriteOncePod"] = "ReadWriteOnce"


class OperatorParams(ServiceParams):
    """Settings of the operator. The chart writes them; its values are the place to change them."""

    namespace: str = Field(min_length=1)
    """The namespace in which it runs, and holds its lease."""
    identity: str | None = None
    """Its name in the lease and in Events; the name of its host where absent, which in a Pod is the Pod's."""
    namespaces: tuple[str, ...] = ()
    """The namespaces that it looks after; all where there are none."""
    lease: str = "leadline-operator"
    """The name of the lease. Two operators of one namespace with different leases would work against each other."""
    lease_seconds: float = Field(default=15.0, ge=1)
    """The seconds after which another operator may take a lease that was not renewed. A takeover takes that long; a
    shorter one is lost by a busy machine."""
    image: str = Field(min_length=1)
    """The image of workloads whose manifest names none: the platform's own."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    """When a node fetches that image."""
    image_pull_secrets: tuple[str, ...] = ()
    """Secrets in the traders' namespaces with which nodes fetch images."""
    platform: PlatformSettings = PlatformSettings()
    """The settings of the platform on which the plan of an account depends."""
    peers: PlatformPeers
    """Services of the platform that the workloads of accounts call."""
    nats: BusPlace
    """The bus that workloads connect to."""
    database_url: str = Field(pattern=r"^postgres(ql)?://")
    """The database that execution connects to, without a password."""
    storage: Storage = Storage()
    """The volumes of journals and ledgers."""
    backtest_resources: dict[str, Any] = Field(
        default_factory=lambda: {
            "requests": {"cpu": "1", "memory": "1Gi", "ephemeral-storage": "1Gi"},
            "limits": {"memory": "2Gi", "ephemeral-storage": "10Gi"},
        }
    )
    """Requests and limits of a backtest's Pods whose manifest has none."""
    tls: bool = False
    """Whether workloads serve and call with certificates."""
    priority_classes: bool = True
    """Whether Pods have the chart's priority classes; without them no Pod goes before another."""
    otlp_endpoint: str = ""
    """The collector that workloads send traces to; none where empty."""
    workload_address: str = "{name}.{namespace}.svc:9090"
    """Where the operator calls a workload, by the `{name}` and `{namespace}` of its Service."""
    resync_seconds: float = Field(default=300.0, ge=1)
    """The seconds after which everything is listed and reconciled anew, whatever the watches have brought. It bounds
    how long a missed change is missed; each time costs one listing of each kind."""
    orphan_grace_seconds: float = Field(default=60.0, ge=0)
    """For how many seconds execution may trade a strategy that has no object before it only closes: a listing may be
    behind execution."""
    default_account_seconds: float = Field(default=3.0, ge=0)
    """How many seconds old a strategy is before the account `paper` is made for it: the account may stand below the
    strategy in the file that is just being applied."""
    progress_deadline_seconds: float = Field(default=600.0, ge=1)
    """In how many seconds a new version must be up and have sent a signal; then the last stable one comes back."""
    status_seconds: float = Field(default=30.0, ge=1)
    """The seconds between two writes of numbers that change with every fill, and between two looks at an account."""
    poll_seconds: float = Field(default=2.0, gt=0)
    """The seconds until the next look at something that no watch tells of, such as a drain."""
    halt_seconds: float = Field(default=1.0, gt=0)
    """The seconds between two questions to an execution for halts and fences: so late they show in the status."""
    bus_seconds: float = Field(default=5.0, gt=0)
    """The seconds between two questions to the bus whether it can store."""
