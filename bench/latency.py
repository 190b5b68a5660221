"""From the print that closes a bar to the order at the venue: the whole way, and each hop of it.

    python -m bench.latency [--orders 1000] [--rate 10000] [--every 10] [--output json]

A client pushes prints to a live stack of real processes; a strategy enters at every so many bars of 200 prints, and the
paper venue fills it and its exit soon. The clock starts when the print is handed to ingestion. A hop ends when the
bus has stored its message (prints, bar, signal), when the row of the decision or of the order that is on its way
(SENDING) is written, by a trigger that only this bench has, and when the venue has taken the order, by its own clock.
Times are of one wall clock. Orders that risk or the account has refused are counted.
"""

import argparse
import asyncio
import json
import sys
from bisect import bisect_left
from pathlib import Path
from typing import Any, Final

import yaml

from bench._whole_stack import Pushed, Stack, load, quantile, scratch
from leadline.local.data_dir import DataDir
from leadline.model.subjects import BARS, SIGNALS, TICKS
from leadline.model.wire.bars import decode_bar
from leadline.model.wire.signals import decode_signal
from leadline.model.wire.ticks import decode_tick_batch
from leadline.runtime.rpc.auth import audience, key_file, token_source
from leadline.runtime.rpc.grpc_client import open_channel
from leadline.venue.v1 import venue_pb2 as pb
from leadline.venue.v1.venue_pb2_grpc import PaperVenueServiceStub

MANIFESTS: Final = Path(__file__).with_name("latency.yaml")
BAR_PRINTS: Final = 200
SETTLE_SECONDS: Final = 3
HOPS: Final = ("prints on the bus", "bar on the bus", "signal on the bus", "decision", "order SENDING", "at the venue")
_TRIGGERS: Final = """
    CREATE TABLE bench_seen (what text, id text, at_ns bigint);
    CREATE FUNCTION bench_decision() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
        INSERT INTO bench_seen VALUES ('decision', NEW.bar_key, extract(epoch FROM clock_timestamp()) * 1000000000);
        RETURN NEW; END $$;
    CREATE FUNCTION bench_order() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS $$ BEGIN
        INSERT INTO bench_seen VALUES (NEW.state, NEW.client_id, extract(epoch FROM clock_timestamp()) * 1000000000);
        RETURN NEW; END $$;
    CREATE TRIGGER bench_decision AFTER INSERT ON decision FOR EACH ROW EXECUTE FUNCTION bench_decision();
    CREATE TRIGGER bench_order AFTER INSERT OR UPDATE ON intent FOR EACH ROW EXECUTE FUNCTION bench_order();
"""
_ENTRIES: Final = """
    SELECT d.bar_key, i.client_id FROM decision d JOIN intent i USING (decision_id) WHERE d.accepted AND i.parent = ''
"""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--orders", type=int, default=1000)
    parser.add_argument("--rate", type=int, default=10_000)
    parser.add_argument("--every", type=int, default=10)
    parser.add_argument("--output", choices=("text", "json"), default="text")
    options = parser.parse_args()
    with scratch() as folder:
        manifests = folder / "latency.yaml"
        strategy, account = yaml.safe_load_all(MANIFESTS.read_text())
        strategy["spec"]["strategy"]["parameters"]["every"] = options.every
        manifests.write_text(yaml.safe_dump_all([strategy, account]))
        seconds = options.orders * options.every * BAR_PRINTS / options.rate
        with Stack(folder / "stack", "-f", manifests, "--live", "--feed", "push") as stack:
            found = asyncio.run(measure(stack, options.rate, seconds))
    if options.output == "json":
        json.dump(found, sys.stdout, indent=2)
        return
    print(f"{found['machine']}; {found['rate']:,} prints/s, {found['orders']} orders; refused: {found['refused']}\n")
    print("| ms | since the print p50 | p99 | of this hop p50 | p99 |\n|---|---:|---:|---:|---:|")
    for name, hop in found["hops"].items():
        print(f"| {name} | {hop['p50']:.1f} | {hop['p99']:.1f} | {hop['own_p50']:.1f} | {hop['own_p99']:.1f} |")


async def measure(stack: Stack, rate: int, seconds: float) -> dict[str, Any]:
    """Push, and read afterwards when everything was where."""
    database = await stack.database()
    await database.execute(_TRIGGERS)
    await Pushed(rate, seconds).push(stack.data)
    await asyncio.sleep(SETTLE_SECONDS)
    seen = {(row["what"], row["id"]): row["at_ns"] for row in await database.fetch("SELECT * FROM bench_seen")}
    entries = {row["bar_key"]: row["client_id"] for row in await database.fetch(_ENTRIES)}
    refused = await database.fetch("SELECT reason, count(*) FROM decision WHERE NOT accepted GROUP BY 1 ORDER BY 1")
    await database.close()
    at_venue = await taken(stack)
    batches = [(each, at) for at, payload in await stack.messages(TICKS) for each in [decode_tick_batch(payload)]]
    prints = [(batch.ticks.last_index, at) for batch, at in batches if len(batch.ticks)]
    bars = {bar.key.text(): (bar, at) for at, payload in await stack.messages(BARS) if (bar := decode_bar(payload).bar)}
    signals = {
        said.bar.text(): at for at, payload in await stack.messages(SIGNALS) if (said := decode_signal(payload).bar)
    }
    whole = []
    for key, client_id in entries.items():
        bar, bar_ns = bars[key]
        _, prints_ns = prints[bisect_left(prints, (bar.last_index, 0))]
        sending = seen.get(("SENDING", client_id))
        if client_id in at_venue and sending is not None:
            times = (prints_ns, bar_ns, signals[key], seen["decision", key], sending, at_venue[client_id])
            whole.append([(at - bar.known_at_ns) / 1e6 for at in times])
    assert whole, "no order came to the venue"
    hops = {}
    for number, name in enumerate(HOPS):
        since = [way[number] for way in whole]
        own = [way[number] - (way[number - 1] if number else 0) for way in whole]
        p50, p99 = quantile(since, 0.5), quantile(since, 0.99)
        hops[name] = {"p50": p50, "p99": p99, "own_p50": quantile(own, 0.5), "own_p99": quantile(own, 0.99)}
    reasons = {row["reason"]: row["count"] for row in refused}
    return {"machine": load(), "rate": rate, "orders": len(whole), "refused": reasons, "hops": hops}


async def taken(stack: Stack) -> dict[str, int]:
    """When the venue has taken each order, ns, by its own events."""
    description = json.loads((stack.data / "stack.json").read_text())
    [account] = description["accounts"]
    [address] = [each for name, each in description["addresses"].items() if name.startswith("venue")]
    key = key_file(DataDir(stack.data).token_key_file)
    token = token_source(key, "execution", "bench", audience("venue", account), account)
    found: dict[str, int] = {}
    async with open_channel(address, token) as channel:
        stub, after = PaperVenueServiceStub(channel), 0
        while (answer := await stub.ListEvents(pb.ListEventsRequest(after_event=after, wait_ms=1))).events:
            for event in answer.events:
                found.setdefault(event.order.client_id, event.instant_ns)
            after = answer.events[-1].event
    return found


if __name__ == "__main__":
    main()
