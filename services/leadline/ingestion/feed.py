"""The feed that the settings name: what it has, and the tape that a run makes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from leadline.ingestion.params import IngestionParams
from leadline.ingestion.runs import DEFAULT_TRADE_FROM, ContractDays, TapePlan, plan_tape, previous_days
from leadline.ingestion.sources import FileSource, SimulatedSource, Source
from leadline.model.calendars import Calendar, calendar
from leadline.model.contracts import instrument_of, resolve_contract
from leadline.model.errors import InvalidInput
from leadline.model.ids import derive


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed and the tape planned from it.

    source: None for a pushed feed, whose plan has no sessions: nobody knows them yet. begins_ns: the tape's first
    time by contract. content: the same for the same tape and for no other.
    """

    source: Source | None
    plan: TapePlan
    begins_ns: Mapping[str, int]
    content: str

    @property
    def contracts(self) -> dict[str, str]:
        """Venue by contract."""
        return {name: instrument_of(name).venue for name in self.begins_ns}

    def prints(self, contract: str) -> dict[date, int]:
        """Prints by trading day of the tape, quarantined ones included; nothing for a pushed feed."""
        if self.source is None:
            return {}
        return {day: self.source.day(contract, day).prints for day in self.plan.sessions[contract]}


def open_feed(params: IngestionParams) -> Feed:
    """Look at the feed and plan its tape. Files are read whole.

    Raises InvalidInput and Unknown when the settings or the files cannot be used, OSError when a file cannot be read.
    """
    if params.feed.kind == "push":
        return _pushed(params)
    source: Source
    if params.feed.kind == "file":
        source = FileSource([(file.path, file.contract) for file in params.feed.files])
    else:
        day = params.trade_from or DEFAULT_TRADE_FROM
        source = SimulatedSource(_resolved(params.instruments, day), params.feed.seed, params.feed.price)
    feed = [ContractDays(name, market_of(name), source.days(name)) for name in source.contracts]
    plan = plan_tape(feed, params.trade_from, params.history, params.feed.sessions)
    begins_ns = {name: source.day(name, days[0]).begins_ns for name, days in plan.sessions.items() if days}
    return Feed(source, plan, begins_ns, _content(source.content_id, plan, params))


def market_of(contract: str) -> Calendar:
    """The calendar of a contract."""
    return calendar(instrument_of(contract).calendar)


def _pushed(params: IngestionParams) -> Feed:
    day = params.trade_from
    if day is None:
        raise InvalidInput("params: trade_from", None, "a trading day: a pushed feed cannot be read ahead")
    names = _resolved(params.instruments, day)
    begins_ns = {}
    for name in names:
        first = min(previous_days(market_of(name), day, params.history), default=day)
        hours = market_of(name).market(first)
        if hours is None:
            raise InvalidInput("params: trade_from", day.isoformat(), f"a day on which {name} trades")
        begins_ns[name] = hours[0]
    plan = TapePlan(day, {}, ())
    return Feed(None, plan, begins_ns, _content(derive("push", *names), plan, params))


def _resolved(symbols: Sequence[str], day: date) -> tuple[str, ...]:
    return tuple(dict.fromkeys(resolve_contract(symbol, day) for symbol in symbols))


def _content(content_id: str, plan: TapePlan, params: IngestionParams) -> str:
    settings = (plan.trade_from.isoformat(), params.history, params.feed.sessions, params.grace_ms)
    return derive(content_id, *map(str, settings))
