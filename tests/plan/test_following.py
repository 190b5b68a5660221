"""Whoever follows a run has to wait for an ingestion that is away, and whoever starts one must not wait for ever."""

import asyncio
from pathlib import Path

import grpc
import pytest

from leadline.ingestion.v1 import ingestion_pb2 as pb
from leadline.ingestion.v1 import ingestion_pb2_grpc as rpc
from leadline.local.bootstrap import announced_run
from leadline.local.calls import Credentials, Services, same_keys
from leadline.local.data_dir import DataDir
from leadline.model.ids import RunId
from leadline.model.v1 import model_pb2


class Ingestion(rpc.IngestionServiceServicer):
    async def PublishTicks(self, requests, context):  # noqa: N802
        raise NotImplementedError

    async def GetFeedStatus(self, request, context):  # noqa: N802 - as the contract names it
        run = model_pb2.Run(tape="live", feed="sim", contracts={"MESZ2026": "cme"}, trade_from="2026-11-30")
        return pb.GetFeedStatusResponse(run=run)


async def test_an_ingestion_that_comes_back_late_is_waited_for_where_there_is_no_bound(tmp_path: Path):
    data = DataDir(tmp_path / "data")
    with data.hold():
        data.ensure_token_key()
        address = f"unix:{tmp_path}/i.sock"
        services = Services(Credentials(same_keys(data.token_key_file), "test"), "supervisor")
        try:
            with pytest.raises(grpc.aio.AioRpcError):
                await announced_run(services, address, timeout_s=0.5)
            following = asyncio.create_task(announced_run(services, address, timeout_s=None))
            await asyncio.sleep(1.5)
            assert not following.done()
            server = grpc.aio.server()
            rpc.add_IngestionServiceServicer_to_server(Ingestion(), server)
            server.add_insecure_port(address)
            await server.start()
            assert (await asyncio.wait_for(following, 20)).tape == RunId("live")
            await server.stop(None)
        finally:
            await services.close()
