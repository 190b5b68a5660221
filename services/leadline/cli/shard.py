"""`leadline shard`: the part of a backtest that one Pod of a cluster has, and the one that puts the parts together.

What a shard makes goes into the place of the results, whole or not at all, under an id that follows from code,
manifests and prints: one that is run again, or by two Pods at a time, leaves the same files. Nothing is asked of the
cluster; the last words of a Pod are its termination message.
"""

import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import yaml

from leadline.backtest.days import backtest_days
from leadline.backtest.gathered import Gathered
from leadline.backtest.kept import KeptBacktest, keep, opened, store_of
from leadline.backtest.results import result_of
from leadline.backtest.run import run_backtest
from leadline.backtest.workers import DayFailed
from leadline.cli.backtest_inputs import BacktestInputs, backtest_inputs
from leadline.cli.failures import EXIT_BAD_INPUT, EXIT_FAILED
from leadline.cli.options import PlanOptions
from leadline.cli.output import complain
from leadline.model.errors import InvalidInput, LeadlineError, error_text
from leadline.model.manifest.backtest_spec import Backtest
from leadline.model.manifest.backtest_status import Summary
from leadline.model.manifest.own_markets import put_in_force, read_own
from leadline.model.manifest.specs import TradingAccount, TradingStrategy, load_manifests
from leadline.report.tables import parquet_files

MESSAGE_BYTES: Final = 4096
"""Bytes of a termination message that Kubernetes keeps."""
TERMINATED: Final = 143
"""The exit code of a process that was asked to stop."""


@dataclass(frozen=True, slots=True)
class ShardOptions:
    """The files of a shard, and where its prints and its results are.

    manifests: the three of a backtest, as the operator puts them on record. message: where the last words go. workers:
    processes that make bars and signals.
    """

    manifests: Path
    instruments: Sequence[Path]
    catalog: Path
    results: Path
    message: Path
    workers: int


def run_shard(options: ShardOptions) -> None:
    """Take the variants of a shard through the days, and keep their results."""
    with _last_words(options.message) as say, _inputs(options) as inputs:
        gathered = Gathered(inputs.plan.strategies)
        outcome = run_backtest(
            inputs.plan.accounts,
            inputs.plan.strategies,
            inputs.prints,
            inputs.first,
            inputs.last,
            gathered.seen,
            options.workers,
        )
        identity = inputs.identity(outcome.days)
        result = result_of(outcome, gathered, identity)
        say(str(keep(store_of(options.results), result, identity, parquet_files(result))))


def gather_shards(options: ShardOptions) -> None:
    """Find the results of all shards, and say their summary. Raises InvalidInput for results that are not there."""
    with _last_words(options.message) as say, _inputs(options) as inputs:
        days = backtest_days(inputs.prints, inputs.plan.strategies, inputs.first, inputs.last)
        found = opened(store_of(options.results), inputs.identity(days).id)
        say(summary_of(found, len(days.traded)).model_dump_json(by_alias=True, exclude_none=True))


def summary_of(found: KeptBacktest, days: int) -> Summary:
    """The summary of results that are kept, of so many traded days."""
    (account,) = found.accounts
    return Summary(
        id=found.id,
        digest=found.digest,
        days=days,
        trades=account["trade_count"],
        net=account["net"],
        sharpe=account.get("sharpe"),
        max_drawdown=account["max_drawdown"],
        currency=account["currency"],
    )


@contextmanager
def _inputs(options: ShardOptions) -> Iterator[BacktestInputs]:
    """Gives the plan, the prints and the days of a backtest. Raises InvalidInput and Unknown for what cannot be run."""
    put_in_force(read_own(options.instruments))
    manifests = load_manifests(options.manifests)
    backtests = [each for each in manifests if isinstance(each, Backtest)]
    strategies = [each for each in manifests if isinstance(each, TradingStrategy)]
    accounts = [each for each in manifests if isinstance(each, TradingAccount)]
    if not len(backtests) == len(strategies) == len(accounts) == 1:
        kinds = ", ".join(each.kind for each in manifests)
        raise InvalidInput(str(options.manifests), kinds, "a Backtest, a TradingStrategy and a TradingAccount")
    (backtest,) = backtests
    if backtest.spec.sweep is not None:
        raise InvalidInput("spec.sweep", "a sweep", "none: this version takes one variant through the days")
    for field, place in (("spec.catalog", backtest.spec.catalog), ("spec.results", backtest.spec.results)):
        if place.bucket is not None:
            raise InvalidInput(f"{field}.bucket", place.bucket.name, "a claim: this version reads and writes no bucket")
    with TemporaryDirectory(prefix="leadline-shard-") as folder:
        file = Path(folder) / "manifests.yaml"
        documents = [each.to_manifest() for each in (*accounts, *strategies)]
        file.write_text(yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True), encoding="utf-8")
        planned = PlanOptions(
            [file],
            ["catalog"],
            trade_from=backtest.spec.from_,
            instruments=options.instruments,
            catalog=options.catalog,
        )
        yield backtest_inputs(planned, backtest.spec.to)


@contextmanager
def _last_words(message: Path) -> Iterator[Callable[[str], None]]:
    """Gives what says a Pod's last words; those of an error are said, and end the process.

    Its code says whether to try again: what is refused, or fails in a strategy, ends the same way each time.
    """
    # The first process of a container hears only what it has asked to hear.
    before = signal.signal(signal.SIGTERM, lambda *_: os._exit(TERMINATED))

    def say(text: str) -> None:
        message.write_bytes(text.encode()[:MESSAGE_BYTES])

    try:
        yield say
    except (LeadlineError, OSError) as error:
        text = error_text(error)
        say(text)
        complain(text)
        sys.exit(EXIT_FAILED if isinstance(error, OSError | DayFailed) else EXIT_BAD_INPUT)
    finally:
        signal.signal(signal.SIGTERM, before)
