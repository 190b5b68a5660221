"""Checks of a strategy's messages: the same for the analysis that sends them and for the account that reads them.

A strategy may be anybody's code, and its messages move an account. So nothing of a message is believed that can be
known better: the bar's identity follows from the strategy's settings, its session from the calendar, and the time from
which it may be acted on from both. Everything here raises `RefusedMessage`, and nothing else.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from functools import lru_cache
from itertools import chain
from numbers import Integral
from typing import Any, Final

from leadline.model.bars import CLOSE_GRACE_NS, Bar, BarKey
from leadline.model.checks.proposals import LARGEST_PRICE, check_proposals
from leadline.model.durations import BarSpec
from leadline.model.errors import InvalidInput, RefusedMessage, Unknown
from leadline.model.ids import AccountId, RunId, StrategyId
from leadline.model.market.calendars import Session, calendar
from leadline.model.market.contracts import FrontMonth
from leadline.model.market.hours import SessionHours
from leadline.model.signals import (
    LARGEST_MULTIPLIER,
    BarSignals,
    Direction,
    Pattern,
    Regime,
    RegimeReading,
    Signal,
    SignalMessage,
)

MOST_SIGNALS: Final = 10_000
"""A wide bar may have an imbalance in each of its rows, and each is a signal."""
MOST_EVIDENCE: Final = 32
MOST_EVIDENCE_ITEMS: Final = 65_536
MOST_READINGS: Final = 128
LONGEST_TEXT: Final = 256
MOST_PLACES: Final = 12
LARGEST_ORDINAL: Final = 10_000_000
END_OF_TIME_NS: Final = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class SignalSource:
    """A strategy as the source of messages: the subject on which it may publish, and the bars they may be about.

    `months` are the contracts, each with the days that are its own, `spec` is what closes their bars, `spec_token` that
    with the ticks per row as bar keys have it. `calendar` is the name of the contracts'.
    """

    tape: RunId
    account: AccountId
    strategy: StrategyId
    months: tuple[FrontMonth, ...]
    hours: SessionHours
    spec: BarSpec
    spec_token: str
    calendar: str


def check_message(source: SignalSource, message: SignalMessage) -> None:
    """Whether a message may count: it is of this strategy on this tape, and what it says of a bar can be so."""
    if (message.tape, message.account, message.strategy) != (source.tape, source.account, source.strategy):
        raise RefusedMessage(
            "another_speaker",
            f"it is of {message.strategy} on {message.account} and the tape {message.tape}",
        )
    _require(message.progress_ns >= 0, "progress", f"progress_ns {message.progress_ns}")
    if message.bar is None:
        return
    check_bar(source, message.bar)
    if message.progress_ns > message.bar.known_at_ns:
        raise RefusedMessage(
            "progress", f"it promises that nothing before {message.progress_ns} follows, and says such"
        )


def check_bar(source: SignalSource, answer: BarSignals) -> None:
    """Whether a bar is one of the strategy's, in its session by the calendar, and over when it says it was known."""
    key = answer.bar
    day = key.trading_day
    own = (each for each in source.months if each.first <= day and (each.until is None or day < each.until))
    contract = next((each.contract for each in own), "nothing")
    if (key.contract, key.session, key.spec) != (contract, source.hours.id, source.spec_token):
        wanted = f"{contract}/{source.hours.id}/{source.spec_token} of {day}"
        raise RefusedMessage("another_bar", f"{key.contract}/{key.session}/{key.spec} is not {wanted}")
    session = session_of_day(source.calendar, day, source.hours)
    if session is None:
        raise RefusedMessage("no_session", f"there is no session on {day}")
    if (answer.session_open_ns, answer.session_close_ns) != (session.open_ns, session.close_ns):
        raise RefusedMessage(
            "session",
            f"it says {answer.session_open_ns} to {answer.session_close_ns}, by the calendar the session of "
            f"{day} is {session.open_ns} to {session.close_ns}",
        )
    _check_time(source.spec, session, answer)
    check_content(answer)


def check_answer(bar: Bar, answer: BarSignals) -> None:
    """Whether what a strategy says of a bar is about that bar, known when it was known, and can be said at all.

    said: whatever its code has returned.
    """
    _check_types(answer)
    if answer.bar != bar.key:
        raise RefusedMessage("another_bar", f"{answer.bar.text()} is not {bar.key.text()}, the bar that it was given")
    for name in ("known_at_ns", "close", "session_open_ns", "session_close_ns"):
        given, answered = getattr(bar, name), getattr(answer, name)
        if given != answered:
            raise RefusedMessage("another_bar", f"{name} {answered} is not {given}, the bar's")
    check_content(answer)


