"""A symbol that the package does not know trades from a file: from the options of a command to a position's money."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path

import pytest

from leadline.aggregation.builder import BarBuilder
from leadline.cli.manifests import checked_plan
from leadline.cli.options import PlanOptions
from leadline.execution.core.account import settings
from leadline.execution.core.book import Book, StrategyBook
from leadline.execution.core.day import roll
from leadline.ingestion.feed import open_feed
from leadline.ingestion.params import IngestionParams
from leadline.local.data_dir import DataDir
from leadline.model.errors import InvalidInput
from leadline.model.ids import ContractId, RunId
from leadline.model.manifest.own_markets import OwnMarkets, in_force, put_in_force, read_own
from leadline.model.manifest.specs import InvalidManifest, session_of
from leadline.model.market.calendars import calendar
from leadline.model.market.instruments import instrument
from leadline.model.ticks import TickBatch, TickColumns
from leadline.runtime.exit_codes import EXIT_REFUSED
from leadline.runtime.main import run_service
from tests.own_markets import ETHER, file_of
from tests.runtime.builders import service_settings

NOON_NS = 1_749_556_800 * 10**9  # 2025-06-10 12:00 UTC
MANIFESTS = """
apiVersion: leadline.dev/v1alpha1
kind: TradingAccount
metadata: {name: coins}
spec: {currency: USDT, tiers: []}
---
apiVersion: leadline.dev/v1alpha1
kind: TradingStrategy
metadata: {name: ether}
spec:
  instrument: ETHUSDT
  account: {name: coins}
  bars: 1m
  history: 1
  bracket: {stopTicks: 100, targetTicks: 150}
  sizing: {mode: Fixed, size: 10, maxSize: 10}
  strategy:
    name: OrderFlow
    detectors: {imbalance: {minVolume: 5}, absorption: {minVolume: 30}}
