"""A value's document has its fields under their names; absent ones are left out, and words are in small letters."""

from dataclasses import replace
from typing import Any

import pytest
from google.protobuf.json_format import MessageToDict

from leadline.aggregation.v1 import aggregation_pb2
from leadline.execution.v1 import execution_pb2
from leadline.ingestion.v1 import ingestion_pb2
from leadline.model.ids import RunId, StrategyId
from leadline.views import documents
from leadline.views.convert import account_view, feed_view, order_view, position_view, series_view, signalled_bar
from leadline.views.documents import by_account, document, signalled, status
from leadline.views.market import StatusView
from leadline.views.signals import decision_view
from tests.cli.builders import bar_signals, key, proposal, signal
from tests.execution.harness.builders import MES
from tests.report.builders import UNEASY, report
from tests.views.builders import filled

CONVERTED = [
    (execution_pb2.Order, order_view),
    (execution_pb2.Position, position_view),
    (execution_pb2.GetStateResponse, account_view),
    (ingestion_pb2.GetFeedStatusResponse, feed_view),
    (aggregation_pb2.Series, series_view),
]


def as_numbers(value: Any) -> Any:
    """A message's own JSON without its numbers of 64 bits as text; the builder gives every one of them that size."""
    if isinstance(value, dict):
        return {name: as_numbers(each) for name, each in value.items()}
    if isinstance(value, list):
        return [as_numbers(each) for each in value]
    return int(value) if isinstance(value, str) and value.lstrip("-").isdigit() else value


@pytest.mark.parametrize(("kind", "convert"), CONVERTED)
def test_a_document_has_every_field_of_the_message_that_its_value_is_made_of(kind, convert):
    message = filled(kind)
    own, found = as_numbers(MessageToDict(message, preserving_proto_field_name=True)), document(convert(message))
    for each in own.get("contracts", []):  # of the feed: told by the test below
        del each["ticks"], each["last_price"]
    for each in found.get("contracts", []):
        del each["prints"], each["last_price"], each["last_price_ticks"]
    assert found == own


def test_orders_and_positions_stand_with_their_account():
    order = execution_pb2.Order(
        contract="MESM2025", side="BUY", type="STOP", state="WORKING", decided_at_ns=2**60, average_price="6000.2500"
    )
    (found,) = by_account({"desk/a": [order_view(order)], "desk/b": []})
    assert (found["account"], found["side"], found["type"], found["state"]) == ("desk/a", "buy", "stop", "working")
    assert (found["decided_at_ns"], found["average_price"]) == (2**60, "6000.25")


def test_a_contract_of_the_feed_has_its_last_price_and_the_ticks_of_it():
    contract = ingestion_pb2.ContractStatus(contract="MESM2025", ticks=7, last_time_ns=1, last_price=24_003)
    (found,) = document(feed_view(ingestion_pb2.GetFeedStatusResponse(contracts=[contract])))["contracts"]
    assert (found["last_price"], found["last_price_ticks"], found["prints"]) == ("6000.75", 24_003, 7)


def test_a_bar_has_its_signals_and_its_proposals_and_each_proposal_its_decision():
    seen = signal("BUYING_ABSORPTION")
    seen.price, seen.evidence_json = 24_001, '{"rows":2}'
    wanted = proposal("PROTECT", why=["up"])
    wanted.bracket.stop_price = 23_996
    message = bar_signals(5, seen, proposals=(proposal("CANCEL"), wanted))
    message.regime.inputs["hours.trend"] = "long"
    name = f"MESM2025/rth/5m-r1/2025-06-10/{key(5).ordinal}"
    facts = {"decision_id": "d", "source": f"{name}#2", "action": "PROTECT", "accepted": False, "reason": "flat"}
    no_entry = {"side": None, "quantity": 0, "contract": "", "type": "MARKET", "price": None}
    found = signalled(signalled_bar(StrategyId("desk/flow"), message, [decision_view({**facts, **no_entry})]))
    assert found == {
        "strategy": "desk/flow",
        "known_at_ns": message.known_at_ns,
        "bar": name,
        "close": "6000.00",
        "regime": {
            "regime": "TRENDING_UP",
            "confidence": "0.8",
            "multiplier": "1",
            "reason": "",
            "scores": {},
            "inputs": {"hours.trend": "long"},
        },
        "signals": [
            {
                "pattern": "BUYING_ABSORPTION",
                "direction": "long",
                "price": "6000.25",
                "price_ticks": 24_001,
                "strength": "0.700000",
                "evidence": {"rows": 2},
                "approved": True,
                "rejection": "",
            }
        ],
        "proposals": [
            {"source": name, "action": "cancel", "why": [], "withdrawn": "", "group": "", "unit": ""},
            {
                "source": f"{name}#2",
                "action": "protect",
                "exits": {"stop_price": "5999.00", "stop_price_ticks": 23_996},
                "why": ["up"],
                "withdrawn": "",
                "group": "",
                "unit": "",
                "decision": {**facts, "action": "protect", "quantity": 0},
            },
        ],
    }


def test_a_report_has_prices_of_its_contracts_and_counts_by_reason():
    found = documents.report(report(**{**UNEASY, "taken_out": (("default/mes", "default/mnq", 3),)}))
    assert found["taken_out"] == [{"by": "default/mes", "of": "default/mnq", "entries": 3}]
    trade = found["trades"][1]
    assert (trade["side"], trade["entry_price"], trade["exit_price"]) == ("sell", "5002.6250", "5005.00")
    assert (trade["result_ticks"], trade["net"], trade["exit_by"]) == ("-9.5", "-28.75", "day_loss")
    assert found["closes"][MES][0]["price"] == "5000.00"
    assert found["refused"] == {"max_open_trades": 5, "conflict": 2}
    assert [(each["contract"], each.get("last_price")) for each in found["open_positions"]] == [
        (MES, "5005.00"),
        ("MNQM2025", None),
    ]
    assert [(each["state"], each["leg"]) for each in found["in_doubt"]] == [("dead", "E")]
    assert [each["source"] for each in found["halts"]] == ["person", "difference"]
    assert found["series"] == [{"strategy": "default/mes", "name": "trend", "bars": "1h-r1"}]


def test_a_status_has_the_run_the_feed_the_series_the_health_and_the_accounts():
    feed, series = filled(ingestion_pb2.GetFeedStatusResponse), filled(aggregation_pb2.Series)
    account = filled(execution_pb2.GetStateResponse)
    found = StatusView(
        tape=RunId("t"),
        feed_kind="sim",
        trade_from="2025-06-10",
        feed=feed_view(feed),
        series=(series_view(series),),
        health={"risk": "serving"},
        addresses={},
        accounts=(account_view(account),),
        left_out={"desk/b": "cannot be reached"},
    )
    shown = {
        "series": [document(series_view(series))],
        "health": {"risk": "serving"},
        "accounts": [document(account_view(account))],
    }
    run = document(feed_view(feed))["run"]
    assert status(found) == {"run": run, "feed": document(feed_view(feed)), **shown}
    # In a cluster the feed is the platform's, and not the namespace's.
    assert status(replace(found, feed=None)) == {"run": {"tape": "t"}, "feed": None, **shown}
