"""What a strategy may say, and that nothing it can say does more than be refused."""

from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, seed, settings
from hypothesis import strategies as st

from leadline.model.bars import CLOSE_GRACE_NS, BarKey
from leadline.model.checks.signals import MOST_SIGNALS, SignalSource, check_message
from leadline.model.durations import parse_bar_spec
from leadline.model.errors import RefusedMessage
from leadline.model.ids import AccountId, ContractId, RunId, StrategyId
from leadline.model.market.contracts import FrontMonth
from leadline.model.market.instruments import instrument
from leadline.model.orders import Bracket, OrderType, Trail
from leadline.model.proposals import Action, Direction, EntryTerms, Proposal
from leadline.model.signals import BarSignals, Pattern, Regime, RegimeReading, Signal, SignalMessage
from leadline.model.subjects import signal_subject
from leadline.model.ticks import NS_PER_SECOND
from leadline.model.v1 import model_pb2 as pb
from leadline.model.wire.signals import encode_signal
from leadline.runtime.bus.intake import read_signal
from tests.execution.harness.builders import DAY, MES, RTH_S, ns

RTH = instrument("MES").sessions["rth"]
MONTHS = (
    FrontMonth(MES, date(2025, 3, 1), date(2025, 9, 1)),
    FrontMonth(ContractId("MESZ2025"), date(2025, 9, 1), None),
)
SOURCE = SignalSource(
    RunId("run-1"),
    AccountId("default/paper"),
    StrategyId("default/mes"),
    MONTHS,
    RTH,
    parse_bar_spec("5m"),
    "5m-r1",
    "cme",
)
SUBJECT = signal_subject(RunId("run-1"), AccountId("default/paper"), StrategyId("default/mes"))
SIGNAL = Signal(
    Pattern.BUYING_ABSORPTION, Direction.LONG, 20_000, Decimal("0.7"), {"rows": [20_000], "drop": "0.3"}, True
)
PROPOSAL = Proposal(
    Action.ENTER,
    Direction.LONG,
    EntryTerms(OrderType.STOP, 20_010, 300 * NS_PER_SECOND),
    Bracket(stop_price=19_990, target_ticks=40, trail=Trail(20, 8)),
    2,
    ("BUYING_ABSORPTION", "opening range"),
)
# 09:40 to 09:45.
BAR = BarSignals(
    bar=BarKey(MES, "rth", "5m-r1", DAY, 2),
    known_at_ns=ns(900),
    close=20_000,
    session_open_ns=ns(0),
    session_close_ns=ns(RTH_S),
    regime=RegimeReading(Regime.RANGING, Decimal("0.8"), Decimal("0.75"), "", {"RANGING": "1.2"}, {"adx": "18.5"}),
    signals=(SIGNAL,),
    proposals=(PROPOSAL,),
)


def message(bar: BarSignals | None = BAR, **changes: Any) -> SignalMessage:
    progress_ns = BAR.known_at_ns if bar is None else bar.known_at_ns
    return replace(
        SignalMessage(
            RunId("run-1"), AccountId("default/paper"), StrategyId("default/mes"), "hash", progress_ns, False, bar
        ),
        **changes,
    )


def refusal(said: SignalMessage, source: SignalSource = SOURCE) -> str:
    """The word of the refusal; empty when there is none."""
    try:
        check_message(source, said)
    except RefusedMessage as refused:
        return refused.reason
    return ""


def with_signal(**changes: Any) -> SignalMessage:
    return message(replace(BAR, signals=(replace(SIGNAL, **changes),)))


def with_regime(**changes: Any) -> SignalMessage:
    assert BAR.regime is not None
    return message(replace(BAR, regime=replace(BAR.regime, **changes)))


def with_key(**changes: Any) -> SignalMessage:
    return message(replace(BAR, bar=replace(BAR.bar, **changes)))


@pytest.mark.parametrize("known_at_ns", [ns(900), ns(901), ns(900) + CLOSE_GRACE_NS])
def test_a_bar_is_known_from_its_end_to_the_grace_after_it(known_at_ns):
    assert refusal(message(replace(BAR, known_at_ns=known_at_ns))) == ""


@pytest.mark.parametrize("known_at_ns", [ns(601), ns(900) - 1, ns(900) + CLOSE_GRACE_NS + 1, 0, -1, 2**63 - 1])
def test_no_bar_is_known_before_it_is_over_nor_long_after(known_at_ns):
    """One that is said to be known at its start would be traded on prints that it has seen and the account has not."""
    assert refusal(message(replace(BAR, known_at_ns=known_at_ns), progress_ns=0)) == "known_at"


def test_the_last_bar_ends_with_its_session():
    last = replace(BAR, bar=replace(BAR.bar, ordinal=77), known_at_ns=ns(RTH_S))
    assert refusal(message(last)) == ""
    assert refusal(message(replace(last, known_at_ns=ns(RTH_S) - 1))) == "known_at"
    assert refusal(with_key(ordinal=78)) == "ordinal"
    assert refusal(with_key(ordinal=-1)) == "ordinal"


