"""What the chart makes of values, without a cluster."""

import copy
import re

import pytest
import yaml
from helm_python import Chart, HelmError, lint

from tests.chart.rendering import CHART, GOLDEN, cases, golden_text, images, notes, one, pods, render, values_of


@pytest.mark.parametrize("case", cases())
def test_the_chart_makes_what_the_golden_file_holds(case):
    golden = GOLDEN / f"{case}.yaml"
    assert golden.read_text() == golden_text(case), "run: .venv/bin/python -m tests.chart.rendering --update"


def test_there_is_a_golden_file_for_each_set_of_values_and_no_other():
    assert sorted(path.stem for path in GOLDEN.glob("*.yaml")) == cases()


@pytest.mark.parametrize("case", cases())
@pytest.mark.parametrize("version", ["v1.30.0", "v1.36.3"])
def test_helm_finds_nothing_to_complain_about(case, version):
    report = lint(CHART, values_of(case), strict=True, kube_version=version)
    assert report["errors"] == []
    # There is no icon, because there is no logo.
    assert {message["error"] for message in report["messages"]} <= {"icon is recommended"}


@pytest.mark.parametrize("case", cases())
def test_no_object_is_made_twice(case):
    for namespace in ("leadline-system", "default"):
        names = [
            (document["kind"], document["metadata"].get("namespace"), document["metadata"]["name"])
            for document in render(values_of(case), namespace=namespace)
        ]
        assert sorted(map(str, names)) == sorted({str(name) for name in names})


def test_a_first_install_without_a_namespace_puts_platform_and_traders_into_one():
    documents = render(namespace="default")
    platform = one(documents, "Secret", "leadline-platform-token")
    traders = one(documents, "Secret", "leadline-token")
    assert set(platform["data"]) == {"master", "ingestion", "aggregation", "recorder", "risk"}
    assert set(traders["data"]) == {"analysis", "execution", "venue", "risk"}


@pytest.mark.parametrize("case", cases())
def test_every_object_says_whose_it_is(case):
    for document in render(values_of(case)):
        labels = document["metadata"]["labels"]
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert labels["app.kubernetes.io/part-of"] == "leadline"
        assert labels["helm.sh/chart"].startswith("leadline-")
        assert {"app.kubernetes.io/name", "app.kubernetes.io/instance", "app.kubernetes.io/component"} <= set(labels)


@pytest.mark.parametrize("case", cases())
def test_every_pod_is_confined(case):
    found = dict(pods(render(values_of(case))))
    assert found
    for name, pod in found.items():
        spec = pod["spec"]
        assert spec["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": 10001,
            "runAsGroup": 10001,
            "fsGroup": 10001,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        }, name
        assert spec["enableServiceLinks"] is False
        for container in [*spec.get("initContainers", []), *spec["containers"]]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }, name
            assert {"requests", "limits"} <= set(container["resources"])
            # The image's entry point is the program; nothing else of it is known here.
            assert "command" not in container
            assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]


@pytest.mark.parametrize("case", cases())
def test_only_the_operator_has_a_token_for_the_api(case):
    for name, pod in pods(render(values_of(case))):
        speaks = name.split()[1].removeprefix("lab-").removeprefix("leadline-") in {
            "operator",
            "uninstall-guard",
            "upgrade-guard",
        }
        assert pod["spec"]["automountServiceAccountToken"] is speaks, name


def test_a_pod_waits_for_its_probes_on_the_plain_port():
    documents = render()
    for service, kind in [("ingestion", "StatefulSet"), ("risk", "Deployment"), ("operator", "Deployment")]:
        container = one(documents, kind, f"leadline-{service}")["spec"]["template"]["spec"]["containers"][0]
        asked = {name: container[f"{name}Probe"]["grpc"] for name in ("startup", "readiness", "liveness")}
        assert asked == {
            "startup": {"port": 9091, "service": "startup"},
            "readiness": {"port": 9091, "service": ""},
            "liveness": {"port": 9091, "service": "liveness"},
        }


def test_every_image_is_the_one_of_the_values():
    assert images(render()) == ["localhost/leadline:0.1.0"]
    assert images(render({"image": {"repository": "registry.example/leadline", "tag": "7"}})) == [
        "registry.example/leadline:7"
    ]
    digest = "sha256:" + "a" * 64
    assert images(render({"image": {"tag": "7", "digest": digest}})) == [f"localhost/leadline@{digest}"]


def test_chart_and_package_have_one_version():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    project = (CHART.parents[1] / "pyproject.toml").read_text()
    version = re.search(r'^version = "(.+)"$', project, re.MULTILINE)
    assert version is not None
    assert chart["appVersion"] == version[1]
    assert f"localhost/leadline:{version[1]}" in chart["annotations"]["artifacthub.io/images"]
    assert "dependencies" not in chart


def test_a_package_of_the_chart_holds_what_helm_needs(tmp_path):
    with Chart.load(CHART) as chart:
        archive = chart.save(tmp_path)
    with Chart.load(archive) as packed:
        files = {each["name"] for each in packed.files}
        assert {name for name in files if not name.startswith("files/dashboards/")} == {"README.md", ".helmignore"}
        assert "files/dashboards/rules/leadline.yaml" in files, "the rules are read from there"
        assert packed.schema is not None


