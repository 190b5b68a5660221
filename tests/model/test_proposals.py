"""What a strategy may want, and where a proposal's identity comes from."""

from dataclasses import asdict, replace
from typing import Any

import orjson
import pytest

from leadline.model.checks.proposals import MOST_PROPOSALS, check_proposals
from leadline.model.checks.signals import check_content
from leadline.model.errors import InvalidInput, RefusedMessage
from leadline.model.ids import AccountId, StrategyId, decision_id
from leadline.model.orders import Bracket, OrderType, Trail
from leadline.model.proposals import Action, Direction, EntryTerms, Proposal, Withdrawal, proposal_of, source_of
from leadline.model.wire.signals import bar_signals_from_proto, bar_signals_to_proto
from tests.execution.harness.builders import MES, bar

LONG = Proposal(Action.ENTER, Direction.LONG)
OWN = Proposal(
    Action.ENTER,
    Direction.SHORT,
    EntryTerms(OrderType.LIMIT, 20_020, 1),
    Bracket(stop_price=20_040, target_ticks=8, trail=Trail(0, 4)),
    3,
    ("UNFINISHED_HIGH", "fade"),
    unit="second",
)
EXIT = Proposal(Action.EXIT, why=("enough",))
PART = Proposal(Action.EXIT, quantity=2, unit="second")
PROTECT = Proposal(Action.PROTECT, bracket=Bracket(stop_price=20_000))
TRAILED = replace(PROTECT, bracket=Bracket(trail=Trail(0, 4)))
WITHDRAWN = Proposal(Action.ENTER, why=("BUYING_ABSORPTION",), withdrawn=Withdrawal.CONFLICT)


def test_the_first_proposal_of_a_bar_has_the_bar_s_key_for_its_source_and_the_others_a_number():
    key = bar(600).bar
    assert [source_of(key, number) for number in (1, 2, 9)] == [key.text(), f"{key.text()}#2", f"{key.text()}#9"]
    said = replace(bar(600), proposals=(LONG, OWN))
    assert list(said.sourced()) == [(key.text(), LONG), (f"{key.text()}#2", OWN)]
    assert sorted(source_of(key, number) for number in range(1, MOST_PROPOSALS + 1)) == [
        source_of(key, number) for number in range(1, MOST_PROPOSALS + 1)
    ]


def test_the_first_decision_of_a_bar_is_named_as_the_bar_s_only_one_is():
    """hash("d", account, strategy, key), as it has always been."""
    name = decision_id(AccountId("default/paper"), StrategyId("default/mes"), "MESM2025/rth/5m-r1/2025-06-10/0")
    assert name == "kati47irt2nrpzp6gf5qngveuphnwsf3"


@pytest.mark.parametrize("proposal", [LONG, OWN, WITHDRAWN, EXIT, PART, PROTECT, TRAILED, Proposal(Action.CANCEL)])
def test_a_proposal_comes_back_from_a_message_and_from_a_column_as_it_was(proposal: Proposal):
    said = replace(bar(600), regime=None, signals=(), proposals=(proposal,))
    assert bar_signals_from_proto(bar_signals_to_proto(said)) == said
    assert proposal_of(orjson.loads(orjson.dumps(asdict(proposal)))) == proposal
    check_proposals((proposal,), MES)


def odd(**changes: Any) -> Proposal:
    """A plain entry with something else in it, of whatever type."""
    return replace(LONG, **changes)


def with_entry(**changes: Any) -> Proposal:
    assert OWN.entry is not None
    return replace(OWN, entry=replace(OWN.entry, **changes))


def with_bracket(**changes: Any) -> Proposal:
    assert OWN.bracket is not None
    return replace(OWN, bracket=replace(OWN.bracket, **changes))


