"""`leadline study`: variants from options and files over the prints of a feed, and what came of them."""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from leadline.backtest.workers import suitable_workers
from leadline.cli.backtest_inputs import BacktestInputs, backtest_inputs, inputs_of_variants
from leadline.cli.manifests import check_strategy, platform_of
from leadline.cli.options import Output, PlanOptions
from leadline.cli.output import people_console, print_json
from leadline.cli.places import check_place
from leadline.local.data_dir import default_studies, placed_at
from leadline.model.errors import InvalidInput
from leadline.model.manifest.one_document import MAX_FILE_BYTES
from leadline.model.manifest.spec_base import DECIMAL_PATTERN
from leadline.model.manifest.specs import InvalidManifest, first_of
from leadline.model.manifest.sweep import Variant, load_sweep, shard_of, swept_field, variants_of
from leadline.model.manifest.sweep_spec import Sweep
from leadline.plan.plan import plan
from leadline.report.parts import Document, print_document, write_document
from leadline.report.scenarios import scenarios_page
from leadline.report.stress import stress_page
from leadline.report.studied import headed
from leadline.report.sweeps import MOST_ROWS, default_axes, require_axes, sweep_document
from leadline.report.tiers import tiers_page
from leadline.report.walk_forward import walk_forward_page
from leadline.study.documents import (
    scenarios_document,
    stress_document,
    sweep_result,
    tiers_document,
    walk_forward_document,
)
from leadline.study.engine import Study
from leadline.study.rows import FilledOn, require_figure, row_of
from leadline.study.run_scenarios import run_scenarios
from leadline.study.scenarios import baseline, scenarios
from leadline.study.stress import StressOptions, run_stress, study_of
from leadline.study.studied import Studied
from leadline.study.sweep import Source, SweepResult, run_sweep
from leadline.study.tiers import run_tiers
from leadline.study.walk_forward import run_walk_forward

MOST_SHOWN: Final = 20
"""Variants that a terminal shows, the best."""
_SCENARIOS: Final = 22
_SHARD: Final = re.compile(r"([1-9][0-9]{0,5})/([1-9][0-9]{0,5})")


@dataclass(frozen=True, slots=True)
class StudyOptions:
    """The options of every study: the last day and the processes as `BacktestOptions`, and where its page goes."""

    last: str | None
    workers: int | None
    report: Path | None
    output: Output


@dataclass(frozen=True, slots=True)
class SweepOptions:
    """The options of a sweep, as they were typed. `folder` is that of all sweeps; `tables` where its tables go."""

    sweep: Path | None
    fields: Sequence[str]
    shard: str | None
    figure: str
    heat_map: str | None
    folder: Path | None
    tables: Path | None


def run_sweep_command(planned: PlanOptions, options: StudyOptions, swept: SweepOptions) -> None:
    """Run a sweep and print its results. Raises before anything begins as `backtest_inputs` and `variants_of`."""
    figure = require_figure(swept.figure, "by")
    check_places(options, swept.tables)
    inputs = backtest_inputs(planned, options.last)
    variants = variants_of(sweep_of(swept.sweep, swept.fields), inputs.plan.accounts, inputs.plan.strategies)
    names = list(dict.fromkeys(name for each in variants for name, _ in each.values))
    axes = () if swept.heat_map is None else require_axes(swept.heat_map, names)
    part = _part(swept.shard, len(variants))
    check_variants(planned, variants)
    studied = inputs.studied(variants)
    inputs = inputs_of_variants(planned, options.last, inputs, variants)
    result = run_sweep(
        variants,
        part,
        Source(inputs.prints, inputs.first, inputs.last, inputs.feed.kind, inputs.feed_settings),
        workers_of(options, inputs, len(variants)),
        placed_at(swept.folder or default_studies()),
        tell,
    )
    _show(result, studied, figure, axes or default_axes(result.rows), options, swept.tables)


