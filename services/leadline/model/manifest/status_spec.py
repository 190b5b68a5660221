"""The `status` of a strategy and of an account in a cluster, written by the operator alone.

The status is coarse on purpose: what changes with every print or fill (profit, fills, orders) is in the metrics and on
the bus. `rollout` and `drain` are written before the operator acts, so that after a crash the next reconcile knows
what was under way.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

from leadline.model.manifest.spec_base import SpecModel, Text, refused


class StrategyPhase(StrEnum):
    """Where a strategy is in its life, for people. Programs read the conditions."""

    PENDING = "Pending"
    """Accepted, nothing trades yet."""
    REFUSED = "Refused"
    """The manifest cannot run as it stands; `Accepted` says why."""
    STARTING = "Starting"
    """Its workload comes up."""
    RUNNING = "Running"
    """It trades."""
    WAITING = "Waiting"
    """It is up, and is not known to trade at this moment; `Ready` says why."""
    REDUCE_ONLY = "ReduceOnly"
    """It only closes."""
    FINISHED = "Finished"
    """The feed has ended: nothing trades any more."""
    FENCED = "Fenced"
    """A message of it was refused, and nothing that it says counts; `Trading` says why."""
    ROLLING_OUT = "RollingOut"
    """Another version takes over."""
    SUSPENDING = "Suspending"
    """It is taken out of the market, to stop."""
    SUSPENDED = "Suspended"
    """Stopped."""
    DELETING = "Deleting"
    """It is taken out of the market, to go."""


class AccountPhase(StrEnum):
    """Where an account is in its life, for people. Programs read the conditions."""

    PENDING = "Pending"
    """Accepted, nothing runs yet."""
    REFUSED = "Refused"
    """The manifest cannot run as it stands; `Accepted` says why."""
    STARTING = "Starting"
    """Its workloads come up."""
    RUNNING = "Running"
    """It takes entries."""
    WAITING = "Waiting"
    """It is up, and is not known to trade at this moment; `Ready` says why."""
    HALTED = "Halted"
    """It takes no entries until a person resumes."""
    FINISHED = "Finished"
    """The feed has ended: nothing trades any more."""
    DELETING = "Deleting"
    """It waits until its strategies are gone and nothing is in the market."""


class ConditionType(StrEnum):
    """Statements about an object that hold or not. Each kind has those that can be said of it."""

    ACCEPTED = "Accepted"
    """The manifest can run: by itself, and together with the others."""
    DEPLOYED = "Deployed"
    """The workloads of this generation are up, and only they."""
    CONFIG_APPLIED = "ConfigApplied"
    """Execution has taken over the settings of this generation."""
    TRADING = "Trading"
    """Signals reach execution, which may act on them."""
    HALTED = "Halted"
    """The account takes no entries until a person resumes."""
    DRAINED = "Drained"
    """The orders and the position that had to leave the market have left it."""
    COMPLETE = "Complete"
    """The result of a backtest is there."""
    FAILED = "Failed"
    """A backtest has ended without a result."""
    RECONCILIATION_PAUSED = "ReconciliationPaused"
    """A person has told the operator to leave the object alone."""
    READY = "Ready"
    """The object is as its manifest wants it."""


class RolloutStep(StrEnum):
    """How far the change from one version of a strategy to the next has come, in this order."""

    DRAINING = "Draining"
    """The old version leaves the market, as the policy says."""
    SCALE_TO_ZERO = "ScaleToZero"
    """The old version is told to stop."""
    WAIT_NO_PODS = "WaitNoPods"
    """Until no Pod of the old version is left, not even one that is ending."""
    START_NEW = "StartNew"
    """Execution knows the new version, and its workload starts."""
    WAIT_SIGNALS = "WaitSignals"
    """Until the new version speaks."""


class RolloutReason(StrEnum):
    """The reason for which another version is necessary."""

    IMAGE_CHANGED = "ImageChanged"
    """Another image is wanted."""
    RESTART_REQUESTED = "RestartRequested"
    """restartNonce is another."""
    SPEC_CHANGED = "SpecChanged"
    """Code or settings of the analysis are others."""
    PLATFORM_CHANGED = "PlatformChanged"
    """The platform runs its workloads otherwise."""
    ROLLED_BACK = "RolledBack"
    """The version that was wanted did not come up."""


def _whole_seconds(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise refused("a time with its offset from UTC, such as 2025-01-10T13:30:00Z")
    return value.astimezone(UTC).replace(microsecond=0)


def _text_of_time(value: datetime) -> str:
    return value.strftime("%Y-%m-%dT%H:%M:%SZ")


Time = Annotated[
    datetime,
    AfterValidator(_whole_seconds),
    PlainSerializer(_text_of_time, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time", "maxLength": 32}),
]
"""An instant to the second: datetime in UTC in Python, RFC 3339 in the object."""

Generation = Annotated[int, Field(ge=0, json_schema_extra={"format": "int64"})]
Tally = Annotated[int, Field(ge=0, le=1_000_000)]
CamelText = Annotated[str, Text(r"^[A-Za-z][A-Za-z0-9]*$", "one word in CamelCase", 64)]
IdText = Annotated[str, Field(max_length=128)]
HashText = Annotated[str, Text(r"^[0-9a-z]{1,64}$", "a hash in lower-case letters and digits", 64)]
PodText = Annotated[str, Field(max_length=253)]

HALT_LENGTH: Final = 512
"""Most characters of what a status says about halts."""
MESSAGE_LENGTH: Final = 4096
"""Most characters of a condition's message."""


