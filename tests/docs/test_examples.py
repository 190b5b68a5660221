"""What a reader may copy works: manifests are accepted, commands exist with their options, programs run."""

import ast
import gzip
import importlib
import re
import shlex
import shutil
import subprocess
import sys
import types
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from leadline.cli.main import app
from leadline.model.ids import LegKind
from leadline.model.manifest.own_markets import OwnMarkets, put_in_force, read_own
from leadline.model.manifest.specs import TradingAccount, TradingStrategy, load_manifests
from leadline.model.orders import OrderState, OrderType, Side
from leadline.model.proposals import Action
from leadline.testing import replay, simulated
from tests.docs.pages import DOCS, ROOT, blocks, name_of, pages

LEADLINE = Path(sys.executable).parent / "leadline"

YAML = [block for page in pages() for block in blocks(page, "yaml")]
PROGRAMS = [block for page in pages() for block in blocks(page, "python")]


def console_lines():
    """The lines that a reader may type, as words without comments, with the page that they stand on."""
    for page in pages():
        for block in blocks(page, "console"):
            for line in block.text.replace("\\\n", " ").splitlines():
                if line.startswith("$ "):
                    words = shlex.split(line.removeprefix("$ "), comments=True)
                    yield pytest.param(page, words, id=f"{name_of(page)}: {' '.join(words)}")


def of(program):
    """Console lines that call one program, without the words before it."""
    for line in console_lines():
        page, words = line.values
        if program in words[:2]:
            yield pytest.param(page, words[words.index(program) + 1 :], id=line.id)


LEADLINE_LINES = list(of("leadline"))
HARMLESS = [line for line in LEADLINE_LINES if "--help" in line.values[1] or line.values[1][0] == "plan"]


@pytest.fixture
def with_the_pages_own_instruments(block, tmp_path):
    """A page that shows a file of instruments shows manifests that trade them."""
    page = ROOT / block.where.rpartition(":")[0]
    files = [each.text for each in blocks(page, "yaml") if each.text.startswith("instruments:")]
    own = []
    for number, text in enumerate(files):
        path = tmp_path / f"{number}.yaml"
        path.write_text(text)
        own.append(read_own([path]))
    put_in_force(next(iter(own), OwnMarkets()))
    yield
    put_in_force(OwnMarkets())


@pytest.mark.parametrize("block", YAML, ids=lambda block: block.where)
@pytest.mark.usefixtures("with_the_pages_own_instruments")
def test_yaml_in_the_documents_is_accepted(block):
    if re.search(r"^kind:", block.text, re.MULTILINE):
        assert load_manifests(block.text)
    else:
        assert yaml.safe_load(block.text)


@pytest.mark.parametrize(("page", "words"), LEADLINE_LINES)
def test_a_command_in_the_documents_exists_with_its_options(page, words):
    command: Any = typer.main.get_command(app)
    rest = words
    while rest and rest[0] in getattr(command, "commands", ()):
        command, rest = command.commands[rest[0]], rest[1:]
    assert not hasattr(command, "commands") or command.invoke_without_command
    known = {"--help", *(name for parameter in command.params for name in parameter.opts)}
    assert [word for word in rest if word.startswith("-") and word not in known] == []


