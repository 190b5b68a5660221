"""The heat map of a sweep: the order of its axes."""

from pathlib import Path

from leadline.report.parts import HeatMap
from leadline.report.sweeps import sweep_document
from leadline.study.engine import Study, run_study
from leadline.study.rows import VariantRow, row_of
from leadline.study.sweep import SweepResult
from tests.study.builders import SLIPPAGE, STRENGTH, simulated, variants

AXES = (STRENGTH, SLIPPAGE)


def swept() -> SweepResult:
    """Four variants of one day, of which the numbers of a field do not stand in order, as in a random draw."""
    every = variants(
        strategy__spec__strategy__router__minStrength=["0.6", "0.4"], account__spec__paper__slippageTicks=[10, 9]
    )
    study: Study[VariantRow] = Study(simulated(), None, None, 1, row_of)
    rows = sorted((row for _, row in run_study(study, every)), key=lambda row: row.number)
    return SweepResult("sweep", Path("folder"), len(every), tuple(rows))


def test_numbers_of_an_axis_stand_in_order() -> None:
    (found,) = (part for part in sweep_document(swept(), "net", AXES).parts if isinstance(part, HeatMap))
    assert (found.rows, found.columns) == (("0.4", "0.6"), ("9", "10"))
