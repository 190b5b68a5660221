"""The `status` of a backtest in a cluster, written by the operator alone."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from leadline.model.manifest.status_spec import HashText, IdText, OwnerStatus, StatusModel, Tally, Time

MOST_BEST: Final = 10
"""Rows of a sweep that a status has."""


class BacktestPhase(StrEnum):
    """Where a backtest is in its life, for people. Programs read the conditions."""

    PENDING = "Pending"
    """Accepted, or waiting for what it names; no shard runs yet."""
    REFUSED = "Refused"
    """The manifest cannot run as it stands; `Accepted` says why."""
    RUNNING = "Running"
    """Its shards run."""
    GATHERING = "Gathering"
    """All shards are done, and their results are put together."""
    SUCCEEDED = "Succeeded"
    """The result is in the status, and its files are where it says."""
    FAILED = "Failed"
    """It has ended without a result; `Failed` says why."""


FigureText = Annotated[str, Field(max_length=32)]


class BestVariant(StatusModel):
    """A variant of a sweep with a few of its figures."""

    number: Tally
    """Its number, from 1, in the order of the sweep."""
    values: Annotated[str, Field(max_length=512)]
    """Its fields with their values."""
    trades: Tally
    """Trades that were closed."""
    net: FigureText
    """Net result."""
    sharpe: FigureText | None = None
    """Sharpe ratio of the days, annualised; absent where there is none."""
    max_drawdown: FigureText
    """Largest fall from the highest equity."""


class SweepSummary(StatusModel):
    """The result of a sweep. The best of many looks better than it is: `probability` tells luck."""

    tried: Tally
    """Variants."""
    halted: Tally = 0
    """Variants whose account was halted; they have no figures, and are not ranked."""
    rank_by: FigureText
    """The figure by which they are ranked."""
    probability: FigureText | None = None
    """Deflated Sharpe ratio: the probability that the best one's true ratio is above that of the best without skill."""
    warning: Annotated[str, Field(max_length=256)] = ""
    """Why there is no such probability."""
    best: Annotated[tuple[BestVariant, ...], Field(max_length=MOST_BEST)] = ()
    """The best variants, the best one first."""


class Summary(StatusModel):
    """The result of a run in a few figures, of a sweep those of its best variant.

    Money is in the account's currency, after commission.
    """

    id: IdText
    """Id of the run or sweep: of the code, the manifests and the prints. Its files are in a folder of that name."""
    digest: IdText
    """The digest that a run of the same on the platform has."""
    days: Tally
    """Traded days."""
    trades: Tally
    """Trades that were closed."""
    net: FigureText
    """Net result."""
    sharpe: FigureText | None = None
    """Sharpe ratio of the days, annualised; absent where there is none."""
    max_drawdown: FigureText
    """Largest fall from the highest equity."""
    currency: FigureText
    """The account's currency."""
    sweep: SweepSummary | None = None
    """All variants of a sweep; absent where there is one run."""


class ShardCount(StatusModel):
    """Shards by how far they are."""

    total: Tally
    """All."""
    done: Tally = 0
    """Those whose result is on the disk."""


class BacktestStatus(OwnerStatus):
    """The status of a backtest."""

    manifest_hash: HashText | None = None
    """Hash of what was resolved: strategy, account, range, catalog and results. It stands in the ConfigMap `record`."""
    record: Annotated[str, Field(max_length=253)] = ""
    """The ConfigMap with the manifests as they were resolved."""
    started_at: Time | None = None
    """When its Job was made."""
    finished_at: Time | None = None
    """When it ended."""
    shards: ShardCount | None = None
    """Its shards."""
    progress: Annotated[str, Field(max_length=32)] = ""
    """Shards that are done, of all."""
    summaries_lost: Tally = 0
    """Pods with the summary that were gone before it was read."""
    summary: Summary | None = None
    """The result; absent before there is one."""
    files: Annotated[str, Field(max_length=1024)] = ""
    """Where the files of the result are."""

    @property
    def shards_done(self) -> int:
        """Shards whose result is on the disk."""
        return 0 if self.shards is None else self.shards.done
