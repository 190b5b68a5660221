"""Signals, regime and the messages of a strategy, and back."""

import orjson

from leadline.model.ids import AccountId, RunId, StrategyId
from leadline.model.signals import BarSignals, Pattern, Regime, RegimeReading, Signal, SignalMessage
from leadline.model.v1 import model_pb2 as pb
from leadline.model.wire.bars import bar_key_from_proto, bar_key_to_proto
from leadline.model.wire.fields import decimal_of, decoded, require, require_names
from leadline.model.wire.proposals import DIRECTION_FROM_PB, DIRECTION_TO_PB, proposal_from_proto, proposal_to_proto


def _signal_to_proto(signal: Signal) -> pb.Signal:
    return pb.Signal(
        pattern=signal.pattern.value,
        direction=DIRECTION_TO_PB[signal.direction],
        price=signal.price,
        strength=str(signal.strength),
        evidence_json=orjson.dumps(signal.evidence, option=orjson.OPT_SORT_KEYS).decode(),
        approved=signal.approved,
        rejection=signal.rejection,
    )


def _signal_from_proto(message: pb.Signal) -> Signal:
    evidence = orjson.loads(message.evidence_json)
    require(isinstance(evidence, dict), "evidence that is no mapping")
    return Signal(
        Pattern(message.pattern),
        DIRECTION_FROM_PB[message.direction],
        message.price,
        decimal_of(message.strength),
        evidence,
        message.approved,
        message.rejection,
    )


def _regime_to_proto(reading: RegimeReading) -> pb.RegimeReading:
    return pb.RegimeReading(
        regime=reading.regime.value,
        confidence=str(reading.confidence),
        multiplier=str(reading.multiplier),
        reason=reading.reason,
        scores=reading.scores,
        inputs=reading.inputs,
    )


def _regime_from_proto(message: pb.RegimeReading) -> RegimeReading:
    return RegimeReading(
        Regime(message.regime),
        decimal_of(message.confidence),
        decimal_of(message.multiplier),
        message.reason,
        dict(sorted(message.scores.items())),
        dict(sorted(message.inputs.items())),
    )


def bar_signals_to_proto(bar: BarSignals) -> pb.BarSignals:
    """A strategy's answer to a bar as a message."""
    return pb.BarSignals(
        bar=bar_key_to_proto(bar.bar),
        known_at_ns=bar.known_at_ns,
        close=bar.close,
        session_open_ns=bar.session_open_ns,
        session_close_ns=bar.session_close_ns,
        regime=None if bar.regime is None else _regime_to_proto(bar.regime),
        signals=[_signal_to_proto(signal) for signal in bar.signals],
        proposals=[proposal_to_proto(proposal) for proposal in bar.proposals],
    )


def bar_signals_from_proto(message: pb.BarSignals) -> BarSignals:
    """A message as what a strategy says at a bar; ValueError or LookupError for a word that there is not."""
    return BarSignals(
        bar=bar_key_from_proto(message.bar),
        known_at_ns=message.known_at_ns,
        close=message.close,
        session_open_ns=message.session_open_ns,
        session_close_ns=message.session_close_ns,
        regime=_regime_from_proto(message.regime) if message.HasField("regime") else None,
        signals=tuple(_signal_from_proto(signal) for signal in message.signals),
        proposals=tuple(proposal_from_proto(proposal) for proposal in message.proposals),
    )


def encode_signal(message: SignalMessage) -> bytes:
    """Payload of the signal stream; the same message gives the same bytes."""
    return pb.SignalMessage(
        tape=message.tape,
        account=message.account,
        strategy=message.strategy,
        analysis_hash=message.analysis_hash,
        progress_ns=message.progress_ns,
        final=message.final,
        bar=None if message.bar is None else bar_signals_to_proto(message.bar),
    ).SerializeToString(deterministic=True)


def decode_signal(payload: bytes) -> SignalMessage:
    """From the payload of the signal stream. Raises RefusedMessage.

    What it says has the form of a message, and that is all: `leadline.model.checks.signals` says whether it may count.
    """
    return decoded(payload, _signal_message)


def _signal_message(payload: bytes) -> SignalMessage:
    message = pb.SignalMessage.FromString(payload)
    require_names(message.tape, message.account, message.strategy, message.analysis_hash)
    return SignalMessage(
        RunId(message.tape),
        AccountId(message.account),
        StrategyId(message.strategy),
        message.analysis_hash,
        message.progress_ns,
        message.final,
        bar_signals_from_proto(message.bar) if message.HasField("bar") else None,
    )