def _check_types(answer: BarSignals) -> None:
    """Whether everything is of the type that it is read as: a strategy is anybody's code."""
    _is_a("what on_bar returned", answer, BarSignals)
    _is_a("bar", answer.bar, BarKey)
    for name in ("known_at_ns", "close", "session_open_ns", "session_close_ns"):
        _is_a(name, getattr(answer, name), int)
    if answer.regime is not None:
        _is_a("regime", answer.regime, RegimeReading)
        _is_a("regime.regime", answer.regime.regime, Regime)
        for name in ("scores", "inputs"):
            _is_a(f"regime.{name}", getattr(answer.regime, name), Mapping)
    _is_a("signals", answer.signals, tuple, list)
    for signal in answer.signals:
        if _is_plain(signal):
            continue
        _is_a("a signal", signal, Signal)
        _is_a("pattern", signal.pattern, Pattern)
        _is_a("direction", signal.direction, Direction)
        _is_a("price", signal.price, Integral)
        _is_a("evidence", signal.evidence, Mapping)
        _is_a("approved", signal.approved, bool)


def _is_plain(signal: Signal) -> bool:
    """Whether a signal is of exactly the usual types, as nearly all of the many are."""
    return (
        type(signal) is Signal
        and type(signal.pattern) is Pattern
        and type(signal.direction) is Direction
        and type(signal.price) is int
        and type(signal.evidence) is dict
        and type(signal.approved) is bool
    )


def _is_a(name: str, value: object, *wanted: type) -> None:
    if not isinstance(value, wanted) or (isinstance(value, bool) and bool not in wanted):
        shown = repr(value)[:100]
        raise RefusedMessage("type", f"{name}: got {shown}, expected {wanted[0].__name__}")


def check_content(answer: BarSignals) -> None:
    """Whether every number is one, and everything has a size that can be meant."""
    _require(abs(answer.close) <= LARGEST_PRICE, "price", f"close {answer.close}")
    if answer.regime is not None:
        _check_regime(answer.regime)
    _require(len(answer.signals) <= MOST_SIGNALS, "too_much", f"{len(answer.signals)} signals")
    if not _are_usual(answer.signals):
        for signal in answer.signals:
            _check_signal(signal)
    try:
        check_proposals(answer.proposals, answer.bar.contract)
    except InvalidInput as impossible:
        raise RefusedMessage("proposal", str(impossible)) from None


@lru_cache(maxsize=512)
def session_of_day(calendar_name: str, day: date, hours: SessionHours) -> Session | None:
    """The session of a trading day by the calendar; None when there is none, or the calendar does not know the day.

    Raises Unknown for a calendar that there is not.
    """
    market = calendar(calendar_name)
    try:
        return market.session(day, hours)
    except Unknown:
        return None


def _check_time(spec: BarSpec, session: Session, answer: BarSignals) -> None:
    """A bar cannot be known before it is over, nor later than its session and the grace after it."""
    ordinal, known_ns = answer.bar.ordinal, answer.known_at_ns
    _require(0 <= ordinal <= LARGEST_ORDINAL, "ordinal", f"ordinal {ordinal}")
    if spec.kind == "time":
        starts_ns = session.open_ns + ordinal * spec.length
        if starts_ns >= session.close_ns:
            raise RefusedMessage("ordinal", f"bar {ordinal} of {spec} begins after the session's close")
        ends_ns = min(starts_ns + spec.length, session.close_ns)
        latest_ns = ends_ns + CLOSE_GRACE_NS
    else:
        # Of a bar that closes by prints only its session is known here: how fast they came is not.
        ends_ns, latest_ns = session.open_ns, session.close_ns + CLOSE_GRACE_NS
    if not ends_ns <= known_ns <= latest_ns:
        raise RefusedMessage("known_at", f"known_at_ns {known_ns} is not from {ends_ns} to {latest_ns}")


def _check_regime(reading: RegimeReading) -> None:
    _fraction("confidence", reading.confidence)
    _number("multiplier", reading.multiplier, LARGEST_MULTIPLIER)
    _text("reason of the regime", reading.reason)
    for name, values in (("scores", reading.scores), ("inputs", reading.inputs)):
        _require(len(values) <= MOST_READINGS, "too_much", f"{len(values)} {name}")
        _texts(name, (*values, *values.values()))


