"""One spelling for every document of `--output json`: keys, words, prices and times."""

import ast
import re
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any, Final

import orjson
import pytest
import typer.main

import leadline.cli
from leadline.aggregation.v1 import aggregation_pb2
from leadline.analysis.v1 import analysis_pb2
from leadline.backtest.comparison import compared
from leadline.backtest.documents import result_document, summary_document
from leadline.cli.acting import _resumed_document
from leadline.cli.doctoring import checkup_document
from leadline.cli.main import app, run
from leadline.execution.v1 import execution_pb2
from leadline.ingestion.v1 import ingestion_pb2
from leadline.model.halts import HaltSource
from leadline.model.ids import RunId, StrategyId
from leadline.model.orders import OrderState, OrderType, Side
from leadline.model.proposals import Action, Direction
from leadline.model.v1 import model_pb2
from leadline.risk.v1 import risk_pb2
from leadline.venue.v1 import venue_pb2
from leadline.views import documents
from leadline.views.convert import account_view, feed_view, order_view, position_view, series_view, signalled_bar
from leadline.views.doctor.checkup import findings_here
from leadline.views.market import StatusView
from leadline.views.signals import decision_view
from tests.backtest.builders import IDENTITY, backtest_result
from tests.cli.builders import bar_signals, proposal, signal
from tests.report.builders import COVERED, HALTS, KEPT_OUT, UNEASY, report
from tests.views.builders import filled
from tests.views.explained import explanation
from tests.views.test_doctor import HERE

MES: Final = Path(__file__).parents[2] / "examples" / "mes-orderflow.yaml"
CONTRACTS: Final = (aggregation_pb2, analysis_pb2, execution_pb2, ingestion_pb2, model_pb2, risk_pb2, venue_pb2)
PROTO_NAMES: Final = {
    value.name
    for module in CONTRACTS
    for enum in module.DESCRIPTOR.enum_types_by_name.values()
    for value in enum.values
}
OUR_ENUMS: Final = (Side, OrderType, OrderState, Action, Direction, HaltSource)
OUR_WORDS: Final = {each.value for words in OUR_ENUMS for each in words}
# Below these are manifests, and settings that have parts of manifests, as both are written.
MANIFESTS: Final = {("plan", "accounts"), ("plan", "strategies"), ("plan", "workloads", "settings"),
                    ("venues", "venues", "defaults")}  # fmt: skip
# A command writes its own document in these modules.
WRITERS: Final = ("acting", "health", "kept_backtests", "reporting", "schema", "up")
# The keys of these are names: of contracts, reasons, workloads, strategies.
NAMED: Final = {"quarantined", "health", "closes", "refused", "not_filled", "misdated", "substitutes",
                "calls", "scores", "inputs", "size", "evidence", "arithmetic"}  # fmt: skip


def _printed(capsys: pytest.CaptureFixture[str], *words: str) -> Any:
    assert run([*words, "--output", "json"]) == 0
    return orjson.loads(capsys.readouterr().out)


def _messages() -> dict[str, Any]:
    halt = filled(execution_pb2.Halt)
    halt.source = "PERSON"
    account = filled(execution_pb2.GetStateResponse)
    account.halts[0].CopyFrom(halt)
    account.block = "DAY_LOSS"
    order = filled(execution_pb2.Order)
    order.contract, order.side, order.type, order.state = "MESM2025", "BUY", "LIMIT", "WORKING"
    order.price = order.average_price = "6000.25"
    position = filled(execution_pb2.Position)
    position.average_price = position.last_price = "6000.25"
    feed = feed_view(filled(ingestion_pb2.GetFeedStatusResponse))
    series = series_view(filled(aggregation_pb2.Series))
    accounts = (account_view(account),)
    status = StatusView(RunId("t"), "sim", "2025-06-10", feed, (series,), {"risk": "serving"}, {}, accounts, {})
    exits = model_pb2.Bracket(stop_price=23_990, target_ticks=8, trail=model_pb2.Trail(trigger_ticks=6, offset_ticks=4))
    wanted = proposal(
        direction=model_pb2.DIRECTION_LONG, entry=model_pb2.EntryTerms(type="STOP", price=24_002), bracket=exits
    )
    bar = bar_signals(5, signal("BUY_IMBALANCE"), proposals=(wanted,))
    source = f"MESM2025/rth/5m-r1/2025-06-10/{bar.bar.ordinal}"
    facts = {"decision_id": "d", "source": source, "action": "ENTER", "accepted": True, "reason": "", "side": "BUY"}
    facts |= {"contract": "MESM2025", "type": "STOP", "price": 24_002}
    resumed = execution_pb2.ResumeResponse(by="ann", cleared=[halt], halts=[halt])
    reported = documents.report(report(**{**UNEASY, "halts": HALTS, "coverage": COVERED, "kept_out": KEPT_OUT}))
    summaries = [summary_document(each) for each in backtest_result().accounts]
    return {
        "status": documents.status(status),
        "orders": documents.by_account({"desk/a": [order_view(order)]}),
        "positions": documents.by_account({"desk/a": [position_view(position)]}),
        "signals": [
            documents.signalled(signalled_bar(StrategyId("desk/flow"), bar, [decision_view({**facts, "quantity": 1})]))
        ],
        "resume": _resumed_document(resumed),
        "halt": {"halt": _resumed_document(resumed)["halts"][0]},
        "explain": documents.document(explanation()),
        "doctor": checkup_document(findings_here(HERE)),
        "report": [reported],
        "backtest": result_document(backtest_result()),
        "backtest compare": documents.document(compared(IDENTITY, IDENTITY, summaries, summaries)),
        "up": {"tape": "t", "html": "r.html", "reports": [reported]},
    }


