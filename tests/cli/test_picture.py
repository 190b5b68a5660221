"""The live view says what a trader looks for: prints, bars, signals with their fate, the account, and who is well."""

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from leadline.cli.live import progress_line
from leadline.cli.picture import draw
from leadline.execution.v1 import execution_pb2
from leadline.local.supervisor import PartStatus
from leadline.model.ids import ContractId
from leadline.model.v1 import model_pb2
from leadline.nodes.router import Rejection
from leadline.report.clock import DEFAULT_ZONE, show_times_in
from leadline.views.convert import proposal_views, signal_view
from leadline.views.scene import KEPT_DECISIONS, Rate, Scene
from leadline.views.signals import decision_text, decision_view, pattern_lines, proposal_text, readable
from leadline.views.values import PositionView
from tests.cli.builders import FLOW, PAPER, PARTS, bar_signals, key, proposal, scene, signal, stack, unfinished

END_NS = 1_749_589_202_000_000_000  # 2025-06-10 21:00:02 UTC
APPROVED_BAR = bar_signals(5, signal("BUYING_ABSORPTION"), signal("BUY_IMBALANCE", "0.4", "strength"))


def drawn(found: Scene, height: int = 46, width: int = 140) -> list[str]:
    console = Console(width=width, file=StringIO(), force_terminal=False)
    with console.capture() as captured:
        console.print(draw(found, stack(), PARTS, width, height))
    return captured.get().splitlines()


def line_with(words: str, found: Scene) -> str:
    (line,) = [line for line in drawn(found) if words in line]
    return line


def decided(source: str, **facts: object) -> dict[str, object]:
    """The event of a decision about a proposal."""
    about = {"strategy": FLOW, "decision_id": "d", "source": source, "action": "ENTER"}
    entry = {"contract": "MESM2025", "type": "MARKET", "price": None}
    return {**about, **entry, "accepted": True, "reason": "", "side": None, "quantity": 0, **facts}


def bar_key(ordinal: int) -> str:
    found = key(ordinal)
    return f"{found.contract}/{found.session}/{found.spec}/{found.trading_day}/{found.ordinal}"


def test_the_market_shows_prints_their_rate_and_what_was_kept_out():
    market = line_with("MESM2025", scene())
    for words in ("2025-06-10 13:30:00", "6000.75", "322,393", "51,234", " 2 "):  # 24003 ticks of 0.25
        assert words in market
    assert "publishing" in line_with("run abc-1", scene())
    assert "63%" in line_with("run abc-1", scene())


def test_a_tape_of_which_nobody_here_has_seen_a_print_is_at_its_last_watermark():
    found = scene()
    feed = found.feed
    assert feed is not None
    (contract,) = feed.contracts
    gone_on_with = replace(contract, last_time_ns=0, last_price="", watermark_ns=END_NS)
    found.feed = replace(feed, contracts=(gone_on_with,))
    market = line_with("MESM2025", found)
    assert "2025-06-10 21:00:02" in market
    assert " – " in market
    assert "tape 2025-06-10 21:00:02 UTC;" in progress_line(found, stack(), PARTS)
    found.feed = replace(feed, contracts=(replace(gone_on_with, prints=0),))
    assert "tape –;" in progress_line(found, stack(), PARTS)


def test_bars_show_prices_volume_and_delta():
    line = line_with("+125", scene())
    assert line.split()[1] == "13:35:00"
    assert "6000.00 6002.50 5997.50 6000.00" in " ".join(line.split())
    assert "1,234" in line