def test_one_copy_has_no_disruption_budget_and_two_have():
    alone = [document["metadata"]["name"] for document in render() if document["kind"] == "PodDisruptionBudget"]
    assert alone == []
    documents = render({"risk": {"replicas": 2}, "operator": {"replicas": 2}})
    for name in ("leadline-risk", "leadline-operator"):
        assert one(documents, "PodDisruptionBudget", name)["spec"]["maxUnavailable"] == 1
    spread = one(documents, "Deployment", "leadline-risk")["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert spread[0]["topologyKey"] == "kubernetes.io/hostname"


def test_what_there_must_be_one_of_is_never_two():
    documents = render({"risk": {"replicas": 3}})
    assert one(documents, "StatefulSet", "leadline-ingestion")["spec"]["replicas"] == 1
    for service in ("aggregation", "recorder"):
        spec = one(documents, "Deployment", f"leadline-{service}")["spec"]
        assert (spec["replicas"], spec["strategy"]["type"]) == (1, "Recreate")


def test_a_new_strategy_or_account_takes_no_room_from_market_data_decisions_and_orders():
    classes = {document["metadata"]["name"]: document for document in render() if document["kind"] == "PriorityClass"}
    values = {name: found["value"] for name, found in classes.items()}
    # What the operator starts for a newcomer is of these two; a Pod evicts those of smaller value only.
    newcomers = max(values["leadline-execution"], values["leadline-strategy"])
    assert [name for name, value in values.items() if value < newcomers] == ["leadline-strategy", "leadline-backtest"]
    assert values["leadline-backtest"] < min(0, values["leadline-strategy"]), "it makes way for everybody"
    policies = {name: found["preemptionPolicy"] for name, found in classes.items()}
    assert {policies.pop(f"leadline-{name}") for name in ("strategy", "backtest")} == {"Never"}
    assert set(policies.values()) == {"PreemptLowerPriority"}
    platform = {name: pod["spec"].get("priorityClassName") for name, pod in pods(render())}
    assert "leadline-strategy" not in platform.values(), "of the platform itself nothing is evicted"
    used = {pod["spec"].get("priorityClassName") for _, pod in pods(render())}
    assert used <= set(classes)
    without = render({"priorityClasses": {"create": False}})
    assert {pod["spec"].get("priorityClassName") for _, pod in pods(without)} == {None}


@pytest.mark.parametrize(("size", "fits"), [("20Gi", True), ("16Gi", True), ("17G", False), ("1Gi", False)])
def test_the_streams_are_never_larger_than_their_volume(size: str, fits: bool):
    values = {"nats": {"maxStoreBytes": 16 * 2**30, "storage": {"size": size}}}
    if fits:
        assert render(values)
    else:
        with pytest.raises(HelmError, match=f"expected at most what the volume holds .nats.storage.size: {size}"):
            render(values)


def test_a_changed_setting_makes_a_new_pod_and_a_changed_chart_does_not():
    def template(values, kind="StatefulSet", name="leadline-ingestion"):
        return one(render(values), kind, name)["spec"]["template"]

    assert template({"feed": {"speed": 1}}) != template({})
    assert template({"feed": {"speed": 1}}, name="leadline-postgresql") == template({}, name="leadline-postgresql")
    assert "helm.sh/chart" not in template({})["metadata"]["labels"]


def test_a_new_namespace_starts_the_bus_again_because_it_reads_its_users_once():
    def template(*names):
        documents = render({"namespaces": [{"name": name} for name in names]})
        return one(documents, "StatefulSet", "leadline-nats")["spec"]["template"]

    assert template("a") == template("a")
    checksums = [each["metadata"]["annotations"]["checksum/settings"] for each in (template("a"), template("a", "b"))]
    assert checksums[0] != checksums[1]


def test_a_namespace_needs_only_a_name():
    documents = render({"namespaces": [{"name": "desk"}]})
    assert one(documents, "Secret", "leadline-token", "desk")
    assert one(documents, "Role", "leadline-operator", "desk")
    assert [document for document in documents if document["kind"] in {"Namespace", "TradingAccount"}] == []


def test_a_namespace_that_is_made_demands_restricted_pods_and_stays():
    made = one(render({"namespaces": [{"name": "desk", "create": True}]}), "Namespace", "desk")
    assert made["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert made["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"


def test_nothing_of_the_prometheus_operator_is_made_unless_it_is_asked_for():
    kinds = {document["kind"] for document in render()}
    assert kinds.isdisjoint({"ServiceMonitor", "PodMonitor", "PrometheusRule", "Certificate"})
    asked = {document["kind"] for document in render(values_of("desks"))}
    assert {"ServiceMonitor", "PodMonitor", "PrometheusRule", "Certificate"} <= asked


def test_certificates_are_for_the_names_under_which_services_are_called():
    documents = render(values_of("desks"))
    names = {
        document["metadata"]["namespace"]: document["spec"]["dnsNames"]
        for document in documents
        if document["kind"] == "Certificate"
    }
    assert set(names) == {"leadline-system", "desk-a", "desk-b"}
    assert "*.desk-a.svc" in names["desk-a"]
    assert one(documents, "Certificate", "leadline-traders", "desk-b")["spec"]["secretName"] == "leadline-tls"


def test_the_notes_name_the_next_command():
    told = notes()
    for words in ("kubectl apply", "helm test leadline", "leadline-crds", "tls.mode is none", "tstrat,tacct --all"):
        assert words in told


def test_rendering_changes_no_values():
    values = values_of("desks")
    before = copy.deepcopy(values)
    render(values)
    assert values == before
