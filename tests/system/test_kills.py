"""What a kill may change: nothing, when it hits the market-data side, risk, the recorder, the bus or the database.

Killing execution or the venue makes no duplicate order and loses no fill; only entries in doubt may differ. Each run of
`make test` kills all parts in two runs; `make kills` kills each part by itself, again and again.
"""

from pathlib import Path

import pytest

from tests.plan.running import nothing_is_left
from tests.system.conftest import FEED
from tests.system.stack_run import MES, Ended, run_stack

MOMENTS = (0.3, 1.2, 2.4)
ONCE = (1.0,)
ANALYSIS = "analysis-default-mes-orderflow"
EXECUTION, VENUE = "execution-default-paper", "venue-default-paper"
OTHERS = (
    (0.3, "aggregation"),
    (0.5, "nats"),
    (0.8, "risk"),
    (1.1, "postgres"),
    (1.4, "ingestion"),
    (1.7, ANALYSIS),
    (2.0, "recorder"),
    (2.4, "nats"),
)
TRADERS = ((0.3, EXECUTION), (0.9, VENUE), (1.6, EXECUTION), (2.4, VENUE))

pytestmark = pytest.mark.timeout(300)


def again(part: str, moments: tuple[float, ...]) -> tuple[tuple[float, str], ...]:
    return tuple((moment, part) for moment in moments)


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(OTHERS, id="services and servers"),
        pytest.param(again("aggregation", MOMENTS), id="aggregation", marks=pytest.mark.kills),
        pytest.param(again(ANALYSIS, MOMENTS), id="analysis", marks=pytest.mark.kills),
        pytest.param(again("risk", MOMENTS), id="risk", marks=pytest.mark.kills),
        pytest.param(again("recorder", MOMENTS), id="recorder", marks=pytest.mark.kills),
        pytest.param(again("ingestion", ONCE), id="ingestion", marks=pytest.mark.kills),
        pytest.param(again("nats", MOMENTS), id="nats", marks=pytest.mark.kills),
        pytest.param(again("postgres", MOMENTS), id="postgres", marks=pytest.mark.kills),
    ],
)
async def test_the_book_is_that_of_the_undisturbed_run(
    kills: tuple[tuple[float, str], ...], undisturbed: Ended, tmp_path: Path
):
    # At a pace at which the prints last longer than the kills, and which changes nothing either.
    disturbed = await run_stack(MES, tmp_path, *FEED, "--speed", "20000", kills=kills)
    assert disturbed.killed >= len(kills) / 2
    assert disturbed.digest == undisturbed.digest
    assert nothing_is_left(tmp_path)


@pytest.mark.parametrize(
    "kills",
    [
        pytest.param(TRADERS, id="execution and venue"),
        pytest.param(again(EXECUTION, MOMENTS), id="execution", marks=pytest.mark.kills),
        pytest.param(again(VENUE, MOMENTS), id="venue", marks=pytest.mark.kills),
    ],
)
async def test_killing_a_trading_part_changes_at_most_what_the_report_lists_as_in_doubt(
    kills: tuple[tuple[float, str], ...], undisturbed: Ended, tmp_path: Path
):
    disturbed = await run_stack(MES, tmp_path, *FEED, kills=kills)
    assert disturbed.killed >= 1
    report = disturbed.report
    assert report["finished"]
    assert all(order["state"] in {"dead", "expired_local"} for order in report["in_doubt"])
    if not report["in_doubt"]:
        assert disturbed.digest == undisturbed.digest
