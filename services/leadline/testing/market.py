"""Markets to try a strategy on: simulated ones, and prints that a test writes down."""

from collections.abc import Iterable, Mapping
from datetime import date

from leadline.ingestion.feed import open_feed
from leadline.ingestion.params import FeedParams, IngestionParams
from leadline.ingestion.tape import ContractTape
from leadline.model.errors import InvalidInput
from leadline.model.ids import ContractId
from leadline.model.manifest.specs import TradingStrategy
from leadline.model.ticks import NS_PER_SECOND, TickColumns, concat

GRACE_NS = NS_PER_SECOND

Print = tuple[int, int, int, int]
"""(time in ns UTC, price in ticks, size in size steps, aggressor: 1 buyer, -1 seller, 0 unknown)"""


def simulated(
    strategy: TradingStrategy, trade_from: date, *, sessions: int = 1, seed: int = 1
) -> Mapping[ContractId, TickColumns]:
    """The prints of the simulated feed for a strategy, by contract: its history, and `sessions` from `trade_from` on.

    The same as `leadline up --feed sim` publishes. Raises InvalidInput and Unknown as a feed that cannot be used.
    """
    params = IngestionParams(
        feed=FeedParams(kind="sim", seed=seed, sessions=sessions),
        instruments=(strategy.spec.instrument,),
        trade_from=trade_from,
        history=strategy.spec.longest_history,
    )
    feed = open_feed(params)
    assert feed.source is not None
    found: dict[ContractId, TickColumns] = {}
    for contract in feed.contracts:
        tape = ContractTape(feed.source, contract, feed.plan.sessions[contract], params.bounds, GRACE_NS)
        found[ContractId(contract)] = concat([draft.ticks for draft in tape.drafts()])
    return found


def prints(contract: ContractId, rows: Iterable[Print]) -> Mapping[ContractId, TickColumns]:
    """Prints of one contract that a test writes down, in the order of their times. Raises InvalidInput for others."""
    listed = list(rows)
    late = next((row for row, before in zip(listed[1:], listed, strict=False) if row[0] < before[0]), None)
    if late is not None:
        raise InvalidInput("rows", late, "prints in the order of their times")
    return {contract: TickColumns.of(listed)}
