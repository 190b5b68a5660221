"""A whole run without servers: from the settings of ingestion to what a strategy says, by the cores alone."""

from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from leadline.backtest.work import builder_of, series_of
from leadline.ingestion.feed import Feed, open_feed
from leadline.ingestion.params import FeedParams, IngestionParams
from leadline.ingestion.tape import ContractTape
from leadline.model.bars import BarMessage
from leadline.model.ids import ContractId
from leadline.model.manifest.specs import TradingStrategy
from leadline.model.signals import SignalMessage
from leadline.model.ticks import TickBatch, TickColumns, concat
from leadline.testing.replay import TAPE, signal_messages
from tests.execution.harness.builders import ANALYSIS, OPEN_NS


@dataclass(frozen=True)
class Recorded:
    """What a run's tape holds: the plan of its days, prints by contract, messages of bars by contract and series, and
    what the strategy says.

    `begins` and `ends` are in seconds from 09:30 in New York on 2025-06-10.
    """

    feed: Feed
    prints: dict[ContractId, TickColumns]
    bars: dict[ContractId, dict[str, list[BarMessage]]]
    signals: list[SignalMessage]

    @property
    def begins(self) -> float:
        """The tape's first time."""
        return (min(self.feed.begins_ns.values()) - OPEN_NS) / 1e9

    @property
    def ends(self) -> float:
        """The end of what the strategy says."""
        return (self.signals[-1].progress_ns - OPEN_NS) / 1e9


def record(strategy: TradingStrategy, trade_from: date, feed: dict[str, Any]) -> Recorded:
    """The run of one strategy on a feed, as the services make it."""
    params = IngestionParams(
        feed=FeedParams.model_validate(feed),
        instruments=(strategy.spec.instrument,),
        trade_from=trade_from,
        history=strategy.spec.longest_history,
    )
    opened = open_feed(params)
    assert opened.source is not None
    prints: dict[ContractId, TickColumns] = {}
    bars: dict[ContractId, dict[str, list[BarMessage]]] = {}
    for contract in map(ContractId, opened.contracts):
        tape = ContractTape(opened.source, contract, opened.plan.sessions[contract], params.bounds, 1_000_000_000)
        batches = [
            TickBatch(TAPE, "cme", contract, draft.ticks, draft.watermark_ns, draft.final) for draft in tape.drafts()
        ]
        prints[contract] = concat([batch.ticks for batch in batches])
        bars[contract] = {}
        for name, series in series_of(strategy).items():
            builder = builder_of(contract, series)
            bars[contract][name] = [message for batch in batches for message in builder.feed(batch)]
    said = [replace(message, analysis_hash=ANALYSIS) for message in signal_messages(strategy, trade_from, bars)]
    return Recorded(opened, prints, bars, said)
