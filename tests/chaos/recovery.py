"""How long it takes until a platform is well again: ready, trading, and protected meanwhile."""

import asyncio
import contextlib
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from leadline.local.health import HealthProbe
from leadline.runtime.clock import wall_ns
from leadline.runtime.database import DATABASE_LOST
from tests.chaos.book_side import decided_after
from tests.chaos.platform import ACCOUNTS, SERVERS, SERVICES, Platform
from tests.chaos.venue_side import LedgerReader

EACH_SECONDS: Final = 0.2
STEADY_SECONDS: Final = 2.0
LOOK_SECONDS: Final = 0.5


@dataclass(frozen=True, slots=True)
class Recovered:
    """Seconds from the end of a fault: until every part was ready and stayed so, and until every account decided again;
    None where that did not come in time. `bare_s` is the longest time since its beginning that a position was without
    its stop at the venue, in seconds of the wall clock.
    """

    ready_s: float | None
    trading_s: float | None
    bare_s: float = 0.0

    @property
    def well(self) -> bool:
        """Whether both came."""
        return self.ready_s is not None and self.trading_s is not None


class Watch:
    """Follows the parts of a platform and its venues' ledgers while it runs; close it with `close`."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.ledgers = {account: LedgerReader(platform.ledger(account)) for account in ACCOUNTS}
        self._samples: list[tuple[float, frozenset[str]]] = []
        self._probes: dict[str, tuple[str, HealthProbe]] = {}
        self._servers: dict[str, list[int]] = {}
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop following."""
        self._task.cancel()
        await asyncio.wait([self._task])
        await asyncio.gather(*(probe.close() for _, probe in self._probes.values()))

    async def _run(self) -> None:
        number = 0
        while True:
            at = time.monotonic()
            self._samples.append((at, await self._not_ready()))
            number += 1
            if number % 5 == 0:
                self.read_ledgers()
            await asyncio.sleep(max(0.0, at + EACH_SECONDS - time.monotonic()))

    def read_ledgers(self) -> None:
        """Take what the venues have written."""
        for reader in self.ledgers.values():
            reader.read()

    async def _not_ready(self) -> frozenset[str]:
        found = await asyncio.gather(*map(self._serves, SERVICES))
        away = {part for part, serves in zip(SERVICES, found, strict=True) if not serves}
        return frozenset(away | {server for server in SERVERS if not self._is_there(server)})

    def _is_there(self, server: str) -> bool:
        """Whether a server has a process; all are looked through only when the one that was known is gone."""
        known = self._servers.get(server, [])
        if not known or not all(map(_runs, known)):
            known = self._servers[server] = self.platform.pids(server)
        return bool(known)

    async def _serves(self, service: str) -> bool:
        try:
            address = str(self.platform.settings(service)["listen"])
        except (OSError, ValueError):
            return False
        known = self._probes.get(service)
        if known is None or known[0] != address:
            if known is not None:
                await known[1].close()
            known = self._probes[service] = (address, HealthProbe(address))
        return await known[1].serving()

    async def healed(self, began_s: float, ended_s: float, heals_s: float) -> Recovered:
        """Wait until all is well after a fault, at most so long. The times are of `time.monotonic`."""
        until, trading_s = ended_s + heals_s, None
        wall_at_end = wall_ns() - round((time.monotonic() - ended_s) * 1e9)
        while time.monotonic() < until:
            if trading_s is None:
                trading_s = await self._trading(wall_at_end)
            if trading_s is not None and time.monotonic() - self._ready_since(ended_s) >= STEADY_SECONDS:
                break
            if not self.platform.runs:
                break
            await asyncio.sleep(LOOK_SECONDS)
        since = self._ready_since(ended_s)
        ready_s = since - ended_s if time.monotonic() - since >= STEADY_SECONDS else None
        return Recovered(ready_s, trading_s, await self._bare(began_s))

    def lacking(self) -> frozenset[str]:
        """The parts that were not ready when they were last asked."""
        return self._samples[-1][1] if self._samples else frozenset()

    def _ready_since(self, ended_s: float) -> float:
        """Since when every part answers that it is ready, and no earlier than the fault's end."""
        since = time.monotonic()
        for at, away in reversed(self._samples):
            if away:
                break
            since = at
            if at < ended_s:
                break
        return max(since, ended_s)

    async def _trading(self, since_wall_ns: int) -> float | None:
        """Seconds after a wall time at which the last account decided for the first time; None before it did."""
        with contextlib.suppress(*DATABASE_LOST):
            async with asyncio.timeout(5):
                connection = await self.platform.connect()
                try:
                    clock = await self.platform.clock(connection)
                    since_ns = clock.now_ns(since_wall_ns)
                    found = await decided_after(connection, since_ns)
                finally:
                    await connection.close()
            if set(found) >= set(ACCOUNTS):
                return (max(found.values()) - since_ns) / clock.rate / 1e9
        return None

    async def _bare(self, began_s: float) -> float:
        """The longest time without its stop that any position had since a fault began."""
        with contextlib.suppress(*DATABASE_LOST):
            connection = await self.platform.connect()
            try:
                clock = await self.platform.clock(connection)
            finally:
                await connection.close()
            self.read_ledgers()
            now_ns = clock.now_ns(wall_ns())
            since_ns = clock.now_ns(wall_ns() - round((time.monotonic() - began_s) * 1e9))
            found = [reader.side.bare.longest_after(since_ns, now_ns) for reader in self.ledgers.values()]
            return max(found) / clock.rate / 1e9
        return float("nan")


def _runs(pid: int) -> bool:
    """Whether a process is there, and not only its exit code."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least such a share of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, -(-round(share * 100) * len(ordered) // 100) - 1)]
