"""What is wrong with a command line: one sentence with the option as it is typed, the value, and what was expected."""

from pathlib import Path

import pytest

from leadline.cli.main import run
from leadline.cli.usage import as_typed

ROOT = Path(__file__).resolve().parents[2]
MES = str(ROOT / "examples" / "mes-orderflow.yaml")
DOCUMENTS = "TradingStrategy and TradingAccount documents, YAML, once per file"
EMPTY = "expected a value: this option is not empty"
REQUIRED = "got nothing, expected a value: this"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["plan", "-f", MES, "--seed", "x"], "--seed: got 'x', expected a whole number"),
        (["plan", "-f", MES, "--seed=-1"], "--seed: got '-1', expected 0 or more"),
        (
            ["plan", "-f", MES, "--seed", "99999999999999999999"],
            "--seed: got 99999999999999999999, expected at most 9223372036854775807",
        ),
        (["plan", "-f", MES, "--max-kept-out", "101"], "--max-kept-out: got '101', expected at most 100"),
        (["plan", "-f", MES, "--max-kept-out", "x"], "--max-kept-out: got 'x', expected a number"),
        (["plan", "-f", MES, "--max-kept-out", "nan"], "--max-kept-out: got 'nan', expected a number"),
        (
            ["plan", "-f", MES, "--seed", "1", "--seed=2"],
            "--seed: got '2 values', expected one value: this option is said once",
        ),
        (
            ["status", "--data-dir", "a", "--data-dir", "b"],
            "--data-dir: got '2 values', expected one value: this option is said once",
        ),
        (
            ["status", "--data-dir", ""],
            "--data-dir: got '', expected a value: this option is not empty (Directory of the stack)",
        ),
        (["plan", "-f", ""], f"--file: got '', expected a value: this option is not empty ({DOCUMENTS})"),
        (
            ["report", "--html="],
            "--html: got '', expected a value: this option is not empty (Write the report as one HTML file, too)",
        ),
        (
            ["flatten", "--reason", "x", "--account", ""],
            f"--account: got '', {EMPTY} (Account, as namespace/name; without it all of them)",
        ),
        (
            ["plan", "-f", MES, "--feed", "=d.csv"],
            "--feed: got '=d.csv', expected CONTRACT=FILE: a contract before the =, or the file alone",
        ),
        (
            ["plan", "-f", MES, "--feed", "push", "--trade-from", "2025-06-10", "--sessions", "3"],
            "--sessions: got 3, expected --feed sim or --feed catalog with it, which push is not",
        ),
        (
            ["plan", "-f", MES, "--feed", "d.csv", "--seed", "1"],
            "--seed: got 1, expected --feed sim with it, which d.csv is not",
        ),
        (["orders", "--limit", "9" * 30], f"--limit: got '{'9' * 30}', expected at most 5000"),
        (["status", "--output", "xml"], "--output: 'xml' is not one of 'text', 'json'"),
        (["plan", "-f", "nope.yaml"], "--file: file 'nope.yaml' does not exist"),
        (["plan"], f"--file: {REQUIRED} option is required ({DOCUMENTS})"),
        (["halt"], f"--reason: {REQUIRED} option is required (Why, for the audit)"),
        (["release"], f"strategy: {REQUIRED} argument is required (The strategy, namespace/name)"),
        (["plan", "-f"], "-f: got nothing, expected a value"),
        (["orders", "--working=3"], "--working: takes no value"),
        (["plan", "--sede", "1"], "--sede: no such option of `leadline plan`; did you mean --seed?"),
        (["--nonsense"], "--nonsense: no such option of `leadline`; `leadline --help` lists them"),
        (["stauts"], "stauts: no such command of `leadline`; did you mean status?"),
        (["db", "dance"], "dance: no such command of `leadline db`; `leadline db --help` lists them"),
        (["status", "a", "b"], "a b: `leadline status` takes no such words; see `leadline status --help`"),
        (["health", "risk"], "ADDRESS: got 'risk', expected host:port with a port from 1 to 65535, or unix:/path"),
        (
            ["health", "risk:99999"],
            "ADDRESS: got 'risk:99999', expected host:port with a port from 1 to 65535, or unix:/path",
        ),
        (
            ["db", "migrate", "--dsn", "ada:hunter2@db", "--password-file", MES],
            "--dsn: got '(not shown)', expected a URL that begins with postgresql://",
        ),
        (
            ["bus", "migrate", "--url", "nats://ada:hunter2@bus:x", "--password-file", MES],
            "--url: got '(not shown)', expected URLs such as nats://host:4222, and not 'bus:x'",
        ),
    ],
)
def test_the_words_of_a_command_line_are_refused_in_one_sentence_with_code_2(words, told, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "40")  # a sentence is left to the terminal to break
    assert run(words) == 2
    assert capsys.readouterr() == ("", f"leadline: {told}\n")


