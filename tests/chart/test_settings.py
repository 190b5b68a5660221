"""What the chart tells the services is what they read, and what the plan of the same platform says."""

import base64
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from leadline.cli.main import app
from leadline.ingestion.params import IngestionParams
from leadline.local.bundled import NatsServerSettings, PostgresServerSettings
from leadline.model.manifest.specs import TradingStrategy, load_manifests
from leadline.model.services import SERVICES, planned, service_of, traders_services
from leadline.plan.plan import Plan, plan
from leadline.plan.platform import Feed, FeedFile, PlatformSettings
from leadline.runtime.rpc.auth import derive_key
from leadline.runtime.settings import ServiceSettings
from leadline.schema.permissions import PLATFORM_USERS, trader_users
from leadline.schema.roles import SERVICE_ROLES, login_role
from leadline_operator.params import OperatorParams
from tests.chart.rendering import ROOT, cases, one, pods, render, values_of
from tests.own_markets import BITCOIN, EVENINGS

PLATFORM = tuple(each.name for each in planned("platform"))
TRADERS = traders_services()
STRATEGY = """
apiVersion: leadline.dev/v1alpha1
kind: TradingStrategy
metadata: {name: first}
spec: {instrument: MES, history: %d}
"""


def settings_json(documents, service: str, prefix: str = "leadline") -> dict[str, Any]:
    data = one(documents, "ConfigMap", f"{prefix}-{service}")["data"]
    assert set(data) == {"settings.json"}
    found: dict[str, Any] = json.loads(data["settings.json"])
    return found


def prefix_of(case: str) -> str:
    return str(values_of(case).get("fullnameOverride", "leadline"))


def plan_of(platform: PlatformSettings, history: int) -> Plan:
    (strategy,) = load_manifests(STRATEGY % history)
    assert isinstance(strategy, TradingStrategy)
    return plan(platform, (), (strategy,))


def mounted_files(pod: dict[str, Any], container: dict[str, Any]) -> set[str]:
    """The files that a container finds in what is projected for it."""
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    found = set()
    for mount in container["volumeMounts"]:
        for source in volumes.get(mount["name"], {}).get("projected", {}).get("sources", []):
            (content,) = source.values()
            found |= {f"{mount['mountPath']}/{item['path']}" for item in content["items"]}
    return found


def named_files(value: Any) -> set[str]:
    """Every file that settings name by a key that ends in `_file`."""
    if not isinstance(value, dict):
        return set()
    own = {found for key, found in value.items() if key.endswith("_file") and isinstance(found, str)}
    return own.union(*(named_files(inner) for inner in value.values()))


@pytest.mark.parametrize("case", cases())
@pytest.mark.parametrize("service", [*PLATFORM, "operator"])
def test_a_service_reads_what_the_chart_writes(case, service):
    found = ServiceSettings.model_validate(settings_json(render(values_of(case)), service, prefix_of(case)))
    assert found.service == found.workload == service
    assert (found.listen, found.health_listen, found.metrics_listen) == (
        "0.0.0.0:9090",
        "0.0.0.0:9091",
        "0.0.0.0:9100",
    )


@pytest.mark.parametrize("case", cases())
def test_ingestion_accepts_its_own_settings(case):
    IngestionParams.model_validate(settings_json(render(values_of(case)), "ingestion", prefix_of(case))["params"])


@pytest.mark.parametrize("case", cases())
def test_every_file_that_settings_name_is_mounted_and_no_other_secret(case):
    documents = render(values_of(case))
    for name, pod in pods(documents):
        service = name.split()[1].removeprefix(f"{prefix_of(case)}-")
        if service not in {*PLATFORM, "operator"}:
            continue
        (container,) = pod["spec"]["containers"]
        files = mounted_files(pod, container)
        named = named_files(settings_json(documents, service, prefix_of(case)))
        assert files == named | {"/etc/leadline/settings.json"}, service


@pytest.mark.parametrize("case", cases())
def test_the_owners_password_reaches_only_what_migrates(case):
    for name, pod in pods(render(values_of(case))):
        for container in pod["spec"]["containers"]:
            secret = {
                file for file in mounted_files(pod, container) if file.endswith(("/owner", "/migrate", "/master"))
            }
            allowed = {"operator": {"/etc/leadline/secrets/token/master"}}
            allowed["postgresql"] = {"/etc/leadline/secrets/database/owner"}
            allowed["nats"] = {"/etc/leadline/secrets/nats/migrate"}
            assert secret <= allowed.get(container["name"], set()), name
        for container in pod["spec"].get("initContainers", []):
            files = mounted_files(pod, container)
            password = container["args"][container["args"].index("--password-file") + 1]
            assert password in files
            assert container["args"][:2] in (["db", "migrate"], ["bus", "migrate"])


