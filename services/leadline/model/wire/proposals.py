"""Proposals and brackets as messages, and back."""

from dataclasses import asdict
from typing import Final

from leadline.model.orders import Bracket, OrderType, Trail
from leadline.model.proposals import Action, EntryTerms, Proposal, Withdrawal
from leadline.model.signals import Direction
from leadline.model.v1 import model_pb2 as pb

DIRECTION_TO_PB: Final = {Direction.LONG: pb.DIRECTION_LONG, Direction.SHORT: pb.DIRECTION_SHORT}
DIRECTION_FROM_PB: Final = {value: key for key, value in DIRECTION_TO_PB.items()}


def proposal_to_proto(proposal: Proposal) -> pb.Proposal:
    """A proposal as a message."""
    entry, direction = proposal.entry, proposal.direction
    return pb.Proposal(
        action=proposal.action.value,
        direction=pb.DIRECTION_UNSPECIFIED if direction is None else DIRECTION_TO_PB[direction],
        entry=None
        if entry is None
        else pb.EntryTerms(type=entry.type.value, price=entry.price, valid_for_ns=entry.valid_for_ns),
        bracket=None if proposal.bracket is None else bracket_to_proto(proposal.bracket),
        quantity=proposal.quantity,
        why=proposal.why,
        withdrawn="" if proposal.withdrawn is None else proposal.withdrawn.value,
        group=proposal.group,
        unit=proposal.unit,
    )


def proposal_from_proto(message: pb.Proposal) -> Proposal:
    """A message as what a strategy wants; ValueError or LookupError for a word that there is not."""
    unsaid = message.direction == pb.DIRECTION_UNSPECIFIED
    return Proposal(
        action=Action(message.action),
        direction=None if unsaid else DIRECTION_FROM_PB[message.direction],
        entry=_entry_from_proto(message.entry) if message.HasField("entry") else None,
        bracket=bracket_from_proto(message.bracket) if message.HasField("bracket") else None,
        quantity=message.quantity if message.HasField("quantity") else None,
        why=tuple(message.why),
        withdrawn=Withdrawal(message.withdrawn) if message.withdrawn else None,
        group=message.group,
        unit=message.unit,
    )


def _entry_from_proto(message: pb.EntryTerms) -> EntryTerms:
    return EntryTerms(
        OrderType(message.type),
        message.price if message.HasField("price") else None,
        message.valid_for_ns if message.HasField("valid_for_ns") else None,
    )


def bracket_to_proto(bracket: Bracket) -> pb.Bracket:
    """The exits of an entry as a message."""
    return pb.Bracket(
        stop_ticks=bracket.stop_ticks,
        target_ticks=bracket.target_ticks,
        stop_price=bracket.stop_price,
        target_price=bracket.target_price,
        trail=None if bracket.trail is None else pb.Trail(**asdict(bracket.trail)),
    )


def bracket_from_proto(message: pb.Bracket) -> Bracket:
    """A message as the exits of an entry."""
    trail = Trail(message.trail.trigger_ticks, message.trail.offset_ticks) if message.HasField("trail") else None
    return Bracket(
        stop_ticks=message.stop_ticks if message.HasField("stop_ticks") else None,
        target_ticks=message.target_ticks if message.HasField("target_ticks") else None,
        stop_price=message.stop_price if message.HasField("stop_price") else None,
        target_price=message.target_price if message.HasField("target_price") else None,
        trail=trail,
    )
