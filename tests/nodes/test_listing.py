"""What `leadline nodes` and the reference say of each node."""

import json

import pytest

from leadline.cli.main import run
from leadline.model.errors import InvalidInput
from leadline.nodes.base import Detector
from leadline.nodes.listing import node_text, node_texts
from leadline.nodes.registry import detector_types
from scripts import _reference_market as market
from tests.installed import python_with
from tests.nodes.madeup import installed, leadline_with


def test_the_nodes_are_the_detectors_then_the_filters_the_regime_and_the_router():
    names = [each.name for each in node_texts()]
    assert names == [*(kind.name for kind in detector_types()), "regimes", "trend", "regime", "router"]
    assert node_text("router").reads == ("regime", *names[:-4])
    assert node_text("regimes").reads == ("regime",)
    assert [each.name for each in node_texts() if each.series == "any"] == ["regimes", "trend"]
    assert node_text("trend").section == "strategy.filters[].trend"
    assert node_text("stacked").reads == ("imbalance",)


def test_each_parameter_has_its_place_in_a_manifest_its_default_and_its_meaning():
    absorption = node_text("absorption")
    assert absorption.section == "strategy.detectors.absorption"
    assert absorption.patterns == ("BUYING_ABSORPTION", "SELLING_ABSORPTION")
    assert [(each.name, each.value, each.default) for each in absorption.parameters] == [
        ("enabled", "true, false", "true"),
        ("levels", "1 to 50", "3"),
        ("share", "a decimal in quotes", "0.6"),
        ("minVolume", "1 to 1000000000", "the profile's absorption minimum"),
    ]
    assert all(each.meaning for node in node_texts() for each in node.parameters)
    router = {each.name: each.value for each in node_text("router").parameters}
    assert router["regimes.VOLATILE.side"] == "Long, Short, Both"
    assert router["regimes.VOLATILE.patterns"] == "a list of patterns"
    assert node_text("regime").parameters == ()


@pytest.mark.parametrize(
    ("name", "bars"), [("imbalance", 1), ("divergence", 5), ("trend", 21), ("regime", 32), ("router", 32)]
)
def test_each_says_how_many_bars_it_needs(name, bars):
    assert node_text(name).bars == bars


def test_a_node_is_described_by_its_own_words():
    assert all(each.finds and each.finds != Detector.__doc__ for each in node_texts())
    assert node_text("unfinished").details.startswith("An auction at a high is finished when nobody sold into it")


def test_an_unknown_node_is_an_error_that_names_the_others():
    with pytest.raises(InvalidInput, match=r"node: got .stack., expected one of imbalance, stacked, .* router"):
        node_text("stack")


def test_the_command_lists_them_for_people_and_for_programs(capsys):
    assert run(["nodes"]) == 0
    text = capsys.readouterr().out
    assert all(f" {each.name} " in text and f" {each.finds} " in text for each in node_texts())
    assert " regime, and the 6 detectors " in text
    assert run(["nodes", "stacked"]) == 0
    text = capsys.readouterr().out
    assert "Patterns: STACKED_BUY_IMBALANCE, STACKED_SELL_IMBALANCE" in text
    assert " strategy.detectors.stacked.levels " in text
    assert "exhaustion" not in text
    assert run(["nodes", "regime"]) == 0
    assert "regime has no parameters" in capsys.readouterr().out
    assert run(["nodes", "--output", "json"]) == 0
    nodes = json.loads(capsys.readouterr().out)["nodes"]
    assert [each["name"] for each in nodes] == [each.name for each in node_texts()]
    assert nodes[0]["parameters"][1] == {
        "name": "ratio",
        "value": "a decimal in quotes",
        "default": "3",
        "meaning": "The larger side must be at least this many times the smaller.",
    }
    assert run(["nodes", "stack"]) == 2
    assert "node: got 'stack', expected one of imbalance" in capsys.readouterr().err


def test_the_detector_of_the_how_to_page_is_listed_where_it_is_installed(tmp_path):
    shown = leadline_with(installed(tmp_path), "nodes", "bigBar", "--output", "json")
    assert shown.returncode == 0, shown.stderr
    (found,) = json.loads(shown.stdout)["nodes"]
    assert (found["finds"], found["section"]) == (
        "A bar that trades much, for the side that its delta has.",
        "strategy.detectors.bigBar",
    )
    assert found["parameters"][1] == {
        "name": "least",
        "value": "1 to 1000000000",
        "default": "the profile's typical bar volume",
        "meaning": "Least volume of the bar in size steps; the instrument's typical one where absent.",
    }


def test_the_detector_of_the_how_to_page_is_in_the_reference_that_is_written_beside_it(tmp_path):
    asked = "from scripts import _reference_market as m; print(m.node_rows(), m.node_parameters(), m.strategy_fields())"
    written = python_with(installed(tmp_path), "-c", asked).stdout
    assert "| `bigBar` |" in written
    assert written.count("`strategy.detectors.bigBar.least`") == 2
    assert "bigBar" not in market.node_rows()
