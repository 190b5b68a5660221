"""`leadline study sweep`: its document, its page and tables, and what it refuses before it begins."""

import io
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
import pytest

from leadline.cli.main import run

MES = str(Path(__file__).parents[2] / "examples" / "mes-orderflow.yaml")
SWEPT = [
    *("--set", "strategy.spec.strategy.router.minStrength=0.4,0.6"),
    *("--set", "account.spec.paper.slippageTicks=0..1/1"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("study")


@pytest.fixture(scope="module")
def printed(folder: Path) -> dict[str, Any]:
    printed = io.BytesIO()
    places = [
        "--report",
        str(folder / "page.html"),
        "--tables",
        str(folder / "tables"),
        "--folder",
        str(folder / "kept"),
    ]
    with redirect_stdout(io.TextIOWrapper(printed)):
        assert run(["study", "sweep", "-f", MES, *SWEPT, *places, "--output", "json"]) == 0
        found: dict[str, Any] = orjson.loads(printed.getvalue())
    return found


def test_the_document_has_every_variant_and_their_order(printed: dict[str, Any]):
    assert (printed["variants_tried"], printed["variants_finished"], printed["sorted_by"]) == (4, 4, "net")
    assert [each["values"] for each in printed["variants"]] == [
        {"strategy.spec.strategy.router.minStrength": strength, "account.spec.paper.slippageTicks": ticks}
        for strength in ("0.4", "0.6")
        for ticks in (0, 1)
    ]
    (account,) = printed["accounts"]
    nets = {each["number"]: float(each["accounts"][0]["figures"]["net"]) for each in printed["variants"]}
    assert account["order"] == sorted(nets, key=lambda number: (-nets[number], number))
    assert account["deflated_sharpe"]["trials"] == 4
    assert "it needs 3 session days, there is 1" in account["deflated_sharpe"]["warning"]


def test_the_page_has_the_table_the_heat_map_and_the_warning(printed: dict[str, Any], folder: Path):
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert page.count("color-mix(") == 4
    assert "of 4 trials" in page
    assert "http" not in page.replace("http-equiv", "")


def test_the_tables_have_fields_and_all_figures(printed: dict[str, Any], folder: Path):
    table = pq.read_table(folder / "tables" / "variants.parquet").to_pylist()
    assert [row["variant"] for row in table] == [1, 2, 3, 4]
    assert table[1]["account.spec.paper.slippageTicks"] == "1"
    figures = printed["variants"][1]["accounts"][0]["figures"]
    assert table[1]["trade_count"] == figures["trade_count"]
    assert str(table[1]["net"].normalize()) == str(float(figures["net"])).removesuffix(".0")
    assert table[1]["sharpe"] is None
    days = pq.read_table(folder / "tables" / "days.parquet").to_pylist()
    assert [row["variant"] for row in days] == [1, 2, 3, 4]


def test_a_shard_says_that_others_have_the_rest_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert run(["study", "sweep", "-f", MES, *SWEPT, "--shard", "2/4", "--folder", str(tmp_path)]) == 0
    assert "1 of 4 variants is finished; the other shards have the rest to do." in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        ([], "--sweep: got nothing, expected a file, or --set FIELD=VALUES"),
        (["--set", "strategy.spec.bars"], "--set: got 'strategy.spec.bars', expected FIELD=VALUE,VALUE or"),
        (["--set", "strategy.spec.bar=5m"], "a field that there is instead of bar; did you mean bars?"),
        (
            ["--set", "strategy.spec.bars=5"],
            "variant 1 (strategy.spec.bars=5): TradingStrategy default/mes-orderflow",
        ),
        ([*SWEPT, "--shard", "5/4"], "--shard: got '5/4', expected a shard from 1/4 to 4/4"),
        ([*SWEPT, "--shard", "1"], "--shard: got '1', expected a part and the number of parts, such as 1/4"),
        ([*SWEPT, "--by", "gain"], "--by: got 'gain', expected one of sessionDays, winDays"),
        ([*SWEPT, "--heat-map", "bars,history"], "--heat-map: got 'bars,history', expected two of the sweep's fields"),
        (["--set", "strategy.spec.instrument=MES,ES"], "variant 2: TradingStrategy default/mes-orderflow: spec.instru"),
    ],
)
def test_what_cannot_be_swept_is_refused_before_anything_runs(
    words: list[str], refusal: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    kept = tmp_path / "kept"
    assert run(["study", "sweep", "-f", MES, *words, "--folder", str(kept)]) == 2
    assert refusal in capsys.readouterr().err
    assert not kept.exists()


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (["tiers", "--balance", "0"], "--balance: got '0', expected an amount above 0, such as 2500"),
        (["stress", "--slippage", "1,1"], "--slippage: got '1,1', expected whole numbers of ticks, each once"),
        (
            ["walk-forward", *SWEPT, "--in-sample", "1", "--out-of-sample", "1"],
            "--in-sample: got 1, expected fewer",
        ),
    ],
)
def test_a_study_says_what_it_wants(words: list[str], refusal: str, capsys: pytest.CaptureFixture[str]):
    name, *rest = words
    assert run(["study", name, "-f", MES, *rest]) == 2
    assert refusal in capsys.readouterr().err


