"""An Event that tells what a status says is written behind it: whoever hears of it finds the status so."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web
from kubernetes.aio.client import Configuration

from leadline.model.manifest.status_spec import ConditionType, StrategyStatus
from leadline.runtime.clock import monotonic_s
from leadline_operator.cache import Cache
from leadline_operator.clients.calls import utc_now
from leadline_operator.clients.kube import Kube
from leadline_operator.conditions import Reason, no, yes
from leadline_operator.events import EventRecorder
from leadline_operator.kinds import Key
from leadline_operator.queue import RetryAfter
from leadline_operator.reconcile import status
from leadline_operator.reconcile.admission import Refused
from leadline_operator.reconcile.context import ReconcileContext, status_of
from leadline_operator.reconcile.deps import Deps
from leadline_operator.registry import OWNERS
from tests.operator.test_desired import params

FLOW = Key("TradingStrategy", "desk", "flow")
REFUSED = Refused(Reason.INVALID_SPEC, "spec.bars: five minutes")


class Desk:
    """An API server with one strategy, and an operator that looks at it. `conflicts` answers are refused first."""

    def __init__(self) -> None:
        self.conflicts = 0
        self.wrote: list[str] = []
        metadata = {"name": "flow", "namespace": "desk", "uid": "f", "resourceVersion": "1", "generation": 1}
        self.strategy = {"apiVersion": "leadline.dev/v1alpha1", "kind": "TradingStrategy", "metadata": metadata}
        self.kube: Kube

    async def patch(self, request: web.Request) -> web.Response:
        document = json.loads(await request.read())
        if document["kind"] == "Event":
            self.wrote.append(f"Event {document['reason']}")
            return web.json_response(document)
        if self.conflicts:
            self.conflicts -= 1
            return web.json_response({"message": "the object has been modified"}, status=409)
        self.strategy = {**self.strategy, "status": document["status"]}
        self.wrote.append(f"status {document['status'].get('phase')}")
        return web.json_response(self.strategy)

    async def get(self, _: web.Request) -> web.Response:
        return web.json_response(self.strategy)

    def look(self) -> ReconcileContext[StrategyStatus]:
        """A reconcile by an operator that has just been started."""
        nobody: Any = None
        events = EventRecorder(self.kube, "operator-0", monotonic_s, utc_now)
        deps = Deps(
            *(params(), "code", Cache(OWNERS), self.kube, nobody, nobody, nobody),
            *(events, utc_now, monotonic_s, lambda *_: None),
        )
        return ReconcileContext(deps, FLOW, self.strategy, status_of(StrategyStatus, self.strategy))


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    found, application = Desk(), web.Application()
    application.router.add_patch("/{path:.*}", found.patch)
    application.router.add_get("/{path:.*}", found.get)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0]
    found.kube = Kube(Configuration(host=f"http://{host}:{port}"), may_write=lambda: True)
    yield found
    await found.kube.close()
    await runner.cleanup()


async def test_a_refusal_is_told_behind_its_status_and_once_over_restarts(desk: Desk):
    await status.refuse(desk.look(), REFUSED)
    assert desk.wrote == ["status Refused", "Event InvalidSpec"]
    await status.refuse(desk.look(), REFUSED)
    assert desk.wrote == ["status Refused", "Event InvalidSpec"]


async def test_what_the_status_could_not_take_is_not_told(desk: Desk):
    desk.conflicts = 1
    with pytest.raises(RetryAfter):
        await status.refuse(desk.look(), REFUSED)
    assert desk.wrote == []
    await status.refuse(desk.look(), REFUSED)
    assert desk.wrote == ["status Refused", "Event InvalidSpec"]


async def test_what_is_to_be_told_waits_for_the_next_write_and_is_told_once(desk: Desk):
    context = desk.look()
    context.set_condition(ConditionType.DEPLOYED, no(Reason.WORKLOAD_NOT_READY, "no Pod"))
    context.tell_when_written(Reason.WORKLOAD_NOT_READY, "no Pod", "Warning")
    assert desk.wrote == []
    await context.write()
    context.set_condition(ConditionType.DEPLOYED, yes(Reason.WORKLOAD_READY))
    await context.write()
    assert desk.wrote == ["status None", "Event WorkloadNotReady", "status None"]


async def test_what_waits_for_a_write_that_fails_is_forgotten_with_its_reconcile(desk: Desk):
    context, desk.conflicts = desk.look(), 1
    context.set_status(phase="Running")
    context.tell_when_written(Reason.ROLLED_OUT, "version 9f3c has taken over")
    with pytest.raises(RetryAfter):
        await context.write()
    assert desk.wrote == []
