"""What a backtest runs on is named as it was when the backtest began."""

from pathlib import Path

import pytest

from leadline.backtest.days import backtest_days
from leadline.cli.backtest_inputs import backtest_inputs
from leadline.cli.options import PlanOptions
from leadline.runtime.version import module_digest

EXAMPLE = Path(__file__).parents[2] / "examples" / "mes-orderflow.yaml"
OWN = """
class Edited:
    def __init__(self, parameters, instrument): ...
    def warm(self, *words): ...
    def on_bar(self, *words): ...
"""


def test_code_that_is_edited_while_a_backtest_runs_is_named_as_it_was_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    source, manifests = tmp_path / "edited_meanwhile.py", tmp_path / "own.yaml"
    source.write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    text = EXAMPLE.read_text()
    manifests.write_text(
        text.replace("strategy: {name: OrderFlow}", 'strategy: {entryPoint: "edited_meanwhile:Edited"}')
    )
    inputs = backtest_inputs(PlanOptions([manifests], ["sim"], seed=5, sessions=1), None)
    loaded = module_digest.__wrapped__("edited_meanwhile")

    source.write_text(f"{OWN}    def on_start(self): ...\n")

    identity = inputs.identity(backtest_days(inputs.prints, inputs.plan.strategies, inputs.first, inputs.last))
    assert dict(identity.code.others) == {"edited_meanwhile": loaded}
    assert module_digest.__wrapped__("edited_meanwhile") != loaded
