"""The README's command for a file of prints of one's own, on a file of the shape that it names."""

import gzip
import json
import shlex
from datetime import UTC, date, datetime
from pathlib import Path
from random import Random
from typing import Any

import pytest

from leadline.aggregation.builder import BarBuilder
from leadline.analysis.assemble import strategy_fold
from leadline.cli.main import run
from leadline.ingestion.feed import open_feed
from leadline.ingestion.normaliser import Normaliser
from leadline.ingestion.params import IngestionParams
from leadline.model.ids import ContractId, RunId
from leadline.model.manifest.specs import TradingStrategy, load_manifests, session_of
from leadline.model.market.calendars import calendar
from leadline.model.market.contracts import instrument_of
from leadline.model.ticks import TickBatch, concat
from tests.docs.pages import ROOT

DAY, HISTORY = date(2013, 10, 8), date(2013, 10, 7)
A_DAY = 5_000  # prints: 20 bars of 250


def the_readme_s_command() -> list[str]:
    """Its options; the file is the reader's own."""
    (line,) = [each for each in (ROOT / "README.md").read_text().splitlines() if "--feed prints.csv.gz" in each]
    words = shlex.split(line.removeprefix("$ "))
    assert words[:2] == ["leadline", "up"]
    return words[2:]


@pytest.fixture(scope="module")
def prints(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Gold of the traded day and the one before it: one file, sorted by time, sides known and unknown."""
    dice, price, rows = Random(8), 13_250, ["ts_ns,price,size,side"]
    for day in (HISTORY, DAY):
        begins_ns = int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp()) * 10**9
        for number in range(A_DAY):
            price += dice.choice((-1, 0, 0, 0, 1))
            time_ns = begins_ns + number * 5 * 10**9 + dice.randrange(10**9)
            rows.append(f"{time_ns},{price // 10}.{price % 10},{dice.randint(1, 20)},{dice.choice((1, -1, 1, -1, 0))}")
    path = tmp_path_factory.mktemp("own") / "prints.csv.gz"
    path.write_bytes(gzip.compress("\n".join(rows).encode(), 1))
    return path


@pytest.fixture
def settings(prints: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The settings that the command gives to ingestion: of a plan, which checks what the start would check."""
    monkeypatch.chdir(prints.parent)
    words = [word for word in the_readme_s_command() if word != "--until-end"]
    words[words.index("-f") + 1] = str(ROOT / words[words.index("-f") + 1])
    assert run(["plan", *words, "--output", "json"]) == 0, capsys.readouterr().err
    (ingestion,) = [each for each in json.loads(capsys.readouterr().out)["workloads"] if each["service"] == "ingestion"]
    found: dict[str, Any] = ingestion["settings"]
    return found


def test_the_readme_s_command_takes_a_file_of_that_shape_and_makes_bars_and_signals_of_it(settings, prints):
    assert settings["feed"]["files"] == [{"path": "prints.csv.gz", "contract": "GCZ2013"}]
    assert settings["trade_from"] == DAY.isoformat()
    files = [{"path": str(prints), "contract": "GCZ2013"}]
    feed = open_feed(IngestionParams.model_validate({**settings, "feed": {**settings["feed"], "files": files}}))
    assert feed.prints(ContractId("GCZ2013")) == {HISTORY: A_DAY, DAY: A_DAY}

    sheet = instrument_of("GCZ2013")
    normaliser = Normaliser.of(ContractId("GCZ2013"), allowed_lateness_ns=10**9)
    assert feed.source is not None
    read = feed.source.read(ContractId("GCZ2013"), (HISTORY, DAY))
    ticks = concat([*(normaliser.feed(columns) for columns in read), normaliser.finish()])
    assert (len(ticks), dict(normaliser.kept_out)) == (2 * A_DAY, {})

    manifests = load_manifests(ROOT / "examples" / "gc-2013-10-08.yaml")
    (spec,) = [each.spec for each in manifests if isinstance(each, TradingStrategy)]
    _, hours = session_of(spec)
    builder = BarBuilder(
        tape=RunId("run-1"),
        venue=sheet.venue,
        contract=ContractId("GCZ2013"),
        calendar=calendar(sheet.calendar),
        hours=hours,
        spec=spec.bar_spec,
        ticks_per_row=spec.ticks_per_row,
    )
    messages = builder.feed(
        TickBatch(RunId("run-1"), sheet.venue, ContractId("GCZ2013"), ticks, int(ticks.time_ns[-1]))
    )
    bars = [message.bar for message in messages if message.bar is not None]
    assert {day: sum(bar.key.trading_day == day for bar in bars) for day in (HISTORY, DAY)} == {HISTORY: 20, DAY: 20}
    fold = strategy_fold(spec, DAY)
    said = [answer for answer in map(fold.step, bars) if answer is not None]
    assert [each.trading_day for each in said] == [DAY] * 20
    assert said[-1].regime is not None
    assert said[-1].regime.reason != "warm_up"
    assert any(each.signals for each in said)


def test_the_same_command_says_which_contract_or_day_another_file_would_need(prints, capsys):
    command = ["plan", "-f", str(ROOT / "examples" / "gc-2013-10-08.yaml")]
    assert run([*command, "--feed", str(prints), "--trade-from", "2013-10-09"]) == 2
    expected = "--trade-from: got '2013-10-09', expected a trading day of the feed: 2013-10-07, 2013-10-08"
    assert expected in capsys.readouterr().err
    assert run([*command, "--feed", f"GCG2014={prints}"]) == 2
    assert "spec.instrument: got 'GCZ2013', expected a contract that the feed has: GCG2014" in capsys.readouterr().err
