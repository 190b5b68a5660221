"""Every command explains itself, speaks JSON, and refuses what it cannot accept in one clear line."""

import json
import shutil
from dataclasses import replace
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from leadline.cli.main import app, run
from leadline.cli.output import print_json, print_table
from leadline.cli.places import check_place
from leadline.cli.reading import print_kept_out
from leadline.cli.reporting import write_reports
from leadline.local.data_dir import DataDir
from leadline.model.errors import Unknown
from leadline.model.ids import StrategyId
from leadline.runtime.version import package_version
from leadline.views.market import KeptOutPrintView
from leadline.views.prices import tidy_price
from leadline.views.stack import NotRunning, Stack, running_stack
from tests.cli.builders import PAPER, scene, stack

ROOT = Path(__file__).resolve().parents[2]
MES = ROOT / "examples" / "mes-orderflow.yaml"
COMMANDS = ["up", "plan", "status", "orders", "positions", "signals", "explain", "doctor", "halt", "resume",
            "release", "flatten", "report", "digest", "service", "health", "db migrate", "db retention", "db roles",
            "bus migrate", "bus users", "server nats", "server postgres", "nodes", "venues", "venue check",
            "data import", "data record", "data fetch", "data spend", "data list", "data verify", "data export",
            "data remove", "operator guard-uninstall", "operator guard-upgrade", "backtest", "backtest list",
            "backtest show", "backtest compare", "backtest remove", "shard run", "shard gather", "study sweep",
            "study scenarios", "study tiers", "study stress", "study walk-forward"]  # fmt: skip
SHOW_TIMES = ["up", "status", "orders", "signals", "explain", "halt", "resume", "flatten", "report"]
# A log of JSON lines, that of the server which they become, SQL, JSON only, a yes or no, and the words of a Pod.
ONE_FORM = {
    "service",
    "server nats",
    "server postgres",
    "db roles",
    "bus users",
    "operator guard-uninstall",
    "operator guard-upgrade",
    "shard run",
    "shard gather",
}


def said(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(command):
    shown = CliRunner().invoke(app, [*command.split(), "--help"], env={"COLUMNS": "200", "TERM": "dumb"})
    assert shown.exit_code == 0
    assert f"Example: leadline {command}" in shown.output
    if command not in ONE_FORM:
        assert "--output" in shown.output


@pytest.mark.parametrize("command", SHOW_TIMES)
def test_every_command_that_shows_times_takes_a_zone_and_refuses_an_unknown_one(command, tmp_path, capsys):
    options = ["--reason", "test"] if command in {"halt", "resume", "flatten"} else []
    manifest = ["-f", str(MES)] if command == "up" else []
    assert run([command, *options, *manifest, "--data-dir", str(tmp_path), "--tz", "Mars/Base"]) == 2
    wanted = "expected UTC or a name of the IANA time zone database, such as America/New_York"
    assert said(capsys) == f"leadline: --tz: got 'Mars/Base', {wanted}\n"
    assert not list(tmp_path.iterdir())


def test_these_are_all_the_commands():
    def names(group: object, before: str = "") -> list[str]:
        commands = getattr(group, "commands", None)
        if commands is None:
            return [before.strip()]
        own = [before.strip()] if getattr(group, "invoke_without_command", False) and before else []
        return own + [name for key, item in commands.items() for name in names(item, f"{before} {key}")]

    assert sorted(names(typer.main.get_command(app))) == sorted(COMMANDS)


def test_a_plan_is_shown_and_is_the_golden_one_as_json(capsys):
    assert run(["plan", "-f", str(MES)]) == 0
    text = capsys.readouterr().out
    assert "analysis-default-mes-orderflow" in text
    assert run(["plan", "-f", str(MES), "--output", "json"]) == 0
    golden = ROOT / "tests" / "plan" / "golden" / "mes-orderflow.json"
    assert json.loads(capsys.readouterr().out) == json.loads(golden.read_text())


def test_a_plan_breaks_no_name_in_a_terminal_of_80_columns(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "80")
    assert run(["plan", "-f", str(MES)]) == 0
    workloads, _, entries = capsys.readouterr().out.partition("Entries of default/mes-orderflow in default/paper")
    assert " analysis-default-mes-orderflow " in workloads
    assert " TICKS, BARS, SIGNALS " in workloads
    assert " maxSize of the tier " in entries  # and from which equity on, in the line below it


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--speed", "fast"], "--speed: got 'fast', expected max, or a number above 0"),
        (["--feed", "nowhere.csv"], "--feed: got 'nowhere.csv', expected sim, catalog, push, or a file that exists"),
        (["--trade-from", "yesterday"], "--trade-from: got 'yesterday', expected a date such as 2025-10-08"),
        (["--feed", "push"], "--trade-from: got nothing, expected a date: a pushed feed cannot be read ahead"),
        (["--feed", f"GCZ2013={MES}"], "spec.instrument: got 'MES', expected a contract that the feed has: GCZ2013"),
        (
            ["--feed", str(MES), "--feed", str(MES)],
            "expected each file of the feed once, and mes-orderflow.yaml is named 2",
        ),
        (["--feed", "push", "--feed", str(MES)], "expected push by itself, or files: prints come from one source"),
        (["--feed", "sim", "--feed", "sim"], "--feed: got 'sim, sim', expected sim by itself"),
    ],
)
def test_what_cannot_be_planned_is_refused_with_one_line_and_code_2(options, words, capsys):
    assert run(["plan", "-f", str(MES), *options]) == 2
    line = said(capsys)
    assert words in line
    assert line.startswith("leadline: ")
    assert line.count("\n") == 1


