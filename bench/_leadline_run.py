"""The strategy of `bench.nautilus` in Leadline, in a process of its own: TAPE of columns in, RESULT out.

    python -m bench._leadline_run TAPE.npz RESULT.json

`seconds` and `cpu` are those of the backtest, from prints in memory to its results; `build` those of
reading the prints.
"""

import json
import platform
import resource
import sys
from pathlib import Path
from time import perf_counter, process_time
from typing import Final

import numpy as np

from leadline.backtest.gathered import Gathered
from leadline.backtest.prints import PrintsInMemory
from leadline.backtest.results import result_of
from leadline.backtest.run import Outcome, run_backtest
from leadline.model.ids import ContractId, LegKind
from leadline.model.manifest.manifests import load_manifests
from leadline.model.manifest.specs import TradingAccount, TradingStrategy
from leadline.model.market.contracts import instrument_of
from leadline.model.ticks import TickColumns

CONTRACT: Final = ContractId("MESH2025")
MANIFESTS: Final = Path(__file__).with_name("nautilus.yaml")
KINDS: Final = {LegKind.STOP: "stop", LegKind.TARGET: "target"}


def main() -> None:
    """Run the tape and write what came of it."""
    began = perf_counter()
    prints = prints_of(Path(sys.argv[1]))
    strategies, accounts = manifests()
    build = perf_counter() - began
    began, cpu = perf_counter(), process_time()
    gathered = Gathered(strategies)
    outcome = run_backtest(accounts, strategies, prints, seen=gathered.seen)
    (account,) = result_of(outcome, gathered).accounts
    seconds, cpu = perf_counter() - began, process_time() - cpu
    found = {
        "engine": f"Leadline (Python {platform.python_version()})",
        "seconds": seconds,
        "cpu": cpu,
        "build": build,
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "net": str(account.figures.net),
        "fills": fills_of(outcome),
    }
    Path(sys.argv[2]).write_text(json.dumps(found))


def prints_of(tape: Path) -> PrintsInMemory:
    """The prints of a tape."""
    with np.load(tape) as columns:
        ticks = TickColumns(columns["time_ns"], columns["price"], columns["size"], columns["aggressor"])
    return PrintsInMemory({CONTRACT: ticks})


def manifests() -> tuple[list[TradingStrategy], list[TradingAccount]]:
    """The strategy, and the account that trades it."""
    found = load_manifests(MANIFESTS)
    strategies = [each for each in found if isinstance(each, TradingStrategy)]
    return strategies, [each for each in found if isinstance(each, TradingAccount)]


def fills_of(outcome: Outcome) -> list[tuple[str, str, int, str, int]]:
    """The fills in their order: kind of order, side, contracts, price, time in ns."""
    (run,) = outcome.accounts.values()
    orders = {client_id: written.order for client_id, written in run.records.orders.items()}
    found = []
    for fill in (booked.fill for booked in sorted(run.records.fills.values(), key=lambda each: each.venue_event)):
        kind = KINDS.get(orders[fill.client_id].leg.kind, "market")
        price = f"{instrument_of(fill.contract).ticks_to_price(fill.price):.2f}"
        found.append((kind, fill.side.name, fill.quantity, price, fill.time_ns))
    return found


if __name__ == "__main__":
    main()
