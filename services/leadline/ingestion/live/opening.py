"""How the tape `live` is opened, or goes on: its first day, its clock, and what is kept of it."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from leadline.ingestion.feed import Feed, open_feed
from leadline.ingestion.live.tape import (
    Clock,
    contracts_about,
    contracts_of,
    first_day,
    in_session,
    require_each,
    require_same,
    session_begins,
    venues_of,
)
from leadline.ingestion.months import market_of
from leadline.ingestion.params import IngestionParams
from leadline.ingestion.runs import traded_days
from leadline.ingestion.sources import SimulatedSource, Source
from leadline.model.errors import InvalidInput
from leadline.model.ids import ContractId
from leadline.model.market.contracts import instrument_of


@dataclass(frozen=True, slots=True)
class LiveTape:
    """The tape `live` as it is kept.

    trade_from: the trading day of its first opening. begins_ns: its first time, ns UTC. contracts: those that it has,
    each with the first trading day for which it is wanted. days: its trading days so far. source: the sources with
    which it began, by setting. launch: the start of the platform that it was opened by last.
    """

    trade_from: date
    history: int
    begins_ns: int
    clock: Clock
    contracts: Mapping[ContractId, date]
    days: tuple[date, ...]
    source: Mapping[str, str]
    launch: str

    def to_json(self) -> dict[str, Any]:
        """As the table of runs keeps it."""
        return {
            "contracts": venues_of(self.contracts),
            "trade_from": self.trade_from.isoformat(),
            "history": self.history,
            "sessions": [day.isoformat() for day in self.days],
            "missing": [],
            "begins_ns": self.begins_ns,
            "clock": {"offset_ns": self.clock.offset_ns, "rate": self.clock.rate, "since_ns": self.clock.since_ns},
            "first_days": {name: day.isoformat() for name, day in self.contracts.items()},
            "source": dict(self.source),
            "launch": self.launch,
        }

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> "LiveTape":
        """From what the table of runs keeps."""
        return cls(
            date.fromisoformat(kept["trade_from"]),
            kept["history"],
            kept["begins_ns"],
            Clock(**kept["clock"]),
            {ContractId(name): date.fromisoformat(day) for name, day in kept["first_days"].items()},
            tuple(map(date.fromisoformat, kept["sessions"])),
            kept["source"],
            kept["launch"],
        )


@dataclass(frozen=True, slots=True)
class LivePlan:
    """The live feed that the settings name.

    recorded: the feed of the files or of the catalog, None for any other. source: what can be played, None for prints
    that come from elsewhere.
    """

    params: IngestionParams
    recorded: Feed | None
    source: Source | None

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of its sources, that of most contracts first."""
        feed = self.params.feed
        return tuple(dict.fromkeys([feed.kind, *feed.kinds.values()]))

    @property
    def played(self) -> str:
        """The kind of the source that is played; empty where all prints come from elsewhere."""
        return next((kind for kind in self.kinds if kind != "push"), "")

    def kind_of(self, contract: ContractId) -> str:
        """The kind of a contract's source."""
        kinds = self.params.feed.kinds
        return kinds.get(contract) or kinds.get(instrument_of(contract).root) or self.params.feed.kind

    def opened(self, kept: Mapping[str, Any] | None, wall_ns: int) -> LiveTape:
        """The tape at its opening, or as it goes on. kept: what an earlier process kept of it, None for nothing.

        A clock that was shifted is set again by another start of the platform alone: accounts that run go on with the
        clock that they know. Raises InvalidInput where it began with another source, Unknown for a day that a calendar
        does not know.
        """
        if kept is None:
            return self._first(wall_ns)
        tape = LiveTape.from_json(kept)
        require_same(tape.source, self._source_settings())
        now_ns, settings = tape.clock.now_ns(wall_ns), self.params
        if settings.launch == tape.launch:
            return self.on_day(tape, now_ns)
        if settings.feed.shift == "session" and not in_session(settings.instruments, now_ns):
            now_ns = session_begins(settings.instruments, now_ns)
            tape = replace(tape, clock=tape.clock.set_to(now_ns, wall_ns))
        return self.on_day(replace(tape, launch=settings.launch), now_ns)

    def on_day(self, tape: LiveTape, now_ns: int) -> LiveTape:
        """The tape at an instant, with the contracts and the trading days that it has by then; itself without news."""
        day = first_day(self.params.instruments or tuple(tape.contracts), now_ns)
        if self.recorded is not None or day in tape.days:
            contracts = tape.contracts
        else:
            contracts = contracts_of(self.params.instruments, tape.trade_from, tape.history, day)
        days = tape.days
        if day not in days:
            days = tuple(sorted({*days, *self._since(days[-1], day, contracts), day}))
        changed = replace(tape, contracts=contracts, days=days)
        return tape if changed == tape else changed

    def _since(self, last: date, day: date, contracts: Mapping[ContractId, date]) -> list[date]:
        """The trading days between two that a source which is played says again."""
        if self.source is None or not contracts:
            return []
        market, found = market_of(next(iter(contracts))), []
        while (last := last + timedelta(days=1)) < day:
            if market.market(last) is not None:
                found.append(last)
        return found

    def _first(self, wall_ns: int) -> LiveTape:
        settings, feed = self.params, self.params.feed
        now_ns = wall_ns
        if feed.shift == "session":
            now_ns = session_begins(settings.instruments, wall_ns)
        trade_from = settings.trade_from or (first_day(settings.instruments, now_ns) if self.recorded is None else None)
        if self.recorded is not None:
            trade_from = self.recorded.plan.trade_from
            contracts = {name: days[0] for name, days in self.recorded.plan.sessions.items() if days}
            now_ns = min(opens for name in contracts for opens, _ in filter(None, [market_of(name).market(trade_from)]))
            days = tuple(day for day in self.recorded.plan.days if day <= trade_from)
        else:
            assert trade_from is not None
            contracts = contracts_of(settings.instruments, trade_from, settings.history, trade_from)
            require_each(settings.instruments, contracts, trade_from)
            first = min(contracts.values())
            market = market_of(next(iter(contracts)))
            days = tuple(day for day in traded_days(market, first, settings.history + 1) if day <= trade_from)
        begins_ns = now_ns
        if self.source is not None:
            opens = (market_of(name).market(day) for name, day in contracts.items() if self.kind_of(name) != "push")
            begins_ns = min([now_ns, *(hours[0] for hours in opens if hours is not None)])
        else:
            days = (trade_from,)
        clock = Clock(now_ns - wall_ns, feed.clock_rate, wall_ns)
        source = self._source_settings()
        return LiveTape(trade_from, settings.history, begins_ns, clock, contracts, days, source, settings.launch)

    def _source_settings(self) -> dict[str, str]:
        feed = self.params.feed
        kinds = [feed.kind, *(f"{name}={kind}" for name, kind in sorted(feed.kinds.items()))]
        found = {"--feed": ", ".join(kinds), "--speed": str(feed.clock_rate)}
        if "sim" in self.kinds:
            found |= {"--seed": str(feed.seed)}
        if self.recorded is not None and self.source is not None:
            found |= {"the content of --feed": self.source.content_id}
        return found


def plan_live(params: IngestionParams, now_ns: int) -> LivePlan:
    """Look at the live feed that the settings name, at a wall time. Files are read whole. Raises as `open_feed`."""
    feed = params.feed
    if feed.kind in {"file", "catalog"}:
        recorded = open_feed(params)
        return LivePlan(params, recorded, recorded.source)
    if not params.instruments:
        raise InvalidInput("instruments", "none", "the instruments that a feed carries that is no file")
    for name in feed.kinds:
        if name not in params.instruments:
            raise InvalidInput("feed.kinds", name, f"an instrument of the feed: {', '.join(params.instruments)}")
    if "sim" not in {feed.kind, *feed.kinds.values()}:
        return LivePlan(params, None, None)
    played = [name for name in params.instruments if feed.kinds.get(name, feed.kind) == "sim"]
    contracts = contracts_about(played, now_ns)
    return LivePlan(params, None, SimulatedSource(contracts, feed.seed, feed.price))
