"""The connection to a live source, kept up: connect, listen, and connect again after growing pauses."""

import asyncio
from collections.abc import Mapping
from datetime import date
from typing import Final

import structlog

from leadline.ingestion import metrics
from leadline.ingestion.live.contract import LiveContract
from leadline.ingestion.live.port import Arrival, LiveSource, SourceLost, SourceState, Wanted
from leadline.ingestion.status import SourceStatus
from leadline.model.ids import ContractId
from leadline.model.market.phases import market_phase
from leadline.runtime.clock import monotonic_s, wall_ns

FIRST_PAUSE_SECONDS: Final = 0.5
MOST_PAUSE_SECONDS: Final = 30.0

_log = structlog.get_logger(__name__)


class SourceLink:
    """One source with its contracts.

    arrivals: where it puts what it says; it goes on when `taken` is set. connected: whether it is there. came_back: it
    is there again, and nobody has looked yet. since_ns: wall time since when its state is as it is. lost: connections
    to it, a count. reason: why it is away, empty while it is there.
    """

    def __init__(self, source: LiveSource, arrivals: "asyncio.Queue[tuple[SourceLink, Arrival]]") -> None:
        self.source = source
        self.taken = asyncio.Event()
        self.contracts: dict[ContractId, LiveContract] = {}
        self.connected = False
        self.lost = 0
        self.reason = ""
        self.state = SourceState.CONNECTING
        self.since_ns = wall_ns()
        self.came_back = False
        self._arrivals = arrivals
        self._first_days: Mapping[ContractId, date] = {}
        self._changed = asyncio.Event()
        self._away_s = self._heard_s = self._connected_s = monotonic_s()
        self._gone = False

    def carry(self, contracts: Mapping[ContractId, LiveContract], first_days: Mapping[ContractId, date]) -> None:
        """These are its contracts from now on, each wanted from a trading day on: it subscribes again."""
        self.contracts, self._first_days = dict(contracts), first_days
        self._changed.set()

    @property
    def given_up(self) -> bool:
        """Whether it is away for longer than the tape waits for it."""
        return not self.connected and monotonic_s() - self._away_s > self.source.patience_s

    @property
    def may_say_more(self) -> bool:
        """Whether it has come so lately that it may still say again what was missed."""
        return self.source.repeats and monotonic_s() - self._connected_s < self.source.patience_s

    def look(self, now_ns: int) -> None:
        """Say its state, at a time of the tape, where that has changed."""
        state = self._state(now_ns)
        metrics.SOURCE_STATE.labels(self.source.name, state.value).set(1)
        if state is not self.state:
            metrics.SOURCE_STATE.labels(self.source.name, self.state.value).set(0)
            say = _log.warning if state in {SourceState.STALE, SourceState.GAP} else _log.info
            say("source.state", source=self.source.name, state=state.value, before=self.state.value, reason=self.reason)
            self.state, self.since_ns = state, wall_ns()

    async def run(self) -> None:
        """Keep the connection up, without end."""
        pause_s = FIRST_PAUSE_SECONDS
        while True:
            try:
                while True:
                    self._changed.clear()
                    await self.source.connect(self._wanted())
                    self._connect()
                    pause_s = FIRST_PAUSE_SECONDS
                    await self._listen()
            except SourceLost as lost:
                self._lose(str(lost))
                metrics.RECONNECTS.labels(self.source.name).inc()
            finally:
                await self.source.close()
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, MOST_PAUSE_SECONDS)

    async def _listen(self) -> None:
        """Hand on what the source says, until it is to carry other contracts. Raises SourceLost."""
        while not self._changed.is_set():
            arrival = await self.source.receive()
            self._heard_s = monotonic_s()
            self.taken.clear()
            await self._arrivals.put((self, arrival))
            await self.taken.wait()

    def status(self) -> SourceStatus:
        """As it is told."""
        contracts = tuple(sorted(self.contracts))
        return SourceStatus(self.source.name, self.state.value, self.since_ns, self.lost, self.reason, contracts)

    def _wanted(self) -> dict[ContractId, Wanted]:
        return {name: Wanted(each.watermark_ns, self._first_days[name]) for name, each in self.contracts.items()}

    def _connect(self) -> None:
        self.came_back = self.came_back or self._gone
        self.connected, self.reason, self._gone = True, "", False
        self._heard_s = self._connected_s = monotonic_s()

    def _lose(self, reason: str) -> None:
        if self.connected or not self._gone:
            self._away_s = monotonic_s()
        self.connected, self.reason, self._gone = False, reason, True
        self.lost += 1

    def _state(self, now_ns: int) -> SourceState:
        if not any(market_phase(each.market, now_ns).is_open for each in self.contracts.values()):
            return SourceState.CLOSED
        if not self.connected:
            return SourceState.GAP if self.given_up else SourceState.CONNECTING
        silent_s = monotonic_s() - self._heard_s
        return SourceState.STALE if silent_s > self.source.heartbeat_s else SourceState.CONNECTED
