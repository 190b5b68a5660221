"""Files and simulated markets as sources of prints."""

import gzip
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

from leadline.ingestion import sources
from leadline.ingestion.normaliser import Normaliser
from leadline.ingestion.raw import NANO, RawColumns
from leadline.ingestion.simulator import simulate_day
from leadline.ingestion.sources import Day, FileSource, SimulatedSource, Source
from leadline.ingestion.tally import TooManyKeptOut
from leadline.model.errors import InvalidInput, Unknown
from leadline.model.ids import ContractId
from leadline.model.market.contracts import instrument_of
from leadline.model.ticks import NS_PER_SECOND, TickColumns, concat
from tests.ingestion.builders import rows_of

HEADER = "ts_ns,price,size,side\n"


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * NS_PER_SECOND


def file_of(folder: Path, name: str, lines: list[str], header: str = HEADER) -> Path:
    path = folder / name
    text = (header + "".join(f"{line}\n" for line in lines)).encode()
    path.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    return path


def accepted(source: Source, contract: ContractId, days: tuple[date, ...]) -> tuple[TickColumns, dict[str, int]]:
    """All prints that the platform accepts, and the others by reason."""
    normaliser = Normaliser.of(contract, allowed_lateness_ns=0)
    ticks = concat([*(normaliser.feed(raw) for raw in source.read(contract, days)), normaliser.finish()])
    return ticks, {str(reason): count for reason, count in normaliser.quarantined.items()}


def test_a_file_has_days_and_prints(tmp_path: Path) -> None:
    monday, tuesday = at("2025-06-09 14:00:00"), at("2025-06-09 22:00:00")
    path = file_of(tmp_path, "mes.csv", [f"{monday},6000.25,2,1", f"{tuesday},6001,1,-1", f"{tuesday},6001.5,1,0"])
    source = FileSource([(path, "MESM2025")])
    assert source.contracts == ("MESM2025",)
    assert source.days(ContractId("MESM2025")) == (
        date(2025, 6, 9),
        date(2025, 6, 10),
    )  # Tuesday begins on Monday at 18:00
    assert source.day(ContractId("MESM2025"), date(2025, 6, 10)) == Day(2, tuesday)
    ticks, quarantined = accepted(source, ContractId("MESM2025"), (date(2025, 6, 9), date(2025, 6, 10)))
    assert rows_of(ticks) == [(monday, 24001, 2, 1), (tuesday, 24004, 1, -1), (tuesday, 24006, 1, 0)]
    assert quarantined == {}


def test_days_that_are_not_asked_for_are_left_out(tmp_path: Path) -> None:
    lines = [f"{at(f'2025-06-{day:02} 14:00:00')},6000,1,1" for day in (9, 10, 11)]
    source = FileSource([(file_of(tmp_path, "mes.csv", lines), "MESM2025")])
    ticks, _ = accepted(source, ContractId("MESM2025"), (date(2025, 6, 10),))
    assert ticks.time_ns.tolist() == [at("2025-06-10 14:00:00")]


def test_a_root_means_its_front_contract_on_the_trading_day_of_the_first_print(tmp_path: Path) -> None:
    before = file_of(tmp_path, "before.csv", [f"{at('2025-06-13 20:00:00')},6000,1,1"])
    after = file_of(
        tmp_path, "after.csv", [f"{at('2025-06-15 22:30:00')},6000,1,1"]
    )  # Sunday evening: Monday, the roll
    assert FileSource([(before, "MES")]).contracts == ("MESM2025",)
    assert FileSource([(after, "MES")]).contracts == ("MESU2025",)


def test_prints_of_a_root_through_its_roll_are_refused_by_name(tmp_path: Path) -> None:
    lines = [f"{at(f'2025-06-{day} 14:00:00')},6000,1,1" for day in (12, 13, 16, 20, 23)]
    path = file_of(tmp_path, "mes.csv", lines)
    with pytest.raises(InvalidInput) as refused:
        FileSource([(path, "MES")])
    assert str(refused.value) == (
        "mes.csv: got 'prints of MES from 2025-06-12 to 2025-06-23', expected prints of one contract: MES is MESM2025 "
        "before 2025-06-16 and MESU2025 from then on, and the file does not say which print is of which; give each "
        "contract a file of its own: --feed MESM2025=FILE --feed MESU2025=FILE"
    )
    assert FileSource([(path, "MESM2025")]).contracts == ("MESM2025",)


