"""What the order-flow strategy proposes: one entry a bar, or that and why there is none."""

from decimal import Decimal

from leadline.analysis.strategies import one_entry
from leadline.model.checks.proposals import MOST_WHY, check_proposals
from leadline.model.proposals import Action, Direction, Proposal, Withdrawal
from leadline.model.signals import Pattern, Signal
from tests.execution.harness.builders import LONG, MES, SHORT, signal

UP = (signal(Pattern.BUYING_ABSORPTION, "0.6"), signal(Pattern.SELLING_EXHAUSTION, "0.9"), signal(LONG, "0.9"))


def test_the_strongest_signal_owns_the_entry_and_ties_keep_their_order():
    why = ("SELLING_EXHAUSTION", "BUYING_ABSORPTION", "BUYING_ABSORPTION")
    assert one_entry(UP) == (Proposal(Action.ENTER, Direction.LONG, why=why),)


def test_signals_for_both_sides_are_no_entry():
    withdrawn = Proposal(Action.ENTER, why=(LONG.value, SHORT.value), withdrawn=Withdrawal.CONFLICT)
    assert one_entry((signal(LONG), signal(SHORT))) == (withdrawn,)


def test_what_the_router_refused_neither_enters_nor_conflicts():
    refused = signal(SHORT, approved=False)
    assert one_entry((signal(LONG), refused))[0].direction is Direction.LONG
    assert one_entry((refused,)) == (Proposal(Action.ENTER, withdrawn=Withdrawal.NO_APPROVED_SIGNAL),)


def test_a_bar_without_signals_proposes_nothing():
    assert one_entry(()) == ()


def test_a_wide_bar_with_an_imbalance_in_each_row_says_why_within_bounds():
    many = [Signal(Pattern.BUY_IMBALANCE, Direction.LONG, row, Decimal(1), approved=True) for row in range(1, 2_000)]
    [proposal] = found = one_entry(many)
    assert len(proposal.why) == MOST_WHY
    check_proposals(found, MES)
