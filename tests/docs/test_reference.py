"""The reference says what the code says."""

import re
from importlib.resources import files

import pytest

from leadline.ingestion.normaliser import Reason as Quarantine
from leadline.model.orders import OrderState
from leadline.model.services import processes
from leadline.model.signals import Pattern
from leadline.nodes.registry import detector_types, filter_types
from leadline.nodes.router import Rejection
from leadline.risk.reasons import Reason
from leadline.schema.migrate import package_migrations
from leadline.venue.fill_rules import FillRule
from leadline.views.doctor.checkup import findings_here
from leadline.views.doctor.cluster import findings_in_cluster
from scripts import reference
from tests.docs.pages import DOCS, first_column, prose, section
from tests.views.test_doctor import HERE
from tests.views.test_doctor_cluster import SOUND

CHECKS = DOCS / "reference" / "checks.md"
REFUSALS = DOCS / "reference" / "refusals.md"


def test_what_is_generated_is_what_the_code_gives():
    stale = {page.name: names for page, names in reference.drift().items()}
    assert stale == {}, "run: .venv/bin/python -m scripts.reference"


def test_writing_the_reference_twice_changes_nothing():
    page = (DOCS / "reference" / "manifests.md").read_text()
    assert reference.renewed(page) == page


def test_a_part_that_has_drifted_is_found(tmp_path, monkeypatch):
    for page in reference.PAGES.glob("*.md"):
        (tmp_path / page.name).write_text(page.read_text().replace("| `ticksPerRow` |", "| `ticksPerRaw` |"))
    monkeypatch.setattr(reference, "PAGES", tmp_path)
    assert reference.drift() == {tmp_path / "manifests.md": ["strategy-fields"]}


@pytest.mark.parametrize(
    ("heading", "names"),
    [
        ("Decisions refused", Reason),
        ("Signals refused by the router", Rejection),
        ("Prints kept out", Quarantine),
    ],
)
def test_every_reason_is_explained_and_no_other(heading, names):
    told = first_column(section(REFUSALS, heading))
    assert sorted(told) == sorted(name.value for name in names)


def test_every_check_is_explained_and_no_other():
    here, in_cluster = (findings_here(HERE), findings_in_cluster(SOUND))
    told = first_column(section(CHECKS, "Checks"))
    assert set(told) == {each.check for each in [*here, *in_cluster]}
    anew = {"credentials", "readiness", "halts"}  # in a cluster they mean something else
    assert sorted(told) == sorted([*set(told), *anew])


def test_the_states_that_give_an_order_up_are_states():
    assert set(first_column(section(REFUSALS, "Orders that were given up"))) <= {state.value for state in OrderState}


def test_every_table_is_explained_once():
    told = first_column(prose(DOCS / "reference" / "tables.md").split("### ")[0])
    created = [name for each in package_migrations() for name in re.findall(r"CREATE TABLE (\w+)", each.sql)]
    assert told == created


def test_every_service_is_explained_once():
    rows = prose(DOCS / "reference" / "services.md").split("## Who may call what")[0]
    told = re.findall(r"^\| (\w+) \| (?:platform|account|strategy) \|", rows, re.MULTILINE)
    assert sorted(told) == sorted(processes())


def test_every_pattern_has_its_detector():
    rows = section(DOCS / "reference" / "detectors.md", "Detectors")
    for pattern in Pattern:
        assert f"`{pattern.value}`" in rows


def test_every_detector_has_its_row():
    told = first_column(section(DOCS / "reference" / "detectors.md", "Detectors"))
    assert [name for name in told if name] == [kind.name for kind in detector_types()]


def test_every_filter_has_its_row():
    told = first_column(section(DOCS / "reference" / "detectors.md", "Filters"))
    assert told == [kind.name for kind in filter_types()]


def test_every_fill_rule_is_explained():
    page = section(DOCS / "explanation" / "order-path.md", "How the paper venue fills")
    for rule in FillRule:
        assert f"`{rule.value}`" in page


def test_the_instrument_sheet_is_where_the_page_says():
    sheet = files("leadline.model.market") / "data" / "instruments.yaml"
    assert sheet.is_file()
    assert "services/leadline/model/market/data/instruments.yaml" in (DOCS / "reference" / "instruments.md").read_text()


def test_the_metrics_of_every_room_are_listed():
    package = DOCS.parent / "services" / "leadline"
    rooms = {path.relative_to(package).parts[0] for path in package.rglob("metrics.py")}
    page = (DOCS / "reference" / "metrics.md").read_text()
    assert {line.removeprefix("### ") for line in page.splitlines() if line.startswith("### ")} >= rooms