def _are_usual(signals: Sequence[Signal]) -> bool:
    """Whether all that signals hold is as usual, looked at together: where it is not, each is looked at by itself."""
    if not signals:
        return True
    evidence = [signal.evidence for signal in signals]
    values = list(chain.from_iterable(each.values() for each in evidence))
    texts: list[Any] = [signal.rejection for signal in signals]
    texts += chain.from_iterable(evidence)
    texts += [value for value in values if type(value) is str]
    numbers: list[Any] = [value for value in values if type(value) is int]
    lists = [value for value in values if type(value) is list]
    all_known = len(values) == len(texts) - len(signals) - sum(map(len, evidence)) + len(numbers) + len(lists)
    numbers += chain.from_iterable(lists)
    prices = [signal.price for signal in signals]
    return (
        all_known
        and max(map(len, evidence)) <= MOST_EVIDENCE
        and len(numbers) <= MOST_EVIDENCE_ITEMS
        and min(prices) >= -LARGEST_PRICE
        and max(prices) <= LARGEST_PRICE
        and _are_usual_fractions([signal.strength for signal in signals])
        and _are_usual_texts(texts)
        and _are_usual_integers(numbers)
    )


def _are_usual_fractions(values: Sequence[Any]) -> bool:
    """Whether each is a decimal from 0 to 1 that is written in digits, of which no more than fit follow the point."""
    if set(map(type, values)) != {Decimal}:
        return False
    texts = list(map(str, values))
    whole = "".join(texts).replace(".", "")
    return max(map(len, texts)) <= len("0.") + MOST_PLACES and whole.isdigit() and max(values) <= 1


def _check_signal(signal: Signal) -> None:
    _fraction("strength", signal.strength)
    if abs(signal.price) > LARGEST_PRICE:
        raise RefusedMessage("price", f"price {signal.price}")
    _text("rejection", signal.rejection)
    _require(len(signal.evidence) <= MOST_EVIDENCE, "too_much", f"{len(signal.evidence)} entries of evidence")
    items = 0
    for name, value in signal.evidence.items():
        _text("evidence", name)
        if isinstance(value, list):
            items += len(value)
            _require(items <= MOST_EVIDENCE_ITEMS, "too_much", f"{items} numbers of evidence")
            _require(all(map(_is_integer, value)), "evidence", f"{name} holds what is no integer")
        elif isinstance(value, str):
            _text("evidence", value)
        else:
            _require(_is_integer(value), "evidence", f"{name} is neither an integer, nor text, nor a list of integers")


def _is_integer(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= END_OF_TIME_NS


def _are_usual_integers(values: Sequence[Any]) -> bool:
    if not values:
        return True
    return set(map(type, values)) == {int} and min(values) >= -END_OF_TIME_NS and max(values) <= END_OF_TIME_NS


def _fraction(name: str, value: object) -> None:
    _number(name, value, 1)


def _number(name: str, value: object, most: int) -> None:
    """A finite decimal from 0 to `most` with a bounded number of places: what arithmetic can take without end."""
    if not isinstance(value, Decimal) or not value.is_finite():
        raise RefusedMessage("number", f"{name} is no finite decimal")
    exponent = value.as_tuple().exponent
    places_hold = isinstance(exponent, int) and -MOST_PLACES <= exponent <= 0
    if not places_hold or not 0 <= value <= most:
        raise RefusedMessage("number", f"{name} is not from 0 to {most} with at most {MOST_PLACES} places")


def _texts(name: str, values: Sequence[str]) -> None:
    if not _are_usual_texts(values):
        for each in values:
            _text(name, each)


def _are_usual_texts(values: Sequence[Any]) -> bool:
    if not values:
        return True
    if set(map(type, values)) != {str} or max(map(len, values)) > LONGEST_TEXT:
        return False
    whole = "".join(values)
    return whole.isascii() and "\x00" not in whole


def _text(name: str, value: object) -> None:
    if not isinstance(value, str) or len(value) > LONGEST_TEXT:
        raise RefusedMessage("too_much", f"a text of {name} that is longer than {LONGEST_TEXT} characters, or none")
    # What no table can hold: one reader would trade on it and another could not write it down.
    if "\x00" in value or not (value.isascii() or _is_whole(value)):
        raise RefusedMessage("text", f"{name} has a zero character in it, or half of a pair of UTF-16")


def _is_whole(text: str) -> bool:
    """Whether UTF-8 can hold a text, as it can everything but half of a pair of UTF-16."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _require(holds: bool, reason: str, detail: str) -> None:
    if not holds:
        raise RefusedMessage(reason, detail)