def test_bars_of_prints_are_known_within_their_session():
    ticks = replace(SOURCE, spec=parse_bar_spec("ticks:500"), spec_token="ticks500-r1")
    bar = replace(BAR, bar=replace(BAR.bar, spec="ticks500-r1", ordinal=40))
    assert refusal(message(bar), ticks) == ""
    for outside_ns in (ns(0) - 1, ns(RTH_S) + CLOSE_GRACE_NS + 1):
        assert refusal(message(replace(bar, known_at_ns=outside_ns)), ticks) == "known_at"


@pytest.mark.parametrize(
    ("opens", "closes"), [(ns(-40_000), ns(90_000)), (ns(0), ns(RTH_S) + 1), (ns(0) - 1, ns(RTH_S)), (0, 2**62)]
)
def test_the_session_is_the_calendars(opens, closes):
    assert refusal(message(replace(BAR, session_open_ns=opens, session_close_ns=closes))) == "session"


@pytest.mark.parametrize(
    "day", [date(2025, 6, 8), date(2025, 7, 4), date(1999, 1, 4), date(1, 1, 1), date(9999, 12, 31)]
)
def test_there_is_no_bar_on_a_day_without_a_session(day):
    always = replace(SOURCE, months=(FrontMonth(MES, date.min, None),))
    assert refusal(with_key(trading_day=day), always) == ("session" if day == date(2025, 7, 4) else "no_session")


def test_each_day_has_its_own_contract():
    assert refusal(with_key(trading_day=date(2025, 9, 2))) == "another_bar"
    assert refusal(with_key(trading_day=date(2025, 9, 2), contract="MESZ2025")) == "session"
    assert refusal(with_key(trading_day=date(2025, 2, 3))) == "another_bar"


@pytest.mark.parametrize(
    "changes", [{"contract": "ESM2025"}, {"session": "globex"}, {"spec": "1m-r1"}, {"spec": "5m-r4"}]
)
def test_the_bar_is_one_of_the_strategys_manifest(changes):
    assert refusal(with_key(**changes)) == "another_bar"


@pytest.mark.parametrize("changes", [{"tape": "run-2"}, {"account": "b/paper"}, {"strategy": "default/other"}])
def test_a_strategy_speaks_for_itself(changes):
    assert refusal(message(**changes)) == "another_speaker"


NO_FRACTION = ["NaN", "sNaN", "Infinity", "-Infinity", "-0.1", "1.000001", "1E+999999", "1E-30", "1E+1", "0E-20"]


@pytest.mark.parametrize("value", NO_FRACTION)
def test_strength_and_confidence_are_fractions(value):
    assert refusal(with_signal(strength=Decimal(value))) == "number"
    assert refusal(with_regime(confidence=Decimal(value))) == "number"


@pytest.mark.parametrize("value", [value for value in NO_FRACTION if value != "1.000001"] + ["1000.1", "1E+300000"])
def test_a_multiplier_is_a_finite_number_of_few_places(value):
    assert refusal(with_regime(multiplier=Decimal(value))) == "number"


@pytest.mark.parametrize("value", ["0", "0.75", "1", "1.000001", "12.5"])
def test_multipliers_that_a_manifest_can_name_hold(value):
    assert refusal(with_regime(multiplier=Decimal(value))) == ""


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (with_signal(evidence={"rows": list(range(70_000))}), "too_much"),
        (with_signal(evidence={str(number): 1 for number in range(40)}), "too_much"),
        (with_signal(evidence={"x": "y" * 300}), "too_much"),
        (with_signal(evidence={"x" * 300: 1}), "too_much"),
        (with_signal(evidence={"x": {"deep": 1}}), "evidence"),
        (with_signal(evidence={"x": [[1]]}), "evidence"),
        (with_signal(evidence={"x": 1.5}), "evidence"),
        (with_signal(evidence={"x": True}), "evidence"),
        (with_signal(evidence={"x": None}), "evidence"),
        (with_signal(evidence={"x": 10**40}), "evidence"),
        (with_signal(rejection="x" * 300), "too_much"),
        (with_signal(rejection="zero \x00"), "text"),
        (with_signal(evidence={"x": "\x00"}), "text"),
        (with_signal(evidence={"\x00": 1}), "text"),
        (with_signal(rejection="half a pair \ud800"), "text"),
        (with_regime(reason="\x00"), "text"),
        (with_regime(inputs={"adx": "\x00"}), "text"),
        (with_signal(price=2**60), "price"),
        (with_regime(reason="x" * 300), "too_much"),
        (with_regime(scores={str(number): "1" for number in range(129)}), "too_much"),
        (with_regime(inputs={"adx": "9" * 300}), "too_much"),
        (message(replace(BAR, close=-(2**60))), "price"),
        (message(replace(BAR, signals=(SIGNAL,) * (MOST_SIGNALS + 1))), "too_much"),
        (message(progress_ns=ns(901)), "progress"),
        (message(progress_ns=-1), "progress"),
        (message(None, progress_ns=-5), "progress"),
    ],
)
def test_everything_has_a_size_that_can_be_meant(said, reason):
    assert refusal(said) == reason


