"""What an account says of itself when it cannot trade, and which of its strategies it hears nothing of."""

import pytest

from leadline.analysis.merge import SeriesMerge
from leadline.execution.core.book import Book, Drain
from leadline.execution.loop.signal_queue import SignalQueue
from leadline.execution.loop.standing import lacking, unheard
from leadline.model.bars import OWN_SERIES
from leadline.model.ids import ContractId, StrategyId
from leadline.model.loop_phase import LoopPhase
from leadline.risk.reasons import Reason
from tests.aggregation.builders import BUY, at, batch, builder
from tests.execution.harness.builders import account, ns, strategy
from tests.execution.test_settings_in_force import traded

NAME = StrategyId("default/mes")
NOW = ns(600)
CLOCK = (Reason.CLOCK, "it is 3.0 s behind")


def heard(seconds: int) -> list[SignalQueue]:
    """The strategy's queue, complete up to so many seconds after the open; 0 for no word yet."""
    queue = SignalQueue(NAME, "hash", ns(0))
    queue.progress_ns = ns(seconds) if seconds else 0
    return [queue]


def said(book: Book, queues: list[SignalQueue], *, opened: float = 0) -> dict[StrategyId, str]:
    """What is said of the strategies ten minutes after the open of a market that has been open since a time."""
    return dict(unheard(book, queues, NOW, lambda _, since_ns: since_ns >= ns(opened)))


@pytest.mark.parametrize(
    ("phase", "waits_for", "missing", "doubt", "words"),
    [
        (LoopPhase.RUNNING, "", (), None, ""),
        (LoopPhase.WAITING_FOR_SIGNALS, "", (), None, ""),
        (LoopPhase.STARTING, "waiting for venue: refused", ("bus",), CLOCK, "it is starting"),
        (LoopPhase.RECONCILING, "", (), None, "it is reconciling"),
        (LoopPhase.RUNNING, "waiting for venue: refused", ("bus",), CLOCK, "it is waiting for venue: refused"),
        (LoopPhase.RUNNING, "", ("bus", "prints"), CLOCK, "it misses bus, prints"),
        (LoopPhase.RUNNING, "", (), CLOCK, "it doubts its clock"),
    ],
)
def test_the_first_reason_is_said(phase, waits_for, missing, doubt, words):
    assert lacking(phase, waits_for, missing, doubt) == words


@pytest.mark.parametrize(("seconds", "silent"), [(600, False), (528, False), (527, True), (0, False)])
def test_a_strategy_is_unheard_ten_seconds_after_its_next_word_was_due(seconds: int, silent: bool):
    found = said(traded(account()), heard(seconds))
    assert list(found) == ([NAME] if silent else [])


def test_the_words_say_since_when_nothing_is_known():
    words = said(traded(account()), heard(300))[NAME]
    assert words == "nothing is known of its bars since 13:35:00 UTC, and its market is open"


@pytest.mark.parametrize("bars", ["ticks:5000", "volume:5000", "1m", "5m"])
def test_an_analysis_that_says_what_its_bars_promise_is_never_unheard(bars: str):
    made, merge = builder(bars), SeriesMerge((OWN_SERIES,))
    book, [queue] = traded(account()), heard(0)
    for second in range(1, 1200):
        for message in made.feed(batch([(at(second), 20_000, 1, BUY)], first=second - 1)):
            for _, told in merge.take(message):
                queue.progress_ns = max(queue.progress_ns, told.progress_ns)
        assert unheard(book, [queue], at(second), lambda *_: True) == {}
    assert queue.progress_ns > at(1100)


def test_a_market_that_was_closed_when_the_word_was_due_has_nothing_to_say():
    assert said(traded(account()), heard(300), opened=529) == {}
    assert NAME in said(traded(account()), heard(300), opened=528)


def test_the_ten_seconds_are_those_of_a_clock_that_runs_faster():
    book = traded(account())
    book.clock_rate = 20
    assert said(book, heard(338)) == {}
    assert NAME in said(book, heard(337))


def test_a_strategy_that_is_suspended_or_has_left_is_not_missed():
    book = traded(account())
    strategy_book = book.strategies[NAME]
    strategy_book.manifest = strategy(state="Suspended")
    assert said(book, heard(300)) == {}
    strategy_book.manifest = strategy()
    strategy_book.drain = Drain("gone", "Cancel", "Flatten", ns(100))
    assert said(book, heard(300)) == {}
    strategy_book.drain = None
    assert NAME in said(book, heard(300))


def test_the_market_that_counts_is_that_of_the_contract_in_force():
    asked: list[ContractId] = []

    def was_open(contract: ContractId, _: int) -> bool:
        asked.append(contract)
        return False

    book = traded(account())
    assert unheard(book, heard(300), NOW, was_open) == {}
    assert asked == [book.strategies[NAME].contract]
