"""A real control plane: etcd, kube-apiserver and kube-controller-manager, for any user, in seconds.

    with ControlPlane() as kube:
        kube.kubectl("apply", "-f", "-", input=manifest)

It has no node: Pods stay Pending. Everything else is Kubernetes: validation, defaulting, access control, server-side
apply, garbage collection, watches.
"""

import base64
import contextlib
import http.client
import json
import signal
import ssl
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from leadline.local.ports import LOOPBACK, Ports
from tests.kube.cluster.binaries import control_plane_binaries
from tests.kube.cluster.certificates import Authority, write_signing_key
from tests.kube.cluster.workspace import Server, Workspace

READY_SECONDS: Final = 60.0
SERVICE_RANGE: Final = "10.0.0.0/24"
# The apiserver takes the first address of the range for the Service `kubernetes`.
API_SERVICE_ADDRESS: Final = "10.0.0.1"
ADMIN_GROUP: Final = "system:masters"
_POLL_SECONDS: Final = 0.05
_NAMES: Final = ("localhost", "kubernetes.default", "kubernetes.default.svc", LOOPBACK, API_SERVICE_ADDRESS)


@dataclass(frozen=True, slots=True)
class Site:
    """Where the servers run: the address others reach the apiserver at, and the command that runs a server there."""

    address: str = LOOPBACK
    # The address that Pods reach it at; empty where there are no Pods.
    node_address: str = ""
    enter: tuple[str, ...] = ()


class KubectlFailed(Exception):
    """kubectl ended with an error: `output` is what it said on standard error."""

    def __init__(self, arguments: Sequence[str], output: str) -> None:
        super().__init__(f"kubectl {' '.join(arguments)}: {output.strip()}")
        self.output = output


