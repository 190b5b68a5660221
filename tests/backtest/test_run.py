"""A backtest comes to what a run of the same days comes to, however its days are cut."""

import signal
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date
from functools import cache
from pathlib import Path

import pytest

from leadline.backtest.account import Halted
from leadline.backtest.coverage import short_days
from leadline.backtest.digest import RunningDigest
from leadline.backtest.engine import Accounts
from leadline.backtest.feeds import prints_of
from leadline.backtest.market import DayResult
from leadline.backtest.prints import Prints, PrintsInMemory, numbered_from
from leadline.backtest.run import Outcome, run_backtest
from leadline.ingestion.feed import open_feed
from leadline.ingestion.params import FeedParams, IngestionParams
from leadline.model.errors import InvalidInput
from leadline.model.ids import ContractId, account_id
from leadline.model.manifest.manifests import load_manifests
from leadline.model.manifest.specs import TradingAccount, TradingStrategy, default_account, parse_manifest
from leadline.model.orders import Fill
from leadline.model.ticks import TickColumns, concat
from leadline.testing import replay

ROOT = Path(__file__).parents[2]
DEMO_DIGEST = "6ea4f105329f43bf92b3afb000ab6d7fd649c679d6a4c184ca2a639eeb0c3a96"
"""The digest that `make demo` prints: what one simulated day comes to through every service of the platform."""

BEFORE_THE_ROLL = date(2025, 6, 12)
SESSIONS = 4
ACCOUNT = parse_manifest(
    {
        "apiVersion": "leadline.dev/v1alpha1",
        "kind": "TradingAccount",
        "metadata": {"name": "paper"},
        "spec": {
            "startingBalance": "50000",
            "tiers": [],
            "limits": {"dayLoss": "5000"},
            "overnightGapTicks": {"MES": 100},
        },
    }
)


def strategy(name: str = "held", **spec: object) -> TradingStrategy:
    found = parse_manifest(
        {
            "apiVersion": "leadline.dev/v1alpha1",
            "kind": "TradingStrategy",
            "metadata": {"name": name},
            "spec": {
                "instrument": "MES",
                "bars": "30m",
                "history": 3,
                "flattenBeforeClose": "never",
                "sizing": {"mode": "Fixed", "size": 1},
                "bracket": {"stopTicks": 60, "targetTicks": 200},
                **spec,
            },
        }
    )
    assert isinstance(found, TradingStrategy)
    return found


@cache
def simulated(day: date | None, sessions: int, history: int, instruments: tuple[str, ...] = ("MES",)) -> PrintsInMemory:
    params = IngestionParams(
        feed=FeedParams(kind="sim", sessions=sessions), instruments=instruments, trade_from=day, history=history
    )
    return prints_of(open_feed(params), params)


def account() -> TradingAccount:
    assert isinstance(ACCOUNT, TradingAccount)
    return ACCOUNT


def fills_of(outcome: Outcome, name: str) -> list[Fill]:
    (found,) = (run for account, run in outcome.accounts.items() if account == name)
    return [booked.fill for booked in sorted(found.records.fills.values(), key=lambda one: one.venue_event)]


def test_a_simulated_day_has_the_digest_of_the_whole_platform():
    manifests = load_manifests(ROOT / "examples" / "mes-orderflow.yaml")
    strategies = [each for each in manifests if isinstance(each, TradingStrategy)]

    outcome = run_backtest([default_account("default")], strategies, simulated(None, 1, 5))

    assert outcome.digest == DEMO_DIGEST
    assert str(outcome.accounts[account_id("default", "paper")].book.realised) == "183.75"


def test_days_through_a_roll_come_to_the_same_as_all_of_them_at_once():
    prints = simulated(BEFORE_THE_ROLL, SESSIONS, 3)
    whole = {name: joined(prints, name) for name in prints.contracts}

    outcome = run_backtest([account()], [strategy()], prints, BEFORE_THE_ROLL)
    expected = replay(strategy(), whole, BEFORE_THE_ROLL, account())

    assert {fill.contract for fill in expected.fills} == {"MESM2025", "MESU2025"}
    assert fills_of(outcome, "default/paper") == list(expected.fills)


def joined(prints: Prints, contract: ContractId) -> TickColumns:
    parts = [prints.read(contract, each.day) for each in prints.days(contract)]
    rows = [row for part in parts for row in zip(part.time_ns, part.price, part.size, part.aggressor, strict=True)]
    return TickColumns.of(rows)


def test_the_digest_does_not_depend_on_when_its_lines_are_hashed(monkeypatch: pytest.MonkeyPatch):
    prints = simulated(BEFORE_THE_ROLL, SESSIONS, 3)
    by_days = run_backtest([account()], [strategy()], prints, BEFORE_THE_ROLL).digest
    monkeypatch.setattr(RunningDigest, "complete", lambda _self, _until_ns: None)

    assert run_backtest([account()], [strategy()], prints, BEFORE_THE_ROLL).digest == by_days


