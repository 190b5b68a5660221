"""The prints of a feed's settings, whole in memory: of files, or of a simulated market."""

from leadline.backtest.prints import PrintsInMemory
from leadline.ingestion.feed import Feed
from leadline.ingestion.params import IngestionParams
from leadline.ingestion.tally import Counts
from leadline.ingestion.tape import ContractTape
from leadline.model.durations import NS_PER_MILLISECOND
from leadline.model.ids import ContractId
from leadline.model.ticks import TickColumns, concat


def prints_of(feed: Feed, params: IngestionParams) -> PrintsInMemory:
    """The prints that a run of this feed would accept: of the days that its plan has, of files without one of all days.

    It is not pushed: nobody has the prints of such a feed yet.
    """
    assert feed.source is not None
    market: dict[ContractId, TickColumns] = {}
    kept_out: dict[ContractId, Counts] = {}
    # A range that ends before the last day of files may begin before the first one of the plan.
    whole = params.feed.kind == "file" and params.trade_from is None
    for contract in feed.source.contracts if whole else feed.contracts:
        tape = ContractTape(
            feed.source,
            contract,
            (feed.source.days(contract) if whole else None) or feed.plan.sessions[contract],
            params.bounds,
            params.allowed_lateness_ms * NS_PER_MILLISECOND,
        )
        market[contract] = concat([draft.ticks for draft in tape.drafts()])
        kept_out[contract] = tape.tally.counts()
    return PrintsInMemory(market, whole_days=params.feed.kind == "sim", kept_out=kept_out)
