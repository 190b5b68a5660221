"""How many decisions a second an account's loop takes in a backtest: its own part, without bars and signals.

    python -m bench.account [SESSIONS]

The strategy of `examples/mes-orderflow.yaml` over simulated sessions. What it says on each day is worked out first, and
then the account goes through the days alone: its loop, its store in memory, risk and the paper market. CPU time of this
process; each repetition must come to the same decisions and the same fills.
"""

import gc
import sys
from pathlib import Path
from time import process_time
from typing import Final

from leadline.backtest.days import backtest_days
from leadline.backtest.engine import run_accounts
from leadline.backtest.feeds import prints_of
from leadline.backtest.market import in_this_process
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
    for _ in range(REPETITIONS):
        gc.collect()
        began = process_time()
        runs = run_accounts([default_account("default")], strategies, days, results, lambda *_: None)
        best = min(best, process_time() - began)
        (records,) = (run.records for run in runs.values())
        found.add((tuple(records.decisions), tuple(records.fills)))
    assert len(found) == 1, "the repetitions do not agree"
    ((decisions, fills),) = found
    print(f"an account over {len(days.traded)} simulated days; best of {REPETITIONS}")
    print()
    print("| decisions | fills | ms of CPU a decision | decisions/s |")
    print("|---:|---:|---:|---:|")
    print(f"| {len(decisions):,} | {len(fills):,} | {best / len(decisions) * 1e3:.2f} | {len(decisions) / best:,.0f} |")


if __name__ == "__main__":
    main()
