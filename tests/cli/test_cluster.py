"""Commands with `--kube`: what they ask the cluster for, and what wrong, missing or stopped objects do to them.

kubectl is a small program here that answers from files and forwards ports to servers of this process.
"""

import asyncio
import base64
import json
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from leadline.cli.main import run
from leadline.execution.v1 import execution_pb2 as pb
from leadline.execution.v1 import execution_pb2_grpc as rpc
from leadline.model.ids import AccountId
from leadline.plan.plan import workload_id
from leadline.runtime.rpc.auth import audience, caller, one_key
from leadline.runtime.rpc.grpc_server import GrpcServer
from leadline.views.client import until_quiet

KEY = "k" * 40
KUBECTL = """#!{python}
import json, pathlib, sys, time

folder = pathlib.Path({folder!r})
words = [word for word in sys.argv[1:] if not word.startswith("-") and word not in ("json",)]
with (folder / "asked").open("a") as asked:
    asked.write(" ".join(words) + "\\n")
if words[0] == "port-forward":
    name = words[2].partition("/")[2]
    port = json.loads((folder / "ports").read_text()).get(name)
    if port is None:
        sys.exit("error: unable to forward port because pod is not running")
    print(f"Forwarding from 127.0.0.1:{{port}} -> 9090", flush=True)
    time.sleep(60)
found = folder / "-".join(words[: 3 if words[1] in ("secret", "tradingstrategy", "statefulset") else 2])
if not found.exists():
    sys.exit(f"Error from server (NotFound): {{found.name}} not found")
print(found.read_text())
"""


STOPPED = "entries are stopped, halt 1 (person, by ann, 2001-09-09 01:46:40 UTC): news"


class Execution(rpc.ExecutionServiceServicer):
    """An execution that is halted, and has one order."""

    def __init__(self) -> None:
        self.halted_by: list[str] = []

    async def Halt(self, request: pb.HaltRequest, context: Any) -> pb.HaltResponse:
        self.halted_by.append(caller().subject)
        return pb.HaltResponse(
            halt=pb.Halt(number=1, source="PERSON", by=caller().subject, reason=request.reason, at_ns=10**18)
        )

    async def GetOrders(self, request: pb.GetOrdersRequest, context: Any) -> pb.GetOrdersResponse:
        return pb.GetOrdersResponse(orders=[pb.Order(client_id="L1", contract="MESM2025", leg="E")])


