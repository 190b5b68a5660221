"""Days of a catalog come to what the same prints in memory come to."""

from datetime import date
from decimal import Decimal
from itertools import accumulate, pairwise
from pathlib import Path

import pytest

from leadline.backtest.catalog_prints import CatalogPrints
from leadline.backtest.coverage import short_days
from leadline.backtest.gathered import Gathered
from leadline.backtest.prints import Prints, PrintsInMemory, numbered_from
from leadline.backtest.results import AccountResult, result_of
from leadline.backtest.run import run_backtest
from leadline.catalog.catalog import Catalog
from leadline.model.errors import InvalidInput
from leadline.model.ids import ContractId
from leadline.model.manifest.specs import TradingAccount, TradingStrategy, load_manifests, parse_manifest
from leadline.model.ticks import TickColumns, concat
from tests.backtest.test_run import BEFORE_THE_ROLL, SESSIONS, account, simulated, strategy

MES = ContractId("MESM2025")


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


def test_orders_are_filled_and_valued_on_the_prints_of_what_the_tier_executes(kept: CatalogPrints, tmp_path: Path):
    catalog, es = Catalog(tmp_path), ContractId("ESM2025")
    head = {"apiVersion": "leadline.dev/v1alpha1", "kind": "TradingAccount", "metadata": {"name": "paper"}}
    rich = parse_manifest({**head, "spec": {"startingBalance": "20000", "overnightGapTicks": {"ES": 200, "MES": 200}}})
    assert isinstance(rich, TradingAccount)
    own = [strategy(sizing={"mode": "Fixed", "size": 1, "respectDayBudget": False})]

    def traded() -> tuple[set[tuple[str, str]], AccountResult]:
        prints, seen = CatalogPrints(tmp_path, ("MES",), BEFORE_THE_ROLL, ("ES",)), Gathered(own)
        outcome = run_backtest([rich], own, prints, BEFORE_THE_ROLL, date(2025, 6, 13), seen.seen)
        (run,), (result,) = outcome.accounts.values(), result_of(outcome, seen).accounts
        return {(each.order.contract, each.order.tape_contract) for each in run.records.orders.values()}, result

    contracts, on_the_signals = traded()
    assert contracts == {("ESM2025", "MESM2025")}
    for day in catalog.dates(MES):
        catalog.write(es, day, catalog.read(MES, day))
    contracts, on_its_own = traded()
    assert contracts == {("ESM2025", "ESM2025")}
    assert on_its_own.equity == on_the_signals.equity
    assert len(on_its_own.equity) > 2 * len(on_its_own.trades)  # at closes as well
    catalog.remove(es, date(2025, 6, 13))
    assert traded()[0] == {("ESM2025", "MESM2025")}


@pytest.mark.parametrize("sessions", [2, 4])
def test_each_change_of_the_tier_is_on_the_day_that_is_traded_in_another_one(sessions: int, tmp_path: Path):
    """The decisions say in which tier they were made."""
    example = load_manifests(Path(__file__).parents[2] / "examples" / "mes-orderflow.yaml")
    own = [each for each in example if isinstance(each, TradingStrategy)]
    (poor,) = (each for each in example if isinstance(each, TradingAccount))
    rich = with_balance(poor, Decimal(5_000))
    simulated_days = simulated(None, sessions, own[0].spec.history)
    first = simulated_days.days(MES)[-sessions].day
    catalog = Catalog(tmp_path)
    for each in simulated_days.days(MES):
        catalog.write(MES, each.day, simulated_days.read(MES, each.day))
    feeds: list[Prints] = [simulated_days, CatalogPrints(tmp_path, ("MES",), first)]
    for prints in feeds:
        seen = Gathered(own)
        outcome = run_backtest([rich], own, prints, first, None, seen.seen)
        (result,), (run,) = result_of(outcome, seen).accounts, outcome.accounts.values()
        most = {}
        for decision in run.records.decisions.values():
            if decision.accepted:
                most[decision.trading_day] = int(dict(decision.arithmetic)["tier_max"])
        assert len(most) == sessions
        changes = [(day, most[day]) for before, day in pairwise(sorted(most)) if most[before] != most[day]]
        assert [(each.day, each.max_size) for each in result.tier_changes] == changes
        ends = dict(zip(sorted(most)[1:], [each.equity for each in result.days], strict=False))
        assert [each.equity for each in result.tier_changes] == [ends[day] for day, _ in changes]
        assert changes[0][0] == sorted(most)[1]  # the first day's tier is not the second's


@pytest.mark.parametrize("last", [date(2025, 6, 13), None])
def test_a_range_of_a_catalog_ends_as_the_same_range_of_files(kept: CatalogPrints, last: date | None):
    """The last bar of the session ends at the market's close, and the last print of the day is before it."""
    hours = {"open": "09:30", "close": "17:00", "zone": "America/New_York"}
    files = PrintsInMemory({name: whole(kept, name) for name in kept.contracts})
    digests = {
        run_backtest([account()], [strategy(session=hours)], prints, BEFORE_THE_ROLL, last).digest
        for prints in (kept, files)
    }
    assert len(digests) == 1


def with_balance(manifest: TradingAccount, balance: Decimal) -> TradingAccount:
    return manifest.model_copy(update={"spec": manifest.spec.model_copy(update={"starting_balance": balance})})


def whole(kept: CatalogPrints, contract: ContractId) -> TickColumns:
    ticks = [kept.read(contract, each.day) for each in kept.days(contract)]
    starts = [0, *accumulate(map(len, ticks))]
    return concat([numbered_from(each, start) for each, start in zip(ticks, starts, strict=False)])


def test_a_day_of_which_a_part_is_at_hand_is_named(kept: CatalogPrints, tmp_path: Path):
    catalog, cut = Catalog(tmp_path), date(2025, 6, 13)
    ticks = catalog.read(MES, cut)
    catalog.remove(MES, cut)
    catalog.write(MES, cut, ticks.slice(0, len(ticks) // 3))

    outcome = run_backtest(
        [account()], [strategy()], CatalogPrints(tmp_path, ("MES",), BEFORE_THE_ROLL), BEFORE_THE_ROLL
    )

    assert [each.day for each in short_days(outcome.days, [strategy()])] == [cut]


def test_a_damaged_day_is_an_error_and_never_a_shorter_day(kept: CatalogPrints, tmp_path: Path):
    file = tmp_path / "MESM2025" / "2025-06-13.parquet"
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 1
    file.write_bytes(bytes(content))

    with pytest.raises(InvalidInput, match=r"2025-06-13\.parquet"):
        run_backtest([account()], [strategy()], kept, BEFORE_THE_ROLL)


@pytest.mark.parametrize("cut", [0, 100])
def test_a_day_that_is_replaced_while_a_backtest_runs_is_an_error_that_names_it(
    kept: CatalogPrints, tmp_path: Path, cut: int
):
    catalog, day = Catalog(tmp_path), date(2025, 6, 12)
    ticks = catalog.read(MES, day)
    catalog.remove(MES, day)
    fewer = ticks.slice(0, len(ticks) - cut)
    catalog.write(MES, day, TickColumns(fewer.time_ns, fewer.price + 1, fewer.size, fewer.aggressor))

    with pytest.raises(InvalidInput, match=r"2025-06-12\.parquet: got 'content .* the day was replaced meanwhile"):
        run_backtest([account()], [strategy()], kept, BEFORE_THE_ROLL, date(2025, 6, 13))
