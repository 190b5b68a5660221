"""The market side of a backtest in several processes: each takes days in turns, and they tell each other their bars.

What comes out is what one process makes, in the same order: a day stands alone but for the bars of its history. While
the accounts go on in the process that asked, the others work ahead.
"""

import multiprocessing
import os
import pickle
import signal
import threading
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from multiprocessing.process import BaseProcess
from queue import Empty
from typing import Any, Final

from leadline.backtest.collecting import collect_seldom
from leadline.backtest.days import BacktestDay, BacktestDays
from leadline.backtest.market import DayResult, DayWorker
from leadline.backtest.packed import packed, unpacked
from leadline.backtest.prints import Prints
from leadline.backtest.processes import process_context
from leadline.backtest.shared import SharedDays
from leadline.backtest.work import Bars
from leadline.model.errors import LeadlineError
from leadline.model.ids import ContractId
from leadline.model.manifest.own_markets import OwnMarkets, in_force, put_in_force
from leadline.model.manifest.specs import TradingStrategy
from leadline.runtime.processors import processors

AHEAD: Final = 3
"""Days of each process that are worked on before the accounts have come to them: what is held is bounded by it."""
_LOOK_SECONDS: Final = 1.0

_FEWEST_PRINTS: Final = 10_000_000


def suitable_workers(prints: Prints, first: date | None = None, last: date | None = None, times: int = 1) -> int:
    """One process for each processor; one for a range of prints that it has done with before others have started.

    times: how often it goes through them.
    """
    days = [day for contract in prints.contracts for day in prints.days(contract)]
    inside = (each for each in days if (not first or first <= each.day) and (not last or each.day <= last))
    count = times * sum(each.prints for each in inside)
    return 1 if count < _FEWEST_PRINTS else processors()


class DayFailed(LeadlineError):
    """A day could not be worked on; the message is that of the process that tried."""


@dataclass(frozen=True, slots=True)
class _Job:
    """Everything that a process is started with."""

    prints: Prints
    days: BacktestDays
    strategies: tuple[TradingStrategy, ...]
    own: OwnMarkets
    shared: SharedDays


@dataclass(frozen=True, slots=True)
class _BarsOfDay:
    """The bars of a day, by its place, packed by contract: what a process tells the others."""

    place: int
    bars: Mapping[ContractId, bytes]


@dataclass(frozen=True, slots=True)
class _Answer:
    """A process's word on a day, by its place: its result without the prints, pickled, or why it failed."""

    place: int
    result: bytes = b""
    failed: str = ""


def in_processes(
    prints: Prints, days: BacktestDays, strategies: Sequence[TradingStrategy], workers: int
) -> Iterator[DayResult]:
    """The days in order, worked on by so many processes. Raises DayFailed at the day that failed."""
    context = process_context()
    answers: Any = context.Queue()
    tasks: list[Any] = [context.Queue() for _ in range(workers)]
    # A day's prints are looked at until the next day has come.
    shared = SharedDays(context, [each.tapes for each in days.traded], AHEAD * workers + 1)
    job = _Job(prints, days, tuple(strategies), in_force(), shared)
    processes = [
        context.Process(target=_work, args=(job, tasks, number, answers), daemon=True) for number in range(workers)
    ]
    for process in processes:
        process.start()
    try:
        for place, answer in enumerate(_in_order(len(days.days), tasks, answers, processes)):
            day = days.days[place]
            ticks = shared.of(place, day.tapes) if day.day >= days.plan.trade_from else {}
            yield replace(pickle.loads(answer), ticks=ticks)  # noqa: S301 - of a process of our own
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.join()


def _in_order(days: int, tasks: Sequence[Any], answers: Any, processes: Sequence[BaseProcess]) -> Iterator[bytes]:
    """Hand the days out in turns, no further than `AHEAD`, and give what was made of each in its order."""
    found: dict[int, _Answer] = {}
    given = 0
    for place in range(days):
        while given < min(days, place + AHEAD * len(tasks)):
            tasks[given % len(tasks)].put(given)
            given += 1
        while place not in found:
            told = _next(answers, processes)
            found.setdefault(told.place, told)  # what follows from a fault is of no interest
        answer = found.pop(place)
        if answer.failed:
            raise DayFailed(answer.failed)
        yield answer.result


