"""One more service is one more record: what the page on it adds to a copy of the platform is everywhere at once."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from leadline.model.errors import Unknown
from leadline.model.services import (
    SERVICES,
    BusUse,
    Contract,
    Method,
    Service,
    database_logins,
    durable_readers,
    method_roles,
    planned,
    processes,
    roles,
    service_of,
)
from leadline.model.strict import ServiceParams
from leadline.runtime.main import params_model
from leadline.schema.permissions import bus_permissions
from tests.docs.pages import DOCS, blocks

ROOT = Path(__file__).resolve().parents[2]
PAGE = DOCS / "how-to" / "add-a-service.md"
TABLE = "services/leadline/model/services.py"
FIRST = "SERVICES: Final[tuple[Service, ...]] = (\n"

LOOK = """
import json
from leadline.model.manifest.specs import default_account
from leadline.plan.plan import plan, plan_document
from leadline.plan.platform import PlatformSettings
from leadline.runtime.main import params_model
from leadline.runtime.rpc.auth import METHOD_ROLES
from leadline.runtime.rpc.lanes import SLOTS
from leadline.runtime.settings import ServiceSettings
from leadline.schema.migrate import roles_sql
from leadline.schema.permissions import PLATFORM_USERS, bus_permissions
from leadline.schema.roles import SERVICE_ROLES

TEST = "/leadline.notifier.v1.NotifierService/SendTest"
document = plan_document(plan(PlatformSettings(), (default_account(),), ()))
print(json.dumps({
    "may_call": [method for method, may in METHOD_ROLES.items() if "notifier" in may],
    "callers": METHOD_ROLES[TEST],
    "slots": SLOTS[TEST],
    "users": PLATFORM_USERS,
    "publishes": bus_permissions("notifier").publish,
    "logins": SERVICE_ROLES,
    "roles_sql": roles_sql("migrator"),
    "workload": [each for each in document["workloads"] if each["service"] == "notifier"],
    "params": list(params_model("notifier").model_fields),
}))
"""


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the code with what the page adds."""
    copy = tmp_path_factory.mktemp("platform")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "services" / "leadline", copy / "services" / "leadline", ignore=ignored)
    for block in blocks(PAGE, "python"):
        place, text = block.text.split("\n", maxsplit=1)
        file = copy / place.removeprefix("# ")
        if place == f"# {TABLE}":
            table = file.read_text()
            assert FIRST in table
            file.write_text(table.replace(FIRST, f"{FIRST}{text.rstrip()},\n"))
        else:
            file.parent.mkdir(exist_ok=True)
            (file.parent / "__init__.py").touch()
            file.write_text(text)
    return copy


def python(platform: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    environment = {**os.environ, "PYTHONPATH": str(platform / "services")}
    return subprocess.run(
        [sys.executable, *words], env=environment, cwd=platform, capture_output=True, text=True, check=False
    )


def settings(platform: Path, **params: Any) -> str:
    (platform / "token.key").write_text("k" * 40)
    told = {
        "service": "notifier",
        "workload": "notifier",
        "listen": "127.0.0.1:0",
        "metrics_listen": "127.0.0.1:0",
        "data_dir": str(platform),
        "token_key_file": str(platform / "token.key"),
        "params": params,
    }
    (platform / "settings.json").write_text(json.dumps(told))
    return str(platform / "settings.json")


def test_everything_that_names_services_knows_the_one_of_the_page(platform: Path) -> None:
    done = python(platform, "-c", LOOK)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["may_call"] == [
        "/leadline.risk.v1.RiskService/Evaluate",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
    ]
    assert found["callers"] == ["cli-trader", "cli-admin"]
    assert found["slots"] == 2
    assert "notifier" in found["users"]
    assert [subject for subject in found["publishes"] if not subject.startswith("$JS.API.")] == []
    assert "$JS.API.STREAM.INFO.ORDERS" in found["publishes"]
    assert "notifier" in found["logins"]
    assert "CREATE ROLE leadline_notifier LOGIN CONNECTION LIMIT 2;" in found["roles_sql"]
    (workload,) = found["workload"]
    assert workload["calls"] == {"risk": "risk"}
    assert workload["after"] == ["ingestion", "risk"]
    assert workload["inputs"] == ["ORDERS"]
    assert workload["secrets"] == ["nats", "database", "token-key"]
    assert found["params"] == ["quiet_seconds"]


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"quiet_seconds": 0}, "params: quiet_seconds: got 0, expected Input should be greater than 0"),
        ({"quiet": 5}, "params: quiet: got 5, expected Extra inputs are not permitted"),
    ],
)
def test_what_a_service_is_told_is_refused_by_field_before_it_starts(
    platform: Path, params: dict[str, Any], words: str
) -> None:
    done = python(platform, "-m", "leadline.cli.service", "notifier", "--settings", settings(platform, **params))
    assert (done.returncode, done.stderr.strip()) == (2, words)


# --- the table ---


def test_names_are_unique_and_peers_are_services():
    names = [each.name for each in SERVICES]
    assert len(set(names)) == len(names)
    for each in SERVICES:
        assert {*each.peers, *each.after, *([each.acts_as] if each.acts_as else [])} <= set(names)


def test_each_workload_is_started_after_those_that_it_waits_for():
    """A platform's service waits for the platform's alone: it is there before any account."""
    for each in planned("platform"):
        assert {service_of(name).owner for name in (*each.after, *each.peers)} <= {"platform"}


@pytest.mark.parametrize("name", processes())
def test_a_service_has_its_model_where_the_table_says(name: str) -> None:
    model = params_model(name)
    assert issubclass(model, ServiceParams)
    assert model.model_config["extra"] == "forbid"


def test_who_acts_as_another_has_its_role_and_its_login():
    table = (*SERVICES, Service("deputy", acts_as="recorder", connections=20))
    assert service_of("deputy", table).role == "recorder"
    assert roles(table) == roles()
    assert database_logins(table) == {**database_logins(), "recorder": 20}


def test_a_durable_consumer_is_its_readers_alone():
    table = (*SERVICES, Service("scribe", bus=BusUse(reads=(("BARS", ">"),), durables=("BARS",))))
    assert durable_readers(table)["BARS"] == ("recorder", "scribe")
    assert "$JS.API.CONSUMER.MSG.NEXT.*.scribe" in bus_permissions("recorder", table).publish_deny
    assert "$JS.API.CONSUMER.MSG.NEXT.*.scribe" not in bus_permissions("scribe", table).publish_deny


def test_a_call_that_no_contract_has_is_an_error():
    table = (*SERVICES, Service("curious", calls=(("risk", ("Guess",)),)))
    with pytest.raises(Unknown, match="method of risk 'Guess', known: Decide, Evaluate"):
        method_roles(table)
    with pytest.raises(Unknown, match="unknown service 'nobody'"):
        method_roles((*SERVICES, Service("curious", calls=(("nobody", ("Guess",)),))))


def test_a_method_is_for_those_alone_that_it_names_or_that_name_it():
    made = Service("shop", contract=Contract("a.v1.Shop", (Method("Sell", ("cli-admin",)), Method("Close"))))
    client = Service("client", calls=(("shop", ("Sell",)),))
    found = method_roles((made, client))
    assert found == {"/a.v1.Shop/Sell": ("cli-admin", "client"), "/a.v1.Shop/Close": ()}
