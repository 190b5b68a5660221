"""Twenty simulated sessions through the roll of June 2025, with a position that is held over it."""

from collections import Counter
from datetime import date

import pytest

from leadline.analysis.assemble import strategy_fold
from leadline.ingestion.months import market_of
from leadline.model.bars import BarMessage
from leadline.model.ids import ContractId
from leadline.model.manifest.manifests import load_manifests
from leadline.model.manifest.specs import OWN_SERIES, StrategySpec, TradingAccount, TradingStrategy
from leadline.model.market.contracts import resolve_contract
from leadline.testing import Replay, replay, simulated
from leadline.testing.replay import TAPE, signal_messages

FIRST, SESSIONS = date(2025, 6, 5), 20
ROLL = date(2025, 6, 16)
JUNE, SEPTEMBER = ContractId("MESM2025"), ContractId("MESU2025")
MANIFESTS = """
apiVersion: leadline.dev/v1alpha1
kind: TradingStrategy
metadata: {name: through}
spec:
  instrument: MES
  bars: 30m
  history: 3
  flattenBeforeClose: never
  sizing: {mode: Fixed, size: 1}
  bracket: {stopTicks: 60, targetTicks: 200}
---
apiVersion: leadline.dev/v1alpha1
kind: TradingAccount
metadata: {name: paper}
spec:
  startingBalance: "50000"
  tiers: []
  limits: {dayLoss: "5000"}
  overnightGapTicks: {MES: 100}
"""


@pytest.fixture(scope="module")
def manifests() -> tuple[TradingStrategy, TradingAccount]:
    strategy, account = load_manifests(MANIFESTS)
    assert isinstance(strategy, TradingStrategy)
    assert isinstance(account, TradingAccount)
    return strategy, account


@pytest.fixture(scope="module")
def run(manifests: tuple[TradingStrategy, TradingAccount]) -> Replay:
    strategy, account = manifests
    return replay(strategy, simulated(strategy, FIRST, sessions=SESSIONS), FIRST, account)


def day_of(time_ns: int) -> date:
    """The trading day of an instant; the same for both months."""
    return market_of(JUNE).trading_day(time_ns)


def test_what_it_says_of_a_day_is_about_that_days_lead_month(run: Replay) -> None:
    months = {bar.trading_day: bar.bar.contract for bar in run.said}
    assert len(months) == SESSIONS
    assert months == {day: resolve_contract("MES", day) for day in months}
    assert Counter(months.values()) == {JUNE: 7, SEPTEMBER: 13}


def test_every_entry_is_in_the_lead_month_of_its_day(run: Replay) -> None:
    entered = [(day_of(one.instant_ns), one.contract) for one in run.decisions if one.accepted]
    assert {contract for _, contract in entered} == {JUNE, SEPTEMBER}
    assert all(contract == resolve_contract("MES", day) for day, contract in entered)


def test_a_position_that_is_held_over_the_roll_goes_to_its_own_exit_while_entries_wait(run: Replay) -> None:
    june = [fill for fill in run.fills if fill.contract == JUNE]
    held = sum(fill.side.sign * fill.quantity for fill in june if day_of(fill.time_ns) < ROLL)
    assert held != 0
    last = june[-1]
    assert day_of(last.time_ns) >= ROLL
    assert sum(fill.side.sign * fill.quantity for fill in june) == 0

    after = [one for one in run.decisions if day_of(one.instant_ns) >= ROLL]
    flat_from = day_of(last.time_ns)
    waiting = [one for one in after if day_of(one.instant_ns) <= flat_from]
    assert not any(one.accepted for one in waiting)
    assert Counter(one.reason for one in waiting)["contract_rolling"] > 5
    rest = [one for one in after if day_of(one.instant_ns) > flat_from]
    assert "contract_rolling" not in {one.reason for one in rest}
    assert day_of(next(one.instant_ns for one in rest if one.accepted)) > flat_from


def test_the_new_month_has_the_history_of_its_own_prints(
    run: Replay, manifests: tuple[TradingStrategy, TradingAccount]
) -> None:
    spec = StrategySpec.from_manifest({**manifests[0].spec.to_manifest(), "instrument": SEPTEMBER})
    alone = strategy_fold(spec, ROLL)
    said = [one for bar in run.bars if bar.key.contract == SEPTEMBER and (one := alone.step(bar)) is not None]
    assert said == [one for one in run.said if one.trading_day >= ROLL]
    assert {bar.key.trading_day for bar in run.bars if bar.key.contract == SEPTEMBER and bar.key.trading_day < ROLL}


def test_a_restart_before_in_and_after_the_roll_goes_on_with_the_same_words(
    run: Replay, manifests: tuple[TradingStrategy, TradingAccount]
) -> None:
    told: dict[ContractId, dict[str, list[BarMessage]]] = {
        contract: {
            OWN_SERIES: [
                BarMessage(TAPE, "cme", contract, bar.known_at_ns, final=False, bar=bar)
                for bar in run.bars
                if bar.key.contract == contract
            ]
        }
        for contract in (JUNE, SEPTEMBER)
    }
    whole = signal_messages(manifests[0], FIRST, told)
    first = next(number for number, one in enumerate(whole) if one.bar is not None and one.bar.trading_day == ROLL)
    for number in (first - 2, first, len(whole) - 2):
        assert whole[: number + 1] + signal_messages(manifests[0], FIRST, told, whole[number]) == whole
