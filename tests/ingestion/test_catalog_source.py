"""A catalog as a feed: the tape that the files would have made from which its days came."""

from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from leadline.catalog.catalog import Catalog
from leadline.cli.data import lines_of
from leadline.ingestion.batching import BatchBounds
from leadline.ingestion.csv_ticks import HEADER
from leadline.ingestion.feed import Feed, open_feed
from leadline.ingestion.importing import CsvPrints
from leadline.ingestion.params import IngestionParams
from leadline.ingestion.simulator import simulate_day
from leadline.ingestion.tally import TooManyKeptOut
from leadline.ingestion.tape import ContractTape
from leadline.ingestion.traded import require_traded_days, require_traded_hours
from leadline.model.errors import InvalidInput, Unknown
from leadline.model.ids import ContractId
from leadline.model.market.contracts import instrument_of
from leadline.model.ticks import NS_PER_SECOND, TickColumns, concat
from tests.ingestion.builders import rows_of

MES = ContractId("MESM2025")


def june(*days: int) -> tuple[date, ...]:
    return tuple(date(2025, 6, day) for day in days)


def part_of(contract: ContractId, day: date, count: int = 300) -> TickColumns:
    """The first prints of a simulated day."""
    return simulate_day(contract, day, 1).slice(0, count)


def text_file(folder: Path, contract: ContractId, days: tuple[date, ...], more: str = "") -> Path:
    path = folder / f"{contract}.csv"
    lines = b"".join(lines_of(part_of(contract, day), contract) for day in days)
    path.write_bytes(f"{HEADER}\n".encode() + lines + more.encode())
    return path


def kept(folder: Path, *files: tuple[Path, str]) -> Catalog:
    """A catalog into which the files were imported."""
    catalog = Catalog(folder)
    for each in CsvPrints(files, Decimal(1)).days():
        catalog.write(each.contract, each.day, each.ticks, kept_out=each.kept_out, outside=each.outside)
    return catalog


def opened(source: dict[str, Any], trade_from: int = 10, **more: Any) -> Feed:
    told = {"feed": source, "instruments": ("MES",), "trade_from": date(2025, 6, trade_from), "history": 1}
    return open_feed(IngestionParams.model_validate({**told, **more}))


def of_catalog(catalog: Catalog, sessions: int = 1, **other: Any) -> Feed:
    return opened({"kind": "catalog", "catalog": catalog.root, "sessions": sessions}, **other)


def tape(feed: Feed, contract: ContractId = MES) -> tuple[list[tuple[int, ...]], int, dict[Any, int]]:
    """The prints of a tape, its last watermark, and what was kept out of it."""
    assert feed.source is not None
    made = ContractTape(feed.source, contract, feed.plan.sessions[contract], BatchBounds(64), NS_PER_SECOND)
    drafts = list(made.drafts())
    ticks = concat(draft.ticks for draft in drafts)
    assert ticks.first_index == 0
    return list(rows_of(ticks)), drafts[-1].watermark_ns, made.tally.counts()


def test_the_tape_is_that_of_the_files_from_which_the_days_came(tmp_path: Path):
    first, last = (int(part_of(MES, date(2025, 6, day)).time_ns[place]) for day, place in ((9, 50), (10, -1)))
    wrong = f"{last},5000.10,1,1\n{last},5000.00,0,1\n{first},5000.00,1,1\n"
    file = text_file(tmp_path, MES, june(9, 10), wrong)
    catalog = kept(tmp_path / "catalog", (file, MES))
    files = opened({"kind": "file", "files": [{"path": file, "contract": MES}]})
    days = of_catalog(catalog)
    assert tape(days) == tape(files)
    assert tape(days)[2] == {
        (date(2025, 6, 9), "time_backwards"): 1,
        (date(2025, 6, 10), "off_grid"): 1,
        (date(2025, 6, 10), "zero_size"): 1,
    }
    assert (days.plan, days.begins_ns, days.prints(MES)) == (files.plan, files.begins_ns, files.prints(MES))


@pytest.fixture(scope="module")
def week(tmp_path_factory: pytest.TempPathFactory) -> Catalog:
    """Days of June before and after a roll on the 16th."""
    folder = tmp_path_factory.mktemp("week")
    june_file = text_file(folder, MES, june(9, 10, 11, 12, 13))
    september = text_file(folder, ContractId("MESU2025"), june(13, 16, 17))
    return kept(folder / "catalog", (june_file, MES), (september, "MESU2025"))


@pytest.mark.parametrize(("sessions", "last"), [(1, 10), (2, 11), (3, 12)])
def test_so_many_sessions_are_played_as_are_asked_for(week: Catalog, sessions: int, last: int):
    assert of_catalog(week, sessions).plan.sessions == {MES: june(*range(9, last + 1))}


