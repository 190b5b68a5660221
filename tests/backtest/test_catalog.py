"""Days of a catalog come to what the same prints in memory come to."""

from datetime import date
from pathlib import Path

import pytest

from leadline.backtest.catalog_prints import CatalogPrints
from leadline.backtest.run import run_backtest
from leadline.catalog.catalog import Catalog
from leadline.model.errors import InvalidInput
from tests.backtest.test_run import BEFORE_THE_ROLL, SESSIONS, account, simulated, strategy


@pytest.fixture
def kept(tmp_path: Path) -> CatalogPrints:
    prints, catalog = simulated(BEFORE_THE_ROLL, SESSIONS, 3), Catalog(tmp_path)
    for contract in prints.contracts:
        for each in prints.days(contract):
            catalog.write(contract, each.day, prints.read(contract, each.day))
    return CatalogPrints(tmp_path, ("MES",), BEFORE_THE_ROLL)


def test_a_catalog_has_the_digest_of_its_prints(kept: CatalogPrints):
    last = date(2025, 6, 16)

    assert run_backtest([account()], [strategy()], kept, BEFORE_THE_ROLL, last).digest == (
        run_backtest([account()], [strategy()], simulated(BEFORE_THE_ROLL, SESSIONS, 3), BEFORE_THE_ROLL, last).digest
    )


def test_a_damaged_day_is_an_error_and_never_a_shorter_day(kept: CatalogPrints, tmp_path: Path):
    file = tmp_path / "MESM2025" / "2025-06-13.parquet"
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 1
    file.write_bytes(bytes(content))

    with pytest.raises(InvalidInput, match=r"2025-06-13\.parquet"):
        run_backtest([account()], [strategy()], kept, BEFORE_THE_ROLL)