@pytest.mark.parametrize("case", cases())
def test_the_program_knows_every_argument(case):
    for name, pod in pods(render(values_of(case))):
        for container in [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]:
            command, arguments = typer.main.get_command(app), list(container["args"])
            while hasattr(command, "commands"):
                command = command.commands[arguments.pop(0)]
            context = command.make_context(command.name, [], resilient_parsing=True)
            given, more, _ = command.make_parser(context).parse_args(arguments)
            assert more == [], name
            required = {each.name for each in command.params if each.required}
            assert required <= {key for key, value in given.items() if value}, name


@pytest.mark.parametrize("case", ["default", "desks", "replay"])
def test_the_bundled_servers_read_what_the_chart_writes(case):
    documents = render(values_of(case))
    prefix = prefix_of(case)
    nats = NatsServerSettings.model_validate(settings_json(documents, "nats", prefix))
    pod = dict(pods(documents))[f"StatefulSet {prefix}-nats"]
    users = {
        file.removeprefix(f"{nats.users_dir}/")
        for file in mounted_files(pod, pod["spec"]["containers"][0])
        if file.startswith(f"{nats.users_dir}/")
    }
    assert users == set(one(documents, "Secret", f"{prefix}-platform-nats")["data"])
    storage = one(documents, "StatefulSet", f"{prefix}-nats")["spec"]["volumeClaimTemplates"][0]["spec"]["resources"]
    assert nats.max_store_bytes <= 0.8 * int(storage["requests"]["storage"].removesuffix("Gi")) * 2**30
    postgres = PostgresServerSettings.model_validate(settings_json(documents, "postgresql", prefix))
    pod = dict(pods(documents))[f"StatefulSet {prefix}-postgresql"]
    assert str(postgres.superuser_password_file) in mounted_files(pod, pod["spec"]["containers"][0])


def test_the_platform_of_the_chart_is_the_platform_of_the_plan():
    documents = render()
    found = plan_of(PlatformSettings(speed=1000), history=5)
    for service in PLATFORM:
        workload = found.workload(service)
        settings = ServiceSettings.model_validate(settings_json(documents, service))
        kind = "StatefulSet" if service == "ingestion" else "Deployment"
        spec = one(documents, kind, f"leadline-{service}")["spec"]
        (container,) = spec["template"]["spec"]["containers"]
        params = dict(settings.params)
        if service == "ingestion":
            assert params.pop("launch") == "1"
            # Another launch waits for the end of a run that is under way.
            assert params.pop("adopt_unfinished") is False
        assert params == workload.settings.to_json()
        assert settings.peers == {name: f"leadline-{peer}:9090" for name, peer in workload.calls.items()}
        assert (settings.nats is not None) == ("nats" in workload.secrets)
        assert (settings.database is not None) == ("database" in workload.secrets)
        assert spec["replicas"] == workload.replicas
        assert container["resources"] == workload.resources
        assert spec["template"]["spec"]["priorityClassName"] == f"leadline-{service_of(service).priority}"
        assert container["args"] == ["service", service, "--settings", "/etc/leadline/settings.json"]
        assert set(workload.ports) <= {port["name"] for port in container["ports"]}
        assert set(workload.volumes) <= {volume["name"] for volume in spec["template"]["spec"]["volumes"]}


def test_a_replayed_file_is_the_plans_file_at_its_place():
    documents = render(values_of("replay"))
    platform = PlatformSettings(
        feed=Feed(kind="file", files=(FeedFile(name="mes-2025-06.csv", contract="MES"),)), trade_from=date(2025, 6, 10)
    )
    wanted = plan_of(platform, history=2).workload("ingestion").settings.to_json()
    params = settings_json(documents, "ingestion", "lab")["params"]
    wanted["feed"] = {**wanted["feed"], "files": [{"path": "/feed/mes-2025-06.csv", "contract": "MES"}]}
    # A plan names the instruments of its strategies; a file has its own.
    own = {"wait_for": 2, "launch": "second", "adopt_unfinished": False}
    assert params == {**wanted, "instruments": params["instruments"], **own}
    pod = dict(pods(documents))["StatefulSet lab-ingestion"]
    assert {"name": "feed", "mountPath": "/feed", "readOnly": True} in pod["spec"]["containers"][0]["volumeMounts"]


