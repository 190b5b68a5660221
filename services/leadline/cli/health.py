"""`leadline health`: do services say that they are ready?"""

import asyncio
from collections.abc import Sequence
from typing import Final

from leadline.cli.options import Output
from leadline.cli.output import print_json, print_table
from leadline.plan.health import HealthProbe
from leadline.runtime.clock import monotonic_s
from leadline.runtime.version import package_version

POLL_SECONDS: Final = 0.5


def print_health(addresses: Sequence[str], wait_seconds: float, output: Output) -> bool:
    """Say of each service whether it is ready. Returns whether all are."""
    ready = asyncio.run(readiness(addresses, wait_seconds))
    if output is Output.JSON:
        print_json({"version": package_version(), "ready": ready})
    else:
        rows = [(address, "ready" if answer else "not ready") for address, answer in ready.items()]
        print_table(f"Leadline {package_version()}", ("address", "health"), rows, "Nobody was asked.")
    return all(ready.values())


async def readiness(addresses: Sequence[str], wait_seconds: float) -> dict[str, bool]:
    """Whether each address answers that it is ready, waiting so long for those that do not yet."""
    probes = {address: HealthProbe(address) for address in addresses}
    deadline = monotonic_s() + wait_seconds
    try:
        while True:
            answers = await asyncio.gather(*(probe.serving() for probe in probes.values()))
            if all(answers) or monotonic_s() >= deadline:
                return dict(zip(probes, answers, strict=True))
            await asyncio.sleep(POLL_SECONDS)
    finally:
        for probe in probes.values():
            await probe.close()