def test_accounts_whose_markets_have_other_trading_days_do_not_touch_each_other():
    """A trading day of a market that never closes ends later than one of futures."""
    detectors = {name: {"minVolume": 5} for name in ("imbalance", "absorption")}
    crypto = strategy(
        "crypto",
        instrument="BTCUSDT",
        account={"name": "other"},
        bars="1h",
        history=2,
        flattenBeforeClose="0s",
        strategy={"name": "OrderFlow", "detectors": detectors},
    )
    other = account().model_copy(
        update={
            "metadata": account().metadata.model_copy(update={"name": "other"}),
            "spec": account().spec.model_copy(update={"currency": "USDT"}),
        }
    )
    prints = simulated(BEFORE_THE_ROLL, 2, 3, ("BTCUSDT", "MES"))

    both = run_backtest([account(), other], [strategy(), crypto], prints, BEFORE_THE_ROLL)
    alone = run_backtest([account()], [strategy()], prints, BEFORE_THE_ROLL)

    assert fills_of(both, "default/paper") == fills_of(alone, "default/paper") != []


def test_a_range_ends_with_its_last_day():
    prints = simulated(BEFORE_THE_ROLL, SESSIONS, 3)

    outcome = run_backtest([account()], [strategy()], prints, BEFORE_THE_ROLL, date(2025, 6, 13))

    assert [each.day for each in outcome.days.traded] == [date(2025, 6, 12), date(2025, 6, 13)]


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (BEFORE_THE_ROLL, date(2020, 1, 1), "to: got '2020-01-01', expected a day from 2025-06-09 on"),
        (date(2025, 6, 14), None, "trade_from: got '2025-06-14', expected a trading day"),
        (BEFORE_THE_ROLL, date(2025, 6, 18), "to: got '2025-06-18', expected a day up to 2025-06-17, the last"),
    ],
)
def test_a_range_without_prints_is_refused(first: date, last: date | None, expected: str):
    with pytest.raises(InvalidInput, match=expected):
        run_backtest([account()], [strategy()], simulated(BEFORE_THE_ROLL, SESSIONS, 3), first, last)


def test_a_halted_account_ends_the_backtest_with_the_reason():
    halted = account().model_copy(update={"spec": account().spec.model_copy(update={"halt": True})})

    with pytest.raises(Halted, match="the account default/paper was halted: "):
        run_backtest([halted], [strategy()], simulated(BEFORE_THE_ROLL, SESSIONS, 3), BEFORE_THE_ROLL)


def test_prints_that_belong_to_no_trading_day_are_refused():
    market: Mapping[ContractId, Sequence[tuple[int, int, int, int]]] = {ContractId("MESM2025"): [(0, 1, 1, 1)]}

    with pytest.raises(InvalidInput, match="prints of MESM2025: got 0, expected times on days of its calendar"):
        PrintsInMemory({name: TickColumns.of(rows) for name, rows in market.items()})


def test_an_account_without_a_strategy_keeps_nobody_from_the_end():
    idle = account().model_copy(update={"metadata": account().metadata.model_copy(update={"name": "idle"})})
    prints = simulated(BEFORE_THE_ROLL, SESSIONS, 3)

    both = run_backtest([account(), idle], [strategy()], prints, BEFORE_THE_ROLL)

    assert both.accounts[account_id("default", "idle")].book.realised == 0
    assert both.digest == run_backtest([account()], [strategy()], prints, BEFORE_THE_ROLL).digest


def test_a_session_that_is_not_at_hand_is_told():
    prints = simulated(BEFORE_THE_ROLL, SESSIONS, 3)
    gone = date(2025, 6, 13)
    tapes = {}
    for contract in prints.contracts:
        parts = (prints.read(contract, each.day) for each in prints.days(contract) if each.day != gone)
        tapes[contract] = concat([numbered_from(ticks, index) for index, ticks in _numbered(parts)])

    outcome = run_backtest([account()], [strategy()], PrintsInMemory(tapes), BEFORE_THE_ROLL)

    assert outcome.days.plan.missing == (gone,)
    assert short_days(outcome.days, [strategy()]) == ()


def _numbered(parts: Iterable[TickColumns]) -> Iterator[tuple[int, TickColumns]]:
    index = 0
    for ticks in parts:
        yield index, ticks
        index += len(ticks)


def test_ctrl_c_is_heard_at_the_end_of_a_day():
    seen: list[date] = []

    def interrupt(result: DayResult, _: Accounts) -> None:
        seen.append(result.day.day)
        signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        run_backtest([account()], [strategy()], simulated(BEFORE_THE_ROLL, SESSIONS, 3), seen=interrupt)
    assert len(seen) == 1
