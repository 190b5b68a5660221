"""The feed that the settings name: what it has, and the tape that a run makes of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import date

from leadline.ingestion.months import (
    contract_days,
    contracts_of_days,
    market_of,
    refuse_expired,
    require_months,
    with_beside,
    with_next_month,
)
from leadline.ingestion.params import IngestionParams
from leadline.ingestion.runs import DEFAULT_TRADE_FROM, ContractDays, TapePlan, plan_tape, previous_days, traded_days
from leadline.ingestion.sources import FileSource, SimulatedSource, Source
from leadline.model.errors import InvalidInput
from leadline.model.ids import ContractId, derive
from leadline.model.manifest.own_markets import in_force
from leadline.model.market.contracts import instrument_of, resolve_contract


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed and the tape planned from it.

    source: None for a pushed feed, whose plan has no sessions: nobody knows them yet. begins_ns: the tape's first
    time by contract. content: the same for the same tape and for no other. later: of the months of a root that lead
    only after the first traded day, the first day on which they do.
    """

    source: Source | None
    plan: TapePlan
    begins_ns: Mapping[ContractId, int]
    content: str
    later: Mapping[ContractId, date]

    @property
    def contracts(self) -> dict[ContractId, str]:
        """Venue by contract."""
        return {name: instrument_of(name).venue for name in self.begins_ns}

    def prints(self, contract: ContractId) -> dict[date, int]:
        """Prints by trading day of the tape, quarantined ones included; nothing for a pushed feed."""
        if self.source is None:
            return {}
        return {day: self.source.day(contract, day).prints for day in self.plan.sessions[contract]}


def open_feed(params: IngestionParams) -> Feed:
    """Look at the feed and plan its tape. Files are read whole.

    Raises InvalidInput and Unknown when the settings or the files cannot be used, TooManyKeptOut when too many of the
    tape's prints are faulty, OSError when a file cannot be read.
    """
    if params.feed.kind != "file" and not params.instruments:
        raise InvalidInput("instruments", "none", "the instruments that a feed carries that is no file")
    if params.feed.kind == "push":
        return _pushed(params)
    source: Source
    if params.feed.kind == "catalog":
        return _kept(params)
    if params.feed.kind == "file":
        files = [(file.path, file.contract) for file in params.feed.files]
        source = FileSource(files, allowed_lateness_ns=params.allowed_lateness_ms * 1_000_000)
    else:
        source = SimulatedSource(_simulated(params), params.feed.seed, params.feed.price)
    feed = [contract_days(name, params.instruments, source.days(name)) for name in source.contracts]
    plan = plan_tape(feed, params.trade_from, params.history, params.feed.sessions)
    refuse_expired(plan.sessions)
    require_months(feed, plan, params.instruments)
    if isinstance(source, FileSource):
        for name, days in plan.sessions.items():
            source.require_share(name, days, params.feed.max_kept_out_percent)
    begins_ns = {name: source.day(name, days[0]).begins_ns for name, days in plan.sessions.items() if days}
    return Feed(source, plan, begins_ns, _content(source.content_id, plan, params), _later(begins_ns, plan, params))


def _kept(params: IngestionParams) -> Feed:
    """The feed of a catalog: of its days only those of the tape are read, and are what the feed's content is."""
    from leadline.ingestion.catalog_source import CatalogSource  # noqa: PLC0415 - Arrow, which no other feed needs

    if params.feed.catalog is None:
        raise InvalidInput("feed.catalog", None, "the folder of the catalog")
    as_of = params.trade_from or DEFAULT_TRADE_FROM
    whole = CatalogSource(params.feed.catalog, params.instruments, as_of, params.beside)
    read = [name for name in whole.contracts if name not in whole.beside]
    feed = [contract_days(name, params.instruments, whole.days(name)) for name in read]
    plan = plan_tape(feed, params.trade_from, params.history, params.feed.sessions)
    last = max(_last_day(each, plan.trade_from, params.feed.sessions) for each in feed)
    plan = replace(
        plan,
        sessions={name: tuple(day for day in days if day <= last) for name, days in plan.sessions.items()},
        missing=tuple(day for day in plan.missing if day <= last),
    )
    refuse_expired(plan.sessions)
    require_months(feed, plan, params.instruments)
    beside = {name: [day for day in whole.days(name) if day <= last] for name in sorted(whole.beside)}
    plan = with_beside(plan, feed, beside, params.history)
    for name, days in plan.sessions.items():
        whole.require_share(name, days, params.feed.max_kept_out_percent)
    source = whole.of(plan.sessions)
    plan = replace(plan, sessions={name: plan.sessions[name] for name in source.contracts})
    begins_ns = {name: source.day(name, days[0]).begins_ns for name, days in plan.sessions.items()}
    return Feed(source, plan, begins_ns, _content(source.content_id, plan, params), _later(begins_ns, plan, params))


def _last_day(each: ContractDays, day: date, sessions: int) -> date:
    """The last of so many days from `day` on on which a market is open."""
    return max(traded_days(each.market, day, sessions), default=day)


def _simulated(params: IngestionParams) -> tuple[ContractId, ...]:
    """The contracts of the traded days, each once."""
    day = params.trade_from or DEFAULT_TRADE_FROM
    found: list[ContractId] = []
    for symbol in params.instruments:
        market = market_of(resolve_contract(symbol, day))
        found += contracts_of_days([symbol], traded_days(market, day, params.feed.sessions) or (day,))
    return tuple(dict.fromkeys(found))


def _pushed(params: IngestionParams) -> Feed:
    day = params.trade_from
    if day is None:
        raise InvalidInput("trade_from", None, "a trading day: a pushed feed cannot be read ahead")
    names = with_next_month(params.instruments, day)
    if all(market_of(name).market(day) is None for name in names):
        raise InvalidInput("trade_from", day.isoformat(), f"a day on which one of {', '.join(names)} trades")
    begins_ns = {}
    for name in names:
        starts = contract_days(name, params.instruments, ()).starts(day)
        first = min(previous_days(market_of(name), starts, params.history), default=starts)
        hours = market_of(name).market(first)
        if hours is None:
            raise InvalidInput("trade_from", day.isoformat(), f"a day on which {name} trades")
        begins_ns[name] = hours[0]
    plan = TapePlan(day, {}, ())
    content = _content(derive("push", *names), plan, params)
    return Feed(None, plan, begins_ns, content, _later(begins_ns, plan, params))


def _later(names: Iterable[ContractId], plan: TapePlan, params: IngestionParams) -> dict[ContractId, date]:
    starts = {name: contract_days(name, params.instruments, ()).starts(plan.trade_from) for name in names}
    return {name: day for name, day in starts.items() if day > plan.trade_from}


def _content(content_id: str, plan: TapePlan, params: IngestionParams) -> str:
    settings = (plan.trade_from.isoformat(), params.history, params.feed.sessions, params.allowed_lateness_ms)
    # Prints mean other money with other instruments: a run goes on only with those that it began with.
    own = in_force().digest()
    return derive(content_id, *map(str, settings), *([own] if own else []))
