"""The fill rule Nautilus1231 fills as NautilusTrader 1.231 did, on a tape on which that was run once.

`python -m bench.nautilus --trades 200000 --rounds 1 --keep FOLDER` makes both: FOLDER/nautilus.json has these fills.
"""

import json
from decimal import Decimal
from pathlib import Path

import pytest

from bench._leadline_run import fills_of, manifests, prints_of
from bench.nautilus import compared, write_tape
from leadline.backtest.run import run_backtest
from leadline.model.manifest.specs import TradingAccount
from leadline.venue.fill_rules import FillRule

THEIRS = json.loads(Path(__file__).with_name("nautilus_1_231.json").read_bytes())


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tape") / "tape.npz"
    write_tape(path, THEIRS["trades"])
    return path


def test_every_fill_is_the_one_of_nautilus_trader(tape: Path):
    strategies, accounts = manifests()
    outcome = run_backtest(accounts, strategies, prints_of(tape))
    (account,) = outcome.accounts.values()

    assert [compared(fill) for fill in fills_of(outcome)] == [compared(tuple(fill)) for fill in THEIRS["fills"]]
    assert {kind for kind, *_ in THEIRS["fills"]} == {"market", "stop", "target"}
    assert account.book.realised == Decimal(THEIRS["net"])


@pytest.mark.parametrize("rule", [rule for rule in FillRule if rule is not FillRule.NAUTILUS_1_231])
def test_no_other_rule_makes_them(tape: Path, rule: FillRule):
    strategies, (account,) = manifests()
    document = account.to_manifest()
    document["spec"]["paper"]["fillRule"] = rule.value
    outcome = run_backtest([TradingAccount.from_manifest(document)], strategies, prints_of(tape))

    assert [compared(fill) for fill in fills_of(outcome)] != [compared(tuple(fill)) for fill in THEIRS["fills"]]
