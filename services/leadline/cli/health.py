"""`leadline health`: do services say that they are ready?"""

import asyncio
from collections.abc import Sequence
from typing import Final

from pydantic import TypeAdapter, ValidationError

from leadline.cli.options import Output
from leadline.cli.output import print_json, print_table
from leadline.local.health import HealthProbe
from leadline.model.errors import InvalidInput
from leadline.runtime.clock import monotonic_s
from leadline.runtime.settings import CallAddress
from leadline.runtime.version import package_version

POLL_SECONDS: Final = 0.5

_ADDRESS: Final = TypeAdapter(CallAddress)
_LAST_PORT: Final = 65_535


def print_health(addresses: Sequence[str], wait_seconds: float, output: Output) -> bool:
    """Say of each service whether it is ready. Returns whether all are. Raises InvalidInput for what is no address."""
    for address in addresses:
        _require_address(address)
    ready = asyncio.run(readiness(addresses, wait_seconds))
    if output is Output.JSON:
        print_json({"version": package_version(), "ready": ready})
    else:
        rows = [(address, "ready" if answer else "not ready") for address, answer in ready.items()]
        print_table(f"Leadline {package_version()}", ("address", "health"), rows, "Nobody was asked.")
    return all(ready.values())


def _require_address(text: str) -> None:
    try:
        address = _ADDRESS.validate_python(text)
    except ValidationError:
        address = ""
    port = address.rpartition(":")[2]
    if not address or (not address.startswith("unix:") and not 0 < int(port) <= _LAST_PORT):
        raise InvalidInput("ADDRESS", text, "host:port with a port from 1 to 65535, or unix:/path")


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