def test_a_catalog_is_read_at_its_place_in_a_claim_that_is_only_read():
    documents = render(values_of("catalog"))
    params = IngestionParams.model_validate(settings_json(documents, "ingestion")["params"])
    assert (params.feed.kind, params.feed.catalog) == ("catalog", Path("/feed/leadline-catalog"))
    assert (params.instruments, params.feed.sessions, params.trade_from) == (("ES", "MES"), 3, date(2025, 6, 10))
    pod = dict(pods(documents))["StatefulSet leadline-ingestion"]
    (volume,) = (each for each in pod["spec"]["volumes"] if each["name"] == "feed")
    assert volume["persistentVolumeClaim"] == {"claimName": "ticks", "readOnly": True}
    assert {"name": "feed", "mountPath": "/feed", "readOnly": True} in pod["spec"]["containers"][0]["volumeMounts"]
    whole = render({"feed": {"kind": "catalog", "existingClaim": "ticks"}})
    assert settings_json(whole, "ingestion")["params"]["feed"]["catalog"] == "/feed"


def test_a_live_tape_is_told_to_ingestion_and_to_the_bus():
    documents = render(values_of("live"))
    params = IngestionParams.model_validate(settings_json(documents, "ingestion")["params"])
    assert (params.feed.mode, params.feed.kind, params.feed.shift, params.feed.clock_rate) == (
        "live",
        "sim",
        "session",
        1,
    )
    assert params.instruments == ("MES", "NQ")
    arguments = [container["args"] for _, pod in pods(documents) for container in pod["spec"].get("initContainers", [])]
    buses = [each for each in arguments if each[:2] == ["bus", "migrate"]]
    assert buses
    assert all(each[-1] == "--live" for each in buses)
    mixed = render({"feed": {"mode": "live", "instruments": ["MES", "NQ"], "kinds": {"NQ": "push"}}})
    assert settings_json(mixed, "ingestion")["params"]["feed"]["kinds"] == {"NQ": "push"}


@pytest.mark.parametrize("case", cases())
def test_the_operator_plans_with_the_feed_that_ingestion_plays(case):
    documents = render(values_of(case))
    params = settings_json(documents, "operator", prefix_of(case))["params"]
    platform = OperatorParams.model_validate(params).platform
    ingestion = IngestionParams.model_validate(settings_json(documents, "ingestion", prefix_of(case))["params"])
    assert (platform.feed.mode, platform.feed.shift) == (ingestion.feed.mode, ingestion.feed.shift)
    assert (platform.feed.kind, platform.feed.seed) == (ingestion.feed.kind, ingestion.feed.seed)
    assert platform.trade_from == ingestion.trade_from
    assert platform.speed == ingestion.speed
    assert [file.contract for file in platform.feed.files] == [file.contract for file in ingestion.feed.files]


def test_the_operator_knows_where_everything_is():
    documents = render(values_of("desks"))
    params = settings_json(documents, "operator")["params"]
    services = {
        f"{document['metadata']['name']}.{document['metadata']['namespace']}.svc"
        for document in documents
        if document["kind"] == "Service"
    }
    addresses = [*params["peers"].values(), params["database_url"].split("@")[1].split("/")[0]]
    addresses += [server.removeprefix("nats://") for server in params["nats"]["servers"]]
    assert {address.split(":")[0] for address in addresses} <= services
    assert params["namespaces"] == ["desk-a", "desk-b"]
    assert params["image"] == "localhost/leadline:0.1.0"
    assert params["tls"] is True
    assert params["storage"] == {"class": "fast", "size": "2Gi", "access_mode": "ReadWriteOncePod"}


def test_a_first_user_sees_the_first_bar_of_regular_hours_within_a_minute():
    speed = settings_json(render(), "ingestion")["params"]["speed"]
    # From 18:00 on the evening before to 09:35, when the first five minutes of regular hours are over.
    assert (15 * 3600 + 35 * 60) / speed < 60


def secret(documents, name, namespace) -> dict[str, str]:
    data = one(documents, "Secret", name, namespace)["data"]
    return {key: base64.b64decode(value).decode() for key, value in data.items()}


def test_keys_are_derived_as_the_services_derive_them():
    documents = render(values_of("desks"))
    platform = secret(documents, "leadline-platform-token", "leadline-system")
    master = platform.pop("master")
    assert master == "a-master-key-that-is-long-enough-for-this"
    assert platform == {service: derive_key(master, "platform", service) for service in PLATFORM}
    for namespace in ("desk-a", "desk-b"):
        wanted = {service: derive_key(master, namespace, service) for service in TRADERS}
        # What is the platform's a trader's service signs for with the platform's key of it.
        called = {peer for name in TRADERS for peer in service_of(name).peers}
        wanted |= {peer: platform[peer] for peer in called - set(TRADERS)}
        assert secret(documents, "leadline-token", namespace) == wanted


def test_each_namespace_has_its_own_users_of_the_bus_with_the_platforms_passwords():
    documents = render(values_of("desks"))
    platform = secret(documents, "leadline-platform-nats", "leadline-system")
    assert platform["ingestion"] == "given-password-1"
    assert set(platform) == {*PLATFORM_USERS, *trader_users(("desk-a", "desk-b"))}
    for namespace in ("desk-a", "desk-b"):
        own = secret(documents, "leadline-nats", namespace)
        assert own == {user: platform[f"{user}-{namespace}"] for user in TRADERS}
    assert len(set(platform.values())) == len(platform)


