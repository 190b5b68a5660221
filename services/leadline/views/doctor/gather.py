"""All facts of one machine: of itself, and of the stack in a data directory, whether it runs or not."""

from collections.abc import Iterable, Sequence
from datetime import date
from pathlib import Path
from typing import Final

import asyncpg
import grpc
import orjson

from leadline.local.data_dir import DataDir, NotPrivate
from leadline.local.health import HealthProbe
from leadline.local.server_process import ServerFailed
from leadline.model.errors import LeadlineError, error_text
from leadline.model.ids import account_named
from leadline.model.manifest.specs import Manifest, StrategySpec, TradingAccount, TradingStrategy, default_account
from leadline.model.market.calendars import calendar
from leadline.model.market.contracts import instrument_of, last_trading_day, resolve_contract, sheet_of
from leadline.model.market.instruments import Instrument
from leadline.runtime import clock
from leadline.runtime.settings import DatabaseSettings, NatsSettings
from leadline.schema.permissions import MIGRATE_USER
from leadline.views import doctor_store
from leadline.views.database import any_database_of, dsn_of
from leadline.views.doctor import gather_machine, gather_servers
from leadline.views.doctor.facts import (
    Account,
    Bus,
    Database,
    Dated,
    Here,
    Machine,
    Missing,
    Root,
    Services,
    Source,
    Trading,
)
from leadline.views.market import FeedView
from leadline.views.opening import open_running
from leadline.views.place import Place
from leadline.views.stack import NotRunning, Stack, running_stack
from leadline.views.started import started_with

_START: Final = "start it with `leadline up`"
_NOT_PRIVATE: Final = Missing("the data directory is not this user's alone", "mend what `permissions` says")


async def gather_here(data_dir: Path, manifests: Sequence[Manifest] = ()) -> Here:
    """The facts of this machine and of a data directory. Whatever cannot be had is missing with its reason.

    manifests: of a start that is to come, whose trade is looked at in place of the last one's.
    """
    data = DataDir(data_dir)
    machine = gather_machine.machine(data)
    stack = _stack(data_dir)
    database, contracts = await _database(data_dir, machine)
    return Here(
        data_dir=str(data.root),
        running=isinstance(stack, Stack),
        machine=machine,
        database=database,
        bus=await _bus(data, stack),
        services=await _services(data_dir, stack),
        trading=_planned(manifests, clock.today()) if manifests else _trading(data, contracts, clock.today()),
    )


def _stack(data_dir: Path) -> Stack | Missing:
    try:
        return running_stack(data_dir)
    except NotRunning as error:
        return Missing(str(error).partition(":")[0] + ", so this cannot be known", _START)
    except NotPrivate:
        return _NOT_PRIVATE


async def _database(data_dir: Path, machine: Machine) -> tuple[Database | Missing, tuple[str, ...]]:
    """The database, which is started for this where nothing runs, and the contracts in use."""
    if not all(machine.servers.values()):
        return Missing("there is no PostgreSQL here to open the database with", "mend what `extras` says"), ()
    if not (DataDir(data_dir).root / "postgres" / "data").is_dir():
        return Missing(f"nothing has run in {data_dir}", _START), ()
    try:
        async with any_database_of(data_dir) as (postgres, _):
            return await _asked(postgres.settings("reader"))
    except NotRunning as error:
        return Missing(str(error).partition(":")[0], _START), ()
    except NotPrivate:
        return _NOT_PRIVATE, ()
    except (LeadlineError, ServerFailed, OSError, asyncpg.PostgresError) as error:
        log = DataDir(data_dir).root / "postgres" / "server.log"
        return Missing(f"the database does not answer: {_one_line(error)}", f"read {log}", broken=True), ()


async def _asked(settings: DatabaseSettings) -> tuple[Database | Missing, tuple[str, ...]]:
    try:
        connection = await asyncpg.connect(dsn_of(settings))
    except (asyncpg.InvalidCatalogNameError, asyncpg.InvalidAuthorizationSpecificationError):
        return Missing("no start has come as far as to a schema", _START), ()
    try:
        return await doctor_store.database(connection), await doctor_store.contracts_in_use(connection)
    finally:
        await connection.close()


async def _bus(data: DataDir, stack: Stack | Missing) -> Bus | Missing:
    if isinstance(stack, Missing):
        return stack
    try:
        settings = orjson.loads((data.root / "settings" / "recorder.json").read_bytes())
        nats = NatsSettings.model_validate(settings["nats"])
        manager = nats.model_copy(
            update={"user": MIGRATE_USER, "password_file": nats.password_file.with_name(MIGRATE_USER)}
        )
        return await gather_servers.bus(manager, data.root / "nats" / "server.conf")
    except (LeadlineError, OSError, ValueError, KeyError, TypeError) as error:
        log = data.root / "nats" / "server.log"
        return Missing(f"the bus does not answer: {_one_line(error)}", f"read {log}", broken=True)


