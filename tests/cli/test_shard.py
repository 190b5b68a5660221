"""`leadline shard`: what a Pod of a backtest does, on this machine: its files, its last words and its exit codes."""

import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import yaml

from leadline.backtest.kept import store_of
from leadline.catalog.catalog import Catalog
from leadline.cli.main import run
from leadline.cli.shard import days_of
from leadline.cli.shard_summary import MESSAGE_BYTES, summary_text
from leadline.model.manifest.backtest_spec import Backtest
from leadline.model.manifest.backtest_status import BestVariant, Summary, SweepSummary
from leadline.model.manifest.specs import parse_manifest
from leadline.model.manifest.sweep import Variant, changed
from tests.backtest.test_run import BEFORE_THE_ROLL, SESSIONS, account, simulated, strategy
from tests.cli.s3_server import ACCESS, SECRET

LAST = date(2025, 6, 16)
BACKTEST: dict[str, Any] = {
    "apiVersion": "leadline.dev/v1alpha1",
    "kind": "Backtest",
    "metadata": {"name": "june"},
    "spec": {
        "strategy": {"name": strategy().metadata.name},
        "account": {"name": account().metadata.name},
        "from": BEFORE_THE_ROLL.isoformat(),
        "to": LAST.isoformat(),
        "catalog": {"claim": "ticks"},
        "results": {"claim": "results"},
    },
}


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    prints, found = simulated(BEFORE_THE_ROLL, SESSIONS, 3), Catalog(tmp_path_factory.mktemp("catalog"))
    for contract in prints.contracts:
        for each in prints.days(contract):
            found.write(contract, each.day, prints.read(contract, each.day))
    return found.root


@pytest.fixture
def shard(catalog: Path, tmp_path: Path) -> Callable[..., list[str]]:
    """The words of a shard's command for a backtest with other values in its spec."""

    def words(task: str, **spec: Any) -> list[str]:
        file = tmp_path / "manifests.yaml"
        backtest = {**BACKTEST, "spec": {**BACKTEST["spec"], **spec}}
        file.write_text(yaml.safe_dump_all([account().to_manifest(), strategy().to_manifest(), backtest]))
        places = ("--catalog", str(catalog), "--results", str(tmp_path / "results"))
        files = ("--message", str(tmp_path / "message"), "--secrets", str(tmp_path / "secrets"))
        return ["shard", task, "--file", str(file), *places, *files]

    return words


def test_the_days_of_a_bucket_are_those_that_any_variant_reads():
    own, backtest = ((account(),), (strategy(),)), parse_manifest(BACKTEST)
    assert isinstance(backtest, Backtest)
    tiers = [{"from": "0", "execute": "ES", "minSize": 1, "maxSize": 1}]
    executed = {"account.spec.tiers": tiers, "account.spec.overnightGapTicks": {"ES": 200, "MES": 200}}
    alone, other = Variant(1, (), *own), changed(2, {"strategy.spec.history": 60, **executed}, *own)
    early = PurePosixPath("MESM2025", f"{BEFORE_THE_ROLL - timedelta(days=120)}.parquet")
    big = PurePosixPath("ESM2025", f"{LAST}.parquet")

    assert [days_of(backtest, [alone])(path) for path in (early, big)] == [False, False]
    assert [days_of(backtest, [alone, other])(path) for path in (early, big)] == [True, True]
    assert not days_of(backtest, [alone, other])(PurePosixPath("ESM2025", f"{LAST + timedelta(days=1)}.parquet"))


def files(folder: Path) -> dict[str, bytes]:
    return {str(each.relative_to(folder)): each.read_bytes() for each in sorted(folder.rglob("*")) if each.is_file()}