def test_a_text_may_be_of_any_script():
    assert refusal(with_signal(rejection="écart, 均線 and 𝄞", evidence={"größe": "٣"})) == ""


def test_a_refusal_can_be_stored_and_shown_whatever_the_message_said():
    with pytest.raises(RefusedMessage) as refused:
        check_message(
            SOURCE, message(replace(BAR, bar=replace(BAR.bar, contract=ContractId("MES\x00\n\x1b[2J\ud800"))))
        )
    assert refused.value.detail.startswith("MES   [2J /")
    assert refused.value.detail.isprintable()


# --- what comes over the bus: a message with anything changed in it ---


TEXTS = st.one_of(
    st.sampled_from([*NO_FRACTION, "", "1" * 5000, "0x10", "1_000", "٣", "\x00", "2025-06-31", "W", "1E+99999999999"]),
    st.text(max_size=12),
)
INT64 = st.integers(-(2**63), 2**63 - 1)
INT32 = st.integers(-(2**31), 2**31 - 1)


def _fields(found: Any) -> list[tuple[Any, Any]]:
    """Every field of a message and of the messages within it."""
    pairs = []
    for descriptor in found.DESCRIPTOR.fields:
        pairs.append((found, descriptor))
        value = getattr(found, descriptor.name)
        if descriptor.type != descriptor.TYPE_MESSAGE or descriptor.message_type.GetOptions().map_entry:
            continue
        for each in value if descriptor.is_repeated else [value]:
            pairs += _fields(each)
    return pairs


def mutate(data: st.DataObject, found: pb.SignalMessage) -> None:
    owner, field = data.draw(st.sampled_from(_fields(found)), "field")
    if field.is_repeated:
        repeated = getattr(owner, field.name)
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            repeated[data.draw(TEXTS.filter(lambda text: text.isprintable()))] = data.draw(
                TEXTS.filter(lambda text: text.isprintable())
            )
        elif len(repeated):
            repeated.extend([repeated[0]] * data.draw(st.integers(1, 3)))
    elif field.type == field.TYPE_MESSAGE:
        owner.ClearField(field.name)
    elif field.type == field.TYPE_STRING:
        setattr(owner, field.name, data.draw(TEXTS))
    elif field.type == field.TYPE_BOOL:
        setattr(owner, field.name, data.draw(st.booleans()))
    elif field.type in {field.TYPE_INT32, field.TYPE_ENUM}:
        setattr(owner, field.name, data.draw(INT32))
    else:
        setattr(owner, field.name, data.draw(INT64))


def judged(payload: bytes) -> SignalMessage | None:
    """The message, when it is one that counts. Anything but a refusal fails the test."""
    try:
        said = read_signal(SUBJECT, payload)
        check_message(SOURCE, said)
    except RefusedMessage:
        return None
    return said


@seed(8)
@settings(max_examples=1_000, database=None)
@given(st.data())
def test_a_message_with_anything_changed_is_refused_or_harmless(data: st.DataObject):
    found = pb.SignalMessage.FromString(encode_signal(message()))
    for _ in range(data.draw(st.integers(1, 3), "changes")):
        mutate(data, found)
    said = judged(found.SerializeToString())
    if said is not None and said.bar is not None:
        bar = said.bar
        assert ns(300 * (bar.bar.ordinal + 1)) <= bar.known_at_ns
        assert (bar.session_open_ns, bar.session_close_ns) == (ns(0), ns(RTH_S))
        assert all(0 <= signal.strength <= 1 for signal in bar.signals)
        if bar.regime is not None:
            assert 0 <= bar.regime.confidence <= 1
            assert 0 <= bar.regime.multiplier <= 1_000
        for proposal in bar.proposals:
            assert (proposal.action is Action.ENTER) == bool(proposal.withdrawn or proposal.direction)
            assert proposal.entry is None or (proposal.entry.price is None) == (proposal.entry.type == "MARKET")
        # It goes out again as it came in: to risk, and into the database.
        assert read_signal(SUBJECT, encode_signal(said)) == said


@seed(8)
@settings(max_examples=1_000, database=None)
@given(st.integers(0, 400), st.binary(max_size=6), st.integers(0, 40))
def test_a_message_with_bytes_changed_is_refused_or_read(at: int, put: bytes, cut: int):
    payload = encode_signal(message())
    judged(payload[: at % len(payload)] + put + payload[at % len(payload) + cut :])


@pytest.mark.parametrize(
    "payload", [b"", b"\xff\xff\xff", b'{"type":"io.nats.jetstream.api.v1.stream_info_response"}', b"\n" * 70_000]
)
def test_what_is_no_message_is_refused(payload: bytes):
    with pytest.raises(RefusedMessage):
        read_signal(SUBJECT, payload)