def test_the_document_and_the_page_say_what_was_studied(printed: dict[str, Any], folder: Path):
    studied = printed["studied"]
    assert (studied["first"], studied["last"], studied["days"]) == ("2025-06-10", "2025-06-10", 1)
    assert (studied["data"]["feed"], studied["data"]["settings"]) == ("sim", {"seed": 1})
    assert studied["manifests"]["strategies"][0]["metadata"]["name"] == "mes-orderflow"
    page = (folder / "page.html").read_text(encoding="utf-8")
    assert "<p>default/mes-orderflow on MES, from 2025-06-10 to 2025-06-10, 1 session day.</p>" in page
    assert f"Code {studied['code']['version']} (" in page
    assert "<details class=manifests><summary>Manifests of default/" in page


def test_a_study_says_on_which_prints_its_orders_were_filled(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    page = tmp_path / "tiers.html"
    words = ["--balance", "10000", "--report", str(page), "--output", "json"]
    assert run(["study", "tiers", "-f", MES, *words]) == 0
    studied = orjson.loads(capsys.readouterr().out)["studied"]
    assert studied["filled_on"] == [{"orders": "ESM2025", "prints": "MESM2025"}]
    text = page.read_text(encoding="utf-8")
    assert "Orders in ESM2025 were filled on the prints of MESM2025" in text
    assert "from 2025-06-10 to 2025-06-10, 1 session day." in text


def test_a_bracket_of_one_leg_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words = ["--set", "strategy.spec.bracket.stopTicks=16,20", "--by", "profitFactor", "--folder", str(tmp_path)]
    assert run(["study", "sweep", "-f", MES, *words]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "2 variants of default/mes-orderflow without a target: the manifest has no bracket" in printed
    assert "sorted by profit factor" in printed


def test_nothing_is_ranked_by_a_figure_that_no_variant_has(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    words = ["--set", "account.spec.paper.slippageTicks=0..1/1", "--by", "sharpe", "--folder", str(tmp_path)]
    assert run(["study", "sweep", "-f", MES, *words]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "no variant has a Sharpe ratio in 1 day; nothing is sorted." in printed
    assert "sorted by" not in printed
    assert "too good to be expected" not in printed


def test_a_level_of_slippage_that_is_the_manifests_own_is_no_trial(capsys: pytest.CaptureFixture[str]):
    assert run(["study", "stress", "-f", MES, "--slippage", "1,2", "--iterations", "10", "--output", "json"]) == 0
    found = orjson.loads(capsys.readouterr().out)
    assert [each["changed_nothing"] for each in found["slippage"]] == [True, False]
    assert found["variants_tried"] == found["deflated_sharpe"]["trials"] == 2
