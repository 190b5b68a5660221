"""Requests to the API server as an administrator, over one kept connection, and a kubelet of the least kind."""

import http.client
import json
import ssl
import threading
from typing import Any

from tests.kube.cluster.control_plane import ADMIN_GROUP, ControlPlane

MERGE = "application/merge-patch+json"
APPLY = "application/apply-patch+yaml"
LEADLINE = "/apis/leadline.dev/v1alpha1"
APPS = "/apis/apps/v1"
CORE = "/api/v1"


class Api:
    """One connection; use it from one thread. A request that finds it broken is made once more."""

    def __init__(self, kube: ControlPlane) -> None:
        self._kube = kube
        self._context = ssl.create_default_context(cafile=str(kube.ca_certificate))
        self._context.load_cert_chain(*kube._client_certificate("admin", (ADMIN_GROUP,)))
        self._connection: http.client.HTTPSConnection | None = None

    def request(
        self, method: str, path: str, body: Any = None, kind: str = "application/json"
    ) -> tuple[int, dict[str, Any]]:
        """The status, 0 without an answer, and what the API server said."""
        data = None if body is None else json.dumps(body)
        for _ in range(2):
            connection = self._connection or http.client.HTTPSConnection(
                "127.0.0.1", self._kube.port, context=self._context, timeout=10
            )
            self._connection = connection
            try:
                connection.request(method, path, data, {"Content-Type": kind})
                response = connection.getresponse()
                return response.status, json.loads(response.read())
            except (OSError, http.client.HTTPException, ValueError):
                connection.close()
                self._connection = None
        return 0, {}

    def get(self, path: str) -> dict[str, Any] | None:
        """The object, None when there is none."""
        status, found = self.request("GET", path)
        return found if status == 200 else None

    def items(self, path: str, labels: str = "") -> list[dict[str, Any]]:
        """The objects of a listing."""
        _, found = self.request("GET", f"{path}?labelSelector={labels}" if labels else path)
        return list(found.get("items") or ())

    def patch(self, path: str, patch: Any, kind: str = MERGE, manager: str = "somebody") -> dict[str, Any]:
        """Patch, as a field manager. Fails when the API server refuses."""
        forced = "&force=true" if kind == APPLY else ""
        status, found = self.request("PATCH", f"{path}?fieldManager={manager}{forced}", patch, kind)
        assert status in {200, 201}, found
        return found

    def delete(self, path: str, **options: Any) -> None:
        """Delete; nothing when it is gone."""
        self.request("DELETE", path, {"apiVersion": "v1", "kind": "DeleteOptions", **options} if options else None)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


class Kubelet:
    """Makes every Pod of the platform ready, and every StatefulSet with it, as long as it is not told otherwise.

    `lazy`: parts of Pods' names that never come up. `sticky`: parts of the names of Pods that do not end.
    """

    def __init__(self, kube: ControlPlane) -> None:
        self.lazy: set[str] = set()
        self._api = Api(kube)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kubelet", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        self._api.close()

    def _run(self) -> None:
        while not self._stop.wait(0.1):
            pods = self._api.items(f"{CORE}/pods", "app.kubernetes.io%2Fmanaged-by%3Dleadline-operator")
            for pod in pods:
                metadata, status = pod["metadata"], pod.get("status") or {}
                if status.get("phase", "Pending") != "Pending" or any(part in metadata["name"] for part in self.lazy):
                    continue
                path = f"{CORE}/namespaces/{metadata['namespace']}/pods/{metadata['name']}/status"
                conditions = [{"type": kind, "status": "True"} for kind in ("Ready", "ContainersReady", "PodScheduled")]
                self._api.request("PATCH", path, {"status": {"phase": "Running", "conditions": conditions}}, MERGE)
