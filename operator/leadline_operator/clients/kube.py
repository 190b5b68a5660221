"""Requests to the API server: plain JSON objects in and out, and an error whose type says how to go on."""

import json
import socket
from collections.abc import Callable, Mapping, MutableSet
from pathlib import Path
from typing import Any, Final, Literal
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import load_incluster_config, load_kube_config

from leadline.model.errors import LeadlineError
from leadline_operator import metrics
from leadline_operator.kinds import FIELD_MANAGER, JsonObject, Kind, kind_of

REQUEST_SECONDS: Final = 30.0
PAGE: Final = 100
CONNECTIONS: Final = 32
_TOKEN_FILE: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")

Verb = Literal["get", "list", "watch", "create", "apply", "patch", "update", "delete"]
_METHODS: Final[dict[Verb, str]] = {
    "get": "GET",
    "list": "GET",
    "watch": "GET",
    "create": "POST",
    "apply": "PATCH",
    "patch": "PATCH",
    "update": "PUT",
    "delete": "DELETE",
}
_BODIES: Final[dict[Verb, str]] = {
    "apply": "application/apply-patch+yaml",
    "patch": "application/merge-patch+json",
}


class KubeError(LeadlineError):
    """The API server refused, or is not there.

    status: the HTTP status, 0 when there was no answer. reason: the API's word for it. message: what it said.
    """

    def __init__(self, status: int, reason: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(status, reason, message)
        self.status = status
        self.reason = reason
        self.message = message
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"the API server said {self.status} {self.reason}: {self.message}"


class Unreachable(KubeError):
    """No answer: it may have been done, or not."""


class Missing(KubeError):
    """There is no such object, or its kind is not known any more."""


class Conflict(KubeError):
    """Something has changed meanwhile: look again."""


class Invalid(KubeError):
    """The object as it would become is not one that the API server takes."""


class Forbidden(KubeError):
    """This account may not do that, there."""


class NamespaceEnding(KubeError):
    """Nothing can be made in the namespace any more."""


class NotLeading(LeadlineError):
    """Another operator may be at work: nothing is written."""

    def __str__(self) -> str:
        return "this operator does not hold the lease"


class Kube:
    """A connection pool for requests. Writes only while `may_write` says so. `server` is the API server's URL."""

    def __init__(self, configuration: Configuration, may_write: Callable[[], bool]) -> None:
        configuration.connection_pool_maxsize = CONNECTIONS
        # Only the caller knows which request may be repeated.
        configuration.retries = 0
        self._api = ApiClient(configuration)
        self._may_write = may_write
        self.server = str(configuration.host)

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    def session(
        self, middleware: aiohttp.ClientMiddlewareType, sockets: MutableSet[socket.socket]
    ) -> aiohttp.ClientSession:
        """A session in the running loop with the trust and the proxy of these requests, and no bound of connections.

        Each socket of it is put into `sockets` before it is connected.
        """

        def new_socket(address: aiohttp.AddrInfoType) -> socket.socket:
            family, kind, protocol, _, _ = address
            made = socket.socket(family, kind, protocol)
            sockets.add(made)
            return made

        rest = self._api.rest_client
        connector = aiohttp.TCPConnector(limit=0, ssl=rest.ssl_context, socket_factory=new_socket)
        return aiohttp.ClientSession(connector=connector, proxy=rest.proxy, middlewares=(middleware,))

    async def signature(self) -> dict[str, str]:
        """The headers with the credentials of this moment."""
        headers: dict[str, str] = {}
        await self._api.update_params_for_auth(headers, [], ["BearerToken"], "", "", None)
        return headers

    async def get(self, kind: Kind, namespace: str | None, name: str) -> JsonObject | None:
        """The object as the API server has it now, None when there is none."""
        try:
            return await self._request("get", kind, kind.path(namespace, name))
        except Missing:
            return None

    async def every(
        self, kind: Kind, namespace: str | None = None, labels: str | None = None
    ) -> tuple[list[JsonObject], int]:
        """All objects of a kind, of a namespace or of all, and the resource version at which that is so."""
        found: list[JsonObject] = []
        query: dict[str, str] = {"limit": str(PAGE)}
        if labels is not None:
            query["labelSelector"] = labels
        while True:
            page = await self._request("list", kind, kind.path(namespace), query)
            items = page.get("items") or []
            # The items of a list do not say what they are.
            found += [{**item, "apiVersion": kind.api_version, "kind": kind.name} for item in items]
            metadata = page["metadata"]
            if not metadata.get("continue"):
                return found, int(metadata["resourceVersion"])
            query["continue"] = metadata["continue"]

    async def apply(self, document: JsonObject, *, status: bool = False) -> JsonObject:
        """Make the object have these fields, and take them over from other managers; our other fields go.

        With a `resourceVersion` in its metadata Conflict is raised unless it is the object's. With `status` only the
        status is looked at.
        """
        kind = kind_of(document)
        metadata = document["metadata"]
        path = kind.path(metadata.get("namespace"), metadata["name"], "status" if status else None)
        return await self._write("apply", kind, path, document, {"fieldManager": FIELD_MANAGER, "force": "true"})

    async def create(self, document: JsonObject) -> JsonObject:
        """Make an object that is not there. Raises Conflict when it is."""
        kind = kind_of(document)
        path = kind.path(document["metadata"].get("namespace"))
        return await self._write("create", kind, path, document, {"fieldManager": FIELD_MANAGER})

    async def replace(self, document: JsonObject) -> JsonObject:
        """Replace the object of this resource version. Raises Conflict when it has another one."""
        kind = kind_of(document)
        metadata = document["metadata"]
        path = kind.path(metadata.get("namespace"), metadata["name"])
        # An operator that does not hold the lease yet writes it: its resource version decides.
        return await self._request("update", kind, path, {"fieldManager": FIELD_MANAGER}, document)

    async def set_finalizers(self, found: Mapping[str, Any], finalizers: list[str]) -> JsonObject:
        """Give an object these finalizers, if it is still the one that was seen. Raises Conflict when it is not."""
        kind = kind_of(found)
        metadata = found["metadata"]
        patch = {"metadata": {"finalizers": finalizers, "resourceVersion": metadata["resourceVersion"]}}
        path = kind.path(metadata["namespace"], metadata["name"])
        return await self._write("patch", kind, path, patch, {"fieldManager": FIELD_MANAGER})

    async def merge(self, kind: Kind, namespace: str, name: str, patch: JsonObject) -> JsonObject:
        """Change some fields of an object. Raises Missing."""
        return await self._write("patch", kind, kind.path(namespace, name), patch, {"fieldManager": FIELD_MANAGER})

    async def create_lease(self, document: JsonObject) -> JsonObject:
        """Make the lease that decides who writes."""
        kind = kind_of(document)
        path = kind.path(document["metadata"]["namespace"])
        return await self._request("create", kind, path, {"fieldManager": FIELD_MANAGER}, document)

    async def delete(self, found: Mapping[str, Any]) -> None:
        """Delete just this object, and then what it owns; nothing when it is gone."""
        kind = kind_of(found)
        metadata = found["metadata"]
        body = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "preconditions": {"uid": metadata["uid"]},
            # Else a Job leaves its Pods behind.
            "propagationPolicy": "Background",
        }
        try:
            await self._write("delete", kind, kind.path(metadata["namespace"], metadata["name"]), body, {})
        except Missing:
            return

    async def _write(self, verb: Verb, kind: Kind, path: str, body: JsonObject, query: Mapping[str, str]) -> JsonObject:
        if not self._may_write():
            raise NotLeading
        return await self._request(verb, kind, path, query, body)

    async def _request(
        self, verb: Verb, kind: Kind, path: str, query: Mapping[str, str] | None = None, body: JsonObject | None = None
    ) -> JsonObject:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = _BODIES.get(verb, "application/json")
        method, url, headers, _, _ = await self._api.param_serialize(
            method=_METHODS[verb], resource_path=path, header_params=headers, auth_settings=["BearerToken"]
        )
        if query:
            url = f"{url}?{urlencode(query)}"
        try:
            with metrics.API_SECONDS.labels(verb, kind.plural).time():
                answer = await self._api.call_api(method, url, headers, body, _request_timeout=REQUEST_SECONDS)
                text = await answer.read()
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            metrics.API_REQUESTS.labels(verb, kind.plural, "0").inc()
            raise Unreachable(0, "Unreachable", str(error) or type(error).__name__) from error
        metrics.API_REQUESTS.labels(verb, kind.plural, str(answer.status)).inc()
        if answer.status >= 400:
            raise _error(answer.status, text, answer.headers.get("Retry-After"))
        found: JsonObject = json.loads(text)
        return found


async def kube_configuration() -> Configuration:
    """How to reach the API server: the Pod's own account where there is one, else the kubeconfig."""
    configuration = Configuration()
    if _TOKEN_FILE.exists():
        load_incluster_config(configuration)
    else:
        await load_kube_config(client_configuration=configuration)
    return configuration


def _error(status: int, text: bytes, retry_after: str | None) -> KubeError:
    try:
        body = json.loads(text)
    except ValueError:
        body = {}
    body = body if isinstance(body, dict) else {}
    reason = str(body.get("reason") or "")
    details = body.get("details") or {}
    causes = {cause.get("reason") for cause in details.get("causes") or ()}
    seconds = float(retry_after) if retry_after is not None and retry_after.isdigit() else None
    found = KubeError
    if status == 404:
        found = Missing
    elif status == 409:
        found = Conflict
    elif status == 422:
        found = Invalid
    elif "NamespaceTerminating" in causes:
        found = NamespaceEnding
    elif status == 403:
        found = Forbidden
    return found(status, reason, str(body.get("message") or text[:200].decode(errors="replace")), seconds)
