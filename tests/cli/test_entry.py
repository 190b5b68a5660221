import subprocess
import sys
import sysconfig
from pathlib import Path

LEADLINE = Path(sysconfig.get_path("scripts")) / "leadline"
LOADED = """
import sys
from leadline.cli import entry
sys.argv = ["leadline", "service", "--help"]
try:
    entry.main()
except SystemExit:
    print(*sorted(name for name in sys.modules if name.startswith("leadline.")), file=sys.stderr)
"""


def test_a_service_loads_no_code_of_the_other_commands():
    done = subprocess.run([sys.executable, "-c", LOADED], capture_output=True, text=True, check=True)
    loaded = set(done.stderr.split())
    assert "leadline.cli.service" in loaded
    assert not {name for name in loaded if name.startswith(("leadline.plan", "leadline.report", "leadline.schema"))}
    assert "leadline.cli.main" not in loaded


def test_the_program_refuses_wrong_settings_with_a_code_of_their_own(tmp_path: Path):
    settings = tmp_path / "settings.json"
    settings.write_text("{}")
    command = [str(LEADLINE), "service", "risk", "--settings", str(settings)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "settings.json: service" in done.stderr


def test_the_other_commands_are_all_there():
    done = subprocess.run([LEADLINE, "--help"], capture_output=True, text=True, check=True)
    for command in ("up", "service", "server", "db", "bus"):
        assert f" {command} " in done.stdout