@pytest.mark.parametrize(
    ("proposal", "field"),
    [
        (odd(action="ENTER"), "action"),
        (odd(direction=None), "direction"),
        (odd(direction="LONG"), "direction"),
        (odd(withdrawn="no_mood"), "withdrawn"),
        (odd(quantity=0), "quantity"),
        (odd(quantity=True), "quantity"),
        (odd(group="x" * 65), "group"),
        (odd(group="a\nb"), "group"),
        (odd(group=None), "group"),
        (replace(EXIT, group="breakout"), "group"),
        (odd(quantity=1.5), "quantity"),
        (odd(why="up"), "why"),
        (odd(why=("",)), "why"),
        (odd(why=("a\x00b",)), "why"),
        (odd(why=("\ud800",)), "why"),
        (odd(why=("a" * 65,)), "why"),
        (odd(why=("a",) * 257), "why"),
        (odd(entry="MARKET"), "entry"),
        (odd(action=Action.EXIT), "direction"),
        (replace(EXIT, quantity=0), "quantity"),
        (replace(EXIT, quantity=True), "quantity"),
        (replace(EXIT, action=Action.CANCEL, quantity=1), "quantity"),
        (replace(PROTECT, quantity=1), "quantity"),
        (odd(unit=1), "unit"),
        (odd(unit="a" * 65), "unit"),
        (replace(EXIT, unit="a\x00b"), "unit"),
        (replace(EXIT, entry=EntryTerms()), "entry"),
        (replace(EXIT, bracket=Bracket(16, 24)), "bracket"),
        (replace(EXIT, withdrawn=Withdrawal.CONFLICT), "withdrawn"),
        (replace(EXIT, action=Action.CANCEL, direction=Direction.LONG), "direction"),
        (replace(EXIT, action=Action.PROTECT), "bracket"),
        (replace(PROTECT, bracket=Bracket()), "bracket"),
        (replace(PROTECT, bracket=Bracket(16, target_price=20_000)), "bracket.stop_ticks"),
        (replace(PROTECT, bracket=Bracket(target_ticks=16, stop_price=20_000)), "bracket.target_ticks"),
        (replace(PROTECT, bracket=Bracket(trail=Trail(0, 0))), "bracket.trail.offset_ticks"),
        (replace(PROTECT, bracket=Bracket(16)), "bracket"),
        (replace(PROTECT, bracket=Bracket(stop_price=-1)), "bracket.stop_price"),
        (odd(entry=EntryTerms(OrderType.MARKET, 20_000)), "entry.price"),
        (odd(entry=EntryTerms(OrderType.MARKET, valid_for_ns=1)), "entry.valid_for_ns"),
        (with_entry(type=OrderType.STOP_LIMIT), "entry.type"),
        (with_entry(price=None), "entry.price"),
        (with_entry(price=0), "entry.price"),
        (with_entry(price=-20_000), "entry.price"),
        (with_entry(price=2**45 + 1), "entry.price"),
        (with_entry(price=20_000.25), "entry.price"),
        (with_entry(valid_for_ns=0), "entry.valid_for_ns"),
        (odd(bracket=(16, 24)), "bracket"),
        (with_bracket(stop_price=-1), "bracket.stop_price"),
        (with_bracket(stop_ticks=16), "bracket.stop_price"),
        (with_bracket(target_ticks=0), "bracket.target_ticks"),
        (with_bracket(target_ticks=10**6 + 1), "bracket.target_ticks"),
        (with_bracket(stop_price=None), "bracket.trail"),
        (with_bracket(trail=Trail(-1, 4)), "bracket.trail.trigger_ticks"),
        (with_bracket(trail=Trail(0, 0)), "bracket.trail.offset_ticks"),
        (with_bracket(trail=(0, 4)), "bracket.trail"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_field(proposal: Proposal, field: str):
    with pytest.raises(InvalidInput) as refused:
        check_proposals((proposal,), MES)
    assert refused.value.field == f"proposals[0].{field}"
    with pytest.raises(RefusedMessage) as fenced:  # and its message is as an impossible signal's
        check_content(replace(bar(600), proposals=(proposal,)))
    assert fenced.value.reason == "proposal"


def test_a_price_may_lie_below_zero_where_the_instrument_s_may():
    check_proposals((with_entry(price=-20),), "CLN2025")


@pytest.mark.parametrize("proposals", [LONG, "ENTER", ("ENTER",), (LONG,) * (MOST_PROPOSALS + 1)])
def test_a_bar_has_few_proposals_and_nothing_else(proposals: Any):
    with pytest.raises(InvalidInput, match="proposals"):
        check_proposals(proposals, MES)
