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
from datetime import date, timedelta
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import Final

import yaml

from leadline.backtest.days import backtest_days
from leadline.backtest.documents import result_document
from leadline.backtest.gathered import Gathered
from leadline.backtest.kept import keep, opened, store_of
from leadline.backtest.results import result_of
from leadline.backtest.run import run_backtest
from leadline.backtest.store import ABOUT
from leadline.backtest.workers import DayFailed
from leadline.catalog.catalog import SUFFIX
from leadline.cli.backtest_inputs import BacktestInputs, backtest_inputs, inputs_of_variants
from leadline.cli.failures import EXIT_BAD_INPUT, EXIT_FAILED
from leadline.cli.options import PlanOptions
from leadline.cli.output import complain
from leadline.cli.shard_places import Files, files_of
from leadline.cli.shard_summary import summary_of_run, summary_of_sweep, summary_text
from leadline.cli.studying import check_variants
from leadline.model.errors import InvalidInput, LeadlineError, Unknown, error_text
from leadline.model.manifest.backtest_spec import Backtest
from leadline.model.manifest.own_markets import put_in_force, read_own
from leadline.model.manifest.specs import TradingAccount, TradingStrategy, load_manifests
from leadline.model.manifest.sweep import Variant, shard_of, variants_of
from leadline.model.market.contracts import instrument_of
from leadline.report.parts import write_document
from leadline.report.studied import headed
from leadline.report.sweep_tables import write_sweep_tables
from leadline.report.sweeps import default_axes, sweep_document
from leadline.report.tables import parquet_files
from leadline.study.parts import executed_by
from leadline.study.rows import figure_named
from leadline.study.sweep import Source, SweepResult, run_sweep

TERMINATED: Final = 143
"""The exit code of a process that was asked to stop."""


@dataclass(frozen=True, slots=True)
class ShardOptions:
    """The files of a shard, and where its prints and its results are.

    manifests: the three of a backtest, as the operator puts them on record. catalog, results: where claims are mounted.
    secrets: the folder with the keys of buckets. index: of the shard, from 0. message: where the last words go.
    workers: processes.
    """

    manifests: Path
    instruments: Sequence[Path]
    catalog: Path
    results: Path
    message: Path
    workers: int
    secrets: Path
    index: int = 0


@dataclass(frozen=True, slots=True)
class _Job:
    """A backtest with everything that it runs on; `planned` is how it was planned, `variants` those of its sweep."""

    backtest: Backtest
    planned: PlanOptions
    inputs: BacktestInputs
    variants: Sequence[Variant]
    results: Files


def run_shard(options: ShardOptions) -> None:
    """Take the variants of a shard through the days, and keep their results."""
    with _last_words(options.message) as say, _job(options) as job:
        sweep = job.backtest.spec.sweep
        folder = _run(job, options) if sweep is None else _swept(job, options, options.index).folder
        job.results.push(folder)
        say(folder.name)


def gather_shards(options: ShardOptions) -> None:
    """Put the results of all shards together, and say their summary. Raises InvalidInput for those that lack."""
    with _last_words(options.message) as say, _job(options) as job:
        sweep, inputs = job.backtest.spec.sweep, job.inputs
        days = backtest_days(inputs.prints, inputs.plan.strategies, inputs.first, inputs.last)
        if sweep is None:
            result_id = inputs.identity(days).id
            job.results.pull(lambda path: path.parts[0] == result_id)
            found = opened(store_of(job.results.root), result_id)
            say(summary_text(summary_of_run(found, len(days.traded))))
            return
        result = _swept(job, options, None)
        if len(result.rows) < result.variants:
            expected = f"{result.variants} variants: the shards had other code, manifests or prints"
            raise InvalidInput(str(result.folder), f"{len(result.rows)} variants", expected)
        figure = figure_named(job.backtest.spec.rank_by)
        write_sweep_tables(result, result.folder)
        page = sweep_document(result, figure, default_axes(result.rows))
        page = headed(page, inputs.studied(job.variants), result.filled_on)
        write_document(page, result.folder / "sweep.html")
        # Another backtest of the same variants may rank them by another figure.
        derived = [each for each in result.folder.iterdir() if each.is_file() and each.name != ABOUT]
        job.results.push(result.folder, derived)
        say(summary_text(summary_of_sweep(result, job.backtest.spec.rank_by, len(days.traded))))