"""


@pytest.fixture(autouse=True)
def _only_the_package() -> Iterator[None]:
    yield
    put_in_force(OwnMarkets())


@pytest.fixture
def manifests(tmp_path: Path) -> Path:
    path = tmp_path / "ether.yaml"
    path.write_text(MANIFESTS)
    return path


@pytest.fixture
def prints(tmp_path: Path) -> Path:
    """A print a second for an hour, on two days."""
    path = tmp_path / "prints.csv"
    starts = (NOON_NS, NOON_NS + 86_400 * 10**9)
    rows = [f"{start + n * 10**9},{2500 + n % 7}.01,0.{n % 9 + 1:03d},1" for start in starts for n in range(3600)]
    path.write_text("\n".join(["ts_ns,price,size,side", *rows]))
    return path


def test_without_its_file_the_symbol_is_refused(manifests: Path, prints: Path) -> None:
    with pytest.raises(InvalidManifest, match=r"spec\.instrument: got 'ETHUSDT', expected a root"):
        checked_plan(PlanOptions([manifests], [str(prints)]))


def test_the_prints_of_a_file_become_bars_and_money(tmp_path: Path, manifests: Path, prints: Path) -> None:
    own = file_of(tmp_path, {"ETHUSDT": ETHER})
    built = checked_plan(PlanOptions([manifests], [str(prints)], instruments=[own])).plan
    (strategy,), (account,) = built.strategies, built.accounts
    told = built.workload("ingestion").settings.to_json()
    feed = {"kind": "file", "files": [{"path": str(prints), "contract": "ETHUSDT"}]}
    source = open_feed(IngestionParams.model_validate({**told, "feed": feed})).source
    assert source is not None
    assert source.contracts == ("ETHUSDT",)

    _, hours = session_of(strategy.spec)
    builder = BarBuilder(
        tape=RunId("run-1"),
        venue="binance",
        contract=ContractId("ETHUSDT"),
        calendar=calendar(instrument("ETHUSDT").calendar),
        hours=hours,
        spec=strategy.spec.bar_spec,
        ticks_per_row=1,
    )
    ticks = TickColumns.of((NOON_NS + n * 10**9, 250_001 + n, 2, 1) for n in range(61))
    (message,) = builder.feed(
        TickBatch(RunId("run-1"), "binance", ContractId("ETHUSDT"), ticks, int(ticks.time_ns[-1]))
    )
    assert message.bar is not None
    assert (message.bar.volume, message.bar.key.trading_day) == (120, date(2025, 6, 10))
    assert instrument("ETHUSDT").ticks_to_price(message.bar.close) == Decimal("2500.60")

    start = account.spec.starting_balance
    book = Book(RunId("tape"), account.full_name, account, (ContractId("ETHUSDT"),), date(2025, 6, 10), NOON_NS, start)
    book.strategies[strategy.full_name] = StrategyBook(
        strategy.full_name, strategy, "settings", "hash", NOON_NS, ContractId("ETHUSDT")
    )
    roll(book)
    (execute,) = settings(book, book.strategies[strategy.full_name]).execute
    assert (execute.root, execute.tick_value, execute.commission) == ("ETHUSDT", Decimal("0.00001"), Decimal("0.0015"))


def test_the_same_prints_with_other_instruments_are_another_run(tmp_path: Path, prints: Path) -> None:
    ids = set()
    for multiplier in ("1", "10"):
        put_in_force(read_own([file_of(tmp_path, {"ETHUSDT": ETHER | {"multiplier": multiplier}})]))
        feed = {"kind": "file", "files": [{"path": str(prints), "contract": "ETHUSDT"}]}
        ids.add(
            open_feed(IngestionParams.model_validate({"feed": feed, "instruments": ["ETHUSDT"], "history": 0})).content
        )
    assert len(ids) == 2


def test_a_simulated_market_of_ones_own_is_refused_before_anything_starts(tmp_path: Path, manifests: Path) -> None:
    own = file_of(tmp_path, {"ETHUSDT": ETHER})
    with pytest.raises(InvalidInput, match="a price around which ETHUSDT is to move"):
        checked_plan(PlanOptions([manifests], ["sim"], instruments=[own]))


def test_a_service_knows_the_instruments_of_its_settings_before_anything_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = file_of(tmp_path, {"ETHUSDT": ETHER})
    told = tmp_path / "settings.json"
    told.write_text(service_settings(tmp_path, "risk", instruments_file=own).model_dump_json())
    assert run_service("no-such-service", told) == EXIT_REFUSED
    assert in_force() == OwnMarkets()  # the settings are another service's
    broken = file_of(tmp_path, {"ETHUSDT": ETHER | {"tick": "0"}}, name="broken.yaml")
    told.write_text(service_settings(tmp_path, "risk", instruments_file=broken).model_dump_json())
    assert run_service("risk", told) == EXIT_REFUSED
    assert "instruments.ETHUSDT.tick: got '0', expected more than 0" in capsys.readouterr().err
    folder = tmp_path / "instruments.d"
    folder.mkdir()
    for name, symbol in (("one.yaml", "ETHUSDT"), ("two.yaml", "ETHUSDT")):
        file_of(folder, {symbol: ETHER}, name=name)
    told.write_text(service_settings(tmp_path, "risk", instruments_file=folder).model_dump_json())
    assert run_service("risk", told) == EXIT_REFUSED
    assert (
        "two.yaml:3: instruments.ETHUSDT: got 'ETHUSDT', expected a symbol that is not known" in capsys.readouterr().err
    )


def test_a_data_directory_keeps_the_instruments_of_its_stack_and_forgets_them(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    data = DataDir(tmp_path / "data")
    with data.hold():
        own = read_own([file_of(tmp_path, {"ETHUSDT": ETHER})])
        kept = data.write_instruments(own.document())
        assert kept == data.instruments_file
        assert kept.stat().st_mode & 0o777 == 0o600
        assert read_own([kept]) == own
        assert data.write_instruments("") is None
        assert not data.instruments_file.exists()
