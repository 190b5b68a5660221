"""All variants of a study over the same prints: what they share is worked out once, on every core."""

import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from datetime import date
from math import ceil
from pathlib import Path
from typing import Final, Generic, TypeVar

from leadline.backtest.prints import Prints
from leadline.backtest.processes import process_context
from leadline.backtest.workers import begin_process
from leadline.model.errors import LeadlineError
from leadline.model.manifest.own_markets import OwnMarkets, in_force
from leadline.model.manifest.sweep import Variant
from leadline.study.accounts import VariantResult, run_variants
from leadline.study.market import KeptMarket, keep_market
from leadline.study.parts import Wave, waves
from leadline.study.scratch import scratch

MOST_IN_FLIGHT: Final = 32
"""Variants of one process whose accounts go through the days side by side."""
MOST_DAYS_HELD: Final = 600
"""Days of all of them together, one variant's at least: what accounts write is held until their last day."""

FoundT = TypeVar("FoundT")


class StudyFailed(LeadlineError):
    """A process of a study ended by itself."""


@dataclass(frozen=True, slots=True)
class Study(Generic[FoundT]):
    """The prints of a study, its range as `run_backtest` has it, its processes, and what is taken of each result.

    taken: of a variant's result, in the process that has it, so that no more goes from one to the other.
    """

    prints: Prints
    first: date | None
    last: date | None
    workers: int
    taken: Callable[[VariantResult], FoundT]


def run_study(
    study: Study[FoundT], variants: Sequence[Variant], told: Callable[[str], None] = lambda _line: None
) -> Iterator[tuple[Variant, FoundT]]:
    """The part that is taken of each variant's result, as they end; the same with any number of processes.

    told: lines on how far it is. Raises as `run_backtest`, StudyFailed, and OSError.
    """
    with _Crew(study) as crew:
        done = 0
        for wave in waves(variants):
            with scratch() as folder:
                market = _market(study, wave, folder, told)
                for batch, found in crew.run(batches(wave.variants, study.workers, len(market.days.traded)), market):
                    done += len(batch)
                    told(f"{done} of {len(variants)} variants")
                    yield from zip(batch, found, strict=True)


def batches(variants: Sequence[Variant], workers: int, days: int) -> list[Sequence[Variant]]:
    """Variants that go side by side through so many days.

    Every process has as many to do, and never more than it may hold.
    """
    most = min(MOST_IN_FLIGHT, max(MOST_DAYS_HELD // days, 1))
    rounds = ceil(len(variants) / (workers * most))
    size = ceil(len(variants) / (workers * rounds))
    return [variants[start : start + size] for start in range(0, len(variants), size)]


def _market(study: Study[FoundT], wave: Wave, folder: Path, told: Callable[[str], None]) -> KeptMarket:
    return keep_market(
        wave,
        study.prints,
        study.first,
        study.last,
        study.workers,
        folder,
        lambda day: told(f"bars and signals of {day.day}"),
    )


class _Crew(Generic[FoundT]):
    """The processes of a study that take accounts through the days; with one worker this process."""

    def __init__(self, study: Study[FoundT]) -> None:
        self._study = study
        self._pool: ProcessPoolExecutor | None = None
        self._others = frozenset(multiprocessing.active_children())

    def __enter__(self) -> "_Crew[FoundT]":
        if self._study.workers > 1:
            self._pool = ProcessPoolExecutor(
                self._study.workers,
                process_context(),
                _begin,
                (self._study.prints, in_force()),
            )
        return self

    def __exit__(self, raised: type[BaseException] | None, *_: object) -> None:
        if self._pool is None:
            return
        if raised is not None:  # nobody waits for what they are at
            for process in multiprocessing.active_children():
                if process not in self._others:
                    process.terminate()
        self._pool.shutdown(cancel_futures=True)

    def run(
        self, batched: Sequence[Sequence[Variant]], market: KeptMarket
    ) -> Iterator[tuple[Sequence[Variant], list[FoundT]]]:
        """Each batch with what is taken of it, as they end."""
        taken = self._study.taken
        if self._pool is None:
            for batch in batched:
                yield batch, [taken(each) for each in run_variants(batch, market, self._study.prints)]
            return
        waiting = {self._pool.submit(_batch, batch, market, taken): batch for batch in batched}
        try:
            for future in as_completed(waiting):
                yield waiting[future], future.result()
        except BrokenProcessPool:
            raise StudyFailed("a process of the study ended by itself") from None


# The prints of a process of the crew.
_prints: Prints | None = None


def _begin(prints: Prints, own: OwnMarkets) -> None:
    global _prints  # noqa: PLW0603 - they are given once for all batches
    begin_process(own)
    _prints = prints


def _batch(variants: Sequence[Variant], market: KeptMarket, taken: Callable[[VariantResult], FoundT]) -> list[FoundT]:
    assert _prints is not None
    return [taken(each) for each in run_variants(variants, market, _prints)]
