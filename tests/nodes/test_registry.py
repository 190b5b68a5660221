"""Being there is all that a detector needs: schema, checks, graph and lists follow."""

import json
import re
from pkgutil import iter_modules
from typing import Any

import pytest

from leadline.model.manifest.spec_base import meanings
from leadline.model.signals import Pattern
from leadline.nodes import detectors, filters
from leadline.nodes.base import Detector, Filter
from leadline.nodes.registry import detector_types, filter_types
from tests.docs.pages import DOCS, ROOT
from tests.installed import install, python_with
from tests.nodes.madeup import FILTER, MODULE, installed, leadline_with

ASKED = """
import json
from scripts.crds import definition
from leadline.analysis.assemble import detectors_of, strategy_maker
from leadline.model.errors import InvalidInput
from leadline.model.manifest.specs import load_manifests
from tests.analysis.builders import MONDAY, random_session
from random import Random

HEAD = "apiVersion: leadline.dev/v1alpha1\\nkind: TradingStrategy\\nmetadata: {name: s}\\nspec:\\n"


def spec_of(text):
    (found,) = load_manifests(HEAD + text)
    return found.spec


def schema(kind):
    (version,) = definition(kind)["spec"]["versions"]
    spec = version["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return spec["properties"]["strategy"]["properties"]["detectors"]["properties"]


spec = spec_of("  instrument: MES\\n  strategy: {name: OrderFlow, detectors: {bigBar: {least: 7}}}\\n")
strategy = strategy_maker(spec)()
bars = random_session(Random(1), MONDAY, 60)
for bar in bars[:-1]:
    strategy.warm(bar)
try:
    spec_of("  instrument: BTCUSDT\\n  bracket: {stopTicks: 5, targetTicks: 5}\\n")
except InvalidInput as error:
    refused = str(error)
print(json.dumps({
    "schema": schema("TradingStrategy")["bigBar"],
    "in force": {one.name: one.thresholds() for one in detectors_of(spec_of("  instrument: MES\\n"))},
    "said": [signal.price for signal in strategy.on_bar(bars[-1]).signals if signal.strength and not signal.evidence],
    "close": bars[-1].close,
    "refused": refused,
}))
"""


def test_every_module_of_the_folder_is_a_detector_of_its_name():
    assert {kind.__module__ for kind in detector_types()} == {
        f"{detectors.__name__}.{module.name}" for module in iter_modules(detectors.__path__)
    }
    assert [kind.name for kind in detector_types()] == [kind.__module__.rpartition(".")[2] for kind in detector_types()]


def test_each_pattern_is_found_by_one_detector_and_they_stand_in_the_order_of_the_patterns():
    assert [pattern for kind in detector_types() for pattern in kind.patterns] == list(Pattern)


@pytest.mark.parametrize("kind", detector_types(), ids=lambda kind: kind.name)
def test_each_detector_says_what_it_finds_and_what_each_parameter_means(kind: type[Detector[Any, Any]]):
    assert kind.__doc__
    assert kind.__doc__ != Detector.__doc__
    assert kind.params_model.__doc__
    assert set(meanings(kind.params_model)) == set(kind.params_model.model_fields)


def test_the_how_to_page_names_files_that_are_there():
    page = (DOCS / "how-to" / "add-a-detector.md").read_text()
    named = re.findall(r"`((?:services|tests)/[\w/.]+)`", page)
    assert len(named) == 6
    assert [path for path in named if not (ROOT / path.replace("NAME", "stacked")).exists()] == []


def test_one_more_detector_is_in_the_schema_in_the_checks_and_in_the_graph(tmp_path):
    answer = python_with(installed(tmp_path), "-c", ASKED)
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout)
    assert found["schema"]["description"] == "A bar that trades much."
    assert list(found["schema"]["properties"]) == ["enabled", "least"]
    assert found["schema"]["default"] == {"enabled": True}
    assert list(found["in force"])[-2:] == ["unfinished", "bigBar"]
    assert found["in force"]["bigBar"] == {"least": "500"}
    assert found["said"] == [found["close"]]
    assert "spec.strategy.detectors.bigBar.least: got nothing, expected a volume" in found["refused"]