def test_an_expired_contract_is_refused_also_where_no_day_is_named(tmp_path, capsys):
    manifest = tmp_path / "old.yaml"
    manifest.write_text(MES.read_text().replace("instrument: MES ", "instrument: MESH2025 "))
    assert run(["plan", "-f", str(manifest)]) == 2
    assert "expected a contract that trades on 2025-06-10, or the root MES: MESH2025 ends on 2025-03-21" in said(capsys)


def test_what_is_wrong_between_two_objects_names_the_file_and_the_object(tmp_path, capsys):
    manifest = tmp_path / "wrong.yaml"
    manifest.write_text(MES.read_text().replace("account: {name: paper}", "account: {name: other}"))
    assert run(["plan", "-f", str(manifest)]) == 2
    line = 1 + manifest.read_text()[: manifest.read_text().index("account:")].count("\n")
    where = f"leadline: {manifest}:{line}: TradingStrategy default/mes-orderflow: spec.account: got 'default/other'"
    assert said(capsys).startswith(where)


def test_files_that_are_no_yaml_are_all_named_at_once(tmp_path, capsys):
    for name in ("manifest", "one", "other"):
        (tmp_path / f"{name}.yaml").write_text("a: [")
    instruments = [f"--instruments={tmp_path / name}.yaml" for name in ("one", "other")]
    assert run(["plan", "-f", str(tmp_path / "manifest.yaml"), *instruments]) == 2
    places = [line.partition(": got")[0] for line in said(capsys).splitlines()]
    assert [place.rpartition("/")[2] for place in places] == ["one.yaml:1", "other.yaml:1", "manifest.yaml:1"]


def test_everything_wrong_in_a_manifest_is_said_at_once(tmp_path, capsys):
    manifest = tmp_path / "wrong.yaml"
    manifest.write_text(MES.read_text().replace("bars: 5m", "bars: 7h").replace("instrument: MES ", "instrument: MSE "))
    assert run(["up", "-f", str(manifest), "--data-dir", str(tmp_path / "data")]) == 2
    found = said(capsys)
    assert "spec.bars: got '7h'" in found
    assert not (tmp_path / "data").exists()


def test_a_file_without_a_contract_is_of_the_only_instrument(tmp_path, capsys):
    prints = tmp_path / "prints.csv"
    prints.write_text("ts_ns,price,size,side\n1749562200000000000,6000.00,1,1\n")
    manifest = tmp_path / "m.yaml"
    manifest.write_text(MES.read_text().replace("bars: 5m", "bars: ticks:100\n  history: 0"))
    assert run(["plan", "-f", str(manifest), "--feed", str(prints), "--output", "json"]) == 0
    feed = json.loads(capsys.readouterr().out)["workloads"][0]["settings"]["feed"]
    assert feed["files"] == [{"path": "prints.csv", "contract": "MES"}]


STRATEGY = """
apiVersion: leadline.dev/v1alpha1
kind: TradingStrategy
metadata: {name: own}
spec:
  instrument: MES
  strategy: {entryPoint: "ENTRY", parameters: {after: 0}}
"""
OWN = """
class Own:
    def __init__(self, parameters, instrument):
        1 / parameters["after"]
"""


