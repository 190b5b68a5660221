"""Options beside --live: what makes no sense together is refused by name, before anything starts."""

from pathlib import Path
from typing import Any

import pytest

from leadline.cli.manifests import plan_of
from leadline.cli.options import Output, PlanOptions
from leadline.cli.up import UpOptions, run_up
from leadline.ingestion.params import IngestionParams
from leadline.model.errors import InvalidInput
from leadline.plan.plan import Plan
from tests.docs.pages import ROOT

MES = ROOT / "examples" / "mes-orderflow.yaml"


def planned(*feed: str, **more: Any) -> Plan:
    return plan_of(PlanOptions([MES], feed, **{"live": True, **more}))[0]


def feed_of(plan: Plan) -> Any:
    params = plan.workload("ingestion").settings
    assert isinstance(params, IngestionParams)
    return params.feed


def test_a_live_plan_says_so_to_ingestion() -> None:
    plan = planned("sim", shift_session=True, speed="60")
    feed = feed_of(plan)
    assert plan.live
    assert (feed.kind, feed.mode, feed.shift, feed.clock_rate) == ("sim", "live", "session", 60)


def test_a_replay_stays_the_default() -> None:
    plan = planned(live=False)
    assert not plan.live
    assert (feed_of(plan).mode, feed_of(plan).clock_rate) == ("replay", 1)


def test_an_instrument_may_have_a_source_of_its_own() -> None:
    feed = feed_of(planned("sim", "MES=push"))
    assert (feed.kind, feed.kinds) == ("sim", {"MES": "push"})


@pytest.mark.parametrize(
    ("feed", "options", "field", "expected"),
    [
        (["sim"], {"sessions": 2}, "--sessions", "no --live beside it: a live tape has no end"),
        (["sim"], {"trade_from": "2026-11-30"}, "--trade-from", "no --live beside it: a live tape begins today"),
        (["push"], {"shift_session": True}, "--shift-session", "--feed sim with it, which push is not"),
        (["sim"], {"shift_to_now": True}, "--shift-to-now", "--feed catalog or a file with it, which sim is not"),
        (["catalog"], {}, "--live", "--shift-to-now with it, for a drill on recorded prints"),
        (["sim"], {"speed": "max"}, "--speed", "a whole number from 1 to 10000 beside --live, 1 being real time"),
        (["sim"], {"speed": "0.5"}, "--speed", "a whole number from 1 to 10000 beside --live, 1 being real time"),
        (["sim"], {"speed": "20000"}, "--speed", "a whole number from 1 to 10000 beside --live, 1 being real time"),
        (["push"], {"speed": "2"}, "--speed", "no --feed push beside it: pushed prints have the pace of their market"),
        (["sim", "MES=push"], {"speed": "2"}, "--speed", "no --feed push beside it"),
        (["sim", "MES=push"], {"shift_session": True}, "--shift-session", "no pushed prints"),
        (["catalog", "MES=push"], {"shift_to_now": True}, "--feed", "--feed sim or --feed push beside it"),
        (["sim"], {"live": False, "shift_session": True}, "--shift-session", "--live with it"),
        (["sim"], {"live": False, "shift_to_now": True}, "--shift-to-now", "--live with it"),
    ],
)
def test_what_makes_no_sense_beside_a_live_tape_is_refused(
    feed: list[str], options: dict[str, Any], field: str, expected: str
) -> None:
    with pytest.raises(InvalidInput) as refused:
        planned(*feed, **options)
    assert refused.value.field == field
    assert refused.value.expected.startswith(expected)
    assert "True" not in str(refused.value)


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"until_end": True}, "--until-end"),
        ({"report": Path("report.html"), "until_end": False}, "--report"),
        ({"new_run": True}, "--new-run"),
    ],
)
def test_a_tape_without_an_end_is_not_waited_for(options: dict[str, Any], field: str, tmp_path: Path) -> None:
    settings = {"until_end": False, "report": None, "drawn": False, "output": Output.TEXT, **options}
    with pytest.raises(InvalidInput, match="no --live beside it") as refused:
        run_up(PlanOptions([MES], ["sim"], live=True), UpOptions(tmp_path, **settings))
    assert refused.value.field == field
