"""Speak to a running stack over gRPC: push a session of prints, watch its bars and signals, read the positions.

leadline up -f examples/mes-orderflow.yaml --feed push --trade-from 2025-06-10
python examples/grpc_client.py [DATA_DIR]
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np

from leadline.aggregation.v1 import aggregation_pb2 as bars
from leadline.aggregation.v1.aggregation_pb2_grpc import AggregationServiceStub
from leadline.analysis.v1 import analysis_pb2 as signals
from leadline.analysis.v1.analysis_pb2_grpc import AnalysisServiceStub
from leadline.execution.v1 import execution_pb2 as book
from leadline.execution.v1.execution_pb2_grpc import ExecutionServiceStub
from leadline.ingestion.v1 import ingestion_pb2 as feed
from leadline.ingestion.v1.ingestion_pb2_grpc import IngestionServiceStub
from leadline.local.data_dir import default_data_dir
from leadline.model.v1.model_pb2 import TickBatch
from leadline.runtime.rpc.auth import audience, key_file, token_source
from leadline.runtime.rpc.grpc_client import open_channel

OPEN_NS, SESSION_NS, PRINTS, BATCH = 1_749_562_200_000_000_000, 23_400_000_000_000, 60_000, 500  # 09:30 in New York


async def prints(contract: str, *others: str) -> AsyncIterator[feed.PublishTicksRequest]:
    """A random walk of one regular session, and the end of every contract, which is the end of the tape."""
    chance = np.random.default_rng(7)
    times = OPEN_NS + np.sort(chance.integers(0, SESSION_NS, PRINTS))
    steps, sides = chance.choice([-1, 0, 0, 1], PRINTS), chance.choice([-1, 1], PRINTS)
    columns = [times, 24_000 + np.cumsum(steps), chance.geometric(0.3, PRINTS), np.where(steps, steps, sides)]
    for start in range(0, PRINTS, BATCH):
        t, price, size, side = (column[start : start + BATCH].tolist() for column in columns)
        batch = TickBatch(contract=contract, time_ns=t, price=price, size=size, aggressor=side)
        yield feed.PublishTicksRequest(batch=batch, first_index=start, end=start + BATCH == PRINTS)
    for other in others:
        yield feed.PublishTicksRequest(batch=TickBatch(contract=other), first_index=0, end=True)


async def main(data: Path) -> None:
    """Push to, watch and read the stack of a data directory."""
    stack, key = json.loads((data / "stack.json").read_text()), key_file(data / "token.key")
    reads, account, (contract, *others) = stack["strategies"][0], stack["accounts"][0], stack["contracts"]
    at = {name.partition("-")[0]: address for name, address in stack["addresses"].items()}
    to = {name: open_channel(at[name], token_source(key, "cli-admin", "me", audience(name, account))) for name in at}
    pushed = IngestionServiceStub(to["ingestion"]).PublishTicks(prints(contract, *others))
    stream = bars.BarStream(contract=contract, session=reads["session"], spec=reads["spec"])
    async for bar in AggregationServiceStub(to["aggregation"]).StreamBars(bars.StreamBarsRequest(stream=stream)):
        print("the tape ended" if bar.final else f"bar {bar.bar.key.ordinal}: delta {bar.bar.delta:+d}")
    async for said in AnalysisServiceStub(to["analysis"]).StreamSignals(signals.StreamSignalsRequest()):
        print("end" if said.final else said.bar.bar.ordinal, *sorted({signal.pattern for signal in said.bar.signals}))
    held = await ExecutionServiceStub(to["execution"]).GetPositions(book.GetPositionsRequest())
    print(f"pushed {(await pushed).accepted} prints, {len(held.positions)} open positions", held)


asyncio.run(main(Path(sys.argv[1]) if len(sys.argv) > 1 else default_data_dir()))
