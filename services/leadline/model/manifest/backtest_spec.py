"""The `Backtest` manifest: one strategy on one account through a range of days, in a cluster."""

from datetime import date
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, Field

from leadline.model.manifest.account_spec import AccountSpec, SecretText
from leadline.model.manifest.spec_base import (
    API_VERSION,
    DNS_NAME_PATTERN,
    FREE_FORM,
    Change,
    NamespaceText,
    NameText,
    SpecModel,
    Text,
    changes,
    refused,
)
from leadline.model.manifest.strategy_spec import Metadata, StrategySpec
from leadline.model.manifest.sweep_spec import Sweep

MOST_SHARDS: Final = 1_000
LONGEST_TTL_SECONDS: Final = 2_147_483_647


def _existing_day(text: str) -> str:
    try:
        date.fromisoformat(text)
    except ValueError:
        raise refused("a day that exists, such as 2025-10-08") from None
    return text


DayText = Annotated[
    str,
    Text(r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", "a date in quotes, such as 2025-10-08", 10),
    AfterValidator(_existing_day),
    Field(json_schema_extra={"format": "date"}),
]
ClaimText = Annotated[str, Text(DNS_NAME_PATTERN, "the name of a PersistentVolumeClaim", 253)]
FolderText = Annotated[
    str,
    Text(
        r"^[A-Za-z0-9_][A-Za-z0-9._=-]*(/[A-Za-z0-9_][A-Za-z0-9._=-]*)*$",
        "names of folders with / between them, none of which begins with a dot",
        512,
    ),
]
BucketText = Annotated[str, Text(r"^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", "the name of a bucket", 63)]
EndpointText = Annotated[
    str, Text(r"^https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?$", "http:// or https://, a host, and a port if need be", 253)
]
RegionText = Annotated[str, Text(r"^[a-z0-9-]{1,32}$", "a region, such as eu-central-1", 32)]


class StrategySource(SpecModel):
    """A strategy: by its name, or written out."""

    name: NameText | None = None
    """A TradingStrategy of the same namespace. It is looked up once: a later change of it changes nothing here."""
    spec: StrategySpec | None = None
    """A strategy of this backtest's own, as the `spec` of a TradingStrategy. It has the backtest's name."""


class AccountSource(SpecModel):
    """An account: by its name, or written out."""

    name: NameText | None = None
    """A TradingAccount, in place of the one that the strategy names. It is looked up once."""
    namespace: NamespaceText | None = None
    """The namespace of that account; the backtest's own where absent."""
    spec: AccountSpec | None = None
    """An account of this backtest's own, as the `spec` of a TradingAccount. It has the backtest's name."""


class Bucket(SpecModel):
    """A bucket of an object store that speaks S3."""

    name: BucketText
    """Its name."""
    endpoint: EndpointText | None = None
    """Where the store is; AWS where absent."""
    region: RegionText | None = None
    """Its region; us-east-1 where absent."""
    secret_name: SecretText
    """A Secret of the namespace with the keys `accessKeyId` and `secretAccessKey`."""


class Place(SpecModel):
    """Where files are: on a claim, or in a bucket."""

    claim: ClaimText | None = None
    """A PersistentVolumeClaim of the namespace."""
    bucket: Bucket | None = None
    """A bucket of an object store."""
    path: FolderText | None = None
    """The folder in it; its root where absent."""


RankBy = Literal["net", "sharpe", "sortino", "profitFactor", "winRate", "maxDrawdown"]
_FIXED: Final = changes(Change.FIXED)


class BacktestSpec(SpecModel):
    """The wish for one backtest. Nothing in it ever changes."""

    strategy: Annotated[StrategySource, _FIXED]
    """The strategy that is tested."""
    account: Annotated[AccountSource, _FIXED] = AccountSource()
    """The account that it trades on; the one that the strategy names where absent."""
    from_: Annotated[DayText, Field(alias="from"), _FIXED]
    """First trading day that is traded. The sessions of its history come before it."""
    to: Annotated[DayText, _FIXED]
    """Last trading day, included."""
    catalog: Annotated[Place, _FIXED]
    """The catalog with the prints. It is read, never written."""
    results: Annotated[Place, _FIXED]
    """Where the files of the result go, in a folder named by the run's id. They stay when this object is deleted."""
    sweep: Annotated[Sweep | None, _FIXED] = None
    """Variants of strategy and account, each with other values in some fields. Without it there is one run."""
    rank_by: Annotated[RankBy, _FIXED] = "net"
    """The figure by which the variants of a sweep are compared."""
    shards: Annotated[int, Field(ge=1, le=MOST_SHARDS), _FIXED] = 1
    """Pods that the variants of a sweep are divided among."""
    parallelism: Annotated[int, Field(ge=1, le=MOST_SHARDS), _FIXED] = 2
    """Shards that run at a time, at the most."""
    backoff_limit: Annotated[int, Field(ge=0, le=100), _FIXED] = 3
    """How often a shard that failed is tried again. Lost and evicted Pods do not count, and wrong input is not tried
    again.
    """
    resources: Annotated[dict[str, Any], Field(max_length=16, json_schema_extra=FREE_FORM), _FIXED] = Field(
        default_factory=dict
    )
    """Requests and limits of a Pod, as Kubernetes writes them; the chart's where absent. A whole number of requested
    cores is the number of its processes.
    """
    ttl_seconds_after_finished: Annotated[int | None, Field(ge=0, le=LONGEST_TTL_SECONDS), _FIXED] = None
    """The seconds after its end in which this object is deleted, and its Pods with it; never where absent."""


class Backtest(SpecModel):
    """The manifest of a backtest."""

    api_version: Literal["leadline.dev/v1alpha1"] = API_VERSION
    """The version of the manifest's schema."""
    kind: Literal["Backtest"] = "Backtest"
    """The kind of object."""
    metadata: Metadata
    """Which object this is."""
    spec: BacktestSpec
    """The wish for it."""

    @property
    def full_name(self) -> str:
        """`namespace/name`."""
        return f"{self.metadata.namespace}/{self.metadata.name}"
