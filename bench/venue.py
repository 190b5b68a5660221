"""How fast the paper market runs a tape past resting orders, against a loop over single prints in plain Python.

    python -m bench.venue [PRINTS]

An open position with a native bracket, at distances that the tape never reaches, and the same with a day-loss watch.
The loop asks the same questions of each print (stop, target through or in its queue, result), from lists of Python
integers, and nothing else; both must end without a fill and with the same queue.
"""

import gc
import sys
from collections.abc import Callable
from decimal import Decimal
from time import perf_counter
from typing import Final

import numpy as np

from leadline.model.ids import ClientOrderId, ContractId, DecisionId, Leg
from leadline.model.orders import Bracket, OrderType, Side, VenueOrder, Watch, WatchedPosition
from leadline.model.ticks import NS_PER_SECOND, TickColumns
from leadline.venue.fill_rules import FillRules
from leadline.venue.matching import PaperMarket

CONTRACT: Final = ContractId("MESZ2025")
STOP_TICKS, TARGET_TICKS = 400, 40
SLOTS: Final = (256, 4_096, 1_000_000_000)
REPETITIONS: Final = 3


def tape(prints: int) -> TickColumns:
    """Prints that stay between the stop and the target and often touch the price of the target."""
    chance = np.random.default_rng(1)
    return TickColumns(
        NS_PER_SECOND + np.sort(chance.integers(0, 23_400 * NS_PER_SECOND, prints)),
        20_000 + np.abs(np.cumsum(chance.integers(-1, 2, prints)) % (2 * TARGET_TICKS) - TARGET_TICKS),
        1 + chance.geometric(0.4, prints),
        chance.choice([-1, 1], prints).astype(np.int8),
    )


def protected(ticks: TickColumns) -> PaperMarket:
    """A market that holds a long entered before the tape, so large that no queue at its target is ever long enough."""
    paper = PaperMarket(FillRules(slippage_ticks=0, latency_ns=0), 0)
    paper.submit(
        VenueOrder(
            client_id=ClientOrderId("entry"),
            decision=DecisionId("bench"),
            leg=Leg("E"),
            contract=CONTRACT,
            tape_contract=CONTRACT,
            side=Side.BUY,
            type=OrderType.MARKET,
            quantity=int(ticks.size.sum()),
            decided_at_ns=0,
            bracket=Bracket(STOP_TICKS, TARGET_TICKS),
        )
    )
    paper.advance({CONTRACT: TickColumns.of([(1, 20_000, 1, 1)])}, 1)
    return paper


def watch(quantity: int) -> Watch:
    """A loss that the tape never makes."""
    held = WatchedPosition(CONTRACT, quantity, quantity * 20_000 * Decimal("1.25"), Decimal("1.25"))
    return Watch(Decimal(0), (held,), at_or_below=Decimal(-quantity * 500))


def columns(ticks: TickColumns, rows: int, *, watched: bool) -> Callable[[], int]:
    """Advance the market in steps of so many prints; the queue at the target."""
    paper = protected(ticks)
    shifted = TickColumns(ticks.time_ns, ticks.price, ticks.size, ticks.aggressor, 1)
    watches = [watch(int(ticks.size.sum()))] if watched else []

    def work() -> int:
        for start in range(0, len(shifted), rows):
            part = shifted.slice(start, start + rows)
            # Prints that share the last one's time are matched by the next step, as with a watermark.
            known = shifted.slice(max(0, paper.marks[CONTRACT].last.source_index - 1), start + len(part))
            paper.advance({CONTRACT: known}, int(part.time_ns[-1]) - 1, watches)
        paper.advance({CONTRACT: shifted}, int(shifted.time_ns[-1]), watches)
        assert paper.last_event == 4, "nothing is to fill after the entry and its bracket"
        return max(rest.queued for rest in paper.take_step().resting.values())

    return work


def loop(ticks: TickColumns, *, watched: bool) -> Callable[[], int]:
    """The same questions, print by print."""
    quantity = int(ticks.size.sum())
    prints = list(zip(ticks.price.tolist(), ticks.size.tolist(), strict=True))
    stop, target, needed = 20_000 - STOP_TICKS, 20_000 + TARGET_TICKS, 2 * quantity
    cost, value, most = quantity * 20_000, 125, -quantity * 500 * 100

    def work() -> int:
        queue = 0
        for price, size in prints:
            if price <= stop or price > target:
                break
            if price == target:
                queue += size
                if queue > needed:
                    break
            if watched and (quantity * price - cost) * value <= most:
                break
        return queue

    return work


def best(make: Callable[[], Callable[[], int]]) -> tuple[float, int]:
    """Seconds of the fastest of some runs, and what it returned."""
    times = []
    answer = 0
    for _ in range(REPETITIONS):
        work = make()
        gc.collect()
        began = perf_counter()
        answer = work()
        times.append(perf_counter() - began)
    return min(times), answer


def main() -> None:
    """Print the table."""
    prints = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    ticks = tape(prints)
    print(f"{prints:,} prints past a resting bracket; best of {REPETITIONS}")
    print()
    print("| orders | prints a step | columns M/s | loop M/s | ratio |")
    print("|---|---:|---:|---:|---:|")
    for watched in (False, True):
        plain, expected = best(lambda: loop(ticks, watched=watched))  # noqa: B023 - called at once
        for rows in SLOTS:
            taken, queue = best(lambda: columns(ticks, rows, watched=watched))  # noqa: B023 - called at once
            assert queue == expected, f"the queue is {queue}, the loop counts {expected}"
            print(
                f"| bracket{' and watch' if watched else ''} | {min(rows, prints):,} | {prints / taken / 1e6:.1f} "
                f"| {prints / plain / 1e6:.1f} | {plain / taken:.1f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