def test_a_wrong_clock_on_the_first_line_does_not_say_which_contract_a_root_means(tmp_path: Path) -> None:
    times = [at(f"2025-06-{text}") for text in ("13 14:00:01", "13 14:00:02", "13 14:00:03")]
    path = file_of(tmp_path, "mes.csv", ["99999999999999999999,6000,1,1", *(f"{time},6000,1,1" for time in times)])
    assert FileSource([(path, "MES")]).contracts == ("MESM2025",)


def test_files_of_a_contract_follow_one_another_in_time_however_they_are_named(tmp_path: Path) -> None:
    later = file_of(tmp_path, "a.csv.gz", [f"{at('2025-06-10 14:00:00')},6001,1,1"])
    earlier = file_of(tmp_path, "b.csv", [f"{at('2025-06-09 14:00:00')},6000,1,1"])
    source = FileSource([(later, "MESM2025"), (earlier, "MESM2025")])
    ticks, quarantined = accepted(source, ContractId("MESM2025"), (date(2025, 6, 9), date(2025, 6, 10)))
    assert ticks.price.tolist() == [24000, 24004]
    assert quarantined == {}
    assert source.content_id == FileSource([(earlier, "MESM2025"), (later, "MESM2025")]).content_id


def test_a_file_that_runs_backwards_is_refused(tmp_path: Path) -> None:
    begin = at("2025-06-10 14:00:00")
    path = file_of(tmp_path, "mes.csv", [f"{begin - second * NS_PER_SECOND},6000,1,1" for second in range(600)])
    with pytest.raises(
        InvalidInput, match=r"mes\.csv: got 'prints from the newest to the oldest', expected prints in the"
    ):
        FileSource([(path, "MESM2025")])


@pytest.mark.parametrize("second_begins", [0, 300, 598])
def test_files_of_one_contract_that_overlap_are_refused_by_name(tmp_path: Path, second_begins: int) -> None:
    begin = at("2025-06-10 14:00:00")
    lines = [f"{begin + second * NS_PER_SECOND},6000,1,1" for second in range(900)]
    first = file_of(tmp_path, "first.csv", lines[:600])
    second = file_of(tmp_path, "second.csv", lines[second_begins:])
    with pytest.raises(InvalidInput) as refused:
        FileSource([(second, "MESM2025"), (first, "MESM2025")])
    assert "files of a contract may not overlap" in str(refused.value)
    assert FileSource([(first, "MESM2025"), (second, "MESU2025")]).contracts == ("MESM2025", "MESU2025")


def test_a_file_that_follows_within_the_same_instant_does_not_overlap(tmp_path: Path) -> None:
    begin = at("2025-06-10 14:00:00")
    first = file_of(tmp_path, "first.csv", [f"{begin},6000,1,1", f"{begin + 5},6000,1,1"])
    second = file_of(tmp_path, "second.csv", [f"{begin + 5},6000,2,1", f"{begin + 6},6000,1,1"])
    ticks, _ = accepted(
        FileSource([(second, "MESM2025"), (first, "MESM2025")]), ContractId("MESM2025"), (date(2025, 6, 10),)
    )
    assert ticks.size.tolist() == [1, 1, 2, 1]


def test_what_is_faulty_on_days_that_are_not_played_does_not_count(tmp_path: Path) -> None:
    lines = [f"{at('2025-06-09 14:00:00')},6000.10,1,1"] * 50 + [f"{at('2025-06-10 14:00:00')},6000,1,1"] * 50
    source = FileSource([(file_of(tmp_path, "mes.csv", lines), "MESM2025")])
    source.require_share(ContractId("MESM2025"), (date(2025, 6, 10),), Decimal(1))
    with pytest.raises(TooManyKeptOut, match="50 of 100 prints of MESM2025 were kept out, more than 1 %: off_grid 50"):
        source.require_share(ContractId("MESM2025"), (date(2025, 6, 9), date(2025, 6, 10)), Decimal(1))


def test_a_day_of_another_contract_is_refused(shared_data: Path) -> None:
    source = FileSource([(shared_data / "ticks" / "gc_20131008_tickrule.csv.gz", "MESZ2013")])
    with pytest.raises(TooManyKeptOut, match=r"39,907 of 51,963 prints of MESZ2013 were kept out, .* off_grid 39,907"):
        source.require_share(ContractId("MESZ2013"), source.days(ContractId("MESZ2013")) or (), Decimal(1))


def test_the_content_id_follows_from_the_bytes_and_the_contract_and_not_from_the_name(tmp_path: Path) -> None:
    line = [f"{at('2025-06-10 14:00:00')},6001,1,1"]
    first, second = file_of(tmp_path, "a.csv", line), file_of(tmp_path, "b.csv", line)
    other = file_of(tmp_path, "c.csv", [line[0].replace("6001", "6002")])
    assert FileSource([(first, "MESM2025")]).content_id == FileSource([(second, "MESM2025")]).content_id
    ids = {FileSource([pair]).content_id for pair in ((first, "MESM2025"), (first, "ESM2025"), (other, "MESM2025"))}
    assert len(ids) == 3