@pytest.mark.parametrize(
    ("entry", "module", "words"),
    [
        ("nope:X", "", "default/own: spec.strategy.entryPoint: got 'nope:X', expected module:name of an importable"),
        ("own:Own", OWN, "(the strategy failed when it was made: ZeroDivisionError: division by zero ("),
        ("own:Nope", OWN, "spec.strategy.entryPoint: got 'own:Nope'"),
        ("own:Own", "class Own(", "spec.strategy.entryPoint: got 'own:Own'"),
        ("own:Own", "raise SystemExit(0)", "(the strategy failed while imported: SystemExit: 0 ("),
        ("own:Own", "Own = 3", "spec.strategy.entryPoint: got 'own:Own'"),
        ("own:Own", "def Own(parameters, instrument): return 'x'", "with the methods warm and on_bar, and it made 'x'"),
    ],
)
@pytest.mark.parametrize("command", ["plan", "up"])
def test_a_strategy_that_cannot_be_made_is_refused_before_anything_starts(
    command, entry, module, words, tmp_path, monkeypatch, capsys
):
    name = f"own_{abs(hash((command, entry, module)))}"
    (tmp_path / f"{name}.py").write_text(module)
    (tmp_path / "own.yaml").write_text(STRATEGY.replace("ENTRY", entry.replace("own:", f"{name}:")))
    monkeypatch.syspath_prepend(tmp_path)
    options = ["--data-dir", str(tmp_path / "data")] if command == "up" else []
    assert run([command, "-f", str(tmp_path / "own.yaml"), *options]) == 2
    assert words.replace("own:Own", f"{name}:Own").replace("own:Nope", f"{name}:Nope") in said(capsys)
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize("command", ["plan", "up"])
def test_a_feed_that_cannot_be_read_is_refused_before_anything_starts(command, tmp_path, capsys):
    (tmp_path / "prints.csv").write_text("time,price,quantity\n")
    feed = ["--feed", str(tmp_path / "prints.csv")]
    place = ["--data-dir", str(tmp_path / "data")] if command == "up" else []
    assert run([command, "-f", str(MES), *feed, *place]) == 2
    assert said(capsys).splitlines()[-1] == (
        "leadline: prints.csv:1: got 'time,price,quantity', expected the header ts_ns,price,size,side"
    )
    assert not (tmp_path / "data").exists()


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("folder", "expected a file, and this is a folder: name a file in it"),
        ("file/report.html", "expected a file in a folder, and {tmp}/file is none"),
        ("x" * 300, "expected a place for a file ("),
    ],
)
def test_a_report_that_cannot_be_written_is_refused_before_anything_is_done_for_it(place, words, tmp_path, capsys):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    wanted = words.format(tmp=tmp_path)
    report, data = str(tmp_path / place), ["--data-dir", str(tmp_path / "data")]
    assert run(["up", "-f", str(MES), *data, "--until-end", "--report", report]) == 2
    assert wanted in said(capsys)
    assert run(["report", *data, "--html", report]) == 2
    assert wanted in said(capsys)
    assert not (tmp_path / "data").exists()


def test_the_folder_of_a_page_is_made_and_not_before_there_is_a_page(tmp_path):
    page = tmp_path / "reports" / "june" / "page.html"
    check_place(page, "--report")
    assert not (tmp_path / "reports").exists()
    write_reports([], page)
    assert page.is_file()


def test_a_report_of_a_run_that_is_not_awaited_is_refused(tmp_path, capsys):
    assert run(["up", "-f", str(MES), "--data-dir", str(tmp_path / "data"), "--report", "r.html"]) == 2
    assert "--report: got 'r.html', expected --until-end beside it" in said(capsys)


def test_usage_errors_have_code_2(capsys):
    assert run(["orders", "--limit", "0"]) == 2
    assert run(["dance"]) == 2
    assert run(["halt"]) == 2  # a halt without a reason is not one


@pytest.mark.parametrize("command", ["status", "orders", "positions", "signals"])
def test_reading_where_nothing_runs_says_how_to_start_it(command, tmp_path, capsys):
    assert run([command, "--data-dir", str(tmp_path)]) == 1
    assert said(capsys) == (
        f"leadline: nothing runs in {tmp_path}: start it with `leadline up`, or give its --data-dir\n"
    )


def test_a_stack_that_is_starting_is_told_from_none(tmp_path):
    data = DataDir(tmp_path)
    with data.hold():
        with pytest.raises(NotRunning, match="is starting or stopping: try again in a moment"):
            running_stack(tmp_path)
        data.write_stack(stack().model_dump(mode="json"))
        assert running_stack(tmp_path) == stack()
    # What a killed stack has left behind is not a running one.
    with pytest.raises(NotRunning, match="nothing runs"):
        running_stack(tmp_path)


def test_a_report_needs_a_data_directory_that_was_used(tmp_path, capsys):
    assert run(["digest", "--data-dir", str(tmp_path)]) == 1
    assert said(capsys) == (
        f"leadline: nothing has run in {tmp_path}: start it with `leadline up`, or give its --data-dir\n"
    )


def test_names_without_a_namespace_are_of_the_default_one():
    running: Stack = stack()
    assert running.chosen_accounts("paper") == running.chosen_accounts(None) == (PAPER,)
    assert running.analysis_of(StrategyId("default/flow")) == "127.0.0.1:20003"
    with pytest.raises(Unknown, match="unknown account 'default/gold', known: default/paper"):
        running.chosen_accounts("gold")
    with pytest.raises(Unknown, match="unknown strategy 'other/flow', known: default/flow"):
        running.chosen_strategies("other/flow")


