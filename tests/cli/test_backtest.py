"""`leadline backtest`: its document, its table, and what it refuses before it begins."""

from pathlib import Path

import orjson
import pytest

from leadline.cli.main import run

MES = str(Path(__file__).parents[2] / "examples" / "mes-orderflow.yaml")


def test_the_document_has_days_accounts_and_the_digest(capsys: pytest.CaptureFixture[str]):
    assert run(["backtest", "-f", MES, "--output", "json"]) == 0

    document = orjson.loads(capsys.readouterr().out)
    assert (document["first"], document["last"], document["days"]) == ("2025-06-10", "2025-06-10", 1)
    (account,) = document["accounts"]
    assert (account["account"], account["net"]) == ("default/paper", "183.75")
    assert len(document["digest"]) == 64


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (["--from", "2025-13-01"], "leadline: --from: got '2025-13-01', expected a date such as 2025-10-08\n"),
        (["--to", "tomorrow"], "leadline: --to: got 'tomorrow', expected a date such as 2025-10-08\n"),
        (
            ["--from", "2025-06-10", "--to", "2025-06-09"],
            "leadline: --to: got '2025-06-09', expected a day not before --from, 2025-06-10\n",
        ),
        (
            ["--feed", "push", "--from", "2025-06-10"],
            "leadline: --feed: got 'push', expected prints that are at hand: files or a simulated market\n",
        ),
    ],
)
def test_a_range_or_a_feed_that_cannot_be_used_is_refused(
    words: list[str], refusal: str, capsys: pytest.CaptureFixture[str]
):
    assert run(["backtest", "-f", MES, *words]) == 2
    assert capsys.readouterr().err == refusal