def test_a_data_directory_that_is_a_file_is_no_folder_to_be_closed(tmp_path, capsys):
    file = tmp_path / "file"
    file.touch()
    assert run(["status", "--data-dir", str(file)]) == 2
    assert capsys.readouterr().err == f"leadline: --data-dir: dir '{file}' is a file\n"


@pytest.mark.parametrize("group", [[], ["db"], ["bus"], ["server"], ["operator"]])
def test_no_words_are_answered_with_help(group, capsys):
    assert run(group) == 2
    told = capsys.readouterr()
    assert "Usage: leadline" in told.out
    assert not told.err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (
            ["--speed", "fast"],
            "--speed: got 'fast', expected max, or a number above 0 and at most 100000, 1 being real",
        ),
        (["--trade-from", "2025-10-11"], "--trade-from: got '2025-10-11', expected a trading day of the feed"),
        (
            ["--trade-from", "2045-10-11"],
            "--trade-from: got '2045-10-11', expected a day of the calendar cme: 2013-01-01 through 2027-12-31\n",
        ),
        (
            ["--trade-from", "2025-10-11", "--feed", "push"],
            "--trade-from: got '2025-10-11', expected a day on which one of MESZ2025, MESH2026 trades\n",
        ),
        (["--feed", f"XX={MES}"], "--feed mes-orderflow.yaml: got 'XX', expected a contract of "),
    ],
)
def test_a_setting_that_is_found_wrong_later_is_called_by_its_option(options, told, capsys):
    assert run(["plan", "-f", MES, *options]) == 2
    assert capsys.readouterr().err.startswith(f"leadline: {told}")


def test_of_an_errors_lines_those_about_an_option_name_it_as_it_is_typed():
    options = {"trade_from": "--trade-from", "feed": "--feed", "limit": "--limit"}
    assert as_typed("limit: got 0, expected 1 or more", options) == "--limit: got 0, expected 1 or more"
    assert as_typed("params: trade_from: got None", options) == "--trade-from: got None"
    assert as_typed("feed.files: a.csv: got 'X'", options) == "--feed a.csv: got 'X'"
    # A manifest's field stays as it is written there, and so do words that only begin like an option.
    for other in ("spec.limit: got 0", "limits: got 0", "the limit: got 0", "limit of 3 is reached"):
        assert as_typed(other, options) == other
    assert as_typed("spec.bars: got 1\nlimit: got 2", options) == "spec.bars: got 1\n--limit: got 2"


@pytest.mark.parametrize("words", [["--help"], ["up", "--help"], ["db", "migrate", "--help"]])
def test_help_is_plain_text_that_fits_a_narrow_terminal(words, monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "50")
    assert run(words) == 0
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 50
    assert not set("╭│╰━…") & set(shown)
    assert "..." not in shown.replace("[ARGS]...", "")  # each command and option is explained to its end
    assert "int range" not in shown


def test_a_switch_may_be_said_twice(capsys):
    assert run(["orders", "--working", "--working", "--limit", "x"]) == 2
    assert "--working" not in capsys.readouterr().err


def test_every_file_of_manifests_is_planned(tmp_path, capsys):
    account, strategy = Path(MES).read_text().split("\n---\n")
    first, second = tmp_path / "a.yaml", tmp_path / "b.yaml"
    first.write_text(strategy)
    second.write_text(account)
    assert run(["plan", "-f", str(first), "-f", str(second), "-o", "json"]) == 0
    both = capsys.readouterr().out
    assert run(["plan", "-f", MES, "-o", "json"]) == 0
    assert capsys.readouterr().out == both


def test_an_object_that_stands_in_two_files_is_refused_with_both_places(tmp_path, capsys):
    other = tmp_path / "again.yaml"
    other.write_text(Path(MES).read_text().split("\n---\n")[0])
    assert run(["plan", "-f", MES, "-f", str(other)]) == 2
    said = capsys.readouterr().err
    assert f"{other}:" in said
    assert f"has: another one stands at {MES}:" in said
