"""From a workload of the plan to the Pod that carries it out. Pure: the same in, the same out."""

import json
from collections.abc import Mapping
from typing import Any, Final

from leadline.model.manifest.own_markets import in_force
from leadline.model.services import service_of
from leadline.plan.plan import Workload
from leadline.runtime.settings import ServiceSettings
from leadline_operator.kinds import MANAGED_BY, JsonObject, Key, owner_label
from leadline_operator.params import OperatorParams

GRPC_PORT: Final = 9090
HEALTH_PORT: Final = 9091
METRICS_PORT: Final = 9100
USER: Final = 10001
# More than a service takes to stop when it is told to.
GRACE_SECONDS: Final = 60
SETTINGS_KEY: Final = "settings.json"
INSTRUMENTS_KEY: Final = "instruments.json"

CONFIG_DIR: Final = "/etc/leadline"
CONFINED: Final = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
"""The security context of every container."""
_SECRETS: Final = f"{CONFIG_DIR}/secrets"
_DATA: Final = "/var/lib/leadline"
_CREDENTIALS: Final = "/var/run/leadline/credentials"
_TLS: Final = ("tls.crt", "tls.key", "ca.crt")
# Replaced now and then, so that calls find their way to Pods that came later.
_CONNECTION_AGE: Final = {"seconds": 300, "grace_seconds": 30}


def labels_of(workload: Workload, owner: Key) -> dict[str, str]:
    """The labels of everything that is made for a workload."""
    return labels_for(workload.service, owner_label(workload.owner), owner)


def labels_for(component: str, label: str, owner: Key) -> dict[str, str]:
    """The labels of everything that is made for an owner; `label` is the one that finds it again."""
    return {
        "app.kubernetes.io/name": "leadline",
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/instance": owner.name,
        **MANAGED_BY,
        label: owner.name,
    }


def selector_of(workload: Workload, owner: Key) -> dict[str, str]:
    """The labels that tell a workload's Pods from all others; they never change."""
    labels = labels_of(workload, owner)
    return {name: labels[name] for name in ("app.kubernetes.io/component", owner_label(workload.owner))}


def owned_by(owner: Mapping[str, Any]) -> list[JsonObject]:
    """The reference that makes an object go with its owner, and not before."""
    metadata = owner["metadata"]
    return [
        {
            "apiVersion": owner["apiVersion"],
            "kind": owner["kind"],
            "name": metadata["name"],
            "uid": metadata["uid"],
            "controller": True,
            "blockOwnerDeletion": True,
        }
    ]


def service_settings(
    workload: Workload, params: OperatorParams, namespace: str, code_version: str | None = None
) -> str:
    """The settings file of a workload, as text. `code_version` is what an analysis of another image publishes under."""
    service = workload.service
    secret = {name: f"{_SECRETS}/{name}/{service}" for name in ("nats", "database", "token")}
    peers = {name: _peer(name, peer, params, namespace) for name, peer in workload.calls.items()}
    found = ServiceSettings.model_validate(
        {
            "service": service,
            "workload": workload.id,
            "listen": f"0.0.0.0:{GRPC_PORT}",
            "metrics_listen": f"0.0.0.0:{METRICS_PORT}",
            "health_listen": f"0.0.0.0:{HEALTH_PORT}",
            "connection_age": None if service_of(service).steady else _CONNECTION_AGE,
            "code_version": code_version,
            "nats": {
                "servers": params.nats.servers,
                "user": f"{service}-{namespace}",
                "password_file": secret["nats"],
            }
            if "nats" in workload.secrets
            else None,
            "database": {"url": params.database_url, "password_file": secret["database"]}
            if "database" in workload.secrets
            else None,
            "data_dir": _DATA,
            "instruments_file": f"{CONFIG_DIR}/{INSTRUMENTS_KEY}" if own_digest() else None,
            "token_key_file": secret["token"],
            "tls": {
                "certificate_file": f"{_SECRETS}/tls/tls.crt",
                "key_file": f"{_SECRETS}/tls/tls.key",
                "ca_file": f"{_SECRETS}/tls/ca.crt",
            }
            if params.tls
            else None,
            "peers": peers,
            "peer_key_files": {name: f"{_SECRETS}/token/{name}" for name in peers},
            "params": workload.settings.to_json(),
        }
    )
    return json.dumps(found.model_dump(mode="json", exclude_none=True), indent=2, sort_keys=True)


