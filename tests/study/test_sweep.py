"""A sweep goes on where it was interrupted, and its shards make one: the same bytes whatever happened."""

from dataclasses import replace
from pathlib import Path

import pytest

from leadline.model.errors import InvalidInput
from leadline.model.manifest.sweep import Variant, shard_of
from leadline.study.kept import KeptSweep
from leadline.study.sweep import Source, SweepResult, run_sweep
from tests.study.builders import simulated, variants


class Killed(Exception):
    pass


def every() -> tuple[Variant, ...]:
    return variants(
        strategy__spec__strategy__router__minStrength=["0.4", "0.6"], account__spec__paper__slippageTicks=[0, 1]
    )


def run(root: Path, part: range = range(4), workers: int = 1, kill_after: int = -1) -> SweepResult:
    lines: list[str] = []

    def told(line: str) -> None:
        lines.append(line)
        if kill_after >= 0 and sum("variants" in each for each in lines) > kill_after:
            raise Killed

    return run_sweep(every(), part, Source(simulated(), None, None, "sim", {"seed": 1}), workers, root, told)


def files(result: SweepResult) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(result.folder.rglob("*.json"))}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> SweepResult:
    return run(tmp_path_factory.mktemp("undisturbed"))


def test_a_sweep_that_was_killed_goes_on(
    tmp_path: Path, undisturbed: SweepResult, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("leadline.study.engine.MOST_IN_FLIGHT", 1)
    with pytest.raises(Killed):
        run(tmp_path, kill_after=2)
    (folder,) = tmp_path.iterdir()
    kept = {path.name: path.stat().st_mtime_ns for path in (folder / "variants").iterdir()}
    assert sorted(kept) == ["00001.json", "00002.json"]

    result = run(tmp_path)
    assert files(result) == files(undisturbed)
    assert result.rows == undisturbed.rows
    assert {name: (folder / "variants" / name).stat().st_mtime_ns for name in kept} == kept


def test_shards_of_one_folder_make_the_sweep(tmp_path: Path, undisturbed: SweepResult) -> None:
    first = run(tmp_path, shard_of(4, 1, 3))
    assert [row.number for row in first.rows] == [2]
    assert (first.variants, first.id) == (4, undisturbed.id)
    run(tmp_path, shard_of(4, 0, 3))
    last = run(tmp_path, shard_of(4, 2, 3))
    assert files(last) == files(undisturbed)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b'{"number":1,"values":[],"digest":"","halted":"","accounts":[]}',
        b'{"number":1,"values":{},"digest":"","halted":"","accounts":[{"account":"a/b","start_equity":"x"}]}',
        (
            b'{"number":1,"values":{},"digest":"","halted":"","accounts":[{"account":"a/b","currency":"USD",'
            b'"start_equity":"x","end_equity":"1","figures":{},"days":[]}]}'
        ),
    ],
)
def test_a_file_of_another_shape_is_refused_by_its_name(tmp_path: Path, content: bytes) -> None:
    kept = KeptSweep(tmp_path, "abc", {})
    (tmp_path / "abc" / "variants" / "00001.json").write_bytes(content)
    with pytest.raises(InvalidInput, match=r"00001.json: got 'other contents', expected the result of a variant"):
        kept.rows([1])


def test_a_file_that_was_changed_is_refused_by_its_name(tmp_path: Path) -> None:
    result = run(tmp_path, range(1))
    file = result.folder / "variants" / "00001.json"
    file.write_bytes(file.read_bytes().replace(b'"digest": "', b'"digest":  "', 1))
    with pytest.raises(InvalidInput, match=r"00001.json: got 'other contents', expected the result of a variant"):
        run(tmp_path, range(1))


def test_another_range_is_another_sweep(tmp_path: Path, undisturbed: SweepResult) -> None:
    prints = simulated()
    day = prints.days(prints.contracts[0])[-1].day
    found = run_sweep(every(), range(0), Source(prints, day, day, "sim", {"seed": 1}), 1, tmp_path, lambda _: None)
    assert found.id != undisturbed.id
    assert found.rows == ()


def test_the_best_come_first(undisturbed: SweepResult) -> None:
    (account,) = undisturbed.accounts
    nets = [each.figures.net for _, each in undisturbed.ranked(account, "net")]
    assert nets == sorted(nets, reverse=True)
    assert len(set(nets)) > 1
    falls = [each.figures.max_drawdown for _, each in undisturbed.ranked(account, "max_drawdown")]
    assert falls == sorted(falls)
    found = undisturbed.deflated(account, "net")
    assert (found.trials, found.days, found.probability) == (4, 1, None)
    partial = replace(undisturbed, rows=undisturbed.rows[:2])
    assert partial.deflated(account, "net").trials == 4
