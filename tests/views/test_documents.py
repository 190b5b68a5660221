"""`--output json` prints values: their documents are what the services' own messages are as JSON, field for field."""

from dataclasses import replace
from typing import Any

import pytest
from google.protobuf import message_factory
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from leadline.aggregation.v1 import aggregation_pb2
from leadline.cli.output import plain
from leadline.execution.v1 import execution_pb2
from leadline.ingestion.v1 import ingestion_pb2
from leadline.model.v1 import model_pb2
from leadline.views.convert import account_view, feed_view, order_view, position_view, series_view, signal_view
from leadline.views.documents import by_account, document, signalled, status
from leadline.views.market import StatusView
from leadline.views.signals import ProposalView, SignalledBar, decision_view

CONVERTED = [
    (execution_pb2.Order, order_view),
    (execution_pb2.Position, position_view),
    (execution_pb2.GetStateResponse, account_view),
    (ingestion_pb2.GetFeedStatusResponse, feed_view),
    (aggregation_pb2.Series, series_view),
]


def filled(kind: type[Message], number: int = 1) -> Any:
    """A message of a kind in which every field has something of its own."""
    message: Any = kind()
    fields: Any = kind.DESCRIPTOR.fields
    for field in fields:
        number += 1
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            getattr(message, field.name)["key"] = _scalar(field.message_type.fields_by_name["value"], number)
        elif field.message_type is not None:
            inner = filled(message_factory.GetMessageClass(field.message_type), number)
            if field.is_repeated:
                getattr(message, field.name).append(inner)
            else:
                getattr(message, field.name).CopyFrom(inner)
        elif field.is_repeated:
            getattr(message, field.name).append(_scalar(field, number))
        else:
            setattr(message, field.name, _scalar(field, number))
    return message


def _scalar(field: FieldDescriptor, number: int) -> object:
    kinds: dict[int, object] = {
        FieldDescriptor.CPPTYPE_STRING: f"text {number}",
        FieldDescriptor.CPPTYPE_BOOL: True,
        FieldDescriptor.CPPTYPE_DOUBLE: number + 0.5,
        FieldDescriptor.CPPTYPE_INT64: 2**60 + number,
        FieldDescriptor.CPPTYPE_ENUM: 1,
    }
    return kinds.get(field.cpp_type, number)


@pytest.mark.parametrize(("kind", "convert"), CONVERTED)
def test_a_document_has_every_field_of_the_message_that_its_value_is_made_of(kind, convert):
    message = filled(kind)
    assert document(convert(message)) == plain(message)
    assert list(document(convert(message))) == list(plain(message))


@pytest.mark.parametrize(("kind", "convert"), CONVERTED)
def test_what_a_message_lacks_is_shown_as_in_its_own_json(kind, convert):
    assert document(convert(kind())) == plain(kind())


def test_orders_and_positions_stand_with_their_account():
    order = filled(execution_pb2.Order)
    found = by_account({"desk/a": [order_view(order)], "desk/b": []})
    assert found == [{"account": "desk/a", **plain(order)}]
    assert found[0]["decided_at_ns"] == str(order.decided_at_ns)  # 64 bits are text in JSON: a float does not hold them


@pytest.mark.parametrize("facts", [[], [{"action": "ENTER", "accepted": False, "reason": "conflict", "bar_key": "b"}]])
def test_a_bar_has_its_signals_as_messages_have_them_and_the_facts_of_its_decisions(facts):
    signal = filled(model_pb2.Signal)
    decisions = tuple(map(decision_view, facts))
    proposal = ProposalView("ENTER", "LONG", ("up",), "")
    bar = SignalledBar("desk/flow", 7, "b", "6000.25", "TRENDING_UP", (signal_view(signal),), (proposal,), decisions)
    assert signalled(bar) == {
        "strategy": "desk/flow",
        "known_at_ns": 7,
        "bar": "b",
        "close": "6000.25",
        "regime": "TRENDING_UP",
        "signals": [plain(signal)],
        "proposals": [{"action": "ENTER", "direction": "LONG", "why": ["up"], "withdrawn": ""}],
        "decisions": facts,
    }


def test_a_status_has_the_run_the_feed_the_series_the_health_and_the_accounts():
    feed, series = filled(ingestion_pb2.GetFeedStatusResponse), filled(aggregation_pb2.Series)
    account = filled(execution_pb2.GetStateResponse)
    found = StatusView(
        tape="t",
        feed_kind="sim",
        trade_from="2025-06-10",
        feed=feed_view(feed),
        series=(series_view(series),),
        health={"risk": "serving"},
        addresses={},
        accounts=(account_view(account),),
        left_out={"desk/b": "cannot be reached"},
    )
    shown = {"series": [plain(series)], "health": {"risk": "serving"}, "accounts": [plain(account)]}
    assert status(found) == {"run": plain(feed.run), "feed": plain(feed), **shown}
    # In a cluster the feed is the platform's, and not the namespace's.
    assert status(replace(found, feed=None)) == {"run": {"tape": "t"}, "feed": None, **shown}