@pytest.mark.parametrize("width", [110, 120, 140, 200])
def test_no_number_is_cut_off(width):
    lines = drawn(scene((APPROVED_BAR,)), width=width)
    market_and_bars = [line[: width * 7 // 11] for line in lines if "MESM2025" in line or "+125" in line]
    assert len(market_and_bars) >= 2
    assert "…" not in "".join(market_and_bars)


def test_where_it_is_narrow_the_words_give_way_and_not_the_time_or_the_pattern():
    (line,) = [line for line in drawn(scene((APPROVED_BAR,)), width=110) if "buying absorption" in line]
    assert line.split()[1:4] == ["14:00:00", "buying", "absorption"]


def test_a_signal_shows_the_routers_word_and_the_decision():
    found = scene((APPROVED_BAR,))
    found.decide(decided(bar_key(5), side="BUY", quantity=2))
    taken = line_with("buying absorption", found)
    assert taken.split()[1] == "14:00:00"
    assert " ".join(taken.split()).find("0.70 approved buy 2 market") > 0
    assert "0.40 too weak" in " ".join(line_with("buy imbalance", found).split())


def test_a_refusal_names_its_reason():
    found = scene((APPROVED_BAR,))
    found.decide(decided(bar_key(5), accepted=False, reason="max_open_trades"))
    assert "refused: max open trades" in line_with("buying absorption", found)


def test_what_the_account_has_not_reached_waits_to_be_shown():
    late = bar_signals(60, signal("SELLING_EXHAUSTION"))  # known at 14:35; the account is at 12:00
    text = "\n".join(drawn(scene((APPROVED_BAR, late))))
    assert "buying absorption" in text
    assert "selling exhaustion" not in text


HALT = execution_pb2.Halt(number=7, source="PERSON", by="bob", reason="kill switch")


def test_the_account_shows_its_day_its_position_and_what_stops_it():
    found = scene(halts=[HALT], trades=4, streak=-2, tier=1)
    found.positions[PAPER] = [
        PositionView(
            strategy=FLOW,
            contract=ContractId("MESM2025"),
            quantity=-2,
            average_price="6001.25",
            last_price="6002.50",
            open="-12.50",
        )
    ]
    text = " ".join(" ".join(drawn(found)).split())
    for words in (
        "2,530.00 USD",
        "+30.00",
        "-12.50",
        "4, -2",
        "halt 7",
        "person, bob: kill switch",
        "short 2 MESM2025 at 6001.25",
    ):
        assert words in text
    assert "flat" in " ".join(drawn(scene()))


def test_a_send_journal_that_was_lost_stands_with_the_account():
    restored = execution_pb2.JournalRestoration(at_ns=1_764_216_000 * 10**9, orders=12, found=0)
    text = " ".join(" ".join(drawn(scene(journal_restored=restored))).replace("│", " ").split())
    assert "send journal lost, 12 orders put back" in text
    assert "send journal" not in " ".join(drawn(scene()))


def test_services_show_health_and_restarts():
    assert "● restarting" in line_with("aggregation", scene())
    assert line_with("aggregation", scene()).rstrip(" │").endswith(" 3")


@pytest.mark.parametrize("height", [24, 40, 60])
def test_the_picture_fits_the_terminal(height):
    many = tuple(bar_signals(number, signal("BUYING_ABSORPTION"), signal("UNFINISHED_LOW")) for number in range(20))
    assert len(drawn(scene(many), height)) <= height


@pytest.mark.parametrize("height", [24, 46])
def test_prints_after_the_last_whole_bar_stand_under_the_bars_they_are_missing_from(height):
    found = scene(tuple(bar_signals(number, signal("BUYING_ABSORPTION")) for number in range(20)))
    found.end(unfinished(1_037))
    found.end(unfinished(1_037))
    assert len(drawn(found, height)) <= height
    assert "1,037 prints of MESM2025 in an unfinished bar (rth 5m-r1)" in line_with("unfinished", found)
    assert "; 1,037 prints of MESM2025 in an unfinished bar (rth 5m-r1); " in progress_line(found, stack(), PARTS)


def test_a_stack_that_has_said_nothing_can_be_drawn():
    text = " ".join(drawn(Scene()))
    assert "waiting for the feed" in text
    assert "waiting for the account" in text
    assert progress_line(Scene(), stack(), PARTS) == "leadline: waiting for the feed"


def test_one_line_says_it_all_where_nobody_draws():
    assert progress_line(scene((APPROVED_BAR,), block="DAY_LOSS"), stack(), PARTS) == (
        "leadline: feed publishing 63%; tape 2025-06-10 13:30:00 UTC; 322,393 prints at 51,234/s; "
        "3 bars, 2 signals, fills so far: 0; 2 prints kept out; 70,111 outside every session; "
        "default/paper running, has come to 2025-06-10 16:00:00 UTC, equity 2530.00 USD, block day loss; "
        "aggregation restarting; 3 restarts"
    )


def test_signals_of_one_pattern_in_a_bar_become_one_line():
    found = [
        signal_view(signal("BUY_IMBALANCE", "0.3", "strength"), "MESM2025"),
        signal_view(signal("STACKED", "0.8"), "MESM2025"),
        signal_view(signal("BUY_IMBALANCE", "0.9", "strength"), "MESM2025"),
    ]
    assert [(line.name, line.strength, line.verdict) for line in pattern_lines(found)] == [
        ("buy imbalance x2", "0.90", "refused: too weak"),
        ("stacked", "0.80", "approved"),
    ]
    # An approved signal stands for its pattern before a stronger one that was refused.
    stronger, approved = signal("BUY_IMBALANCE", "0.9", "strength"), signal("BUY_IMBALANCE", "0.6")
    (line,) = pattern_lines(signal_view(each, "MESM2025") for each in (stronger, approved))
    assert (line.strength, line.approved) == ("0.60", True)


@pytest.mark.parametrize("rejection", Rejection)
def test_each_of_the_routers_reasons_is_told_in_words(rejection):
    (line,) = pattern_lines([signal_view(signal("BUY_IMBALANCE", "0.3", rejection), "MESM2025")])
    assert len(line.verdict.removeprefix("refused: ").split()) > 1
    assert line.verdict != f"refused: {readable(rejection)}"


def test_the_rate_is_between_two_looks():
    rate = Rate()
    rate.look(1000, 10.0)
    assert rate.per_second == 0
    rate.look(6000, 12.0)
    assert rate.per_second == pytest.approx(2500)


LIMIT = proposal(
    direction=model_pb2.DIRECTION_SHORT,
    entry=model_pb2.EntryTerms(type="LIMIT", price=24_074),
    why=["unfinished", "high"],
)
EXIT, CANCEL = proposal("EXIT"), proposal("CANCEL")


def test_each_proposal_has_a_line_and_its_decision_stands_in_it():
    found = scene((bar_signals(5, proposals=(EXIT, LIMIT, CANCEL)),))
    found.decide(decided(bar_key(5), action="EXIT", quantity=2))
    found.decide(decided(f"{bar_key(5)}#2", side="SELL", quantity=1, type="LIMIT", price=24_074))
    lines = [" ".join(line.split()) for line in drawn(found, width=220)]
    (first,) = [number for number, line in enumerate(lines) if "14:00:00" in line]
    for line, words in zip(
        lines[first:],
        ("exit exit 2", "enter short, limit 6018.50 (unfinished, high) sell 1 limit 6018.50", "cancel –"),
        strict=False,
    ):
        assert words in line


def test_a_decision_is_a_few_words():
    texts = [
        decision_text(decision_view(decided("b", side="BUY", quantity=2))),
        decision_text(decision_view(decided("b", side="BUY", quantity=1, type="STOP", price=23_990))),
        decision_text(decision_view(decided("b", action="EXIT", quantity=2))),
        decision_text(decision_view(decided("b", action="CANCEL"))),
        decision_text(decision_view(decided("b", accepted=False, reason="nothing_working"))),
        decision_text(None),
    ]
    assert texts == ["buy 2 market", "buy 1 stop 5997.50", "exit 2", "cancel", "refused: nothing working", "–"]


def test_a_proposal_is_a_few_words_with_its_prices():
    moved = proposal("PROTECT", bracket=model_pb2.Bracket(stop_price=24_000, target_price=24_100))
    nothing, part = proposal(withdrawn="no_approved_signal"), proposal("EXIT", unit="runner")
    found = proposal_views(bar_signals(5, proposals=(LIMIT, moved, nothing, part)))
    assert [proposal_text(each) for each in found] == [
        "enter short, limit 6018.50 (unfinished, high)",
        "protect, stop 6000.00, target 6025.00",
        "none (no approved signal)",
        "exit unit runner",
    ]


def test_decisions_are_kept_within_a_bound():
    found = Scene()
    for number in range(KEPT_DECISIONS + 5):
        found.decide(decided(str(number), accepted=False, reason="conflict"))
    assert len(found.decisions) == KEPT_DECISIONS
    assert (FLOW, "4") not in found.decisions
    assert decision_text(found.decisions[FLOW, str(KEPT_DECISIONS)]) == "refused: conflict"


def test_a_part_that_is_not_well_says_why_in_its_own_words():
    parts = [PartStatus("disk", "full", 0, None, "the disk of /d has 3 MB left"), *PARTS]
    waits = PartStatus("recorder", "not serving", 2, 7, "service.failed: no space left on device")
    console = Console(width=140, file=StringIO(), force_terminal=False)
    with console.capture() as captured:
        console.print(draw(scene(), stack(), [*parts, waits], 140, 46))
    text = " ".join(captured.get().replace("│", " ").split())
    assert "the disk of /d has 3 MB left" in text
    assert "no space left on" in text
    assert "disk full (the disk of /d has 3 MB left)" in progress_line(scene(), stack(), parts)


def test_every_part_with_times_names_their_zone():
    """All of them the same one."""
    show_times_in("Asia/Tokyo")
    try:
        text = "\n".join(drawn(scene((APPROVED_BAR,))))
    finally:
        show_times_in(DEFAULT_ZONE)
    assert text.count("times in Asia/Tokyo") == 3
    assert text.count("22:30:00") >= 1
    assert "UTC" not in text