ASKED_FILTER = """
import json
from leadline.analysis.assemble import strategy_maker
from leadline.model.errors import InvalidInput
from leadline.model.manifest.specs import load_manifests
from leadline.nodes.listing import node_text
from tests.analysis.builders import candle, reading_of

HEAD = "apiVersion: leadline.dev/v1alpha1\\nkind: TradingStrategy\\nmetadata: {name: s}\\nspec:\\n  instrument: MES\\n"
SERIES = "  series: [{name: hours, bars: 60m}]\\n"
LOGIC = "  strategy: {name: OrderFlow, filters: [{series: hours, quiet: {ticks: 9}}]}\\n"
(found,) = load_manifests(HEAD + SERIES + LOGIC)
strategy = strategy_maker(found.spec)()
strategy.warm_series("hours", candle(130, 100, 110))
first = reading_of(strategy.on_bar(candle(101, 100, 100)))
strategy.on_series("hours", candle(105, 100, 101))
try:
    load_manifests(HEAD + "  strategy: {name: OrderFlow, detectors: {follows: {series: days}}}\\n")
except InvalidInput as error:
    refused = str(error)
(reading,) = load_manifests(HEAD + SERIES + "  strategy: {name: OrderFlow, detectors: {follows: {series: hours}}}\\n")
follows = strategy_maker(reading.spec)()
for price in range(100, 140):
    follows.warm(candle(price + 1, price, price))
    follows.warm_series("hours", candle(price + 1, price, price))
print(json.dumps({
    "refused": refused,
    "reads": node_text("follows").reads,
    "followed": [signal.evidence for signal in follows.on_bar(candle(141, 140, 140)).signals],
    "section": node_text("quiet").section,
    "texts": [each.inputs["hours.quiet.ticks"] for each in (first, reading_of(strategy.on_bar(candle(101, 100, 100))))],
}))
"""


FOLLOWS = '''
"""A detector that reads the trend of another series."""

from decimal import Decimal
from typing import Annotated

from leadline.model.signals import Direction, Pattern, Signal
from leadline.nodes.base import Detector, DetectorParams, Found, Inputs, NamesSeries
from leadline.nodes.filters.trend import Trend


class FollowsParams(DetectorParams):
    """The trend of a series."""

    series: Annotated[str, NamesSeries()] = "main"
    """Whose trend."""


class Follows(Detector[FollowsParams, Found]):
    """Bars in the trend of another series."""

    name = "follows"
    params_model = FollowsParams
    patterns = (Pattern.BUY_IMBALANCE,)

    def __init__(self, params, context):
        super().__init__(params, context)
        self.further = ((params.series, Trend),)

    def update(self, inputs: Inputs) -> Found:
        """One signal with what the trend says."""
        trend = inputs.last(self.params.series, Trend)
        evidence = {"trend": "none" if trend is None else str(trend.long)}
        return Found([Signal(self.patterns[0], Direction.LONG, inputs.bar.close, Decimal(1), evidence)])
'''


def test_one_more_filter_is_in_the_manifest_and_a_detector_reads_another_series(tmp_path):
    install(tmp_path, "follows", FOLLOWS, "leadline.nodes.detectors", "follows", "follows:Follows")
    folder = install(tmp_path, "quiet", FILTER, "leadline.nodes.filters", "quiet", "quiet:Quiet")
    answer = python_with(folder, "-c", ASKED_FILTER)
    assert answer.returncode == 0, answer.stderr
    found = json.loads(answer.stdout)
    assert found["section"] == "strategy.filters[].quiet"
    assert found["texts"] == ["30", "5"]
    assert "spec.strategy.detectors.follows.series: got 'days', expected one of main" in found["refused"]
    assert found["reads"] == ["trend of main"]
    assert {"trend": "True"} in found["followed"]


@pytest.mark.parametrize("kind", filter_types(), ids=lambda kind: kind.name)
def test_each_filter_says_what_it_allows_and_what_each_parameter_means(kind: type[Filter[Any]]):
    assert kind.__doc__
    assert kind.__doc__ != Filter.__doc__
    assert kind.params_model.__doc__
    assert set(meanings(kind.params_model)) == set(kind.params_model.model_fields)
    assert kind.__module__ == f"{filters.__name__}.{kind.name}"


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ({"value": "bigbar:Nothing"}, "got 'bigbar:Nothing', expected module:Class of a detector that can be imported"),
        ({"value": "bigbar:BigBarParams"}, "a subclass of leadline's Detector"),
        ({"name": "big"}, "got 'big', expected the name of the detector, bigBar"),
        ({"module": "1 / 0"}, "ZeroDivisionError: division by zero"),
        (
            {"name": "stacked", "module": MODULE.replace('"bigBar"', '"stacked"')},
            "a name of its own; it is taken by leadline.nodes.detectors.stacked:Stacked",
        ),
    ],
)
def test_what_cannot_be_a_detector_is_refused_in_one_line(tmp_path, made, words):
    answer = leadline_with(installed(tmp_path, **made), "plan", "-f", "examples/mes-orderflow.yaml")
    assert answer.returncode == 2, answer.stderr
    (line,) = answer.stderr.splitlines()
    assert line.startswith("leadline: entry points of leadline.nodes.detectors: ")
    assert words in line
