"""A time for tests in which prints pass by themselves: for venues that match somewhere else and push what happens."""

from collections.abc import Callable, Mapping, Sequence

from leadline.model.ids import ContractId
from leadline.model.orders import LastPrint, Passed, Watch
from leadline.model.ticks import TickColumns

Listener = Callable[[int, Mapping[ContractId, TickColumns]], None]
"""Is told of an instant, nanoseconds, and of the prints by contract that have passed since the one before."""


class TapeTime:
    """Market time over prints that are at hand whole, by contract, from `begins_ns` to `ends_ns`.

    It halts at every instant at which something prints, so that no watch has to be looked at: one stop more changes
    nothing. Who listens learns of the prints of an instant before the account does, as an exchange would.
    """

    def __init__(self, market: Mapping[ContractId, TickColumns], begins_ns: int, ends_ns: int) -> None:
        self._market = dict(sorted(market.items()))
        self._now_ns = begins_ns
        self._ends_ns = ends_ns
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Tell somebody what passes, from now on."""
        self._listeners.append(listener)

    async def advance(
        self,
        from_ns: int,
        to_ns: int,
        after_event: int,  # noqa: ARG002 - it halts often enough without
        contracts: Sequence[ContractId],
        watches: Sequence[Watch],  # noqa: ARG002
    ) -> Passed:
        """Let the prints of the next instant pass, none later than `to_ns`."""
        if from_ns >= self._now_ns:
            self._pass(min(to_ns, self._ends_ns))
        last = {contract: found for contract in contracts if (found := self._last(contract)) is not None}
        return Passed(self._now_ns, last, final=self._now_ns >= self._ends_ns)

    def _pass(self, to_ns: int) -> None:
        before = {contract: self._passed(contract) for contract in self._market}
        next_ns = [int(ticks.time_ns[n]) for name, ticks in self._market.items() if (n := before[name]) < len(ticks)]
        until_ns = min([to_ns, *next_ns])
        if until_ns <= self._now_ns:
            return
        self._now_ns = until_ns
        passed = {name: ticks.slice(before[name], self._passed(name)) for name, ticks in self._market.items()}
        for listener in self._listeners:
            listener(until_ns, passed)

    def _passed(self, contract: ContractId) -> int:
        return int(self._market[contract].time_ns.searchsorted(self._now_ns, "right"))

    def _last(self, contract: ContractId) -> LastPrint | None:
        row = self._passed(contract) - 1
        if row < 0:
            return None
        ticks = self._market[contract]
        return LastPrint(int(ticks.price[row]), int(ticks.time_ns[row]), ticks.first_index + row)
