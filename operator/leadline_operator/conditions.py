"""Conditions, and the closed vocabulary of reasons that conditions, Events and metrics share."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Literal

from leadline.model.manifest.status_spec import MESSAGE_LENGTH, Condition, ConditionType, condition_of


class Reason(StrEnum):
    """Why a condition is what it is. The same words name Events and label metrics."""

    AS_ASKED = "AsAsked"
    """The object is as its manifest wants it."""
    VALID = "Valid"
    """The manifest can run."""
    INVALID_SPEC = "InvalidSpec"
    """The manifest is wrong by itself, or does not fit its account."""
    STRATEGY_NOT_FOUND = "StrategyNotFound"
    """There is no such strategy."""
    STRATEGY_REFUSED = "StrategyRefused"
    """The strategy's own manifest cannot run."""
    ACCOUNT_NOT_FOUND = "AccountNotFound"
    """There is no such account."""
    NAMESPACE_NOT_ALLOWED = "NamespaceNotAllowed"
    """The account does not allow the strategy's namespace."""
    INSTRUMENT_CLAIMED = "InstrumentClaimed"
    """Another strategy trades the contract on the account."""
    ACCOUNT_REFUSED = "AccountRefused"
    """The account's own manifest cannot run."""
    ACCOUNT_DELETING = "AccountDeleting"
    """The account is going."""
    ACCOUNT_NOT_READY = "AccountNotReady"
    """The account's workloads are not up."""
    NAMESPACE_TERMINATING = "NamespaceTerminating"
    """The namespace is going: nothing is made in it."""
    FORBIDDEN = "Forbidden"
    """The operator may not work in the namespace."""
    REFUSED_BY_EXECUTION = "RefusedByExecution"
    """Execution does not take the settings."""
    EXECUTION_WAITS = "ExecutionWaits"
    """Execution is there, and cannot trade at this moment."""
    EXECUTION_UNREACHABLE = "ExecutionUnreachable"
    """Execution does not answer."""
    FEED_UNREACHABLE = "FeedUnreachable"
    """Ingestion does not answer."""
    DATABASE_UNREACHABLE = "DatabaseUnreachable"
    """The database does not answer."""
    BUS_CANNOT_STORE = "BusCannotStore"
    """The bus takes no messages, for want of room as a rule."""
    NOT_FED = "NotFed"
    """The feed does not have the contract."""
    CREATING = "Creating"
    """Workloads are made."""
    WORKLOAD_NOT_READY = "WorkloadNotReady"
    """The workload is not up yet."""
    WORKLOAD_READY = "WorkloadReady"
    """The workload is up."""
    PROGRESS_DEADLINE_EXCEEDED = "ProgressDeadlineExceeded"
    """The new version did not come up in time."""
    ROLLED_BACK = "RolledBack"
    """The last version that traded runs again."""
    APPLIED = "Applied"
    """Execution has taken the settings over."""
    WAITING_FOR_FLAT = "WaitingForFlat"
    """The next version waits until the strategy is flat."""
    WAITING_FOR_RESTART = "WaitingForRestart"
    """The next version waits for another restartNonce."""
    ROLLING_OUT = "RollingOut"
    """Another version takes over."""
    ROLLED_OUT = "RolledOut"
    """Another version has taken over."""
    SIGNALS = "Signals"
    """Signals reach execution."""
    NO_SIGNALS = "NoSignals"
    """No signal has reached execution yet, or none does any more."""
    FEED_ENDED = "FeedEnded"
    """The feed has ended: nothing trades any more."""
    FENCED = "Fenced"
    """A message of it was refused, and nothing that it says counts."""
    STARTED = "Started"
    """It trades."""
    REDUCE_ONLY = "ReduceOnly"
    """It only closes."""
    SUSPENDING = "Suspending"
    """It is taken out of the market, to stop."""
    SUSPENDED = "Suspended"
    """Stopped, as asked."""
    DRAINING = "Draining"
    """It is taken out of the market."""
    DRAINED = "Drained"
    """It is out of the market."""
    POSITIONS_OPEN = "PositionsOpen"
    """It holds a position, and its deletion policy refuses to go with one."""
    DRAIN_TIMED_OUT = "DrainTimedOut"
    """It did not leave the market in time."""
    FORCED = "Forced"
    """It was let go without having left the market."""
    PODS_REMAIN = "PodsRemain"
    """A Pod of it is still there, or may yet come."""
    DELETED = "Deleted"
    """It has left and is let go."""
    STRATEGIES_REMAIN = "StrategiesRemain"
    """Strategies still name the account."""
    HALTED = "Halted"
    """The account takes no entries."""
    TRADABLE = "Tradable"
    """The account takes entries."""
    RESUME_NEEDS_PERSON = "ResumeNeedsPerson"
    """The halt stays until a named person resumes."""
    SEND_JOURNAL_RESTORED = "SendJournalRestored"
    """Execution found its send journal empty or older than the book, and made it whole."""
    ORPHAN_DRAINED = "OrphanDrained"
    """Execution traded a strategy that nobody owns any more; it only closes now."""
    DRIFT_CORRECTED = "DriftCorrected"
    """Somebody had changed what the operator looks after."""
    ACCOUNT_CREATED = "AccountCreated"
    """The account `paper` was made with the defaults."""
    RESOLVED = "Resolved"
    """The manifests of a backtest are put on record; later changes of them change nothing."""
    RECORD_LOST = "RecordLost"
    """The record of a backtest's manifests is gone, and they are others now."""
    NAME_TAKEN = "NameTaken"
    """An object of the name that is needed is there already, and is somebody else's."""
    SHARDS_STARTED = "ShardsStarted"
    """The shards of a backtest may run."""
    SHARDS_RUNNING = "ShardsRunning"
    """Shards of a backtest are still to be done."""
    GATHERING = "Gathering"
    """The results of a backtest's shards are put together."""
    SUMMARY_LOST = "SummaryLost"
    """The Pod with the summary is gone: the results are put together once more, twice at the most."""
    SUMMARY_UNREADABLE = "SummaryUnreadable"
    """The Pod that put the results together has said something else than their summary."""
    OBJECT_REFUSED = "ObjectRefused"
    """The API server does not take an object of a backtest as it would have to be."""
    SUCCEEDED = "Succeeded"
    """The result of a backtest is there."""
    INPUT_REFUSED = "InputRefused"
    """A shard cannot run on this input, and is not tried again."""
    SHARD_FAILED = "ShardFailed"
    """A shard has failed as often as it may."""
    PAUSED = "Paused"
    """A person has told the operator to leave the object alone."""
    NOT_PAUSED = "NotPaused"
    """The operator looks after the object."""
    API_ERROR = "ApiError"
    """The API server refused a request."""
    INTERNAL = "Internal"
    """The operator failed; its log says where."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A condition as a reconcile finds it: `status` None is Unknown."""

    status: bool | None
    reason: Reason
    message: str = ""

    def is_written_in(self, condition: Condition) -> bool:
        """Whether a condition that was written says just this."""
        written = (condition.status, condition.reason, condition.message)
        return written == (self.status_text, self.reason.value, self.message[:MESSAGE_LENGTH])

    @property
    def status_text(self) -> Literal["True", "False", "Unknown"]:
        """The status as a condition has it."""
        if self.status is None:
            return "Unknown"
        return "True" if self.status else "False"


def yes(reason: Reason, message: str = "") -> Verdict:
    """It is so."""
    return Verdict(True, reason, message)


def no(reason: Reason, message: str) -> Verdict:
    """It is not, and what to do about it."""
    return Verdict(False, reason, message)


def updated(
    before: Sequence[Condition], verdicts: dict[ConditionType, Verdict], generation: int, now: datetime
) -> tuple[Condition, ...]:
    """The conditions with these verdicts, in the order of the types; what nothing is said of stays as it was.

    The time of a transition is that of the last change of the status, not of the reason.
    """
    found = []
    for kind in ConditionType:
        known, verdict = condition_of(before, kind), verdicts.get(kind)
        if verdict is None:
            if known is not None:
                found.append(known)
            continue
        since = known.last_transition_time if known is not None and known.status == verdict.status_text else now
        found.append(
            Condition.model_validate(
                {
                    "type": kind.value,
                    "status": verdict.status_text,
                    "reason": verdict.reason.value,
                    "message": verdict.message[:MESSAGE_LENGTH],
                    "last_transition_time": since,
                    "observed_generation": generation,
                }
            )
        )
    return tuple(found)