@pytest.mark.parametrize(("page", "words"), HARMLESS)
def test_a_command_that_changes_nothing_works_as_shown(page, words, tmp_path):
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    for name in (word for word in words if word.endswith(".yaml") and not (tmp_path / word).exists()):
        (tmp_path / name).write_text(list(blocks(page, "yaml"))[-1].text)
    result = subprocess.run([LEADLINE, *words], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr


def test_every_make_target_in_the_documents_exists():
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    assert {line.values[1][0] for line in of("make")} <= targets


def modules_file(text):
    """The file that a block names in its first line: it is that module; None where it names none."""
    first = text.splitlines()[0]
    return first.removeprefix("# ") if first.startswith("# services/") else None


@pytest.mark.parametrize("block", PROGRAMS, ids=lambda block: block.where)
def test_a_program_in_the_documents_imports_what_exists(block):
    page = ROOT / block.where.rpartition(":")[0]
    shown = {modules_file(each.text) for each in blocks(page, "python")}
    for node in ast.walk(ast.parse(block.text)):
        if isinstance(node, ast.Import):
            for name in node.names:
                importlib.import_module(name.name)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None
            if f"services/{node.module.replace('.', '/')}.py" in shown:
                continue
            module = importlib.import_module(node.module)
            for name in node.names:
                if not hasattr(module, name.name):
                    importlib.import_module(f"{node.module}.{name.name}")


def program(page, name, number=0):
    """A program of the page, the first one when not said, as a module that can be imported by name."""
    block = list(blocks(DOCS / "how-to" / page, "python"))[number]
    module = types.ModuleType(name)
    exec(compile(block.text, block.where, "exec"), module.__dict__)
    return module


HOW_TO = {"opening_range": 0, "unfinished_fade": 2, "ma_pyramid": 3}
"""The modules of the how-to page, each with the number of its block."""


def manifests(monkeypatch, name):
    """The manifests of a strategy of the how-to page, whose module can be imported."""
    monkeypatch.setitem(sys.modules, name, program("write-a-strategy.md", name, HOW_TO[name]))
    (manifest,) = (block for block in YAML if f"{name}:" in block.text)
    return load_manifests(manifest.text), manifest.text


def outcome(monkeypatch, name):
    """The actions that were taken on the simulated day, and what came of it."""
    found, _ = manifests(monkeypatch, name)
    (strategy,) = (each for each in found if isinstance(each, TradingStrategy))
    account = next((each for each in found if isinstance(each, TradingAccount)), None)
    day = date(2025, 6, 10)
    run = replay(strategy, simulated(strategy, day), day, account)
    taken = Counter(each.proposal.action for each in run.decisions if each.accepted)
    assert not run.open
    return run, taken


def test_the_fade_of_the_how_to_page_waits_with_limits_and_its_stops_follow(monkeypatch):
    run, taken = outcome(monkeypatch, "unfinished_fade")
    entries = [order for order in run.orders if order.leg == "E"]
    stops = [order for order in run.orders if order.leg.kind is LegKind.STOP]
    assert taken[Action.ENTER] == len(entries) > 10
    assert [order.decision for order in entries] == [each.decision_id for each in run.decisions if each.entered]
    assert {order.type for order in entries} == {OrderType.LIMIT}
    assert {order.side for order in entries} == {Side.BUY, Side.SELL}
    assert {order.state for order in entries} == {OrderState.FILLED, OrderState.EXPIRED}
    assert all(order.trail is not None for order in stops)
    assert any(order.price > order.trail.from_price - 6 for order in stops if order.side is Side.SELL)
    assert not [order for order in run.orders if order.leg.kind is LegKind.TARGET]


def test_the_pyramid_of_the_how_to_page_adds_and_leaves_at_the_crossing_back(monkeypatch):
    run, taken = outcome(monkeypatch, "ma_pyramid")
    assert min(taken[action] for action in (Action.ENTER, Action.ADD, Action.EXIT)) > 1
    closes = [order for order in run.orders if order.leg.kind is LegKind.FLATTEN]
    assert {order.reason for order in closes} == {"exit", "flat_by"}
    left = [order.unit for order in closes if order.unit]
    assert len(left) > 1
    for unit in left:  # its stop goes before it, and those of the others stay
        legs = {order.leg.kind: order.state for order in run.orders if order.unit == unit}
        assert legs == {
            LegKind.ENTRY: OrderState.FILLED,
            LegKind.STOP: OrderState.CANCELLED,
            LegKind.FLATTEN: OrderState.FILLED,
        }


@pytest.mark.parametrize(
    ("name", "number", "expected"),
    [
        (
            "opening_range",
            1,
            ["test_the_first_edge_that_fills_takes_the_other_out", "test_a_rise_out_of_the_range_is_bought"],
        ),
        ("ma_pyramid", 4, ["test_it_adds_up_to_the_most_that_its_account_may_hold"]),
    ],
)
def test_the_tests_of_the_how_to_page_pass(monkeypatch, tmp_path, name, number, expected):
    _, text = manifests(monkeypatch, name)
    (tmp_path / f"{name.replace('_', '-')}.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    tests = program("write-a-strategy.md", f"test_{name}", number)
    assert [each for each in vars(tests) if each.startswith("test_")] == expected
    for each in expected:
        getattr(tests, each)()


def test_the_program_that_pushes_makes_batches_of_a_file(tmp_path):
    file = tmp_path / "gold.csv.gz"
    with gzip.open(file, "wt") as text:
        text.write("ts_ns,price,size,side\n1381204800374000000,1323.4,1,0\n1381204800492000000,1323.5,2,-1\n")
    batches = program("push-ticks.md", "push").batches
    request, end = batches("GCZ2013", [str(file)], 0)
    batch = request.batch
    assert (request.first_index, request.end) == (0, False)
    assert list(batch.time_ns) == [1381204800374000000, 1381204800492000000]
    assert list(batch.price) == [13234, 13235]
    assert list(batch.size) == [1, 2]
    assert list(batch.aggressor) == [0, -1]
    assert batch.watermark_ns == 0  # one wrong clock would move it
    assert (end.first_index, end.end, end.batch.contract) == (2, True, "GCZ2013")
    # It goes on where it is told to, in a second file too, and without files it only says the end.
    request, end = batches("GCZ2013", [str(file), str(file)], 3)
    assert (request.first_index, list(request.batch.size), end.first_index) == (3, [2], 4)
    (end,) = batches("GCG2014", [], 0)
    assert end.end


def test_the_filter_of_several_series_and_its_test_pass(monkeypatch, tmp_path):
    (manifest,) = (block for block in YAML if "name: with-the-hours" in block.text)
    (tmp_path / "with-the-hours.yaml").write_text(manifest.text)
    monkeypatch.chdir(tmp_path)
    tests = program("read-several-series.md", "test_with_the_hours", 0)
    tests.test_it_enters_on_the_side_of_the_hours_only()


def test_the_strategy_of_several_series_and_its_tests_pass(monkeypatch, tmp_path):
    page = "read-several-series.md"
    monkeypatch.setitem(sys.modules, "with_the_trend", program(page, "with_the_trend", 1))
    (manifest,) = (block for block in YAML if "with_the_trend:WithTheTrend" in block.text)
    (tmp_path / "with-the-trend.yaml").write_text(manifest.text)
    monkeypatch.chdir(tmp_path)
    tests = program(page, "test_with_the_trend", 2)
    names = [name for name in vars(tests) if name.startswith("test_")]
    assert names == ["test_it_enters_with_the_trend_of_the_hours_that_are_over"]
    for name in names:
        getattr(tests, name)()
