"""A send journal that was lost is told by one Event and stays in the account's status, over restarts on either side."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client import Configuration

from leadline.execution.adapters.journal import Restoration
from leadline.model.ids import AccountId
from leadline.model.manifest.status_spec import AccountStatus
from leadline.runtime.clock import monotonic_s
from leadline.runtime.rpc.auth import one_key
from leadline_operator.cache import Cache
from leadline_operator.clients.calls import Channels, utc_now
from leadline_operator.clients.execution import Executions
from leadline_operator.clients.kube import Kube
from leadline_operator.events import EventRecorder
from leadline_operator.kinds import Key
from leadline_operator.reconcile.context import ReconcileContext, status_of
from leadline_operator.reconcile.deps import Deps
from leadline_operator.reconcile.journals import show_journal
from leadline_operator.registry import OWNERS
from tests.operator.setup import MASTER
from tests.operator.standin import Pods
from tests.operator.test_desired import params

PAPER = Key("TradingAccount", "journals", "paper")
FOUR = 1_764_216_000 * 10**9  # 2025-11-27 04:00:00 UTC


class ApiServer:
    """As much of one as keeps the status of one account, and its Events."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []
        self.account: dict[str, Any] = {
            "apiVersion": "leadline.dev/v1alpha1",
            "kind": "TradingAccount",
            "metadata": {"name": "paper", "namespace": "journals", "uid": "a", "resourceVersion": "1", "generation": 1},
            "spec": {},
        }

    async def patch(self, request: web.Request) -> web.Response:
        document = json.loads(await request.read())
        if document["kind"] == "Event":
            self.events.append(document)
            return web.json_response(document)
        metadata = self.account["metadata"]
        assert document["metadata"]["resourceVersion"] == metadata["resourceVersion"]
        metadata = {**metadata, "resourceVersion": str(int(metadata["resourceVersion"]) + 1)}
        self.account = {**self.account, "metadata": metadata, "status": document["status"]}
        return web.json_response(self.account)


class Told:
    """An account's execution, an API server, and operators that look at the account one after the other."""

    def __init__(self, pods: Pods, api: ApiServer, kube: Kube, executions: Executions) -> None:
        self.execution = pods.accounts["journals/paper"]
        self.api = api
        self._kube = kube
        self._executions = executions

    async def look(self) -> dict[str, Any]:
        """What the account's status shows after a look by an operator that has just been started."""
        nobody: Any = None
        events = EventRecorder(self._kube, "operator-0", monotonic_s, utc_now)
        deps = Deps(
            params(),
            "code",
            Cache(OWNERS),
            self._kube,
            self._executions,
            nobody,
            nobody,
            events,
            utc_now,
            monotonic_s,
            lambda *_: None,
        )
        context = ReconcileContext(deps, PAPER, self.api.account, status_of(AccountStatus, self.api.account))
        await show_journal(context, await deps.state(AccountId(PAPER.full_name), fresh=True))
        await context.write()
        shown: dict[str, Any] = self.api.account["status"]
        return shown


@pytest.fixture
async def told(tmp_path: Path) -> AsyncIterator[Told]:
    pods = Pods(tmp_path, MASTER)
    await pods.serve_account("journals/paper")
    channels = Channels(one_key(MASTER), None)
    api, application = ApiServer(), web.Application()
    application.router.add_patch("/{path:.*}", api.patch)
    runner = web.AppRunner(application)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    kube = Kube(Configuration(host=f"http://{host}:{port}"), may_write=lambda: True)
    yield Told(pods, api, kube, Executions(channels, f"unix:{tmp_path}/{{name}}.sock"))
    await kube.close()
    await runner.cleanup()
    await channels.close()
    for server in pods.servers:
        await server.stop()


async def test_a_journal_that_has_always_been_whole_is_not_spoken_of(told: Told):
    assert "journalRestored" not in await told.look()
    assert told.api.events == []


async def test_a_lost_journal_is_told_once_over_restarts_and_stays_in_the_status(told: Told):
    told.execution.restored = Restoration(FOUR, orders=3, found=0)
    shown = await told.look()
    assert shown["journalRestored"]["at"] == "2025-11-27T04:00:00Z"
    assert shown["journalRestored"]["orders"] == 3
    [event] = told.api.events
    assert (event["reason"], event["type"], event["regarding"]["name"]) == ("SendJournalRestored", "Warning", "paper")
    assert event["note"].startswith("the send journal was lost: execution has put 3 orders back from the book at 2025-")
    assert "execution-" in event["note"]

    # Another operator, and another process of execution that reads the same file.
    told.execution.restored = Restoration(FOUR, orders=3, found=0)
    assert await told.look() == shown
    assert len(told.api.events) == 1


async def test_a_journal_that_is_lost_again_is_told_again_and_another_run_begins_with_none(told: Told):
    told.execution.restored = Restoration(FOUR, orders=3, found=0)
    await told.look()
    told.execution.restored = Restoration(FOUR + 60 * 10**9, orders=1, found=2)
    shown = await told.look()
    assert shown["journalRestored"] == {"at": "2025-11-27T04:01:00Z", "orders": 1, "found": 2}
    assert [event["note"].partition(":")[0] for event in told.api.events] == [
        "the send journal was lost",
        "the send journal had 2 orders and lacked others",
    ]
    told.execution.restored = None
    assert "journalRestored" not in await told.look()
    assert len(told.api.events) == 2