def _run(job: _Job, options: ShardOptions) -> Path:
    inputs = job.inputs
    plan, gathered = inputs.plan, Gathered(inputs.plan.strategies)
    outcome = run_backtest(
        plan.accounts, plan.strategies, inputs.prints, inputs.first, inputs.last, gathered.seen, options.workers
    )
    identity = inputs.identity(outcome.days)
    result = result_of(outcome, gathered, identity)
    return keep(store_of(job.results.root), result, result_document(result), identity, parquet_files(result))


def _swept(job: _Job, options: ShardOptions, index: int | None) -> SweepResult:
    """The sweep after its shard of this index has run; None for no shard."""
    inputs, variants = job.inputs, job.variants
    check_variants(job.planned, variants)
    part = range(0) if index is None else shard_of(len(variants), index, job.backtest.spec.shards)
    source = Source(inputs.prints, inputs.first, inputs.last, inputs.feed.kind, inputs.feed_settings)

    def swept(places: range) -> SweepResult:
        return run_sweep(variants, places, source, options.workers, job.results.root, lambda _: None)

    known = swept(range(0))
    job.results.pull(lambda path: path.parts[0] == known.id)
    return swept(part)


def days_of(backtest: Backtest, variants: Sequence[Variant]) -> Callable[[PurePosixPath], bool]:
    """Says which files of a catalog a backtest may read: of its instruments, from its history to its last day."""
    strategies = [strategy for each in variants for strategy in each.strategies]
    roots = {instrument_of(name).root for name in {each.spec.instrument for each in strategies} | executed_by(variants)}
    # Two days for each session, and a month without any.
    before = timedelta(days=2 * max(each.spec.longest_history for each in strategies) + 30)
    first = (date.fromisoformat(backtest.spec.from_) - before).isoformat()

    def wanted(path: PurePosixPath) -> bool:
        if len(path.parts) != 2 or path.suffix != SUFFIX or not first <= path.stem <= backtest.spec.to:
            return False
        try:
            return instrument_of(path.parts[0]).root in roots
        except Unknown:
            # A bucket may have other things than a catalog.
            return False

    return wanted


@contextmanager
def _job(options: ShardOptions) -> Iterator[_Job]:
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
    with TemporaryDirectory(prefix="leadline-shard-") as folder:
        file = Path(folder) / "manifests.yaml"
        documents = [each.to_manifest() for each in (*accounts, *strategies)]
        file.write_text(yaml.safe_dump_all(documents, sort_keys=False, allow_unicode=True), encoding="utf-8")
        spec, own = backtest.spec, Path(folder)
        catalog = files_of(spec.catalog, options.catalog, own / "catalog", options.secrets / "catalog")
        sweep, own_one = spec.sweep, Variant(1, (), tuple(accounts), tuple(strategies))
        variants = [own_one] if sweep is None else variants_of(sweep, accounts, strategies)
        catalog.pull(days_of(backtest, variants))
        results = files_of(spec.results, options.results, own / "results", options.secrets / "results")
        planned = PlanOptions(
            [file],
            ["catalog"],
            trade_from=backtest.spec.from_,
            instruments=options.instruments,
            catalog=catalog.root,
        )
        inputs = inputs_of_variants(planned, spec.to, backtest_inputs(planned, spec.to), variants)
        yield _Job(backtest, planned, inputs, variants, results)


@contextmanager
def _last_words(message: Path) -> Iterator[Callable[[str], None]]:
    """Gives what says a Pod's last words; those of an error are said, and end the process.

    Its code says whether to try again: what is refused, or fails in a strategy, ends the same way each time.
    """
    # The first process of a container hears only what it has asked to hear.
    before = signal.signal(signal.SIGTERM, lambda *_: os._exit(TERMINATED))

    def say(text: str) -> None:
        message.write_bytes(text.encode())

    try:
        yield say
    except (LeadlineError, OSError) as error:
        text = error_text(error)
        say(text)
        complain(text)
        sys.exit(EXIT_FAILED if isinstance(error, OSError | DayFailed) else EXIT_BAD_INPUT)
    finally:
        signal.signal(signal.SIGTERM, before)