def test_how_the_file_is_read_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = at("2025-06-10 14:00:00")
    lines = [
        f"{begin + n * 7_000_000},{6000 + n % 4}.{('0', '25', '5', '75')[n % 4]},{n % 9 + 1},{n % 3 - 1}"
        for n in range(500)
    ]
    path = file_of(tmp_path, "mes.csv.gz", lines)
    at_once, _ = accepted(FileSource([(path, "MESM2025")]), ContractId("MESM2025"), (date(2025, 6, 10),))
    monkeypatch.setattr(sources, "BLOCK_BYTES", 64)
    in_pieces, _ = accepted(FileSource([(path, "MESM2025")]), ContractId("MESM2025"), (date(2025, 6, 10),))
    assert rows_of(in_pieces) == rows_of(at_once)
    assert len(at_once) == 500


def test_a_time_that_does_not_fit_is_counted_and_has_no_day(tmp_path: Path) -> None:
    good = at("2025-06-10 14:00:00")
    path = file_of(tmp_path, "mes.csv", [f"{good},6000,1,1", "99999999999999999999,6000,1,1", "-5,6000,1,1"])
    source = FileSource([(path, "MESM2025")])
    assert source.days(ContractId("MESM2025")) == (date(2025, 6, 10),)
    assert accepted(source, ContractId("MESM2025"), (date(2025, 6, 10),))[1] == {"overflow": 2}


def test_a_print_on_a_day_that_the_calendar_does_not_know_is_counted(tmp_path: Path) -> None:
    times = (at("2025-06-10 14:00:00"), at("2099-06-10 14:00:00"))
    source = FileSource([(file_of(tmp_path, "mes.csv", [f"{time},6000,1,1" for time in times]), "MESM2025")])
    assert source.days(ContractId("MESM2025")) == (date(2025, 6, 10),)
    assert accepted(source, ContractId("MESM2025"), (date(2025, 6, 10),))[1] == {"outside_calendar": 1}


def test_nothing_is_taken_from_a_file_with_an_error_in_it(tmp_path: Path) -> None:
    good = at("2025-06-10 14:00:00")
    path = file_of(tmp_path, "mes.csv", [f"{good},6000,1,1"] * 3 + [f"{good},6000,one,1"])
    with pytest.raises(InvalidInput, match=r"mes\.csv:5:size: got 'one'"):
        FileSource([(path, "MESM2025")])


def test_a_wrong_header_an_empty_file_a_broken_archive_and_a_strange_day_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"a\.csv:1: got 'time,price'"):
        FileSource([(file_of(tmp_path, "a.csv", [], header="time,price\n"), "MESM2025")])
    with pytest.raises(InvalidInput, match=r"b\.csv: got 'no print'"):
        FileSource([(file_of(tmp_path, "b.csv", []), "MESM2025")])
    whole = file_of(tmp_path, "c.csv.gz", [f"{at('2025-06-10 14:00:00')},6000,1,1"] * 100).read_bytes()
    (tmp_path / "c.csv.gz").write_bytes(whole[:-20])
    with pytest.raises(InvalidInput, match=r"c\.csv\.gz: .* expected a whole gzip file"):
        FileSource([(tmp_path / "c.csv.gz", "MESM2025")])
    (tmp_path / "d.csv").write_text(HEADER + "1" * 5000)
    with pytest.raises(InvalidInput, match=r"d\.csv:2"):
        FileSource([(tmp_path / "d.csv", "MESM2025")])
    late = file_of(tmp_path, "e.csv", [f"{at('2099-06-10 14:00:00')},6000,1,1"])
    with pytest.raises(InvalidInput, match=r"e\.csv:ts_ns: got '2099-06-10', expected a time on a day of the calendar"):
        FileSource([(late, "MESM2025")])
    with pytest.raises(Unknown, match="contract root 'XYZM2025'"):
        FileSource([(late, "XYZM2025")])


def test_a_line_that_is_too_long_is_named_by_its_own_number(tmp_path: Path) -> None:
    good = [f"{at('2025-06-10 14:00:00')},6000,1,1"] * 7
    path = file_of(tmp_path, "mes.csv", [*good, "1" * 5000])
    with pytest.raises(InvalidInput, match=r"mes\.csv:9"):
        FileSource([(path, "MESM2025")])
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    with pytest.raises(InvalidInput, match=r"mes\.csv:9: .* expected a shorter line"):
        FileSource([(path, "MESM2025")])


