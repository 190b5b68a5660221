"""What a kill may change: nothing, when it hits the market-data side, risk, the recorder, the bus or the database.

Killing execution or the venue makes no duplicate order and loses no fill; only entries in doubt may differ.
"""

from pathlib import Path

import pytest

from tests.system.conftest import FEED
from tests.system.stack_run import MES, Ended, pids_of, run_stack

MOMENTS = (0.3, 1.2, 2.4)
ONCE = (1.0,)

pytestmark = pytest.mark.timeout(300)


@pytest.mark.parametrize(
    ("part", "moments"),
    [
        ("aggregation", MOMENTS),
        ("analysis-default-mes-orderflow", MOMENTS),
        ("risk", MOMENTS),
        ("recorder", MOMENTS),
        ("ingestion", ONCE),
        ("nats", MOMENTS),
        ("postgres", MOMENTS),
    ],
)
async def test_the_book_is_that_of_the_undisturbed_run(
    part: str, moments: tuple[float, ...], undisturbed: Ended, tmp_path: Path
):
    disturbed = await run_stack(MES, tmp_path, *FEED, kill=part, after=moments)
    assert disturbed.killed >= 1
    assert disturbed.digest == undisturbed.digest
    assert pids_of(tmp_path, part) == []


@pytest.mark.parametrize("part", ["execution-default-paper", "venue-default-paper"])
async def test_killing_a_trading_part_changes_at_most_what_the_report_lists_as_in_doubt(
    part: str, undisturbed: Ended, tmp_path: Path
):
    disturbed = await run_stack(MES, tmp_path, *FEED, kill=part, after=MOMENTS)
    assert disturbed.killed >= 1
    report = disturbed.report
    assert report["finished"]
    assert all(order["state"] in {"DEAD", "EXPIRED_LOCAL"} for order in report["in_doubt"])
    if not report["in_doubt"]:
        assert disturbed.digest == undisturbed.digest