def pod_template(
    workload: Workload,
    params: OperatorParams,
    owner: Key,
    annotations: Mapping[str, str],
    *,
    image: str | None = None,
    volume: str | None = None,
    credentials: str | None = None,
) -> JsonObject:
    """The Pod of a workload: restricted, without a token of the API, with just the secrets that it uses.

    volume: the claim that holds what must survive the Pod; without one that is an empty directory. credentials: the
    Secret with the venue's, for execution.
    """
    service = workload.service
    container: JsonObject = {
        "name": service,
        "image": image or params.image,
        "imagePullPolicy": params.image_pull_policy,
        "args": ["service", service, "--settings", f"{CONFIG_DIR}/{SETTINGS_KEY}"],
        "ports": [
            {"name": "grpc", "containerPort": GRPC_PORT, "protocol": "TCP"},
            {"name": "health", "containerPort": HEALTH_PORT, "protocol": "TCP"},
            {"name": "metrics", "containerPort": METRICS_PORT, "protocol": "TCP"},
        ],
        "securityContext": CONFINED,
        "resources": workload.resources,
        # Why it ended, where `kubectl get` finds it.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "startupProbe": _probe("startup", periodSeconds=2, failureThreshold=60),
        "readinessProbe": _probe("", periodSeconds=5),
        "livenessProbe": _probe("liveness", periodSeconds=10, failureThreshold=3),
        "volumeMounts": [
            {"name": "config", "mountPath": CONFIG_DIR, "readOnly": True},
            {"name": volume or "data", "mountPath": _DATA},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - the container's own
        ],
    }
    if params.otlp_endpoint:
        container["env"] = [{"name": "OTEL_EXPORTER_OTLP_ENDPOINT", "value": params.otlp_endpoint}]
    volumes: list[JsonObject] = [
        {"name": "config", "projected": {"defaultMode": 0o440, "sources": _sources(workload, params)}},
        {"name": "tmp", "emptyDir": {}},
    ]
    if volume is None:
        volumes.append({"name": "data", "emptyDir": {}})
    if credentials is not None:
        container["volumeMounts"].append({"name": "credentials", "mountPath": _CREDENTIALS, "readOnly": True})
        volumes.append({"name": "credentials", "secret": {"secretName": credentials, "defaultMode": 0o440}})
    spec = pod_spec(container, volumes, params, service_of(service).priority)
    return {"metadata": {"labels": labels_of(workload, owner), "annotations": dict(annotations)}, "spec": spec}


def pod_spec(container: JsonObject, volumes: list[JsonObject], params: OperatorParams, priority: str) -> JsonObject:
    """A Pod of one container: restricted, and without a token of the API. `priority` is the class among the chart's."""
    spec: JsonObject = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": GRACE_SECONDS,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": volumes,
    }
    if params.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in params.image_pull_secrets]
    if params.priority_classes:
        spec["priorityClassName"] = f"leadline-{priority}"
    return spec


def config_map(workload: Workload, owner: Key, reference: list[JsonObject], settings: str) -> JsonObject:
    """The ConfigMap with a workload's settings."""
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": workload.id,
            "namespace": owner.namespace,
            "labels": labels_of(workload, owner),
            "ownerReferences": reference,
        },
        "data": {SETTINGS_KEY: settings, **({INSTRUMENTS_KEY: in_force().document()} if own_digest() else {})},
    }


def own_digest() -> str:
    """The digest of the instruments of one's own that every workload is given; empty where there are none.

    They are those of this process: the ConfigMap that it has them from cannot be mounted in another namespace.
    """
    return in_force().digest()


def service(workload: Workload, owner: Key, reference: list[JsonObject]) -> JsonObject:
    """The Service by which a workload is called."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {
            "name": workload.id,
            "namespace": owner.namespace,
            "labels": labels_of(workload, owner),
            "ownerReferences": reference,
        },
        "spec": {
            "type": "ClusterIP",
            "selector": selector_of(workload, owner),
            "ports": [{"name": "grpc", "port": GRPC_PORT, "targetPort": "grpc", "protocol": "TCP"}],
            # An account's execution is called while it recovers too: it answers when it can.
            "publishNotReadyAddresses": True,
        },
    }


def _peer(name: str, peer: str, params: OperatorParams, namespace: str) -> str:
    platform = params.peers.model_dump()
    return str(platform[name]) if name in platform else f"{peer}.{namespace}.svc:{GRPC_PORT}"


def _probe(name: str, **timing: int) -> JsonObject:
    return {"grpc": {"port": HEALTH_PORT, "service": name}, "timeoutSeconds": 5, **timing}


def _sources(workload: Workload, params: OperatorParams) -> list[JsonObject]:
    """One volume for settings and secrets: a rotated Secret shows up in it without a new Pod."""
    service = workload.service
    keys = [service, *sorted(workload.calls)]
    files = [SETTINGS_KEY, *([INSTRUMENTS_KEY] if own_digest() else [])]
    sources: list[JsonObject] = [
        {"configMap": {"name": workload.id, "items": [{"key": file, "path": file} for file in files]}},
        {"secret": {"name": "leadline-token", "items": [_item(key, "token") for key in keys]}},
    ]
    sources += [
        {"secret": {"name": f"leadline-{secret}", "items": [_item(service, secret)]}}
        for secret in ("nats", "database")
        if secret in workload.secrets
    ]
    if params.tls:
        sources.append({"secret": {"name": "leadline-tls", "items": [_item(name, "tls") for name in _TLS]}})
    return sources


def _item(key: str, folder: str) -> JsonObject:
    return {"key": key, "path": f"secrets/{folder}/{key}"}
