"""The operator's settings: the platform that it belongs to, and how often it does things."""

from typing import Literal

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
    """Settings of the operator.

    namespace: where it runs and holds its lease. identity: its name there, the host's where absent. namespaces:
    those that it looks after, all where there are none. peers: platform services that account workloads call.
    database_url: what execution connects to. otlp_endpoint: where traces go, nowhere where empty. workload_address:
    where the operator calls a workload, with `{name}` and `{namespace}`. resync_seconds: after which everything is
    listed and looked at again. orphan_grace_seconds: for how long execution may know a strategy that nobody owns.
    default_account_seconds: how old a strategy is before the account `paper` is made for it.
    progress_deadline_seconds: in which a new version must be up. halt_seconds: between two questions to an execution
    whether its account is halted. bus_seconds: between two questions to the bus whether it can store.
    """

    namespace: str = Field(min_length=1)
    identity: str | None = None
    namespaces: tuple[str, ...] = ()
    lease: str = "leadline-operator"
    lease_seconds: float = Field(default=15.0, ge=1)
    image: str = Field(min_length=1)
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    platform: PlatformSettings = PlatformSettings()
    peers: PlatformPeers
    nats: BusPlace
    database_url: str = Field(pattern=r"^postgres(ql)?://")
    storage: Storage = Storage()
    tls: bool = False
    priority_classes: bool = True
    otlp_endpoint: str = ""
    workload_address: str = "{name}.{namespace}.svc:9090"
    resync_seconds: float = Field(default=300.0, ge=1)
    orphan_grace_seconds: float = Field(default=60.0, ge=0)
    default_account_seconds: float = Field(default=3.0, ge=0)
    progress_deadline_seconds: float = Field(default=600.0, ge=1)
    status_seconds: float = Field(default=30.0, ge=1)
    poll_seconds: float = Field(default=2.0, gt=0)
    halt_seconds: float = Field(default=1.0, gt=0)
    bus_seconds: float = Field(default=5.0, gt=0)
