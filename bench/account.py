"""The time of an account's loop in a backtest: its own part, without bars and signals.

    python -m bench.account [SESSIONS]

The strategy of `examples/mes-orderflow.yaml` over simulated sessions. What it says on each day is worked out first, and
then the account goes through the days alone: its loop, its store in memory, risk and the paper market. CPU time of this
process; each repetition must come to the same decisions and the same fills. The second table has the loop's steps by
what they came to: a step to an instant with a decision, or to one at which an order fills or a day ends. The CPU time
is divided among them as the clock's is.
"""

import gc
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter, process_time
from typing import Final

from leadline.backtest.days import backtest_days
from leadline.backtest.engine import run_accounts
from leadline.backtest.feeds import prints_of
from leadline.backtest.market import in_this_process
from leadline.execution.loop.account_loop import AccountLoop
from leadline.ingestion.feed import open_feed
from leadline.ingestion.params import FeedParams, IngestionParams
from leadline.model.manifest.manifests import load_manifests
from leadline.model.manifest.specs import TradingStrategy, default_account

MANIFESTS: Final = Path(__file__).parents[1] / "examples" / "mes-orderflow.yaml"
REPETITIONS: Final = 3


def main() -> None:
    """Print the table."""
    sessions = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    strategies = [each for each in load_manifests(MANIFESTS) if isinstance(each, TradingStrategy)]
    feed = FeedParams(kind="sim", sessions=sessions)
    history = max(strategy.spec.longest_history for strategy in strategies)
    params = IngestionParams(feed=feed, instruments=("MES",), history=history)
    prints = prints_of(open_feed(params), params)
    days = backtest_days(prints, strategies, None, None)
    results = list(in_this_process(prints, days, strategies))
    best, found = float("inf"), set()
    kinds: dict[str, tuple[float, int]] = {}
    for _ in range(REPETITIONS):
        gc.collect()
        with _timed_steps() as (seconds, counts):
            began = process_time()
            runs = run_accounts([default_account("default")], strategies, days, results, lambda *_: None)
            total = process_time() - began
        clock = sum(seconds.values())
        if total < best:
            best, kinds = total, {kind: (seconds[kind] / clock * total, counts[kind]) for kind in sorted(counts)}
        (records,) = (run.records for run in runs.values())
        found.add((tuple(records.decisions), tuple(records.fills)))
    assert len(found) == 1, "the repetitions do not agree"
    ((decisions, fills),) = found
    print(f"an account over {len(days.traded)} simulated days; best of {REPETITIONS}")
    print()
    print("| decisions | fills | ms of CPU a decision | decisions/s |")
    print("|---:|---:|---:|---:|")
    print(f"| {len(decisions):,} | {len(fills):,} | {best / len(decisions) * 1e3:.2f} | {len(decisions) / best:,.0f} |")
    print()
    print("| a step that | steps | ms of CPU a step | share |")
    print("|---|---:|---:|---:|")
    for kind, (spent, count) in kinds.items():
        print(f"| {kind} | {count:,} | {spent / count * 1e3:.3f} | {spent / best:.0%} |")


@contextmanager
def _timed_steps() -> Iterator[tuple[dict[str, float], Counter[str]]]:
    """Time the loop's steps by what they come to: seconds and steps of each kind."""
    seconds: dict[str, float] = defaultdict(float)
    counts, step = Counter[str](), AccountLoop.step

    async def timed(loop: AccountLoop) -> None:
        began, entered = perf_counter(), loop.book.trades
        await step(loop)
        spent, decided = perf_counter() - began, loop.book.decided
        kind = "enters" if loop.book.trades > entered else "refuses" if decided else "decides nothing"
        seconds[kind] += spent
        counts[kind] += 1

    AccountLoop.step = timed  # type: ignore[method-assign, assignment]
    try:
        yield seconds, counts
    finally:
        AccountLoop.step = step  # type: ignore[method-assign]


if __name__ == "__main__":
    main()
