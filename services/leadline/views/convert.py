"""The services' messages as values that are shown."""

from collections.abc import Iterable, Mapping
from dataclasses import fields
from typing import Any

import orjson
from google.protobuf.message import Message

from leadline.aggregation.v1 import aggregation_pb2
from leadline.execution.v1 import execution_pb2
from leadline.ingestion.v1 import ingestion_pb2
from leadline.model.errors import Unknown
from leadline.model.ids import Leg, StrategyId
from leadline.model.market.calendars import calendar
from leadline.model.market.contracts import instrument_of
from leadline.model.market.phases import MarketPhase, market_phase
from leadline.model.v1 import model_pb2
from leadline.model.wire.bars import bar_key_from_proto
from leadline.model.wire.proposals import proposal_from_proto
from leadline.views.explaining import AuditEvent
from leadline.views.market import (
    BarKeyView,
    BarView,
    FeedContractView,
    FeedView,
    KeptOutPrintView,
    KeptOutView,
    PushedContractView,
    RunView,
    SeriesView,
    SourceView,
    UnfinishedBarView,
)
from leadline.views.prices import price_text, tidy_price
from leadline.views.signals import (
    DecisionView,
    ProposalView,
    RegimeView,
    SignalledBar,
    SignalView,
    proposals_of,
    signal_of,
)
from leadline.views.values import (
    AccountView,
    HaltView,
    JournalRestorationView,
    LeavingView,
    OrderView,
    PositionView,
    StrategyView,
    UnitView,
)


def order_view(message: execution_pb2.Order) -> OrderView:
    """An order of execution."""
    tidy = _tidy(message, "price", "average_price")
    return OrderView(**_of_same_name(message, OrderView, **tidy, leg=Leg(message.leg)))


def position_view(message: execution_pb2.Position) -> PositionView:
    """A position of execution."""
    tidy = _tidy(message, "average_price", "last_price")
    units = tuple(
        UnitView(**_of_same_name(each, UnitView, average_price=tidy_price(message.contract, each.average_price)))
        for each in message.units
    )
    return PositionView(**_of_same_name(message, PositionView, **tidy, units=units))


def halt_view(message: execution_pb2.Halt) -> HaltView:
    """A halt of an account."""
    return HaltView(**_of_same_name(message, HaltView))


def account_view(message: execution_pb2.GetStateResponse) -> AccountView:
    """An account with its strategies and halts."""
    found = message.journal_restored
    restored = JournalRestorationView(found.at_ns, found.orders, found.found)
    return AccountView(
        **_of_same_name(
            message,
            AccountView,
            halts=tuple(map(halt_view, message.halts)),
            strategies=tuple(map(_strategy_view, message.strategies)),
            journal_restored=restored if message.HasField("journal_restored") else None,
        )
    )


def _strategy_view(message: execution_pb2.StrategyState) -> StrategyView:
    leaving = tuple(LeavingView(**_of_same_name(each, LeavingView)) for each in message.leaving)
    return StrategyView(**_of_same_name(message, StrategyView, leaving=leaving))


def audit_event(message: execution_pb2.StreamOrderEventsResponse) -> AuditEvent:
    """A line of an account's audit; its key is the id of what it is about, as in the book."""
    body = orjson.loads(message.body_json)
    name = {"decision": "decision_id", "order": "client_id", "fill": "fill_id"}.get(message.kind, "")
    return AuditEvent(message.event, message.kind, str(body.get(name, "")), message.instant_ns, body)


def feed_view(message: ingestion_pb2.GetFeedStatusResponse) -> FeedView:
    """The feed with its contracts and its run."""
    run = message.run
    days = {"sessions": tuple(run.sessions), "missing": tuple(run.missing)}
    found = RunView(**_of_same_name(run, RunView, **days, contracts=dict(run.contracts)))
    return FeedView(
        **_of_same_name(
            message,
            FeedView,
            run=found if message.HasField("run") else None,
            contracts=tuple(_feed_contract(each, message.now_ns) for each in message.contracts),
            sources=tuple(
                SourceView(**_of_same_name(each, SourceView, contracts=tuple(each.contracts)))
                for each in message.sources
            ),
            pushed=tuple(PushedContractView(**_of_same_name(each, PushedContractView)) for each in message.pushed),
        )
    )


