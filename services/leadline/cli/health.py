"""`leadline health`: do services say that they are ready?"""

import asyncio
from collections.abc import Sequence
from typing import Annotated, Final

import typer

from leadline.cli.output import Output, OutputOption, print_json, print_table
from leadline.plan.health import HealthProbe
from leadline.runtime.clock import monotonic_s
from leadline.runtime.version import package_version

POLL_SECONDS: Final = 0.5

app = typer.Typer()


@app.command(epilog="Example: leadline health leadline-risk.leadline-system.svc:9091")
def health(
    addresses: Annotated[list[str], typer.Argument(metavar="ADDRESS...", help="host:port of each service's health.")],
    wait_seconds: Annotated[float, typer.Option("--wait-seconds", min=0, help="How long they may still start.")] = 0.0,
    output: OutputOption = Output.TEXT,
) -> None:
    """Ask services whether they are ready, by the protocol of the probes. Fails when one is not."""
    ready = asyncio.run(readiness(addresses, wait_seconds))
    if output is Output.JSON:
        print_json({"version": package_version(), "ready": ready})
    else:
        rows = [(address, "ready" if answer else "not ready") for address, answer in ready.items()]
        print_table(f"Leadline {package_version()}", ("address", "health"), rows, "Nobody was asked.")
    if not all(ready.values()):
        raise typer.Exit(1)


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
