"""A whole run without servers: from the settings of ingestion to what a strategy says, by the cores alone."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from leadline.aggregation.builder import BarBuilder
from leadline.analysis.months import month_folds
from leadline.analysis.publication import Publication
from leadline.ingestion.feed import Feed, open_feed
from leadline.ingestion.months import market_of
from leadline.ingestion.params import FeedParams, IngestionParams
from leadline.ingestion.tape import ContractTape
from leadline.model.bars import BarMessage
from leadline.model.signals import SignalMessage
from leadline.model.specs import TradingStrategy, session_of
from leadline.model.ticks import TickBatch, TickColumns, concat
from tests.execution.harness.builders import OPEN_NS

TAPE = "tape"


@dataclass(frozen=True)
class Recorded:
    """What a run's tape holds: the plan of its days, prints and messages of bars by contract, what the strategy says.

    `begins` and `ends` are in seconds from 09:30 in New York on 2025-06-10.
    """

    feed: Feed
    prints: dict[str, TickColumns]
    bars: dict[str, list[BarMessage]]
    speech: list[SignalMessage]

    @property
    def begins(self) -> float:
        """The tape's first time."""
        return (min(self.feed.begins_ns.values()) - OPEN_NS) / 1e9

    @property
    def ends(self) -> float:
        """The end of what the strategy says."""
        return (self.speech[-1].progress_ns - OPEN_NS) / 1e9


def record(strategy: TradingStrategy, trade_from: date, feed: dict[str, Any]) -> Recorded:
    """The run of one strategy on a feed, as the services make it."""
    params = IngestionParams(
        feed=FeedParams.model_validate(feed),
        instruments=(strategy.spec.instrument,),
        trade_from=trade_from,
        history=strategy.spec.history,
    )
    opened = open_feed(params)
    assert opened.source is not None
    prints: dict[str, TickColumns] = {}
    bars: dict[str, list[BarMessage]] = {}
    for contract in opened.contracts:
        tape = ContractTape(opened.source, contract, opened.plan.sessions[contract], params.cuts, 1_000_000_000)
        batches = [
            TickBatch(TAPE, "cme", contract, piece.ticks, piece.watermark_ns, piece.final) for piece in tape.pieces()
        ]
        prints[contract] = concat([batch.ticks for batch in batches])
        builder = _builder(strategy, contract)
        bars[contract] = [message for batch in batches for message in builder.feed(batch)]
    return Recorded(opened, prints, bars, said(strategy, trade_from, bars))


def said(
    strategy: TradingStrategy, trade_from: date, bars: dict[str, list[BarMessage]], last: SignalMessage | None = None
) -> list[SignalMessage]:
    """What the analysis of a strategy publishes about bars, contract by contract; `last`: after a restart."""
    months = month_folds(strategy.spec, bars, trade_from)
    names = (TAPE, strategy.account_name, strategy.full_name, "hash")
    publication = Publication(*names, months[0].fold, last, months[0].ends_ns)
    found: list[SignalMessage] = []
    for month in months:
        if month is not months[0]:
            publication.follow(month.fold, month.ends_ns)
        found += _until_passed(publication, bars[month.contract])
    return found


def _until_passed(publication: Publication, messages: Sequence[BarMessage]) -> list[SignalMessage]:
    found = []
    for message in messages:
        one = publication.step(message)
        if one is not None:
            found.append(one)
        if publication.passed:
            break
    return found


def _builder(strategy: TradingStrategy, contract: str) -> BarBuilder:
    _, hours = session_of(strategy.spec)
    return BarBuilder(
        tape=TAPE,
        venue="cme",
        contract=contract,
        calendar=market_of(contract),
        hours=hours,
        spec=strategy.spec.bar_spec,
        ticks_per_row=strategy.spec.ticks_per_row,
    )
