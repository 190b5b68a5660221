"""The files for K3s: each is read by what reads it, or held to the fields that K3s documents."""

import gzip
import hashlib
import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from helm_python import Chart

from tests.chart.rendering import CRDS_CHART, NAMESPACE, RELEASE, ROOT, images, render
from tests.kube.cluster.control_plane import ControlPlane, KubectlFailed

K3S = ROOT / "k3s"
# Fields of a HelmChart's spec that K3s documents.
HELM_CHART_FIELDS = {
    "chart", "chartContent", "repo", "version", "targetNamespace", "createNamespace", "values", "valuesContent",
    "valuesSecrets", "set", "timeout", "backOffLimit", "jobImage", "takeOwnership", "failurePolicy",
}  # fmt: skip
# Options of `k3s server`, as its configuration file spells them.
SERVER_OPTIONS = {
    "cluster-init", "etcd-snapshot-schedule-cron", "etcd-snapshot-retention", "secrets-encryption", "disable",
    "write-kubeconfig-mode", "embedded-registry", "kube-apiserver-arg", "kubelet-arg",
}  # fmt: skip


def load(name: str) -> Any:
    return yaml.safe_load((K3S / name).read_text())


def helm_chart(name: str) -> dict[str, Any]:
    found: dict[str, Any] = load(f"manifests/{name}.yaml")
    return found


def test_every_yaml_file_can_be_read():
    files = [path for path in K3S.rglob("*") if path.suffix in {".yaml", ".example"}]
    assert len(files) == 9
    for path in files:
        assert list(yaml.safe_load_all(path.read_text())), path.name


@pytest.mark.parametrize(("file", "chart"), [("10-leadline-crds", "leadline-crds"), ("20-leadline", "leadline")])
def test_a_failed_upgrade_is_left_as_it_is(file, chart):
    document = helm_chart(file)
    spec = document["spec"]
    assert (document["apiVersion"], document["kind"]) == ("helm.cattle.io/v1", "HelmChart")
    assert document["metadata"] == {"name": chart, "namespace": "kube-system"}
    assert set(spec) <= HELM_CHART_FIELDS
    assert spec["failurePolicy"] == "abort"
    assert spec["timeout"] == "10m"
    assert spec["targetNamespace"] == NAMESPACE
    version = yaml.safe_load((ROOT / "helm" / chart / "Chart.yaml").read_text())["version"]
    assert spec["chart"] == f"https://%{{KUBERNETES_API}}%/static/charts/{chart}-{version}.tgz"


def test_the_manifest_holds_the_values_of_one_node():
    assert helm_chart("20-leadline")["spec"]["valuesContent"] == (K3S / "values" / "single-node.yaml").read_text()


@pytest.mark.parametrize("file", ["single-node", "ha"])
def test_the_values_are_accepted(file):
    with Chart.load(ROOT / "helm" / "leadline") as chart:
        chart.validate_schema(chart.merge_values(load(f"values/{file}.yaml")))