def test_a_strategy_is_known_by_its_name_where_its_analysis_was_not_asked_for():
    # In a cluster ports are forwarded only to what a command calls.
    addresses = {name: address for name, address in stack().addresses.items() if not name.startswith("analysis")}
    (found,) = stack().model_copy(update={"addresses": addresses}).chosen_strategies("flow")
    assert (found.name, found.account) == ("default/flow", PAPER)


def test_prices_have_the_decimals_of_the_instrument():
    assert tidy_price("MESM2025", "6002.75000000") == "6002.75"
    assert tidy_price("MESM2025", "6002.8333333333") == "6002.8333"
    assert tidy_price("GCZ2013", "1313.7") == "1313.70"
    assert tidy_price("GCZ2013", "") == ""
    assert tidy_price("BTCUSD", "64907.0") == "64907.0"  # a symbol of a cluster's own: execution knows its grid
    assert tidy_price("BTCUSD", "129814 ticks") == tidy_price("GCZ2013", "129814 ticks") == "129814 ticks"


def test_a_column_of_which_no_row_has_anything_is_left_out_where_it_may_be(capsys):
    columns = ("bar", "signal", "proposal")
    print_table(
        "t", columns, [("1", "", "enter long"), ("2", "", "")], "none", only_where_filled=("signal", "proposal")
    )
    head = capsys.readouterr().out.splitlines()[2]
    assert ("bar" in head, "signal" in head, "proposal" in head) == (True, False, True)


def test_json_never_writes_a_number_with_an_exponent(capsys):
    print_json({"equity": Decimal("2.5E+3"), "day": date(2025, 6, 10)})
    assert capsys.readouterr().out == '{"equity":"2500","day":"2025-06-10"}\n'


def test_a_table_breaks_its_lines_between_words_as_long_as_there_is_room_for_each_word(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "50")
    columns = ("strategy", "working orders", "why")
    print_table("narrow", columns, [("default/mes-orderflow", 2, "no approved signal at all")], "none")
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 50
    assert {"default/mes-orderflow", "strategy", "working", "orders", "approved", "signal"} <= set(shown.split())


def test_where_no_room_is_for_each_word_the_longest_are_broken_and_the_others_whole(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "36")
    columns = ("strategy", "working orders", "why")
    print_table("narrow", columns, [("default/mes-orderflow", 2, "no approved signal")], "none")
    shown = capsys.readouterr().out
    assert max(map(len, shown.splitlines())) <= 36
    assert {"strategy", "working", "orders", "approved", "signal"} <= set(shown.split())


def test_tables_are_as_wide_as_columns_says(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "61")
    print_table("wide", ("a",), [("x" * 300,)], "none")
    assert {len(line) for line in capsys.readouterr().out.splitlines() if line.startswith("│")} == {61}


@pytest.mark.parametrize("arguments", [["--version"]])
def test_the_version_is_told_by_the_program_itself(arguments, capsys):
    assert run(arguments) == 0
    assert capsys.readouterr().out == f"leadline {package_version()}\n"


def test_a_stack_is_not_started_where_there_is_no_room(monkeypatch, tmp_path, capsys):
    room = shutil.disk_usage(tmp_path)._replace(free=3 << 20)
    monkeypatch.setattr("leadline.local.disk.shutil.disk_usage", lambda _: room)
    assert run(["up", "-f", str(MES), "--data-dir", str(tmp_path / "data")]) == 1
    assert f"the disk of {tmp_path}/data has 3 MB left; a stack needs 256 MB to start" in said(capsys)
    assert not (tmp_path / "data" / "postgres" / "data").exists()


def test_the_status_shows_by_day_and_reason_what_was_kept_out_and_the_first_of_it(capsys):
    shown = scene().feed
    assert shown is not None
    sample = KeptOutPrintView("off_grid", "mes.csv", 7, 1_749_562_200_000_000_000, "6000.30", "1", side=1)
    contract = replace(shown.contracts[0], samples=(sample,))
    print_kept_out(replace(shown, contracts=(contract,), failure="too many"))
    lines = [line.split() for line in capsys.readouterr().out.replace("│", " ").splitlines()]
    assert ["MESM2025", "2025-06-10", "off_grid", "2"] in lines
    assert ["off_grid", "mes.csv:7", "1749562200000000000", "6000.30", "1", "1"] in lines
    assert ["too", "many"] in lines
    assert not [line for line in lines if "outside_session" in line]  # good prints: `outside sessions` counts them


def test_a_status_without_a_faulty_print_says_nothing_of_them(capsys):
    shown = scene().feed
    assert shown is not None
    print_kept_out(replace(shown, contracts=(replace(shown.contracts[0], kept_out=(), quarantined={}),)))
    assert capsys.readouterr().out == ""
