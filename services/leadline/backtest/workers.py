"""The market side of a backtest in several processes: each takes days in turns, and they tell each other their bars.

What comes out is what one process makes, in the same order: a day stands alone but for the bars of its history.
"""

import multiprocessing
import os
import pickle
import signal
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from multiprocessing.context import SpawnProcess
from queue import Empty
from typing import Any, Final, TypeAlias

from leadline.backtest.days import BacktestDay, BacktestDays
from leadline.backtest.engine import DayResult, DayWorker
from leadline.backtest.prints import Prints
from leadline.backtest.work import Bars
from leadline.model.errors import LeadlineError
from leadline.model.ids import ContractId
from leadline.model.manifest.own_markets import OwnMarkets, in_force, put_in_force
from leadline.model.manifest.specs import TradingStrategy

AHEAD: Final = 3
"""Days of each process that are worked on before the accounts have come to them: what is held is bounded by it."""
_LOOK_SECONDS: Final = 1.0

_FEWEST_PRINTS: Final = 5_000_000

BarsByContract: TypeAlias = dict[ContractId, Bars]


def suitable_workers(prints: Prints) -> int:
    """One process for each core; one for prints that it has done with before others have started."""
    count = sum(day.prints for contract in prints.contracts for day in prints.days(contract))
    return 1 if count < _FEWEST_PRINTS else os.cpu_count() or 1


class DayFailed(LeadlineError):
    """A day could not be worked on; the message is that of the process that tried."""


@dataclass(frozen=True, slots=True)
class _Job:
    """Everything that a process is started with."""

    prints: Prints
    days: BacktestDays
    strategies: tuple[TradingStrategy, ...]
    own: OwnMarkets


@dataclass(frozen=True, slots=True)
class _Answer:
    """A process's word on a day, by its place: its bars, or what strategies say, pickled; or why it failed."""

    place: int
    bars: bytes | None = None
    said: bytes | None = None
    failed: str = ""


def in_processes(
    prints: Prints, days: BacktestDays, strategies: Sequence[TradingStrategy], workers: int
) -> Iterator[DayResult]:
    """The days in order, worked on by so many processes. Raises DayFailed at the day that failed."""
    context = multiprocessing.get_context("spawn")
    answers: Any = context.Queue()
    tasks: list[Any] = [context.Queue() for _ in range(workers)]
    job = _Job(prints, days, tuple(strategies), in_force())
    processes = [context.Process(target=_work, args=(job, queue, answers), daemon=True) for queue in tasks]
    for process in processes:
        process.start()
    try:
        yield from _in_order(days, tasks, answers, processes)
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()


def _in_order(
    days: BacktestDays, tasks: Sequence[Any], answers: Any, processes: Sequence[SpawnProcess]
) -> Iterator[DayResult]:
    """Hand the days out in turns, no further than `AHEAD`, and give each result in its order."""
    bars: dict[int, bytes] = {}
    said: dict[int, bytes] = {}
    failed: dict[int, str] = {}
    given = 0
    for place, day in enumerate(days.days):
        while place not in said:
            while given < min(len(days.days), place + AHEAD * len(tasks)):
                tasks[given % len(tasks)].put(given)
                given += 1
            if place in failed:
                raise DayFailed(failed[place])
            answer = _next(answers, processes)
            if answer.failed:
                failed.setdefault(answer.place, answer.failed)  # what follows from it is of no interest
            elif answer.bars is not None:
                bars[answer.place] = answer.bars
                for number, queue in enumerate(tasks):
                    if number != answer.place % len(tasks):
                        queue.put(answer)
            else:
                assert answer.said is not None
                said[answer.place] = answer.said
        yield DayResult(day, pickle.loads(bars.pop(place)), pickle.loads(said.pop(place)))  # noqa: S301 - our own


def _next(answers: Any, processes: Sequence[SpawnProcess]) -> _Answer:
    while True:
        try:
            answer: _Answer = answers.get(timeout=_LOOK_SECONDS)
        except Empty:
            for process in processes:
                if process.exitcode is not None:
                    raise DayFailed(f"a process of the backtest ended by itself, with {process.exitcode}") from None
        else:
            return answer


def _work(job: _Job, tasks: Any, answers: Any) -> None:
    """A process: days as they are given out, each as soon as the bars of its history are there."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one that started this ends it
    put_in_force(job.own)
    process = _Process(job, answers)
    while True:
        process.take(tasks.get())


class _Process:
    """The days of one process: those that wait for the bars of others, and the bars that are still needed."""

    def __init__(self, job: _Job, answers: Any) -> None:
        self._days = job.days.days
        self._worker = DayWorker(job.prints, job.days, job.strategies)
        self._answers = answers
        self._bars: dict[tuple[ContractId, date], Bars] = {}
        self._waiting: list[int] = []
        self._last_use = {key: place for place, day in enumerate(self._days) for key in day.done}
        self._finished = -1

    def take(self, task: "int | _Answer") -> None:
        """Take a day in, or the bars of another process, and say what can be said by it."""
        if isinstance(task, _Answer):
            assert task.bars is not None
            self._keep(task.place, pickle.loads(task.bars))  # noqa: S301 - of a process of our own
        else:
            self._waiting.append(task)
            self._make_bars(task)
        while self._waiting and self._is_ready(self._days[self._waiting[0]]):
            self._finished = self._waiting.pop(0)
            self._speak(self._finished)
            self._bars = {key: bars for key, bars in self._bars.items() if self._last_use[key] > self._finished}

    def _keep(self, place: int, bars: BarsByContract) -> None:
        found = {(contract, self._days[place].day): each for contract, each in bars.items()}
        self._bars.update({key: each for key, each in found.items() if self._last_use[key] > self._finished})

    def _make_bars(self, place: int) -> None:
        tapes = self._days[place].tapes
        try:
            found: BarsByContract = {part.contract: self._worker.bars(part) for part in tapes}
        except Exception as error:  # noqa: BLE001 - it is told where the day's turn is
            self._answers.put(_Answer(place, failed=_words(error)))
            found = {part.contract: {} for part in tapes}
        self._keep(place, found)
        self._answers.put(_Answer(place, bars=pickle.dumps(found, protocol=5)))

    def _is_ready(self, day: BacktestDay) -> bool:
        needed = ((each.contract, before) for each in day.spoken for before in (*each.history, day.day))
        return all(key in self._bars for key in needed)

    def _speak(self, place: int) -> None:
        try:
            said = {each.strategy: self._worker.signals(each, self._bars) for each in self._days[place].spoken}
        except Exception as error:  # noqa: BLE001 - as above
            self._answers.put(_Answer(place, failed=_words(error)))
        else:
            self._answers.put(_Answer(place, said=pickle.dumps(said, protocol=5)))


def _words(error: Exception) -> str:
    """A refusal in its own words; a fault of the program with its stack."""
    return str(error) if isinstance(error, LeadlineError | OSError) else "".join(traceback.format_exception(error))
