"""How fast one strategy reads its bars: patterns, regime and router on simulated sessions, in one process.

    python -m bench.analysis [SESSIONS]

Prints are made and cut into bars beforehand; what is measured is `StrategyFold.step`, bar by bar, in processor time.
The first bar of a session also folds the history sessions into a fresh strategy, so it stands in a column of its own.
"""

import gc
import json
import sys
from collections.abc import Iterator
from datetime import date
from time import process_time

import numpy as np

from leadline.aggregation.builder import BarBuilder
from leadline.analysis.assemble import strategy_fold
from leadline.ingestion.simulator import simulate
from leadline.model.bars import Bar
from leadline.model.ids import ContractId, RunId
from leadline.model.manifest.specs import StrategySpec, session_of, signal_instrument
from leadline.model.market.calendars import calendar
from leadline.model.ticks import TickBatch

CONTRACT = ContractId("MESZ2025")
FIRST_DAY = date(2025, 11, 3)
SEED = 1
SPECS = (
    {"bars": "5m", "session": {"name": "rth"}},
    {"bars": "1m", "session": {"name": "rth"}},
    {"bars": "1m", "session": {"name": "globex"}},
    {"bars": "ticks:500", "session": {"name": "rth"}},
    {"bars": "volume:2000", "session": {"name": "rth"}, "ticksPerRow": 4},
)


def bars_of(spec: StrategySpec, sessions: int) -> Iterator[Bar]:
    """The bars of simulated sessions."""
    market = calendar(signal_instrument(spec).calendar)
    _, hours = session_of(spec)
    builder = BarBuilder(
        tape=RunId("bench"),
        venue="sim",
        contract=CONTRACT,
        calendar=market,
        hours=hours,
        spec=spec.bar_spec,
        ticks_per_row=spec.ticks_per_row,
    )
    days = [found.trading_day for found in market.sessions_between(FIRST_DAY, date(2025, 12, 1), hours)][:sessions]
    for ticks in simulate(CONTRACT, days, SEED):
        batch = TickBatch(RunId("bench"), "sim", CONTRACT, ticks, int(ticks.time_ns[-1]))
        for message in builder.feed(batch):
            if message.bar is not None:
                yield message.bar


def measure(spec: StrategySpec, sessions: int) -> str:
    """One row of the table."""
    bars = list(bars_of(spec, sessions))
    fold = strategy_fold(spec, FIRST_DAY)
    opening: list[float] = []
    rest: list[float] = []
    signals = 0
    day = None
    gc.collect()
    began = process_time()
    for bar in bars:
        before = process_time()
        said = fold.step(bar)
        taken = process_time() - before
        (rest if bar.key.trading_day == day else opening).append(taken)
        day = bar.key.trading_day
        signals += 0 if said is None else len(said.signals)
    whole = process_time() - began
    p50, p99 = np.percentile(rest, [50, 99]) * 1e6
    prints = sum(bar.prints for bar in bars)
    session, _ = session_of(spec)
    rows = sum(len(bar.rows) for bar in bars) / len(bars)
    return (
        f"| {spec.bars} {session}, {spec.ticks_per_row} per row | {len(bars):,} | {rows:.0f} | {signals:,} "
        f"| {len(bars) / whole:,.0f} | {prints / whole / 1e6:.1f} | {p50:.0f} | {p99:.0f} | {max(opening) * 1e3:.1f} |"
    )


def main() -> None:
    """Print the table."""
    sessions = int(sys.argv[1]) if len(sys.argv) > 1 else 8
    print(f"{sessions} sessions of {CONTRACT}, every one of them traded, history 5")
    print()
    print("| bars | n | rows/bar | signals | bars/s | M prints/s | p50 us | p99 us | longest first bar ms |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|---:|")
    for fields in SPECS:
        spec = StrategySpec.model_validate_json(json.dumps({"instrument": "MES", "history": 5, **fields}))
        print(measure(spec, sessions), flush=True)


if __name__ == "__main__":
    main()
