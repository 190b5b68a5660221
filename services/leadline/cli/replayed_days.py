"""`leadline digest --replay`: a day of the live tape beside its replay from what was recorded of it."""

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from pathlib import Path
from typing import Any

import asyncpg
import orjson

from leadline.backtest.recorded import RecordedDay
from leadline.backtest.work import history_start
from leadline.cli.options import Output
from leadline.cli.output import people_console, print_json, print_table
from leadline.cli.reporting import day_of
from leadline.execution.params import ExecutionParams
from leadline.ingestion.months import market_of
from leadline.model.errors import InvalidInput
from leadline.model.ids import LIVE, AccountId, ContractId
from leadline.model.manifest.specs import TradingAccount, TradingStrategy
from leadline.model.ticks import TickColumns
from leadline.runtime.settings import load_settings, validate_params
from leadline.views.database import database_of, dsn_of
from leadline.views.digest import KINDS, digest_lines
from leadline.views.digest_store import lines_of_day, run_of
from leadline.views.place import Place
from leadline.views.recorded_store import disturbances, recorded_account, recorded_contracts, recorded_prints


@dataclass(frozen=True, slots=True)
class Compared:
    """Lines of one kind: of the live day, of its replay, and those of each that the other does not have."""

    kind: str
    live: int
    replay: int
    only_live: int
    only_replay: int


@dataclass(frozen=True, slots=True)
class ReplayedDay:
    """A day of the live tape and its replay: both digests, the lines by kind, and what came between by its name."""

    day: date
    live: str
    replay: str
    kinds: tuple[Compared, ...]
    between: Mapping[str, int]

    @property
    def equal(self) -> bool:
        """Whether both are the same to the last line."""
        return self.live == self.replay


def compare_day(place: Place, tape: str | None, day: str | None, output: Output) -> int:
    """Replay a day of the live tape and print both digests, and what came between; 0 where they are equal, else 1.

    Raises InvalidInput and Unknown as `replayed_day`.
    """
    if place.kube:
        raise InvalidInput("--replay", "--kube", "a data directory: a cluster's manifests are not in its database")
    if tape not in {None, LIVE}:
        raise InvalidInput("--tape", tape, f"{LIVE} beside --replay: a run is replayed as a whole")
    if day is None:
        raise InvalidInput("--replay", "no --day", "the trading day to replay, --day YYYY-MM-DD")
    found = asyncio.run(_replayed(place.data_dir, day_of(day)))
    if output is Output.JSON:
        print_json({"tape": LIVE, **asdict(found), "day": day, "equal": found.equal})
    else:
        _print(found)
    return 0 if found.equal else 1


async def _replayed(data_dir: Path, day: date) -> ReplayedDay:
    async with database_of(data_dir) as settings:
        connection = await asyncpg.connect(dsn_of(settings))
        try:
            return await replayed_day(connection, data_dir, day)
        finally:
            await connection.close()


def _print(found: ReplayedDay) -> None:
    console = people_console()
    console.print(f"live    {found.live}", highlight=False)
    console.print(f"replay  {found.replay}", highlight=False)
    rows = [(each.kind, each.live, each.replay, each.only_live, each.only_replay) for each in found.kinds]
    columns = ("lines", "live", "replay", "only live", "only in the replay")
    print_table(f"{found.day}: {'equal' if found.equal else 'not equal'}", columns, rows, "nothing")
    for name, count in found.between.items():
        console.print(f"came between: {count} {name}", highlight=False)


async def replayed_day(connection: Any, data_dir: Path, day: date) -> ReplayedDay:
    """Replay a day of the live tape of a data directory from its database, with the accounts that are set up there.

    Raises InvalidInput for a day that is not over or on which nothing was decided, Unknown where there is no live tape,
    PrintsMissing.
    """
    run = await run_of(connection, LIVE)
    details = orjson.loads(run["details"])
    accounts = _accounts(data_dir)
    recorded = [await recorded_account(connection, LIVE, name, day) for name in sorted(accounts)]
    strategies = tuple(strategy for each in recorded for strategy in each.strategies)
    contracts = await recorded_contracts(connection, LIVE)
    again = RecordedDay(strategies, await _market(connection, contracts, strategies, day), day)
    traded = [each for each in recorded if each.strategies]
    for each in traded:
        await again.trade(accounts[each.account], each, details["clock"]["rate"])
    live, replay = await lines_of_day(connection, LIVE, day), again.lines()
    between = await disturbances(connection, LIVE, day)
    between["halts and fences"] = sum(each.stopped for each in recorded)
    between["orders that came to the venue behind its latency"] = sum(map(again.filled_earlier, traded))
    return ReplayedDay(
        day,
        digest_lines([line for line, _ in live]),
        digest_lines([line for line, _ in replay]),
        tuple(_compared(kind, live, replay) for kind in KINDS),
        {name: count for name, count in between.items() if count},
    )


def _accounts(data_dir: Path) -> dict[AccountId, TradingAccount]:
    """The accounts of a data directory, as its executions were set up last."""
    files = sorted((data_dir / "settings").glob("execution-*.json"))
    found = (validate_params(ExecutionParams, load_settings(file).params) for file in files)
    return {each.account: each.manifest for each in found}


async def _market(
    connection: Any, contracts: Sequence[ContractId], strategies: Sequence[TradingStrategy], day: date
) -> dict[ContractId, TickColumns]:
    """The prints of the day and of the sessions of history before it, by contract."""
    start = min(history_start(each, day) for each in strategies)
    found = {}
    for contract in sorted(contracts):
        hours = [market_of(contract).market(each) for each in (start, day)]
        if hours[1] is None:
            raise InvalidInput("--day", day.isoformat(), f"a day on which {contract} is traded")
        assert hours[0] is not None
        found[contract] = await recorded_prints(connection, LIVE, contract, hours[0][0], hours[1][1])
    return found


def _compared(kind: str, live: Sequence[tuple[bytes, str]], replay: Sequence[tuple[bytes, str]]) -> Compared:
    own, other = (Counter(line for line, of in lines if of == kind) for lines in (live, replay))
    return Compared(kind, own.total(), other.total(), (own - other).total(), (other - own).total())