class ControlPlane:
    """A control plane with its data in a directory of its own; use it as a context manager.

    `api_url` and the ports stay over a restart of the apiserver, and so does what etcd holds.
    """

    def __init__(
        self,
        workspace: Workspace | None = None,
        *,
        binaries: Mapping[str, Path] | None = None,
        site: Site | None = None,
    ) -> None:
        self._own_workspace = workspace is None
        self._workspace = workspace or Workspace()
        self._binaries = binaries or control_plane_binaries()
        self._site = site or Site()
        self.directory = self._workspace.directory
        self._pki = self.directory / "pki"
        self._ports = Ports(str(self.directory))
        self._etcd_port, self._peer_port, self.port, self._manager_port = (self._ports.take() for _ in range(4))
        enter = self._site.enter
        self.etcd = self._workspace.server("etcd", enter)
        self.apiserver = self._workspace.server("kube-apiserver", enter)
        self.controller_manager = self._workspace.server("kube-controller-manager", enter)
        self._kubeconfigs: dict[tuple[str, tuple[str, ...]], Path] = {}

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def api_url(self) -> str:
        """https://address:port of the apiserver."""
        return f"https://{self._site.address}:{self.port}"

    @property
    def ca_certificate(self) -> Path:
        """The certificate that signs the servers' and the users' certificates (PEM)."""
        return self._authority.certificate

    @property
    def kubeconfig(self) -> Path:
        """The kubeconfig file of an administrator."""
        return self.kubeconfig_for("admin", [ADMIN_GROUP])

    @property
    def servers(self) -> list[Server]:
        """All servers, in the order in which they are stopped."""
        return [self.controller_manager, self.apiserver, self.etcd]

    def start(self) -> None:
        """Start all and return when the apiserver is ready and a new namespace has its ServiceAccount.

        Raises ServerFailed with the last of a server's log.
        """
        self._authority = Authority(self._pki)
        # A server without an address of its own (a node that is not there) would be a host name that is empty.
        hosts = [host for host in (*_NAMES, self._site.address, self._site.node_address) if host]
        self._authority.issue("serving", hosts=list(dict.fromkeys(hosts)))
        write_signing_key(self._pki / "sa.key", self._pki / "sa.pub")
        self.etcd.start(self._etcd_command())
        self.start_apiserver()
        self.controller_manager.start(self._controller_manager_command())
        self.wait_until(self._has_default_account, "the default namespace has its ServiceAccount", READY_SECONDS)

    def stop(self) -> None:
        """Stop every server, remove the directory and give the ports back, whatever happens on the way. Idempotent."""
        try:
            self._stop_servers()
        finally:
            self._ports.close()
            if self._own_workspace:
                self._workspace.close()

    def _stop_servers(self) -> None:
        for server in self.servers:  # the apiserver before etcd: on its way down it waits for it
            server.stop()

    def start_apiserver(self) -> None:
        """Start the apiserver on its port and return when it is ready. Raises ServerFailed."""
        self.apiserver.start(self._apiserver_command())
        self.wait_until(self.is_ready, "kube-apiserver is ready", READY_SECONDS)

    def stop_apiserver(self) -> None:
        """Stop the apiserver at once: its clients see their connections break, as in a crash."""
        with contextlib.suppress(ProcessLookupError):
            self.apiserver.stop(signal.SIGKILL)

    def restart_apiserver(self) -> None:
        """Stop the apiserver and start it on the same port and data."""
        self.stop_apiserver()
        self.start_apiserver()

    def is_ready(self) -> bool:
        """Whether the apiserver says that it is ready. Raises ServerFailed when a server has ended."""
        self.etcd.check()
        self.apiserver.check()
        status, _ = self.get("/readyz")
        return status == 200

    def get(self, path: str) -> tuple[int, Any]:
        """GET as the administrator: the status and the JSON (or the text); status 0 when there is no connection."""
        context = ssl.create_default_context(cafile=str(self.ca_certificate))
        context.load_cert_chain(*self._client_certificate("admin", (ADMIN_GROUP,)))
        connection = http.client.HTTPSConnection(self._site.address, self.port, context=context, timeout=10)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException):
            return 0, None
        finally:
            connection.close()
        is_json = response.headers.get_content_type() == "application/json"
        return response.status, json.loads(body) if is_json else body.decode(errors="replace")

    def kubeconfig_for(self, user: str, groups: Sequence[str] = ()) -> Path:
        """A kubeconfig file, complete in itself, of `user` in `groups` (beside system:authenticated)."""
        key = (user, tuple(groups))
        if key not in self._kubeconfigs:
            certificate, private = self._client_certificate(*key)
            self._kubeconfigs[key] = certificate.with_suffix(".kubeconfig")
            self._kubeconfigs[key].touch(mode=0o600)
            self._kubeconfigs[key].write_text(json.dumps(self._config(certificate, private), indent=1))
        return self._kubeconfigs[key]

    def kubectl(
        self,
        *arguments: str,
        input: str | None = None,  # noqa: A002 - as in subprocess.run
        kubeconfig: Path | None = None,
        timeout: float = 60,
    ) -> str:
        """What kubectl says on standard output, as the administrator unless `kubeconfig` says otherwise.

        Raises KubectlFailed.
        """
        command = [str(self._binaries["kubectl"]), "--kubeconfig", str(kubeconfig or self.kubeconfig)]
        done = subprocess.run(
            [*command, f"--cache-dir={self.directory / 'kubectl'}", *arguments],
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if done.returncode != 0:
            raise KubectlFailed(arguments, done.stderr)
        return done.stdout

    def json(self, *arguments: str) -> Any:
        """What kubectl says with `--output json`."""
        return json.loads(self.kubectl(*arguments, "--output", "json"))

    def apply(self, *objects: Mapping[str, Any], manager: str = "test") -> None:
        """Server-side apply of objects, taking over what others own."""
        bundle = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        self.kubectl(
            "apply", "--server-side", "--force-conflicts", f"--field-manager={manager}", "-f", "-",
            input=json.dumps(bundle),
        )  # fmt: skip

    def wait_until(self, condition: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
        """What the condition gives as soon as it gives something; AssertionError after `seconds`."""
        deadline = time.monotonic() + seconds
        while True:
            if found := condition():
                return found
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {seconds:g} s: {what}")
            time.sleep(_POLL_SECONDS)

    def _has_default_account(self) -> bool:
        self.controller_manager.check()
        status, _ = self.get("/api/v1/namespaces/default/serviceaccounts/default")
        return status == 200

    def _client_certificate(self, user: str, groups: tuple[str, ...]) -> tuple[Path, Path]:
        name = "-".join(["user", user, *groups]).replace(":", "_").replace("/", "_")
        files = (self._pki / f"{name}.crt", self._pki / f"{name}.key")
        return files if files[1].exists() else self._authority.issue(name, user=user, groups=groups)

    def _config(self, certificate: Path, private: Path) -> dict[str, Any]:
        def data(file: Path) -> str:
            return base64.b64encode(file.read_bytes()).decode()

        cluster = {"server": self.api_url, "certificate-authority-data": data(self.ca_certificate)}
        user = {"client-certificate-data": data(certificate), "client-key-data": data(private)}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "leadline", "cluster": cluster}],
            "users": [{"name": "leadline", "user": user}],
            "contexts": [{"name": "leadline", "context": {"cluster": "leadline", "user": "leadline"}}],
            "current-context": "leadline",
        }

    def _etcd_command(self) -> list[str]:
        client, peer = f"http://{LOOPBACK}:{self._etcd_port}", f"http://{LOOPBACK}:{self._peer_port}"
        return [
            str(self._binaries["etcd"]),
            f"--data-dir={self.directory / 'etcd'}",
            f"--listen-client-urls={client}",
            f"--advertise-client-urls={client}",
            f"--listen-peer-urls={peer}",
            f"--initial-advertise-peer-urls={peer}",
            f"--initial-cluster=default={peer}",
            "--unsafe-no-fsync",  # what a power failure would lose here is gone with the process anyway
        ]

    def _apiserver_command(self) -> list[str]:
        on_node = bool(self._site.node_address)
        command = [
            str(self._binaries["kube-apiserver"]),
            f"--etcd-servers=http://{LOOPBACK}:{self._etcd_port}",
            f"--bind-address={'0.0.0.0' if on_node else LOOPBACK}",
            f"--advertise-address={self._site.node_address or LOOPBACK}",
            f"--endpoint-reconciler-type={'lease' if on_node else 'none'}",
            f"--secure-port={self.port}",
            f"--cert-dir={self.directory / 'run'}",
            f"--tls-cert-file={self._pki / 'serving.crt'}",
            f"--tls-private-key-file={self._pki / 'serving.key'}",
            f"--client-ca-file={self.ca_certificate}",
            "--authorization-mode=RBAC",
            f"--service-cluster-ip-range={SERVICE_RANGE}",
            "--allow-privileged",
            "--enable-priority-and-fairness=false",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={self._pki / 'sa.pub'}",
            f"--service-account-signing-key-file={self._pki / 'sa.key'}",
        ]
        if on_node:
            certificate, private = self._client_certificate("admin", (ADMIN_GROUP,))
            # Without the address type, logs and exec would look the node's name up in DNS.
            command += [
                f"--kubelet-client-certificate={certificate}",
                f"--kubelet-client-key={private}",
                "--kubelet-preferred-address-types=InternalIP",
            ]
        return command

    def _controller_manager_command(self) -> list[str]:
        return [
            str(self._binaries["kube-controller-manager"]),
            f"--kubeconfig={self.kubeconfig}",
            f"--bind-address={LOOPBACK}",
            f"--secure-port={self._manager_port}",
            f"--cert-dir={self.directory / 'run'}",
            "--leader-elect=false",
            "--use-service-account-credentials",
            "--kube-api-qps=500",  # at the default, making the controllers' own tokens takes five seconds
            "--kube-api-burst=500",
            f"--service-account-private-key-file={self._pki / 'sa.key'}",
            f"--root-ca-file={self.ca_certificate}",
            f"--cluster-signing-cert-file={self.ca_certificate}",
            f"--cluster-signing-key-file={self._pki / 'ca.key'}",
        ]
