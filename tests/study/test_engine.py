"""The result of a variant is that of a backtest of its manifests, whatever it shares with others."""

import multiprocessing
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import orjson
import pytest

from leadline.backtest.catalog_prints import CatalogPrints
from leadline.backtest.gathered import Gathered
from leadline.backtest.results import BacktestResult, result_of
from leadline.backtest.run import Outcome, run_backtest
from leadline.catalog.catalog import Catalog
from leadline.execution.core.records import WrittenOrder
from leadline.model.ids import ContractId
from leadline.model.manifest.specs import TradingAccount, TradingStrategy
from leadline.model.manifest.sweep import Variant, changed, variants_of
from leadline.model.manifest.sweep_spec import Sweep
from leadline.study.accounts import VariantResult
from leadline.study.engine import Study, StudyFailed, run_study
from leadline.study.parts import executed_by
from leadline.study.rows import bytes_of, row_of, row_of_document
from tests.study.builders import SLIPPAGE, STRENGTH, manifests, simulated

FoundT = TypeVar("FoundT")


def whole(found: VariantResult) -> BacktestResult:
    assert found.result is not None
    return found.result


def alone(variant: Variant) -> BacktestResult:
    gathered = Gathered(variant.strategies)
    return result_of(run_backtest(variant.accounts, variant.strategies, simulated(), seen=gathered.seen), gathered)


LISTED = (
    {STRENGTH: "0.4", SLIPPAGE: 0},
    {STRENGTH: "0.4", SLIPPAGE: 1},
    {STRENGTH: "0.6", SLIPPAGE: 0},
    {"strategy.spec.bars": "3m"},
    {"strategy.spec.ticksPerRow": 2, SLIPPAGE: 0},
    {"strategy.spec.history": 4},
)


def listed() -> tuple[Variant, ...]:
    return variants_of(Sweep.from_manifest({"variants": list(LISTED)}), *manifests())


def test_variants_are_what_backtests_of_their_manifests_are() -> None:
    found = {variant.number: result for variant, result in run_study(study(1, whole), listed())}
    assert set(found) == set(range(1, len(LISTED) + 1))
    for variant in listed():
        result, expected = found[variant.number], alone(variant)
        assert result.digest == expected.digest, variant.values
        for one, other in zip(result.accounts, expected.accounts, strict=True):
            assert one == replace(other, causes=())
    assert len({result.digest for result in found.values()}) == len(LISTED)


def test_processes_come_to_the_same() -> None:
    one = {variant.number: bytes_of(row) for variant, row in run_study(study(1, row_of), listed())}
    two = {variant.number: bytes_of(row) for variant, row in run_study(study(2, row_of), listed())}
    assert two == one


def dies(_: VariantResult) -> None:
    os._exit(3)


def test_a_process_that_ends_by_itself_ends_the_study() -> None:
    with pytest.raises(StudyFailed, match="a process of the study ended by itself"):
        list(run_study(study(2, dies), listed()[:2]))


def raises(_: VariantResult) -> None:
    raise ValueError("a fault")


def test_nobody_is_left_behind_by_a_fault() -> None:
    with pytest.raises(ValueError, match="a fault"):
        list(run_study(study(2, raises), listed()[:2]))
    assert multiprocessing.active_children() == []


def test_a_row_is_read_back_as_it_was() -> None:
    ((_, row),) = run_study(study(1, row_of), listed()[:1])
    assert row_of_document(orjson.loads(bytes_of(row))) == row
    assert row.accounts[0].figures.trade_count > 0


def study(workers: int, taken: Callable[[VariantResult], FoundT]) -> Study[FoundT]:
    return Study(simulated(), None, None, workers, taken)


def test_strategies_of_several_accounts_share_what_they_say() -> None:
    documents = [
        {
            "metadata": {"name": name},
            "spec": {**spec, "account": {"name": account}, "sizing": {"mode": "Fixed", "size": 1}},
        }
        for name, account, spec in (
            ("one", "a", {"instrument": "MES"}),
            ("two", "a", {"instrument": "MNQ", "bars": "3m"}),
            ("three", "b", {"instrument": "MES"}),
        )
    ]
    strategies = [TradingStrategy.from_manifest(each) for each in documents]
    accounts = [
        TradingAccount.from_manifest({"metadata": {"name": name}, "spec": {"tiers": [], "startingBalance": "20000"}})
        for name in ("a", "b")
    ]
    fields = [
        {"field": "strategy/two.spec.ticksPerRow", "values": [1, 2]},
        {"field": "account/b.spec.limits.dayLoss", "values": [50, 300]},
    ]
    every = variants_of(Sweep.from_manifest({"fields": fields}), accounts, strategies)
    prints = simulated(1, ("MES", "MNQ"))
    found = {variant.number: row for variant, row in run_study(Study(prints, None, None, 1, row_of), every)}
    for variant in every:
        gathered = Gathered(variant.strategies)
        outcome = run_backtest(variant.accounts, variant.strategies, prints, seen=gathered.seen)
        assert found[variant.number].digest == outcome.digest
        result = result_of(outcome, gathered)
        assert [each.figures for each in found[variant.number].accounts] == [each.figures for each in result.accounts]
    assert len({row.digest for row in found.values()}) == len(every)


def test_a_variant_is_filled_on_what_its_own_account_executes(tmp_path: Path) -> None:
    catalog, prints = Catalog(tmp_path), simulated()
    (contract,) = prints.contracts
    big = ContractId("ES" + contract.removeprefix("MES"))
    for each in prints.days(contract):
        ticks = prints.read(contract, each.day)
        catalog.write(contract, each.day, ticks)
        catalog.write(big, each.day, replace(ticks, price=ticks.price + 4))
    accounts, strategies = manifests()
    fixed: dict[str, Any] = {
        "account.spec.startingBalance": "50000",
        "strategy.spec.sizing": {"mode": "Fixed", "size": 1, "respectDayBudget": False},
    }
    big_one: dict[str, Any] = {"account.spec.tiers": [{"from": "0", "execute": "ES", "minSize": 1, "maxSize": 1}]}
    two = [
        changed(number, {**fixed, **own}, accounts, strategies)
        for number, own in enumerate(({"account.spec.tiers": []}, big_one), 1)
    ]
    assert (executed_by(two[:1]), executed_by(two)) == (frozenset(), {"ES"})

    def kept(*executed: str) -> CatalogPrints:
        return CatalogPrints(tmp_path, ("MES",), prints.days(contract)[0].day, executed)

    found = [result.digest for _, result in sorted_results(Study(kept("ES"), None, None, 1, whole), two)]
    single = [run_backtest(each.accounts, each.strategies, kept(*executed_by([each]))) for each in two]

    assert found == [each.digest for each in single]
    tapes = [{order.order.tape_contract for order in orders_of(each)} for each in single]
    assert tapes == [{contract}, {big}]


def sorted_results(study: Study[FoundT], of: Sequence[Variant]) -> list[tuple[int, FoundT]]:
    return sorted((variant.number, found) for variant, found in run_study(study, of))


def orders_of(outcome: Outcome) -> Iterable[WrittenOrder]:
    (run,) = outcome.accounts.values()
    return run.records.orders.values()