def test_a_shard_leaves_the_files_of_a_laptop_and_says_their_summary(
    shard: Callable[..., list[str]], catalog: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert run(shard("run")) == 0
    left = files(tmp_path / "results")
    assert run(shard("run")) == 0
    assert files(tmp_path / "results") == left
    assert run(shard("gather")) == 0
    summary = Summary.model_validate_json((tmp_path / "message").read_bytes())
    manifests = tmp_path / "laptop.yaml"
    manifests.write_text(yaml.safe_dump_all([account().to_manifest(), strategy().to_manifest()]))
    range_of = ("--from", BEFORE_THE_ROLL.isoformat(), "--to", LAST.isoformat())
    feed = ("--feed", "catalog", "--catalog", str(catalog))
    capsys.readouterr()
    words = ["backtest", "-f", str(manifests), *feed, *range_of, "--data-dir", str(tmp_path / "data"), "-o", "json"]
    assert run(words) == 0
    said = json.loads(capsys.readouterr().out)
    assert (summary.id, summary.digest, summary.days) == (said["id"], said["digest"], said["days"])
    (found,) = said["accounts"]
    assert summary.trades == found["trade_count"] > 0
    assert (summary.net, summary.sharpe, summary.currency) == (found["net"], found["sharpe"], "USD")
    assert files(tmp_path / "results" / summary.id) == files(tmp_path / "data/backtests" / summary.id)
    assert {name.split("/")[0] for name in left} == {".lock", summary.id}


SWEEP = {"fields": [{"field": "strategy.spec.bracket.stopTicks", "values": [8, 12, 16, 20, 24]}]}


def test_the_shards_of_a_sweep_come_to_what_one_of_all_variants_comes_to(
    shard: Callable[..., list[str]], tmp_path: Path
):
    message = tmp_path / "message"
    words = shard("run", sweep=SWEEP, shards=2, rankBy="sharpe")
    assert run([*words, "--index", "1"]) == 0
    assert run(shard("gather", sweep=SWEEP, shards=2, rankBy="sharpe")) == 2
    assert "got '3 variants', expected 5 variants" in message.read_text()
    assert run([*words, "--index", "0"]) == 0
    assert run(shard("gather", sweep=SWEEP, shards=2, rankBy="sharpe")) == 0
    said, left = message.read_text(), files(tmp_path / "results")
    summary = Summary.model_validate_json(said)
    assert summary.sweep is not None
    assert (summary.sweep.tried, summary.sweep.halted, summary.sweep.rank_by) == (5, 0, "sharpe")
    sharpes = [Decimal(each.sharpe or 0) for each in summary.sweep.best]
    assert sharpes == sorted(sharpes, reverse=True)
    assert len(set(sharpes)) > 1
    assert (summary.trades, summary.net, summary.sharpe) == (
        summary.sweep.best[0].trades,
        summary.sweep.best[0].net,
        summary.sweep.best[0].sharpe,
    )
    (tmp_path / "results").rename(tmp_path / "shards")
    assert run(shard("run", sweep=SWEEP, rankBy="sharpe")) == 0
    assert run(shard("gather", sweep=SWEEP, rankBy="sharpe")) == 0
    assert message.read_text() == said
    assert files(tmp_path / "results") == left
    assert {"variants.parquet", "variants.csv"} <= {Path(name).name for name in left}


@pytest.fixture
def store(catalog: Path, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """A bucket with the catalog, as an object store serves it; `root` has its objects as files."""
    root = tmp_path / "objects"
    (root / "desk").mkdir(parents=True)
    shutil.copytree(catalog, root / "desk" / "ticks")
    for name in ("catalog", "results"):
        folder = tmp_path / "secrets" / name
        folder.mkdir(parents=True)
        (folder / "accessKeyId").write_text(ACCESS)
        (folder / "secretAccessKey").write_text(f"{SECRET}\n")
    command = [sys.executable, "-m", "tests.cli.s3_server", str(root)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        endpoint = f"http://127.0.0.1:{process.stdout.readline().strip()}"
        bucket = {"name": "desk", "endpoint": endpoint, "secretName": "s3"}
        yield {
            "root": root,
            "catalog": {"bucket": bucket, "path": "ticks"},
            "results": {"bucket": dict(bucket), "path": "sweeps/here"},
        }
        process.kill()


@pytest.mark.parametrize("sweep", [None, SWEEP], ids=["one run", "a sweep"])
def test_what_is_read_from_a_bucket_and_written_to_it_is_what_a_claim_gets(
    shard: Callable[..., list[str]], store: dict[str, Any], tmp_path: Path, sweep: dict[str, Any] | None
):
    spec: dict[str, Any] = {} if sweep is None else {"sweep": sweep, "shards": 2}
    indexes = ("0",) if sweep is None else ("0", "1")

    def ran(**places: Any) -> str:
        for index in indexes:
            assert run([*shard("run", **spec, **places), "--index", index]) == 0
        assert run(shard("gather", **spec, **places)) == 0
        return (tmp_path / "message").read_text()

    said = ran()
    there = {name: content for name, content in files(tmp_path / "results").items() if not name.startswith(".")}
    # An upload that the store refuses is tried again by the client.
    (store["root"] / "fail").write_text("2")
    assert ran(catalog=store["catalog"], results=store["results"]) == said
    kept = store["root"] / "desk" / "sweeps" / "here"
    assert files(kept) == there
    assert (store["root"] / "fail").read_text() == "0"
    before = {name: (kept / name).stat().st_mtime_ns for name in there}
    assert ran(catalog=store["catalog"], results=store["results"]) == said
    assert {name: (kept / name).stat().st_mtime_ns for name in there} == before


@pytest.mark.parametrize("odd", ["{}/../../../../escaped", "{}//result.json", "{}/./result.json"])
def test_an_object_whose_key_is_no_path_of_a_file_is_refused_by_name(
    shard: Callable[..., list[str]], store: dict[str, Any], tmp_path: Path, odd: str
):
    places = {"catalog": store["catalog"], "results": store["results"]}
    assert run(shard("run", **places)) == 0
    key = odd.format((tmp_path / "message").read_text())
    (store["root"] / "odd").write_text(f"sweeps/here/{key}")
    assert run(shard("gather", **places)) == 2
    assert f"got '{key}', expected keys that are paths of files" in (tmp_path / "message").read_text()


def test_what_is_no_contract_in_a_bucket_is_left_where_it_is(shard: Callable[..., list[str]], store: dict[str, Any]):
    for name in (f"raw/{LAST}.parquet", f"notes/{LAST}.txt", "about.md"):
        file = store["root"] / "desk" / "ticks" / name
        file.parent.mkdir(exist_ok=True)
        file.write_text("something else")
    assert run(shard("run", catalog=store["catalog"])) == 0


def test_a_page_that_ranks_by_another_figure_takes_the_place_of_the_one_in_the_bucket(
    shard: Callable[..., list[str]], store: dict[str, Any], tmp_path: Path
):
    def page(**places: Any) -> bytes:
        for figure in ("net", "sharpe"):
            for task in ("run", "gather"):
                assert run(shard(task, sweep=SWEEP, rankBy=figure, **places)) == 0
        root = store["root"] / "desk" / "sweeps" / "here" if places else tmp_path / "results"
        (found,) = root.glob("*/sweep.html")
        return found.read_bytes()

    assert page(results=store["results"]) == page()


def test_a_bucket_that_the_keys_do_not_open_is_told_in_words(
    shard: Callable[..., list[str]], store: dict[str, Any], tmp_path: Path
):
    (tmp_path / "secrets" / "catalog" / "secretAccessKey").write_text("another-key")
    assert run(shard("run", catalog=store["catalog"])) == 1
    assert "desk" in (tmp_path / "message").read_text()
    (tmp_path / "secrets" / "catalog" / "accessKeyId").unlink()
    assert run(shard("run", catalog=store["catalog"])) == 2
    assert "accessKeyId" in (tmp_path / "message").read_text()


def test_a_shard_whose_variants_cannot_run_is_refused_for_good(shard: Callable[..., list[str]], tmp_path: Path):
    wrong = {"fields": [{"field": "strategy.spec.bracket.stopTicks", "values": [8, 0]}]}
    assert run(shard("run", sweep=wrong)) == 2
    assert "stopTicks" in (tmp_path / "message").read_text()


def test_the_best_variants_that_a_message_has_room_for_are_the_best_ones():
    best = tuple(
        BestVariant(number=place, values="x" * 500, trades=1, net="1", max_drawdown="1") for place in range(1, 11)
    )
    swept = SweepSummary(tried=64, rank_by="net", best=best)
    whole = Summary(id="a", digest="d" * 64, days=1, trades=1, net="1", max_drawdown="1", currency="USD", sweep=swept)
    text = summary_text(whole)
    assert len(text.encode()) <= MESSAGE_BYTES
    found = Summary.model_validate_json(text)
    assert found.sweep is not None
    assert [each.number for each in found.sweep.best] == [1, 2, 3, 4, 5, 6]


def test_a_shard_that_is_killed_leaves_nothing_by_its_name_and_the_next_one_all_of_it(
    shard: Callable[..., list[str]], tmp_path: Path
):
    # Everything is written by then, and nothing has its name.
    code = (
        "import os, signal, sys\n"
        "from leadline.backtest import store\n"
        "store.sync_directory = lambda _: os.kill(os.getpid(), signal.SIGKILL)\n"
        "from leadline.cli.main import run\n"
        "sys.exit(run(sys.argv[1:]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *shard("run")], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert files(tmp_path / "results")
    assert store_of(tmp_path / "results").names() == ()
    assert run(shard("run")) == 0
    (name,) = store_of(tmp_path / "results").names()
    assert {place.split("/")[0] for place in files(tmp_path / "results")} == {".lock", name}


def test_a_shard_that_is_asked_to_stop_ends_at_once_as_one_that_was_told_to(
    shard: Callable[..., list[str]], tmp_path: Path
):
    code = (
        "import os, signal, sys\n"
        "from leadline.cli import shard\n"
        "shard.run_backtest = lambda *_: os.kill(os.getpid(), signal.SIGTERM) or signal.pause()\n"
        "from leadline.cli.main import run\n"
        "sys.exit(run(sys.argv[1:]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, *shard("run")], check=False, timeout=60)
    assert done.returncode == 128 + signal.SIGTERM
    assert not (tmp_path / "message").exists()


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"to": "2025-12-30"}, "2025-12-30"),
        ({"from": "2020-01-06", "to": "2020-01-07"}, "2020"),
    ],
)
def test_a_range_that_the_catalog_has_not_is_refused_for_good_in_words(
    shard: Callable[..., list[str]], tmp_path: Path, spec: dict[str, Any], said: str
):
    assert run(shard("run", **spec)) == 2
    message = (tmp_path / "message").read_text()
    assert said in message
    assert len(message) < 4096


def test_results_that_are_not_there_are_refused(shard: Callable[..., list[str]], tmp_path: Path):
    assert run(shard("gather")) == 2
    assert "about.json" in (tmp_path / "message").read_text()


def test_a_place_that_cannot_be_written_is_worth_another_try(shard: Callable[..., list[str]], tmp_path: Path):
    (tmp_path / "results").write_text("a file, and no folder")
    assert run(shard("run")) == 1
    assert (tmp_path / "message").read_text()