def run_scenarios_command(planned: PlanOptions, options: StudyOptions) -> None:
    """Run the scenarios and print them. Raises before anything begins as `backtest_inputs` and `baseline`."""
    check_places(options)
    inputs = backtest_inputs(planned, options.last)
    plan = inputs.plan
    variants = [each.variant for each in scenarios(baseline(plan.accounts, plan.strategies))]
    studied = inputs.studied()
    inputs = inputs_of_variants(planned, options.last, inputs, [each for each in variants if each is not None])
    result = run_scenarios(
        plan.accounts,
        plan.strategies,
        inputs.prints,
        inputs.first,
        inputs.last,
        workers_of(options, inputs, _SCENARIOS),
        tell,
    )
    _show_page(scenarios_page(result), scenarios_document(result), studied, result.filled_on, options)


@dataclass(frozen=True, slots=True)
class WalkForwardOptions:
    """The options of a walk-forward: those of its sweep, the figure of the choice, and the days of both parts."""

    sweep: Path | None
    fields: Sequence[str]
    figure: str
    inside: int
    outside: int


def run_walk_forward_command(planned: PlanOptions, options: StudyOptions, walked: WalkForwardOptions) -> None:
    """Run a walk-forward and print it. Raises before anything begins as `run_sweep_command`."""
    figure = require_figure(walked.figure, "by")
    check_places(options)
    inputs = backtest_inputs(planned, options.last)
    variants = variants_of(sweep_of(walked.sweep, walked.fields), inputs.plan.accounts, inputs.plan.strategies)
    check_variants(planned, variants)
    studied = inputs.studied(variants)
    inputs = inputs_of_variants(planned, options.last, inputs, variants)
    workers = workers_of(options, inputs, len(variants))
    study = Study(inputs.prints, inputs.first, inputs.last, workers, row_of)
    result = run_walk_forward(variants, study, figure, walked.inside, walked.outside, tell)
    _show_page(walk_forward_page(result), walk_forward_document(result), studied, result.filled_on, options)


def run_tiers_command(planned: PlanOptions, options: StudyOptions, balances: Sequence[str]) -> None:
    """Run an account from each balance and print it. Raises InvalidInput for a balance that is none."""
    check_places(options)
    money = [_balance(text) for text in dict.fromkeys(balances)]
    inputs = backtest_inputs(planned, options.last)
    studied = inputs.studied()
    study = study_of(inputs.prints, inputs.first, inputs.last, workers_of(options, inputs, len(money)))
    result = run_tiers(inputs.plan.accounts, inputs.plan.strategies, study, money, tell)
    _show_page(tiers_page(result), tiers_document(result), studied, result.filled_on, options)


def run_stress_command(
    planned: PlanOptions, options: StudyOptions, slippage: str, iterations: int, block: int, draw: int
) -> None:
    """Put an account under stress and print it. Raises InvalidInput for levels of slippage that are none."""
    check_places(options)
    wanted = StressOptions(_levels(slippage), iterations, block, draw)
    inputs = backtest_inputs(planned, options.last)
    workers = workers_of(options, inputs, 1 + len(wanted.slippage))
    studied = inputs.studied()
    study = study_of(inputs.prints, inputs.first, inputs.last, workers)
    result = run_stress(inputs.plan.accounts, inputs.plan.strategies, study, wanted, tell)
    _show_page(stress_page(result), stress_document(result), studied, result.filled_on, options)


def sweep_of(file: Path | None, fields: Sequence[str]) -> Sweep:
    """The sweep of a file and of options, whose fields come after those of the file. Raises InvalidManifest."""
    own = tuple(map(swept_field, fields))
    if file is None:
        if not own:
            raise InvalidInput("--sweep", None, "a file, or --set FIELD=VALUES")
        return Sweep(fields=own)
    with file.open("rb") as opened:
        found = load_sweep(opened.read(MAX_FILE_BYTES + 1), str(file))
    if own and found.variants:
        raise InvalidInput("--set", ", ".join(fields), f"a sweep of fields, and {file} lists its variants")
    return Sweep.from_manifest(
        {**found.to_manifest(), "fields": [each.to_manifest() for each in (*found.fields, *own)]}
    )