def _feed_contract(message: ingestion_pb2.ContractStatus, now_ns: int) -> FeedContractView:
    return FeedContractView(
        **_of_same_name(
            message,
            FeedContractView,
            last_price=price_text(message.contract, message.last_price) if message.last_time_ns else "",
            last_price_ticks=message.last_price,
            prints=message.ticks,
            quarantined=dict(message.quarantined),
            kept_out=tuple(KeptOutView(**_of_same_name(each, KeptOutView)) for each in message.kept_out),
            samples=tuple(KeptOutPrintView(**_of_same_name(each, KeptOutPrintView)) for each in message.samples),
            phase=_phase(message.contract, now_ns) if now_ns else None,
        )
    )


def _phase(contract: str, now_ns: int) -> MarketPhase | None:
    """None past the years that its calendar knows, and for a contract that no row of instruments knows."""
    try:
        return market_phase(calendar(instrument_of(contract).calendar), now_ns)
    except Unknown:
        return None


def series_view(message: aggregation_pb2.Series) -> SeriesView:
    """A series of bars."""
    unfinished = unfinished_view(message.unfinished) if message.HasField("unfinished") else None
    return SeriesView(**_of_same_name(message, SeriesView, unfinished=unfinished))


def unfinished_view(message: model_pb2.UnfinishedBar) -> UnfinishedBarView:
    """The prints of a series that are in no bar."""
    return UnfinishedBarView(_bar_key(message.bar), message.prints)


def bar_view(message: model_pb2.Bar) -> BarView:
    """A closed bar."""
    return BarView(**_of_same_name(message, BarView, key=_bar_key(message.key)))


def _bar_key(message: model_pb2.BarKey) -> BarKeyView:
    return BarKeyView(**_of_same_name(message, BarKeyView))


def regime_view(message: model_pb2.RegimeReading) -> RegimeView:
    """The regime at a bar's close."""
    numbers = {"scores": dict(sorted(message.scores.items())), "inputs": dict(sorted(message.inputs.items()))}
    return RegimeView(**_of_same_name(message, RegimeView, **numbers))


def signal_view(message: model_pb2.Signal, contract: str) -> SignalView:
    """A signal of a bar of that contract."""
    return signal_of(
        contract=contract,
        pattern=message.pattern,
        direction=model_pb2.Direction.Name(message.direction).removeprefix("DIRECTION_"),
        price=message.price,
        strength=message.strength,
        evidence=orjson.loads(message.evidence_json),
        rejection=message.rejection,
    )


def proposal_views(message: model_pb2.BarSignals, decisions: Iterable[DecisionView] = ()) -> tuple[ProposalView, ...]:
    """The proposals of a bar, each with its decision."""
    proposals = [proposal_from_proto(each) for each in message.proposals]
    return proposals_of(message.bar.contract, bar_key_text(message.bar), proposals, decisions)


def signalled_bar(
    strategy: StrategyId, message: model_pb2.BarSignals, decisions: Iterable[DecisionView] = ()
) -> SignalledBar:
    """A bar of a strategy with its signals and proposals."""
    contract = message.bar.contract
    return SignalledBar(
        strategy=strategy,
        known_at_ns=message.known_at_ns,
        bar=bar_key_text(message.bar),
        close=price_text(contract, message.close),
        regime=regime_view(message.regime) if message.HasField("regime") else None,
        signals=tuple(signal_view(each, contract) for each in message.signals),
        proposals=proposal_views(message, decisions),
    )


def bar_key_text(key: model_pb2.BarKey) -> str:
    """A bar's key as ids and events spell it."""
    return bar_key_from_proto(key).text()


def _tidy(message: Any, *names: str) -> dict[str, str]:
    """Prices of a message's contract by name, with the instrument's decimals."""
    return {name: tidy_price(message.contract, getattr(message, name)) for name in names}


def _of_same_name(message: Message, view: type, **made: object) -> Mapping[str, Any]:
    """The fields of a view: `made`, and the others from the fields of the message that have their names."""
    names = [field.name for field in fields(view) if field.name not in made]
    return {**{name: getattr(message, name) for name in names}, **made}