# Their documents are dicts in the command's own module: numbers, names and flags, no values of the book.
DATA: Final = {f"data {name}" for name in ("import", "fetch", "spend", "list", "verify", "export", "record", "remove")}
# These print what another one has written, or name it.
KEPT: Final = {"backtest list", "backtest show", "backtest remove"}
SCHEMA: Final = {"db migrate", "db retention", "bus migrate"}
PLAIN: Final = {*KEPT, *SCHEMA, "digest", "health", "flatten", "release", "venue check", *DATA}


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """A document of each command that prints values of the platform."""
    own = {name: _printed(capsys, name) for name in ("nodes", "venues")}
    return {**own, "plan": _printed(capsys, "plan", "-f", str(MES)), **_messages()}


def _commands(group: Any, before: str = "") -> Iterator[str]:
    for name, command in group.commands.items():
        yield from _commands(command, f"{before}{name} ") if hasattr(command, "commands") else ()
        if any("--output" in parameter.opts for parameter in command.params):
            yield before + name


def _named(path: tuple[str, ...]) -> bool:
    return (bool(path) and path[-1] in NAMED) or path[-2:] == ("run", "contracts")


def _found(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every leaf outside of manifests with the keys that lead to it; keys that are names stand in braces."""
    if isinstance(value, dict):
        for key, each in value.items():
            if (*path, key) not in MANIFESTS:
                yield from _found(each, (*path, f"{{{key}}}" if _named(path) else key))
    elif isinstance(value, list):
        for each in value:
            yield from _found(each, path)
    else:
        yield path, value


def test_every_command_with_documents_is_looked_at(printed: dict[str, Any]):
    studied = {
        each for each in _commands(typer.main.get_command(app)) if each.startswith("study ")
    }  # by their own tests
    assert set(_commands(typer.main.get_command(app))) == {*printed, *PLAIN, *studied}


def test_keys_are_small_letters_with_underscores(printed: dict[str, Any]):
    keys = {(path[0], key) for path, _ in _found(printed) for key in path[1:] if not key.startswith("{")}
    assert len(keys) > 150
    assert [each for each in sorted(keys) if not re.fullmatch(r"[a-z][a-z0-9]*(_[a-z0-9]+)*", each[1])] == []


def test_keys_that_a_command_writes_itself_are_so_too():
    keys = [
        key.value
        for name in WRITERS
        for node in ast.walk(ast.parse((Path(leadline.cli.__file__).parent / f"{name}.py").read_text()))
        if isinstance(node, ast.Dict)
        for key in node.keys
        if isinstance(key, ast.Constant) and isinstance(key.value, str)
    ]
    assert len(keys) > 10
    assert [key for key in keys if not re.fullmatch(r"[a-z_]+", key)] == []


def test_no_word_is_spelled_as_contracts_or_the_book_spell_it(printed: dict[str, Any]):
    texts = [(path, value) for path, value in _found(printed) if isinstance(value, str)]
    assert [each for each in texts if each[1] in PROTO_NAMES | OUR_WORDS] == []
    words = {value for path, value in texts if path[-1] in {"direction", "side", "source", "block"}}
    assert words >= {"long", "buy", "sell", "person", "day_loss"}


def test_prices_are_prices_and_ticks_are_called_so(printed: dict[str, Any]):
    prices = [(path, value) for path, value in _found(printed) if path[-1].endswith("price")]
    assert len(prices) > 10
    # Of an unfilled field the messages of this test have a text, and the samples of prints what their source has.
    assert [each for each in prices if not isinstance(each[1], str)] == []
    ticks = [(path, value) for path, value in _found(printed) if path[-1].endswith("_ticks")]
    assert {path[-1] for path, _ in ticks} >= {"price_ticks", "stop_price_ticks", "last_price_ticks", "result_ticks"}


def test_numbers_are_numbers_and_times_are_whole_nanoseconds(printed: dict[str, Any]):
    times = [(path, value) for path, value in _found(printed) if path[-1].endswith("_ns")]
    assert len(times) > 10
    assert [each for each in times if not isinstance(each[1], int) and each[1] is not None] == []
    counts = [each for each in _found(printed) if each[0][-1] in {"quantity", "filled", "prints", "number", "trades"}]
    assert [each for each in counts if not isinstance(each[1], int)] == []
    assert asdict(HALTS[1])["cleared_at_ns"] is None