class StatusModel(SpecModel):
    """A part of a status. A field that this version does not know is left alone: another version wrote it."""

    model_config = ConfigDict(extra="ignore")


class Condition(StatusModel):
    """One thing that is true of the object, or not, and why."""

    type: CamelText
    """The kind of the condition."""
    status: Literal["True", "False", "Unknown"]
    """Whether it is so."""
    reason: CamelText
    """Why, in one word of a closed vocabulary."""
    message: Annotated[str, Field(max_length=MESSAGE_LENGTH)] = ""
    """Why, and what to do about it, for people."""
    last_transition_time: Time
    """Since when the status is what it is."""
    observed_generation: Generation = 0
    """Which generation of the object this was said of."""

    @property
    def holds(self) -> bool:
        """Whether it is so; False while that is not known, too."""
        return self.status == "True"


Conditions = Annotated[tuple[Condition, ...], Field(max_length=16)]


class OwnerStatus(StatusModel):
    """The status of a manifest of any kind."""

    observed_generation: Generation = 0
    """The generation that the operator has last looked at."""
    phase: CamelText | None = None
    """Where the object is in its life, for people; programs read the conditions."""
    conditions: Conditions = ()
    """Facts about the object, each true, false or unknown."""


class Stable(StatusModel):
    """A version that has traded."""

    generation: Generation
    """The object's generation then."""
    hash: HashText
    """The hash of its code version and ROLLOUT fields."""
    image: Annotated[str, Field(max_length=512)] = ""
    """Its image; the platform's where empty."""


class RolloutStatus(StatusModel):
    """A change from one version to the next that is under way."""

    id: IdText
    """Names this rollout."""
    target_hash: HashText
    """The hash of the version that takes over."""
    step: RolloutStep
    """How far it has come. The step is written before it is done."""
    started_at: Time
    """When it began."""
    reason: RolloutReason
    """The change that made it necessary."""


class DrainStatus(StatusModel):
    """The way out of the market that is under way."""

    id: IdText
    """Names this drain; asking execution for it again changes nothing."""
    started_at: Time
    """When it began."""
    deadline: Time
    """When the policy's `onTimeout` decides."""
    working_orders: Tally = 0
    """Working entry orders left."""
    open_positions: Tally = 0
    """Contracts left open."""


class StrategyStatus(OwnerStatus):
    """The status of a strategy."""

    last_bar_at: Time | None = None
    """The close of the last bar that was decided on, on the clock of the tape: looked at from time to time."""

    pod_name: PodText | None = None
    """The Pod of its analysis."""
    desired_hash: HashText | None = None
    """Hash of the code version and ROLLOUT fields that are wanted."""
    running_hash: HashText | None = None
    """The same of the version that execution listens to."""
    config_hash: HashText | None = None
    """Hash of the HOT fields that are wanted."""
    applied_config_hash: HashText | None = None
    """The same of the fields that execution has taken over."""
    last_stable: Stable | None = None
    """The last version that traded."""
    given_up_hash: HashText | None = None
    """The hash of the version that did not come up, and is not tried again; absent when another one is wanted."""
    rollout: RolloutStatus | None = None
    """The change of version that is under way."""
    drain: DrainStatus | None = None
    """The way out of the market that is under way."""
    working_orders: Tally = 0
    """Working orders, roughly: looked at from time to time."""
    open_positions: Tally = 0
    """Open contracts, roughly: looked at from time to time."""


class JournalRestored(StatusModel):
    """A send journal that was lost, or was older than the book, and was made whole from it."""

    at: Time
    """When."""
    orders: Tally = 0
    """Ids of orders that were put back."""
    found: Tally = 0
    """Ids that it still had: 0 for a journal that was lost whole, as with its volume."""


class AccountStatus(OwnerStatus):
    """The status of an account."""

    pod_name: PodText | None = None
    """The Pod of its execution."""
    desired_hash: HashText | None = None
    """Hash of the ROLLOUT fields that are wanted."""
    running_hash: HashText | None = None
    """The same of the workloads that run."""
    config_hash: HashText | None = None
    """Hash of the HOT fields that are wanted."""
    applied_config_hash: HashText | None = None
    """The same of the fields that execution has taken over."""
    halted: bool = False
    """Whether execution takes no entries, whoever asked for it."""
    halt: Annotated[str, Field(max_length=HALT_LENGTH)] = ""
    """The halts in force, each with its number, source and reason; empty while entries are taken."""
    journal_restored: JournalRestored | None = None
    """The last time that the send journal of the run was made whole; absent while it has always been."""
    strategies: Tally = 0
    """Strategies that trade it."""
    working_orders: Tally = 0
    """Working orders of all its strategies, roughly: looked at from time to time."""
    open_positions: Tally = 0
    """Open contracts of all its strategies, roughly: looked at from time to time."""


def condition_of(conditions: Sequence[Condition], kind: ConditionType) -> Condition | None:
    """The condition of that type, None where nobody has said it yet."""
    return next((condition for condition in conditions if condition.type == kind), None)