def _one_line(error: Exception) -> str:
    """An error in one line, each of its lines once."""
    return " ".join(dict.fromkeys(line.strip() for line in error_text(error).splitlines() if line.strip())).rstrip(".")


async def _services(data_dir: Path, stack: Stack | Missing) -> Services | Missing:
    if isinstance(stack, Missing):
        return stack
    health = {}
    for name, address in stack.addresses.items():
        probe = HealthProbe(address)
        health[name] = "serving" if await probe.serving() else "not serving"
        await probe.close()
    found = await _feed(data_dir)
    if found is None:
        return Services(health)
    sources = tuple(Source(each.name, each.state, each.reason, each.lost) for each in found.sources)
    return Services(health, sources, found.failure)


async def _feed(data_dir: Path) -> FeedView | None:
    """The feed of a running stack; None where its ingestion does not answer, which its readiness says."""
    try:
        async with open_running(Place(data_dir)) as stack:
            return (await stack.status()).feed
    except (LeadlineError, grpc.aio.AioRpcError):
        return None


def _trading(data: DataDir, contracts: tuple[str, ...], today: date) -> Trading | Missing:
    """The trade by the settings with which the stack was started last."""
    try:
        accounts = [TradingAccount.from_manifest(params["manifest"]) for params in started_with(data.root, "execution")]
        strategies = [
            (account_named(params["account"]), StrategySpec.model_validate_json(orjson.dumps(params["spec"])))
            for params in started_with(data.root, "analysis")
        ]
    except (LeadlineError, OSError, ValueError, KeyError) as error:
        return Missing(f"the settings of the last start cannot be read: {_one_line(error)}", _START)
    return trading_of(accounts, strategies, contracts, today)


def _planned(manifests: Sequence[Manifest], today: date) -> Trading:
    """The trade of manifests, with the account of a strategy that names none."""
    strategies = [each for each in manifests if isinstance(each, TradingStrategy)]
    accounts = {each.full_name: each for each in manifests if isinstance(each, TradingAccount)}
    for each in strategies:
        accounts.setdefault(each.account_name, default_account(each.metadata.namespace))
    return trading_of(accounts.values(), [(each.account_name, each.spec) for each in strategies], (), today)


def trading_of(
    accounts: Iterable[TradingAccount],
    strategies: Iterable[tuple[str, StrategySpec]],
    contracts: Iterable[str],
    today: date,
) -> Trading:
    """The trade of accounts and strategies, each with its account. contracts: in use; for none yet, those of today."""
    strategies = list(strategies)
    found = [_account(each, [spec for name, spec in strategies if name == each.full_name]) for each in accounts]
    roots = {_sheet(spec.instrument, today) for _, spec in strategies}
    roots |= {sheet for account in found for root in account.executes if (sheet := sheet_of(root)) is not None}
    rows = sorted((each for each in roots if each is not None), key=lambda each: each.root)
    used = set(contracts) or {named for _, spec in strategies if (named := _contract(spec.instrument, today))}
    return Trading(
        today=today,
        accounts=tuple(found),
        roots=tuple(Root(row.root, row.calendar, calendar(row.calendar).valid_through) for row in rows),
        contracts=tuple(Dated(name, last_trading_day(name)) for name in sorted(used)),
    )


def _account(account: TradingAccount, strategies: Iterable[StrategySpec]) -> Account:
    spec = account.spec
    own = [sheet.root for each in strategies if (sheet := sheet_of(each.instrument)) is not None]
    executes = tuple(dict.fromkeys(tier.execute for tier in spec.tiers)) if spec.tiers else tuple(dict.fromkeys(own))
    known = {root for root in executes if (sheet := sheet_of(root)) is not None and _has_margin(sheet)}
    return Account(
        name=account.full_name,
        venue=spec.venue,
        live=spec.environment == "Live",
        executes=executes,
        margins=frozenset(known),
        limited=frozenset(spec.margin_limits),
    )


def _has_margin(sheet: Instrument) -> bool:
    return sheet.margin is not None or sheet.margin_rate is not None


def _sheet(symbol: str, today: date) -> Instrument | None:
    contract = _contract(symbol, today)
    return instrument_of(contract) if contract else None


def _contract(symbol: str, today: date) -> str:
    """The contract of a symbol today; empty where nobody can say."""
    try:
        return resolve_contract(symbol, today)
    except LeadlineError:
        return ""