def test_an_archive_that_becomes_too_long_is_refused_before_all_of_it_is_unpacked(tmp_path: Path) -> None:
    lines = [f"{at('2025-06-10 14:00:00')},6000,1,1"] * 1_000_000
    path = file_of(tmp_path, "bomb.csv.gz", lines)
    with pytest.raises(InvalidInput, match=r"bomb\.csv\.gz: got '[0-9,]+ bytes of text in [0-9,]+ bytes', expected an"):
        FileSource([(path, "MESM2025")])


def test_a_simulated_market_is_a_source_like_any_other() -> None:
    day = date(2025, 6, 10)
    source = SimulatedSource((ContractId("MESM2025"),), seed=1)
    ticks, quarantined = accepted(source, ContractId("MESM2025"), (day,))
    made = simulate_day(ContractId("MESM2025"), day, seed=1)
    assert rows_of(ticks) == rows_of(made)
    assert quarantined == {}
    assert source.day(ContractId("MESM2025"), day).prints == len(made)
    assert source.day(ContractId("MESM2025"), day).begins_ns <= made.time_ns[0]
    assert source.ends_ns(ContractId("MESM2025"), day) > made.time_ns[-1]


def test_a_simulated_market_is_known_by_seed_contracts_and_price() -> None:
    ids = {
        SimulatedSource(tuple(map(ContractId, contracts)), seed).content_id
        for contracts, seed in ((("MESM2025",), 1), (("MESM2025",), 2), (("MESM2025", "ESM2025"), 1))
    }
    assert len(ids) == 3


@pytest.mark.parametrize(
    ("name", "contract", "prints", "sharing"),
    [
        ("gc_20131007_tickrule", "GCZ2013", 39_610, 11_889),
        ("gc_20131008_tickrule", "GCZ2013", 51_963, 16_458),
        ("es_20231225_esh4_glbx", "ESH2024", 2_973, 139),
        ("es_20240701_esu4_glbx", "ES", 120, 0),
        ("es_20190829_esu9_mdp3", "ESU2019", 844, 12),
        ("binance_usdm_btcusdt_20240808", "BTCUSDT", 21_313, 16_053),
    ],
)
def test_recorded_days_are_accepted_whole(
    shared_data: Path, name: str, contract: str, prints: int, sharing: int
) -> None:
    path = shared_data / "ticks" / f"{name}.csv.gz"
    source = FileSource([(path, contract)])
    contract = source.contracts[0]
    days = source.days(contract)
    assert days is not None
    ticks, quarantined = accepted(source, contract, days)
    assert quarantined == {}
    assert len(ticks) == sum(source.day(contract, day).prints for day in days) == prints
    assert int((np.diff(ticks.time_ns) == 0).sum()) == sharing
    with gzip.open(path, "rt") as file:
        lines = [line.rstrip("\n").split(",") for line in file][1:]
    instrument = instrument_of(contract)
    assert instrument.steps_to_size(int(ticks.size.sum())) == sum(
        instrument.steps_to_size(instrument.size_to_steps(size)) for _, _, size, _ in lines
    )
    middle = prints // 2
    assert instrument.price_to_ticks(lines[middle][1]) == ticks.price[middle]
    assert ticks.aggressor.tolist() == [int(side) for *_, side in lines]


def test_prints_off_the_grid_of_another_instrument_are_counted_and_nothing_is_lost(shared_data: Path) -> None:
    path = shared_data / "ticks" / "gc_20131008_tickrule.csv.gz"
    source = FileSource([(path, "SIZ2013")])  # gold's prices are on silver's finer grid: all are accepted
    days = source.days(ContractId("SIZ2013"))
    assert days is not None
    assert accepted(source, ContractId("SIZ2013"), days)[1] == {}
    es = FileSource([(path, "ESZ2013")])
    ticks, quarantined = accepted(es, ContractId("ESZ2013"), es.days(ContractId("ESZ2013")) or ())
    assert set(quarantined) == {"off_grid"}
    assert len(ticks) + quarantined["off_grid"] == 51_963


def test_raw_prices_are_exact_billionths(tmp_path: Path) -> None:
    path = file_of(tmp_path, "gc.csv", [f"{at('2013-10-08 14:00:00')},1313.7,1,0"])
    (raw,) = FileSource([(path, "GCZ2013")]).read(ContractId("GCZ2013"), (date(2013, 10, 8),))
    assert isinstance(raw, RawColumns)
    assert raw.price.tolist() == [13137 * NANO // 10]
