"""`leadline doctor --kube` against a real API server, as an administrator and as somebody who may do nothing."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from leadline.cli.main import run
from tests.kube.cluster.control_plane import ControlPlane
from tests.operator.setup import install_crds

pytestmark = pytest.mark.integration


@pytest.fixture
def asked(
    control_plane: ControlPlane, namespace: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Any:
    """Runs the command as a user of a kubeconfig; its exit code, and what it said by check and subject."""

    def ask(kubeconfig: Path) -> tuple[int, dict[tuple[str, str], dict[str, str]]]:
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        code = run(["doctor", "--kube", "--namespace", namespace, "--output", "json"])
        document = orjson.loads(capsys.readouterr().out)
        return code, {(each["check"], each["subject"]): each for each in document["findings"]}

    return ask


def claim(namespace: str) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": "leadline"}
    size = {"requests": {"storage": "1Gi"}}
    spec = {"accessModes": ["ReadWriteOnce"], "resources": size, "storageClassName": "none"}
    metadata = {"name": "data", "namespace": namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def secret(namespace: str, name: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"execution": "k" * 40}}


def account(namespace: str) -> dict[str, Any]:
    metadata = {"name": "desk", "namespace": namespace}
    return {"apiVersion": "leadline.dev/v1alpha1", "kind": "TradingAccount", "metadata": metadata, "spec": {}}


def test_an_administrator_is_told_what_is_there_and_what_is_not(
    control_plane: ControlPlane, namespace: str, asked: Any, capsys: pytest.CaptureFixture[str]
):
    install_crds(control_plane)
    control_plane.apply(secret(namespace, "leadline-token"), claim(namespace), account(namespace))
    code, found = asked(control_plane.kubeconfig)
    states = {key: each["state"] for key, each in found.items()}
    assert code == 1
    assert states["cluster-rights", namespace] == "ok"
    assert states["cluster-kinds", "leadline.dev"] == "ok"
    assert ("cluster-secrets", "leadline-token") not in states
    assert states["cluster-secrets", "leadline-nats"] == "wrong"
    assert states["cluster-claims", f"{namespace}/data"] == "wrong"
    assert found["cluster-resources", "desk"]["text"] == (
        "the TradingAccount desk is not ready, it is not looked at yet"
    )
    assert states["credentials", namespace] == "ok"
    text = capsys.readouterr().out + "".join(each["text"] for each in found.values())
    assert "k" * 40 not in text


def test_somebody_without_rights_is_told_which_are_missing_and_that_the_rest_is_unknown(
    control_plane: ControlPlane, asked: Any
):
    install_crds(control_plane)
    code, found = asked(control_plane.kubeconfig_for("nobody"))
    states = {key: each["state"] for key, each in found.items()}
    assert code == 1
    assert states["cluster-rights", "get secrets/leadline-token"] == "wrong"
    others = {state for (check, _), state in states.items() if check != "cluster-rights"}
    assert others == {"unknown"}
    assert "may not be looked at with these rights" in found["cluster-kinds", "leadline.dev"]["text"]