class Cluster:
    """A namespace `desk` with the accounts `a` and `b`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.executions = {name: Execution() for name in ("desk/a", "desk/b")}  # type: ignore[abstract]
        self._servers: list[GrpcServer] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.ports = {
            workload_id("execution", AccountId(name)): self._serve(item, name) for name, item in self.executions.items()
        }
        self.write("ports", self.ports)
        context = {"context": {"namespace": "desk", "user": "ann"}}
        self.write("config-view", {"contexts": [context]})
        keys = dict.fromkeys(("execution", "analysis"), base64.b64encode(KEY.encode()).decode())
        self.write("get-secret-leadline-token", {"data": keys})
        self.write("get-tradingaccounts", {"items": [named("a"), named("b")]})
        self.write("get-tradingstrategies", {"items": [strategy("flow"), strategy("bad", instrument="MESX")]})
        for name in self.ports:
            self.write(f"get-statefulset-{name}", {"spec": {"template": {"spec": {}}}})

    def write(self, name: str, value: Any) -> None:
        (self.folder / name).write_text(json.dumps(value))

    def asked(self) -> list[str]:
        return (self.folder / "asked").read_text().splitlines()

    def stop(self, account: str) -> None:
        """Its Pod is down."""
        self.write(
            "ports",
            {name: port for name, port in self.ports.items() if name != workload_id("execution", AccountId(account))},
        )

    def close(self) -> None:
        for server in self._servers:
            asyncio.run_coroutine_threadsafe(server.stop(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _serve(self, execution: Execution, account: str) -> int:
        async def start() -> int:
            server = GrpcServer("127.0.0.1:0", one_key(KEY), to=audience("execution", AccountId(account)))
            name = pb.DESCRIPTOR.services_by_name["ExecutionService"].full_name
            server.add_service(rpc.add_ExecutionServiceServicer_to_server, execution, name)
            self._servers.append(server)
            return await server.start()

        return asyncio.run_coroutine_threadsafe(start(), self._loop).result(10)


def named(name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "leadline.dev/v1alpha1",
        "kind": "TradingAccount",
        "metadata": {"name": name, "namespace": "desk"},
        "spec": spec,
    }


def strategy(name: str, **spec: Any) -> dict[str, Any]:
    wanted = {"instrument": "MES", "account": {"name": "a"}, **spec}
    return {**named(name, **wanted), "kind": "TradingStrategy"}


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cluster]:
    program = tmp_path / "kubectl"
    program.write_text(KUBECTL.format(python=sys.executable, folder=str(tmp_path)))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    found = Cluster(tmp_path)
    yield found
    found.close()


Said = Callable[[], tuple[str, str]]


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str]) -> Said:
    def read() -> tuple[str, str]:
        found = capsys.readouterr()
        return found.out, found.err

    return read


def test_a_halt_asks_for_nothing_but_the_accounts(cluster: Cluster, said: Said):
    cluster.write("get-tradingaccounts", {"items": [named("a", tiers="nonsense"), named("b")]})
    (cluster.folder / "get-tradingstrategies").unlink()
    assert run(["halt", "--kube", "--reason", "news"]) == 0
    assert said()[0] == f"desk/a: {STOPPED}\ndesk/b: {STOPPED}\n"
    assert [item.halted_by for item in cluster.executions.values()] == [["ann"], ["ann"]]
    assert not [line for line in cluster.asked() if "strateg" in line]


def test_a_halt_of_one_account_looks_at_no_other(cluster: Cluster, said: Said):
    (cluster.folder / "get-tradingaccounts").unlink()
    assert run(["halt", "--kube", "--account", "b", "--reason", "news"]) == 0
    assert said()[0] == f"desk/b: {STOPPED}\n"
    assert cluster.executions["desk/a"].halted_by == []


def test_an_account_that_is_down_keeps_no_other_from_being_halted_and_is_named(cluster: Cluster, said: Said):
    cluster.stop("desk/a")
    assert run(["halt", "--kube", "--reason", "news"]) == 1
    out, err = said()
    assert out == f"desk/b: {STOPPED}\n"
    assert "execution of desk/a cannot be reached: error: unable to forward port" in err
    assert cluster.executions["desk/b"].halted_by == ["ann"]


def test_a_read_goes_on_without_the_pod_that_is_down_and_names_it(cluster: Cluster, said: Said):
    cluster.stop("desk/a")
    assert run(["orders", "--kube", "--output", "json"]) == 0
    out, err = said()
    assert [row["account"] for row in json.loads(out)] == ["desk/b"]
    assert err == (
        "leadline: without desk/a: execution of desk/a cannot be reached: error: unable to forward port because pod is "
        "not running\n"
    )
    cluster.stop("desk/a")
    assert run(["orders", "--kube", "--account", "desk/a"]) == 1


def test_services_explain_no_other_run_than_theirs_where_the_database_is_not_the_cluster_s(
    cluster: Cluster, said: Said
):
    assert run(["explain", "L1", "--kube", "--tape", "t"]) == 2
    assert "leadline: --tape: got 't', expected no run with --kube" in said()[1]


def test_a_manifest_that_cannot_be_read_is_named_and_left_out(cluster: Cluster, said: Said):
    assert run(["signals", "--kube"]) == 1  # No analysis runs here.
    err = said()[1]
    assert "leadline: without TradingStrategy desk/bad: " in err
    assert "MESX" in err
    assert "analysis of desk/flow cannot be reached" in err


async def test_a_stream_that_is_slow_to_begin_is_not_taken_for_an_empty_one():
    async def messages() -> AsyncIterator[int]:
        await asyncio.sleep(0.05)
        yield 1
        yield 2
        await asyncio.sleep(60)

    assert [number async for number in until_quiet(messages(), quiet_seconds=0.01, first_seconds=30)] == [1, 2]


@pytest.mark.parametrize("command", [["status"], ["halt", "--account", "desk/a", "--reason", "news"]])
@pytest.mark.parametrize("named", ["/no/such/config", ""])
def test_without_a_cluster_to_ask_it_is_said_how_to_name_one(
    command: list[str], named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: Said
):
    program = tmp_path / "kubectl"
    program.write_text("#!/bin/sh\necho 'error: current-context must exist in order to minify' >&2; exit 1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setenv("KUBECONFIG", named)
    assert run([*command, "--kube"]) == 1
    place = f"KUBECONFIG={named}" if named else "~/.kube/config"
    assert said()[1] == (
        f"leadline: kubectl knows no cluster: {place} is not there, or names no current context; give the file of one "
        "in KUBECONFIG, or choose one of it with `kubectl config use-context NAME`\n"
    )