def test_what_an_account_executes_is_carried_when_it_has_each_traded_day(week: Catalog, tmp_path: Path):
    both = Catalog(tmp_path)
    for contract in week.contracts():
        for day in week.dates(contract):
            both.write(contract, day, week.read(contract, day))
    for name, days in (("ESM2025", june(10, 11, 13)), ("ESU2025", june(16, 17)), ("NQM2025", june(10, 11))):
        for day in days:
            both.write(ContractId(name), day, part_of(ContractId(name), day))
    alone = of_catalog(both, 2)
    assert of_catalog(both, 2, beside=("ES",)).plan.sessions == dict(alone.plan.sessions) | {
        ContractId("ESM2025"): june(10, 11)
    }
    # It lacks the 12th, on which the other is traded.
    assert of_catalog(both, 3, beside=("ES",)).plan == of_catalog(both, 3).plan
    rolled = of_catalog(both, 3, trade_from=13, beside=("ES",)).plan
    assert rolled.sessions == {
        "ESM2025": june(13),
        "ESU2025": june(16, 17),
        "MESM2025": june(12, 13),
        "MESU2025": june(13, 16, 17),
    }
    dated = of_catalog(both, 2, instruments=("MESM2025",), beside=("ESM2025",)).plan
    assert dated.sessions == {"ESM2025": june(10, 11), "MESM2025": june(9, 10, 11)}
    assert of_catalog(both, 2, beside=("ES",)).content != alone.content


def test_a_root_is_each_month_on_its_days(week: Catalog):
    feed = of_catalog(week, 3, trade_from=13)
    assert feed.plan.sessions == {MES: june(12, 13), "MESU2025": june(13, 16, 17)}
    assert feed.later == {"MESU2025": date(2025, 6, 16)}
    assert of_catalog(week, instruments=("MESU2025",), trade_from=16).contracts == {"MESU2025": "cme"}


def test_the_content_is_that_of_the_days_that_are_played_and_of_no_others(week: Catalog, tmp_path: Path):
    file = text_file(tmp_path, MES, june(9, 10))
    two = kept(tmp_path / "two", (file, MES))
    assert of_catalog(two).content == of_catalog(week).content
    assert of_catalog(week, 2).content != of_catalog(week).content
    other = simulate_day(MES, date(2025, 6, 10), 2).slice(0, 300)
    two.write(MES, date(2025, 6, 10), other, replace=True)
    assert of_catalog(two).content != of_catalog(week).content


def test_a_damaged_day_is_refused_before_anything_starts(tmp_path: Path):
    catalog = kept(tmp_path / "catalog", (text_file(tmp_path, MES, june(9, 10, 11)), MES))
    path = catalog.path(MES, date(2025, 6, 10))
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=r"2025-06-10.parquet: prints: got 'other bytes than were written'"):
        of_catalog(catalog)


def test_a_day_that_is_replaced_while_it_is_played_is_an_error_that_names_it(tmp_path: Path):
    catalog = kept(tmp_path / "catalog", (text_file(tmp_path, MES, june(9, 10)), MES))
    feed = of_catalog(catalog)
    catalog.write(MES, date(2025, 6, 10), simulate_day(MES, date(2025, 6, 10), 2).slice(0, 300), replace=True)
    with pytest.raises(InvalidInput, match=r"2025-06-10.parquet: got 'content .* the day was replaced meanwhile"):
        tape(feed)


def test_days_with_too_many_faulty_prints_are_refused(tmp_path: Path):
    catalog = Catalog(tmp_path)
    for day in june(9, 10):
        catalog.write(MES, day, part_of(MES, day, 90), kept_out={"off_grid": 10})
    with pytest.raises(TooManyKeptOut, match="20 of 200 prints of MESM2025 were kept out, more than 1 %: off_grid 20"):
        of_catalog(catalog)


@pytest.mark.parametrize(
    ("instruments", "trade_from", "words"),
    [
        (("ES",), 10, "the catalog .* has no ES; it has MESM2025, MESU2025$"),
        (("MESZ2025",), 10, "the catalog .* has no MESZ2025; it has MESM2025"),
        (("MES",), 20, "trade_from: got '2025-06-20', expected a trading day of the feed"),
    ],
)
def test_what_the_catalog_has_not_is_refused(week: Catalog, instruments: tuple[str, ...], trade_from: int, words: str):
    with pytest.raises((InvalidInput, Unknown), match=words):
        of_catalog(week, instruments=instruments, trade_from=trade_from)


def test_days_without_a_print_in_a_traded_session_are_refused(week: Catalog):
    """The first prints of a day are of the evening before."""
    feed, sheet = of_catalog(week), instrument_of(MES)
    require_traded_days(feed, {"MES"})
    require_traded_hours(feed, {MES: [sheet.sessions["globex"]]})
    with pytest.raises(InvalidInput, match="none of them in a session that is traded"):
        require_traded_hours(feed, {MES: [sheet.sessions["rth"]]})
