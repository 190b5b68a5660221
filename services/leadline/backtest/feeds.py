"""The prints of a feed's settings, whole in memory: of files, or of a simulated market."""

from leadline.backtest.prints import PrintsInMemory
from leadline.ingestion.feed import Feed
from leadline.ingestion.params import IngestionParams
from leadline.ingestion.tape import ContractTape
from leadline.model.durations import NS_PER_MILLISECOND
from leadline.model.ids import ContractId
from leadline.model.ticks import TickColumns, concat


def prints_of(feed: Feed, params: IngestionParams) -> PrintsInMemory:
    """The prints that a run of this feed would accept, of the days that its plan has.

    It is not pushed: nobody has the prints of such a feed yet.
    """
    assert feed.source is not None
    market: dict[ContractId, TickColumns] = {}
    ends_ns: dict[ContractId, int] = {}
    for contract in feed.contracts:
        tape = ContractTape(
            feed.source,
            contract,
            feed.plan.sessions[contract],
            params.bounds,
            params.allowed_lateness_ms * NS_PER_MILLISECOND,
        )
        drafts = list(tape.drafts())
        market[ContractId(contract)] = concat([draft.ticks for draft in drafts])
        ends_ns[contract] = drafts[-1].watermark_ns
    return PrintsInMemory(market, ends_ns)
