import os
import signal
import subprocess
import sys
import sysconfig
from importlib import import_module
from pathlib import Path

import pytest

from leadline.cli.sparing import without
from leadline.model.services import processes

ROOT = Path(__file__).parents[2]
MES = "examples/mes-orderflow.yaml"
LEADLINE = Path(sysconfig.get_path("scripts")) / "leadline"
LOADED = """
import atexit, sys
from leadline.cli import entry
atexit.register(lambda: print(*sorted(sys.modules), file=sys.stderr))
sys.argv = ["leadline", *sys.argv[1:]]
entry.main()
"""
ROOMS = """
import sys
from pathlib import Path
from leadline.cli.service import run
run("risk", Path("nothing"))
for name in sys.argv[1:]:
    __import__(f"leadline.{name}.service")
print(*sorted(name for name, module in sys.modules.items() if module is not None))
"""
# What takes long to load, and what help has no use for. (Typer itself reads words with pydantic.)
HEAVY = {
    "asyncio",
    "asyncpg",
    "databento_dbn",
    "google.protobuf",
    "grpc",
    "leadline.cli.output",
    "leadline.plan",
    "leadline.report",
    "nats",
    "numpy",
    "opentelemetry",
    "orjson",
    "prometheus_client",
    "pyarrow",
    "structlog",
    "yaml",
}
# What libraries load where it is installed, and what only some service or setting needs.
IDLE = {
    "aiohttp",
    "cryptography",
    "databento_dbn",
    "leadline.plan",
    "leadline.report",
    "leadline.schema",
    "opentelemetry.exporter",
    "opentelemetry.sdk",
    "psutil",
    "pyarrow",
    "rich",
    "typer",
}


def of(packages, loaded):
    """The modules of these packages that are loaded."""
    return sorted(name for name in loaded for package in packages if f"{name}.".startswith(f"{package}."))


@pytest.mark.parametrize("words", ["--help", "--version", "up --help", "signals --help", "db migrate --help"])
def test_help_loads_nothing_that_takes_long(words):
    done = subprocess.run([sys.executable, "-c", LOADED, *words.split()], capture_output=True, text=True, check=True)
    loaded = done.stderr.split()
    assert "leadline.cli.entry" in loaded
    assert of(HEAVY, loaded) == []
    assert done.stdout


def test_completion_loads_nothing_that_takes_long():
    asked = {"_LEADLINE_COMPLETE": "complete_bash", "COMP_WORDS": "leadline s", "COMP_CWORD": "1"}
    done = subprocess.run([sys.executable, "-c", LOADED], env=asked, capture_output=True, text=True, check=False)
    assert sorted(done.stdout.split()) == ["server", "service", "shard", "signals", "status", "study"]
    assert of(HEAVY, done.stderr.split()) == []


def test_a_service_loads_nothing_that_it_has_no_use_for():
    """As `leadline up` and the chart start it. One process for all services: what one of them loads is found, too."""
    rooms = sorted(set(processes()) - {"operator"})
    done = subprocess.run([sys.executable, "-c", ROOMS, *rooms], capture_output=True, text=True, check=True)
    loaded = done.stdout.split()
    assert {f"leadline.{room}.service" for room in rooms} <= set(loaded)
    assert of(IDLE, loaded) == []
    assert not {"leadline.cli.main", "leadline.cli.options"} & set(loaded)


def test_what_is_hidden_for_an_import_can_be_imported_afterwards(tmp_path, monkeypatch):
    for name in ("one_library", "another_library"):
        (tmp_path / f"{name}.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    another = import_module("another_library")
    with without("one_library", "another_library"):
        with pytest.raises(ModuleNotFoundError):
            import_module("one_library")
        assert import_module("another_library") is another
    assert import_module("one_library").__file__


def test_the_program_refuses_wrong_settings_with_a_code_of_their_own(tmp_path: Path):
    settings = tmp_path / "settings.json"
    settings.write_text("{}")
    command = [str(LEADLINE), "service", "risk", "--settings", str(settings)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "settings.json: service" in done.stderr


def test_the_options_of_a_service_may_stand_as_people_write_them(tmp_path: Path):
    command = [str(LEADLINE), "service", f"--settings={tmp_path / 'none.json'}", "risk"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "none.json" in done.stderr


def test_the_other_commands_are_all_there():
    done = subprocess.run([LEADLINE, "--help"], capture_output=True, text=True, check=True)
    for command in ("up", "service", "server", "db", "bus"):
        assert f" {command} " in done.stdout


@pytest.mark.parametrize(
    "words",
    [["--version"], ["--help"], ["plan", "--help"], ["plan", "-f", MES], ["plan", "-f", MES, "-o", "json"]],
    ids=" ".join,
)
def test_a_command_whose_output_nobody_reads_ends_as_unix_tools_do(words: list[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [LEADLINE, *words], stdout=writer, stderr=subprocess.PIPE, text=True, check=False, cwd=ROOT
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (-signal.SIGPIPE, "")
