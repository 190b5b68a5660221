"""One decision as a person reads it in a terminal."""

import pytest

from leadline.cli.explaining import draw
from leadline.cli.main import run
from tests.views.explained import explanation


def shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
    draw(explanation())
    return capsys.readouterr().out


def rows(text: str) -> list[list[str]]:
    return [line.replace("│", " ").replace("█", "").split() for line in text.splitlines()]


def test_the_first_words_are_what_became_of_it(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    text = shown(capsys, monkeypatch, 200)
    assert text.splitlines()[0] == (
        "Accepted: buy 2 MESM2025 at the market; filled at 5000.25; closed by target, net +55.00."
    )


@pytest.mark.parametrize("width", [80, 200])
def test_every_part_is_there_and_no_line_is_longer_than_the_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, width: int
):
    text = shown(capsys, monkeypatch, width)
    assert max(map(len, text.splitlines())) <= width
    flat = " ".join(text.split())
    for words in (
        "Bar from 2025-06-10 13:35:00 to 13:39:59.000, known at 13:40:00.000",
        "Regime: ranging, confidence 0.800000, size times 0.75",
        "Scores: ranging 5.5, volatile 3.0.",
        "Router: strength at least 0.5, confidence at least 0.6, long only; in this regime buying absorption.",
        "Proposal: enter long (buying absorption), decision d1.",
        "Steps, times of 2025-06-10 in UTC",
        "net 55.00.",
        "In force at the decision: halt 3 (person, by ann, 2025-06-10 13:39:50 UTC): news",
        "In force now: the block day target.",
        "The strategy is fenced off now: price: bar.close.",
    ):
        assert words in flat


def test_a_footprint_has_sellers_left_and_buyers_right_of_the_price(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    found = rows(shown(capsys, monkeypatch, 80))
    assert ["sold", "price", "bought", "delta", "unknown"] in found
    assert ["0", "5000.50", "10", "+10", "0", "VAH"] in found
    assert ["1,100", "5000.25", "104", "-996", "0", "POC", "signal"] in found
    assert ["9", "5000.00", "8", "-1", "3"] in found


def test_the_bound_of_the_size_is_marked_and_evidence_rows_are_prices(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    found = rows(shown(capsys, monkeypatch, 200))
    assert ["scaled", "2", "this", "bounds", "the", "size"] in found
    assert ["Stacked", "1"] in found
    [approved] = [row for row in found if row[:2] == ["buying", "absorption"]]
    assert " ".join(approved).endswith("approved rows 5000.00 5000.25, share 0.910000")
    [refused] = [row for row in found if row[:2] == ["sell", "imbalance"]]
    assert "refused: too weak" in " ".join(refused)


def test_the_regime_is_told_by_its_parts_the_highest_score_first(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    found = rows(shown(capsys, monkeypatch, 200))
    first = found.index(["ranging", "ADX", "below", "20", "/", "25", "18.2", "2.0"])
    assert found[first + 1] == ["ranging", "ATR", "percentile", "below", "50", "60", "–"]
    assert found[first + 2][0] == "volatile"


def test_limits_have_what_was_used_and_the_one_that_refused_is_marked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    found = rows(shown(capsys, monkeypatch, 80))
    assert ["max", "open", "trades", "account", "1", "2"] in found
    assert ["day", "loss", "strategy", "40.00", "40", "refused", "it"] in found


def test_a_step_has_its_time_and_that_since_the_step_before(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    found = rows(shown(capsys, monkeypatch, 200))
    assert ["13:40:00.000", "+1.000", "s", "the", "bar", "was", "known"] in found
    assert ["13:40:01.000", "+1.000", "s", "entry:", "buy", "2", "at", "5000.25,", "commission", "2.50", "L1"] in found


def test_an_id_that_is_none_is_refused_before_anything_is_opened(capsys: pytest.CaptureFixture[str]):
    assert run(["explain", "mes@noon"]) == 2
    assert "expected a time after the @" in capsys.readouterr().err
