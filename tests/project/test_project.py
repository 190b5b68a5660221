"""What a stranger with a fresh clone relies on: locks that install anywhere, links that lead somewhere, clear help."""

import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("requirements.lock", "requirements-dev.lock")


def tracked_files() -> list[Path]:
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode != 0:
        pytest.skip("not a git checkout")
    return [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]


def locked_versions(name: str) -> set[str]:
    return {line.rstrip(" \\") for line in (ROOT / name).read_text().splitlines() if "==" in line}


def normalised(requirement: str) -> str:
    name = re.match(r"[A-Za-z0-9._-]+", requirement)
    assert name is not None, requirement
    return re.sub(r"[-_.]+", "-", name.group()).lower()


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_file_names_no_place_to_download_from(name):
    places = [
        line for line in (ROOT / name).read_text().splitlines() if re.search(r"://|--?(index|find|extra)| @ ", line)
    ]
    assert places == []


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_package_is_pinned_and_hashed(name):
    entries = re.split(r"\n(?=\S)", (ROOT / name).read_text().strip())
    loose = [entry for entry in entries if not re.match(r"[\w.-]+==\S+[\s\S]*--hash=sha256:[0-9a-f]{64}", entry)]
    assert loose == []


def test_what_is_shipped_was_tested_at_the_same_version():
    assert locked_versions("requirements.lock") <= locked_versions("requirements-dev.lock")


def test_the_locks_hold_every_dependency_that_the_project_names():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    runtime = {normalised(line) for line in locked_versions("requirements.lock")}
    development = {normalised(line) for line in locked_versions("requirements-dev.lock")}
    assert {normalised(line) for line in project["dependencies"] + extras["local"]} <= runtime
    assert {normalised(line) for line in extras["dev"]} <= development


def test_every_dependency_has_its_reason_written_down():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    page = (ROOT / "docs/decisions/0001-libraries.md").read_text().lower()
    # A family is written once: "grpcio, -health-checking"; stubs follow the library they describe.
    families = {"grpcio-": "grpcio", "opentelemetry-": "opentelemetry", "pytest-": "pytest", "types-": "stubs"}
    missing = []
    for requirement in project["dependencies"] + [
        line for extra in project["optional-dependencies"].values() for line in extra
    ]:
        name = normalised(requirement)
        family = next((word for prefix, word in families.items() if name.startswith(prefix)), name)
        if not (family in page or (name.endswith("-stubs") and "stubs" in page)):
            missing.append(name)
    assert missing == []


def test_relative_links_in_the_documents_lead_somewhere():
    dead = []
    for page in (path for path in tracked_files() if path.suffix == ".md"):
        prose = re.sub(r"```[\s\S]*?```", "", page.read_text())
        for target in re.findall(r"\]\(([^)\s]+)\)", prose):
            file = target.split("#")[0]
            if file and not re.match(r"[a-z]+:", file) and not (page.parent / file).exists():
                dead.append(f"{page.relative_to(ROOT)}: {target}")
    assert dead == []


def test_no_file_mentions_a_path_of_one_machine():
    here = "|".join(re.escape(str(path)) for path in (ROOT, Path.home()) if len(path.parts) > 1)
    personal = re.compile(rf"(?<![\w./-])(?:{here})\b")
    found = []
    for path in tracked_files():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue  # an image or an archive
        found += [f"{path.relative_to(ROOT)}: {match.group()}" for match in personal.finditer(text)]
    assert found == []


def test_make_help_describes_every_target():
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z][a-z-]*):", makefile, flags=re.MULTILINE))
    described = set(re.findall(r"^([a-z][a-z-]*):.*## \S", makefile, flags=re.MULTILINE))
    assert targets == described
    told = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert set(re.findall(r"^  make ([a-z-]+) ", told, flags=re.MULTILINE)) == targets
    assert targets >= {"setup", "demo", "test", "lint", "types", "proto", "lock", "bench", "clean"}
