"""One connection to an API server, for tests that ask it hundreds of times."""

import base64
import http.client
import json
import ssl
from typing import Any, Self
from urllib.parse import urlsplit

from leadline.model.manifest.kinds import KINDS
from tests.kube.cluster.control_plane import ControlPlane

# It stands beside every schema error, and says nothing about the object.
_NOT_ALL_CHECKED = "some validation rules were not checked because the object was invalid"


class Api:
    """The administrator's connection to the API server of a control plane; a context manager."""

    def __init__(self, kube: ControlPlane) -> None:
        config = json.loads(kube.kubeconfig.read_text())
        user = config["users"][0]["user"]
        pair = kube.directory / "api.pem"
        pair.touch(mode=0o600)
        pair.write_bytes(b"".join(base64.b64decode(user[f"client-{part}-data"]) for part in ("certificate", "key")))
        context = ssl.create_default_context(cafile=str(kube.ca_certificate))
        context.load_cert_chain(pair)
        address = urlsplit(kube.api_url)
        assert address.hostname is not None
        self._connection = http.client.HTTPSConnection(address.hostname, address.port, context=context, timeout=30)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def refusal(self, document: dict[str, Any]) -> list[str]:
        """What the API server has against making this object, line by line as kubectl prints it; nothing is made.

        Unknown fields are looked for as kubectl asks for it.
        """
        path = f"/apis/leadline.dev/v1alpha1/namespaces/default/{KINDS[document['kind']].plural}"
        status, answer = self._post(f"{path}?dryRun=All&fieldValidation=Strict", document)
        if status == 201:
            return []
        causes = answer.get("details", {}).get("causes", [])
        lines = [f"{cause['field']}: {cause['message']}" for cause in causes]
        return [line for line in lines if _NOT_ALL_CHECKED not in line] or [str(answer["message"])]

    def _post(self, path: str, document: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        headers = {"Content-Type": "application/json"}
        self._connection.request("POST", path, json.dumps(document), headers)
        response = self._connection.getresponse()
        body = json.loads(response.read())
        assert isinstance(body, dict)
        return response.status, body