def check_variants(planned: PlanOptions, variants: Sequence[Variant]) -> None:
    """Raises InvalidManifest with every variant that `leadline up` would refuse, whatever its manifests are alone."""
    platform, _ = platform_of(planned, variants[0].strategies)
    problems: list[InvalidInput] = []
    made: set[int] = set()
    for variant in variants:
        try:
            plan(platform, variant.accounts, variant.strategies)
            for strategy in variant.strategies:
                if id(strategy) not in made:
                    made.add(id(strategy))
                    check_strategy(strategy)
        except InvalidInput as refused:
            found = refused.problems if isinstance(refused, InvalidManifest) else (refused,)
            where = f"variant {variant.number}"
            problems += [InvalidInput(f"{where}: {each.field}", each.value, each.expected) for each in found]
    if problems:
        raise InvalidManifest(first_of(problems, "sweep"))


def check_places(options: StudyOptions, tables: Path | None = None) -> None:
    """Whether page and tables can be written. Raises InvalidInput."""
    if options.report is not None:
        check_place(options.report, "--report")
    if tables is not None:
        check_place(tables / "variants.csv", "--tables")


def workers_of(options: StudyOptions, inputs: BacktestInputs, variants: int) -> int:
    """The processes of a study of so many variants."""
    return options.workers or suitable_workers(inputs.prints, inputs.first, inputs.last, variants)


def tell(line: str) -> None:
    """Say how far a study is, on the line of a terminal where it was said before."""
    if sys.stderr.isatty():
        print(f"\r{line}\x1b[K", end="", file=sys.stderr, flush=True)


def show(document: Document, page: Document, options: StudyOptions) -> None:
    """Print a study's results for people, and write its page where one is wanted."""
    if sys.stderr.isatty():
        print("\r\x1b[K", end="", file=sys.stderr, flush=True)
    if options.report is not None:
        options.report.parent.mkdir(parents=True, exist_ok=True)
        write_document(page, options.report)
    if options.output is Output.TEXT:
        print_document(document, people_console())


def _show(
    result: SweepResult,
    studied: Studied,
    figure: str,
    axes: Sequence[str],
    options: StudyOptions,
    tables: Path | None,
) -> None:
    if tables is not None:
        from leadline.report.sweep_tables import write_sweep_tables  # noqa: PLC0415 - Arrow, which else nobody needs

        write_sweep_tables(result, tables)
    shown, page = (
        headed(sweep_document(result, figure, axes, most), studied, result.filled_on)
        for most in (MOST_SHOWN, MOST_ROWS)
    )
    show(shown, page, options)
    if options.output is Output.JSON:
        print_json({"studied": studied.document(result.filled_on), **sweep_result(result, figure)})


def _show_page(
    page: Document, document: dict[str, Any], studied: Studied, filled_on: FilledOn, options: StudyOptions
) -> None:
    page = headed(page, studied, filled_on)
    show(page, page, options)
    if options.output is Output.JSON:
        print_json({"studied": studied.document(filled_on), **document})


def _balance(text: str) -> Decimal:
    """An amount as it is typed. Raises InvalidInput."""
    if not re.fullmatch(DECIMAL_PATTERN, text) or not Decimal(text):
        raise InvalidInput("balances", text, "an amount above 0, such as 2500")
    return Decimal(text)


def _levels(text: str) -> tuple[int, ...]:
    """Levels of slippage as they are typed. Raises InvalidInput."""
    found = [each.strip() for each in text.split(",")]
    if not all(re.fullmatch("[0-9]{1,4}", each) for each in found) or len(set(map(int, found))) < len(found):
        raise InvalidInput("slippage", text, "whole numbers of ticks, each once, with commas between them")
    return tuple(map(int, found))


def _part(text: str | None, count: int) -> range:
    """The places of a shard as it is typed. Raises InvalidInput."""
    if text is None:
        return range(count)
    found = _SHARD.fullmatch(text)
    if found is None:
        raise InvalidInput("shard", text, "a part and the number of parts, such as 1/4")
    return shard_of(count, int(found[1]) - 1, int(found[2]))