def _next(answers: Any, processes: Sequence[BaseProcess]) -> _Answer:
    while True:
        try:
            answer: _Answer = answers.get(timeout=_LOOK_SECONDS)
        except Empty:
            for process in processes:
                if process.exitcode is not None:
                    raise DayFailed(f"a process of the backtest ended by itself, with {process.exitcode}") from None
        else:
            return answer


def _work(job: _Job, tasks: Sequence[Any], number: int, answers: Any) -> None:
    """A process: days as they are given out, each as soon as the bars of its history are there."""
    begin_process(job.own)
    process = _Process(job, [queue for other, queue in enumerate(tasks) if other != number], answers)
    while True:
        process.take(tasks[number].get())


def begin_process(own: OwnMarkets) -> None:
    """Begin a process that another one of Leadline has started: it knows what that knows, and ends with it.

    It is that one's to end this, at Ctrl-C too. Where that one is gone, killed perhaps, nobody else does.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    collect_seldom()
    put_in_force(own)
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=_end_after, args=(parent,), daemon=True).start()


def _end_after(parent: BaseProcess) -> None:
    parent.join()
    os._exit(1)


class _Process:
    """The days of one process: those that wait for the bars of others, and the bars that are still needed."""

    def __init__(self, job: _Job, others: Sequence[Any], answers: Any) -> None:
        self._days = job.days.days
        self._trade_from = job.days.plan.trade_from
        self._shared = job.shared
        self._worker = DayWorker(job.prints, job.days, job.strategies)
        self._others = others
        self._answers = answers
        self._bars: dict[tuple[ContractId, date], Bars] = {}
        self._waiting: list[int] = []
        self._last_use = {key: place for place, day in enumerate(self._days) for key in day.done}
        self._finished = -1

    def take(self, task: "int | _BarsOfDay") -> None:
        """Take a day in, or the bars of another process, and say what can be said by it."""
        if isinstance(task, _BarsOfDay):
            self._keep(task.place, {contract: unpacked(contract, data) for contract, data in task.bars.items()})
        else:
            self._waiting.append(task)
            self._make_bars(task)
        while self._waiting and self._is_ready(self._days[self._waiting[0]]):
            self._finished = self._waiting.pop(0)
            self._finish(self._finished)
            self._bars = {key: bars for key, bars in self._bars.items() if self._last_use[key] > self._finished}

    def _keep(self, place: int, bars: Mapping[ContractId, Bars]) -> None:
        found = {(contract, self._days[place].day): each for contract, each in bars.items()}
        self._bars.update({key: each for key, each in found.items() if self._last_use[key] > self._finished})

    def _make_bars(self, place: int) -> None:
        day = self._days[place]
        bars: dict[ContractId, Bars]
        try:
            ticks = {part.contract: self._worker.ticks(part) for part in day.tapes}
            bars = {part.contract: self._worker.bars(part, ticks[part.contract]) for part in day.tapes}
            if day.day >= self._trade_from:
                self._shared.put(place, day.tapes, ticks)
        except Exception as error:  # noqa: BLE001 - it is told where the day's turn is
            self._answers.put(_Answer(place, failed=_words(error)))
            bars = {part.contract: {} for part in day.tapes}
        self._keep(place, bars)
        told = _BarsOfDay(place, {contract: packed(each) for contract, each in bars.items()})
        for queue in self._others:
            queue.put(told)

    def _is_ready(self, day: BacktestDay) -> bool:
        needed = ((each.contract, before) for each in day.spoken for before in (*each.history, day.day))
        return all(key in self._bars for key in needed)

    def _finish(self, place: int) -> None:
        try:
            result = pickle.dumps(self._worker.result(self._days[place], {}, self._bars), protocol=5)
        except Exception as error:  # noqa: BLE001 - as above
            self._answers.put(_Answer(place, failed=_words(error)))
        else:
            self._answers.put(_Answer(place, result))


def _words(error: Exception) -> str:
    """A refusal in its own words; a fault of the program with its stack."""
    return str(error) if isinstance(error, LeadlineError | OSError) else "".join(traceback.format_exception(error))