def test_the_namespaces_are_those_of_the_values_and_take_restricted_pods_only():
    documents = list(yaml.safe_load_all((K3S / "manifests" / "00-namespaces.yaml").read_text()))
    wanted = {NAMESPACE, *(each["name"] for each in load("values/single-node.yaml")["namespaces"])}
    assert {document["metadata"]["name"] for document in documents} == wanted
    assert wanted - {NAMESPACE} == {each["name"] for each in load("values/ha.yaml")["namespaces"]}
    for document in documents:
        assert document["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"


def test_what_can_be_two_is_two_on_several_servers():
    # Offline nobody can see the Secrets that the traders' are made from.
    values = {**load("values/ha.yaml"), "namespaces": [{"name": "trading", "createSecrets": False}]}
    documents = render(values)
    replicas = {
        document["metadata"]["name"]: document["spec"]["replicas"]
        for document in documents
        if document["kind"] in {"Deployment", "StatefulSet"}
    }
    assert replicas == {
        "leadline-ingestion": 1,
        "leadline-aggregation": 1,
        "leadline-recorder": 1,
        "leadline-operator": 2,
        "leadline-risk": 2,
    }


def test_the_list_of_images_is_what_the_charts_use():
    used = [*images(render(load("values/single-node.yaml"))), *images(render(chart=CRDS_CHART))]
    assert (K3S / "images.txt").read_text().split() == sorted(set(used))


def test_the_servers_configuration_names_options_that_there_are():
    config = load("config.yaml.d/10-leadline.yaml")
    assert set(config) == SERVER_OPTIONS
    told = (K3S / "README.md").read_text()
    for argument in config["kube-apiserver-arg"]:
        flag, _, value = argument.partition("=")
        if flag.endswith("-file"):
            assert value == f"/var/lib/rancher/k3s/server/{Path(value).name}"
            assert (K3S / Path(value).name).exists()
            assert f"k3s/{Path(value).name}" in told


def test_the_readme_names_files_that_there_are():
    told = (K3S / "README.md").read_text()
    for name in ("config.yaml.d/10-leadline.yaml", "psa.yaml", "audit-policy.yaml", "airgap/bundle.sh", "manifests/"):
        assert f"k3s/{name}" in told
        assert (K3S / name).exists()
    assert "On K3s itself none of this was tried here" in told
    image = (K3S / "images.txt").read_text().strip()
    assert f"make image IMAGE={image}" in told


@pytest.fixture(scope="module")
def bundle(tmp_path_factory) -> Path:
    target: Path = tmp_path_factory.mktemp("airgap") / "bundle"
    command = [str(K3S / "airgap" / "bundle.sh"), "--without-images", str(target)]
    subprocess.run(command, check=True, capture_output=True)
    return target


def test_the_bundle_is_complete_and_whole(bundle):
    found = {str(path.relative_to(bundle)) for path in bundle.rglob("*") if path.is_file()}
    charts = {f"charts/{Path(helm_chart(name)['spec']['chart']).name}" for name in ("10-leadline-crds", "20-leadline")}
    manifests = {f"manifests/{path.name}" for path in (K3S / "manifests").iterdir()}
    values = {f"values/{path.name}" for path in (K3S / "values").iterdir()}
    others = {"10-leadline.yaml", "registries.yaml.example", "psa.yaml", "audit-policy.yaml", "SHA256SUMS"}
    assert found == charts | manifests | values | others
    sums = dict(reversed(line.split("  ")) for line in (bundle / "SHA256SUMS").read_text().splitlines())
    assert {name.removeprefix("./") for name in sums} == found - {"SHA256SUMS"}
    for name, digest in sums.items():
        assert hashlib.sha256((bundle / name).read_bytes()).hexdigest() == digest


def test_the_bundled_charts_are_the_charts(bundle):
    (archive,) = bundle.glob("charts/leadline-0*.tgz")
    values = load("values/single-node.yaml") | {"token": {"master": "m" * 40}}
    with Chart.load(archive) as packed, Chart.load(ROOT / "helm" / "leadline") as whole:
        rendered = [chart.render(values, name=RELEASE, namespace=NAMESPACE) for chart in (packed, whole)]
    for each in rendered:
        del each["leadline/templates/secrets/secrets.yaml"]  # random
    assert rendered[0] == rendered[1]
    with tarfile.open(archive) as inside:
        assert not [name for name in inside.getnames() if "/ci/" in name]


def test_bundling_twice_gives_the_same_bytes(bundle, tmp_path):
    again = tmp_path / "again"
    command = [str(K3S / "airgap" / "bundle.sh"), "--without-images", str(again)]
    subprocess.run(command, check=True, capture_output=True)
    assert (again / "SHA256SUMS").read_text() == (bundle / "SHA256SUMS").read_text()


def test_an_image_that_is_not_there_is_named(tmp_path):
    # No tool at all is the same as a tool without the image.
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("bash", "sed", "mkdir", "cp", "tar", "gzip", "sort", "dirname", "tr", "rm", "cat"):
        found = next(Path(place) / name for place in ("/usr/bin", "/bin") if (Path(place) / name).exists())
        (tools / name).symlink_to(found)
    done = subprocess.run(
        ["bash", str(K3S / "airgap" / "bundle.sh"), str(tmp_path / "out")],
        env={"PATH": str(tools)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "localhost/leadline:0.1.0 is not on this machine: make image IMAGE=localhost/leadline:0.1.0" in done.stderr


class AuditedControlPlane(ControlPlane):
    """With the two files that the configuration names."""

    def _apiserver_command(self) -> list[str]:
        log = self.directory / "audit.log"
        return [
            *super()._apiserver_command(),
            f"--admission-control-config-file={K3S / 'psa.yaml'}",
            f"--audit-policy-file={K3S / 'audit-policy.yaml'}",
            f"--audit-log-path={log}",
        ]


@pytest.fixture(scope="module")
def audited() -> Iterator[AuditedControlPlane]:
    with AuditedControlPlane() as running:
        for name in ("tradingstrategies", "tradingaccounts"):
            definition = [each for each in render(chart=CRDS_CHART) if each["metadata"]["name"].startswith(name)]
            running.apply(*definition)
        running.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=30s")
        yield running


def pod(**security: Any) -> str:
    container = {"name": "one", "image": "x", "securityContext": security}
    document = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": {"containers": [container]}}
    return json.dumps(document)


@pytest.mark.integration
@pytest.mark.timeout(180)
def test_a_namespace_that_says_nothing_takes_no_privileged_pod(audited):
    audited.kubectl("create", "--dry-run=server", "-f", "-", input=pod())
    with pytest.raises(KubectlFailed, match='violates PodSecurity "baseline'):
        audited.kubectl("create", "--dry-run=server", "-f", "-", input=pod(privileged=True))
    audited.kubectl("create", "--dry-run=server", "-n", "kube-system", "-f", "-", input=pod(privileged=True))


@pytest.mark.integration
@pytest.mark.timeout(180)
def test_the_audit_says_who_changed_a_strategy_and_keeps_secrets_to_itself(audited):
    strategy = {
        "apiVersion": "leadline.dev/v1alpha1",
        "kind": "TradingStrategy",
        "metadata": {"name": "first", "namespace": "default"},
        "spec": {"instrument": "MES"},
    }
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "venue", "namespace": "default"},
        "stringData": {"password": "not-for-the-log"},
    }
    audited.apply(strategy, secret)
    log = audited.directory / "audit.log"
    entries = audited.wait_until(
        lambda: [
            entry
            for entry in map(json.loads, log.read_text().splitlines())
            if entry["verb"] == "patch" and entry.get("objectRef", {}).get("name") in {"first", "venue"}
        ],
        "the changes are written down",
    )
    found = {entry["objectRef"]["name"]: entry for entry in entries}
    assert found["first"]["user"]["username"] == "admin"
    assert found["first"]["requestObject"]["spec"] == {"instrument": "MES"}
    assert "requestObject" not in found["venue"]
    text = log.read_text()
    assert "not-for-the-log" not in text
    assert "bm90LWZvci10aGUtbG9n" not in text  # the same in base64
    audited.kubectl(
        "patch", "tstrat", "first", "--subresource=status", "--type=merge", "-p", '{"status":{"phase":"Pending"}}'
    )
    audited.kubectl("delete", "tstrat", "first", "--wait=false")
    audited.wait_until(lambda: '"verb":"delete"' in log.read_text(), "the deletion is written down")
    assert '"subresource":"status"' not in log.read_text()


def test_what_is_packed_is_compressed_without_a_date(bundle):
    for archive in bundle.glob("charts/*.tgz"):
        assert archive.read_bytes()[4:8] == b"\0\0\0\0"
        assert gzip.decompress(archive.read_bytes())