def test_the_database_has_a_password_for_every_role_and_traders_have_one():
    documents = render()
    platform = secret(documents, "leadline-platform-database", "leadline-system")
    assert set(platform) == {"owner", *SERVICE_ROLES}
    stores = [each.name for each in SERVICES if each.connections is not None]
    traders = {name: platform[name] for name in TRADERS if name in stores}
    assert secret(documents, "leadline-database", "default") == traders
    for service in (name for name in PLATFORM if name in stores):
        url = settings_json(documents, service)["database"]["url"]
        assert url == f"postgresql://{login_role(service)}@leadline-postgresql.leadline-system.svc:5432/leadline"


def test_random_passwords_are_long_and_never_the_same():
    first, second = (secret(render(), "leadline-platform-database", "leadline-system") for _ in range(2))
    assert all(len(password) == 40 and password.isalnum() for password in first.values())
    assert set(first.values()).isdisjoint(second.values())


def test_an_external_database_keeps_its_options_and_never_shows_a_password():
    documents = render(values_of("external"))
    url = settings_json(documents, "recorder")["database"]["url"]
    assert url == "postgresql://leadline_recorder@db.example:5432/trading?sslmode=verify-full"
    init = dict(pods(documents))["Deployment leadline-recorder"]["spec"]["initContainers"][0]["args"]
    assert init[init.index("--dsn") + 1] == "postgresql://migrator@db.example:5432/trading?sslmode=verify-full"
    assert {"--create", "--role-passwords"}.isdisjoint(init)
    assert not [document for document in documents if document["kind"] == "Secret"]
    assert not [name for name, _ in pods(documents) if name.endswith(("nats", "postgresql"))]


def test_the_example_of_the_chart_is_a_manifest():
    chart = (ROOT / "helm" / "leadline" / "Chart.yaml").read_text()
    example = chart.split("artifacthub.io/crdsExamples: |\n")[1].split("  artifacthub.io/changes")[0]
    (found,) = load_manifests(yaml.safe_dump_all(yaml.safe_load(example)))
    assert found.metadata.name == "mes-orderflow"


def test_every_service_reads_the_instruments_of_the_values_and_of_a_config_map():
    bitcoin = {**BITCOIN, "calendar": "evenings"}
    rows = {"instruments": {"BTCUSD": bitcoin}, "calendars": {"evenings": EVENINGS}}
    documents = render({"ownInstruments": {**rows, "existingConfigMap": "ours"}})
    file = yaml.safe_load(one(documents, "ConfigMap", "leadline-instruments")["data"]["values.yaml"])
    assert file == rows
    for service in (*PLATFORM, "operator"):
        (pod,) = [pod for name, pod in pods(documents) if name.split()[1] == f"leadline-{service}"]
        told = ServiceSettings.model_validate(settings_json(documents, service))
        (mount,) = [each for each in pod["spec"]["containers"][0]["volumeMounts"] if each["name"] == "instruments"]
        assert mount["mountPath"] == str(told.instruments_file)
        (volume,) = [each for each in pod["spec"]["volumes"] if each["name"] == "instruments"]
        assert volume["projected"]["sources"] == [
            {"configMap": {"name": "leadline-instruments"}},
            {"configMap": {"name": "ours"}},
        ]


def test_what_names_other_instruments_makes_new_pods_and_is_what_the_guard_asks_about():
    sums = []
    for own in ({"existingConfigMap": "ours"}, {"existingConfigMap": "ours", "revision": "2"}, {}):
        documents = render({"ownInstruments": own})
        found = {
            pod["metadata"]["annotations"].get("checksum/instruments", "")
            for name, pod in pods(documents)
            if name.split()[1].removeprefix("leadline-") in {*PLATFORM, "operator"}
        }
        (guard,) = [pod for name, pod in pods(documents) if name.endswith("upgrade-guard")]
        arguments = guard["spec"]["containers"][0]["args"]
        assert arguments[arguments.index("--operator") + 1] == "leadline-system/leadline-operator"
        asked = arguments[arguments.index("--instruments") + 1] if "--instruments" in arguments else ""
        assert found == {asked}
        sums.append(asked)
    assert len(set(sums)) == 3
    assert sums[-1] == ""


def test_the_pods_of_a_backtest_have_the_resources_that_the_operator_would_give_them():
    settings = ServiceSettings.model_validate(settings_json(render(), "operator"))
    default = OperatorParams.model_fields["backtest_resources"].get_default(call_default_factory=True)
    assert settings.params["backtest_resources"] == default
