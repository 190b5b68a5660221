"""Identities: how those are spelt that are made of others, and that none is taken for another."""

import copy
import json
import os
import pickle
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from leadline.model.ids import (
    NO_DECISION,
    AccountId,
    ContractId,
    Leg,
    LegKind,
    NamespacedName,
    RunId,
    StrategyId,
    account_id,
    account_named,
    adopted_decision,
    decision_id,
    derive,
    is_adopted,
    namespaced_name,
    strategy_id,
    strategy_named,
)

ROOT = Path(__file__).resolve().parents[2]
PAPER, FLOW = AccountId("desk/paper"), StrategyId("desk/flow")

RIGHT = """
from leadline.model.ids import AccountId, ClientOrderId, ContractId, DecisionId, FillId, Leg, LegKind, RunId, StrategyId
from leadline.model.bars import BarKey
from leadline.model.market.contracts import resolve_contract
from leadline.model.market.instruments import instrument
from leadline.model.market.settlement import settlement_id
from datetime import date
from leadline.model.ids import client_order_id, decision_id, fill_id
from leadline.model.orders import Side
from leadline.model.subjects import order_subject, signal_subject, tick_subject

account, strategy, run = AccountId("desk/paper"), StrategyId("desk/flow"), RunId("abc-1")
decision, order, fill, leg = DecisionId("d"), ClientOrderId("L"), FillId("f"), Leg("S1")
sheet = instrument("ES")
contract = resolve_contract(sheet.root, date(2025, 6, 10))
"""
MISTAKES = (
    "signal_subject(run, strategy, account)",
    "signal_subject(account, account, strategy)",
    "order_subject('fill', run, strategy)",
    "order_subject('fill', run, 'desk/paper')",
    "order_subject('fills', run, account)",
    "decision_id(strategy, account, 'bar')",
    "client_order_id(order, leg)",
    "client_order_id(decision, 'E')",
    "fill_id(decision, 1)",
    "decision = order",
    "order = fill",
    "run = decision",
    "account = strategy",
    "contract = sheet.root",
    "settlement_id(sheet.root)",
    "contract = strategy",
    "BarKey(sheet.root, 'rth', '5m-r1', date(2025, 6, 10), 0)",
    "tick_subject(run, sheet.venue, sheet.root)",
    "leg = 'S1'",
    "leg = LegKind.STOP",
    "print(leg.kind is LegKind.STOP, leg.kind is Side.BUY)",
)
FINE = (
    "print(signal_subject(run, account, strategy))",
    "text: str = account",
    "text = leg",
    "print(settlement_id(contract), instrument(contract))",
    "order_subject('fill', run, account)",
    "BarKey(contract, 'rth', '5m-r1', date(2025, 6, 10), 0)",
    "tick_subject(run, sheet.venue, contract)",
)


def test_the_id_of_an_account_and_of_a_strategy_is_their_namespace_and_name():
    assert account_id("desk", "paper") == PAPER
    assert strategy_id("desk", "flow") == FLOW
    assert namespaced_name(PAPER) == NamespacedName("desk", "paper")
    assert namespaced_name(FLOW).name == "flow"


def test_what_a_text_lacks_that_is_no_id_is_empty():
    assert namespaced_name(AccountId("paper")) == NamespacedName("paper", "")
    assert namespaced_name(AccountId("desk/paper/more")) == NamespacedName("desk", "paper/more")


def test_the_decision_of_what_is_taken_over_is_told_from_all_that_the_account_decides():
    taken = adopted_decision(PAPER, RunId("run-1"), ContractId("MESM2025"), 7)
    assert taken == "venue-" + derive("adopted", "run-1", PAPER, "MESM2025", "7")
    assert is_adopted(taken)
    assert not is_adopted(decision_id(PAPER, FLOW, "venue-bar"))
    assert not is_adopted(NO_DECISION)


def test_a_name_without_a_namespace_is_of_the_one_that_is_at_home():
    assert account_named("paper") == "default/paper"
    assert account_named("paper", "desk") == PAPER
    assert strategy_named("flow", "desk") == strategy_named("desk/flow", "other") == FLOW


@pytest.mark.parametrize(
    ("text", "kind", "number", "is_exit"),
    [
        ("E", LegKind.ENTRY, 0, False),
        ("S1", LegKind.STOP, 1, True),
        ("T12", LegKind.TARGET, 12, True),
        ("F3", LegKind.FLATTEN, 3, False),
        ("C", LegKind.SETTLEMENT, 0, False),
        ("X", LegKind.FOREIGN, 0, False),
    ],
)
def test_a_leg_is_its_text_and_knows_its_kind_and_number(text: str, kind: LegKind, number: int, is_exit: bool):
    leg = Leg(text)
    assert (leg, str(leg), f"{leg}", repr(leg), hash(leg)) == (text, text, text, repr(text), hash(text))
    assert (leg.kind, leg.number, leg.is_exit) == (kind, number, is_exit)
    assert (json.dumps([leg]), orjson.dumps([leg])) == (f'["{text}"]', f'["{text}"]'.encode())
    for again in (Leg.of(kind, number), copy.deepcopy(leg), pickle.loads(pickle.dumps(leg))):
        assert (again, again.kind, again.number) == (leg, kind, number)


@pytest.mark.parametrize(
    "text", ["", "E1", "S", "S0", "S01", "Stop", "T-1", "T\u0661", "F1 ", "F1\n", "s1", "C2", "X1", "S" + "9" * 10]
)
def test_a_text_that_no_leg_here_has_is_of_a_foreign_order_and_stays_as_it_is(text: str):
    leg = Leg(text)
    assert (leg, leg.kind, leg.number, leg.is_exit) == (text, LegKind.FOREIGN, 0, False)


def test_an_id_of_another_kind_and_a_text_are_errors_before_anything_runs(tmp_path):
    planted = tmp_path / "planted.py"
    planted.write_text("\n".join((RIGHT.strip(), *MISTAKES, *FINE)) + "\n")
    first = len(RIGHT.strip().splitlines()) + 1
    command = ("--strict", "--no-error-summary", "--no-site-packages", "--cache-dir", str(tmp_path), str(planted))
    result = subprocess.run(
        [sys.executable, "-m", "mypy", *command],
        env={**os.environ, "MYPYPATH": str(ROOT / "services")},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.stderr == ""
    # Without the packages of the environment, numpy is unknown to it elsewhere: errors of other files are left out.
    found = [line for line in result.stdout.splitlines() if ": error: " in line and line.startswith(f"{planted.name}:")]
    wrong = {int(line.split(":")[1]) for line in found}
    assert wrong == {first + number for number, _ in enumerate(MISTAKES)}, result.stdout
