"""The options of a live tape beside those of a plan: which of them mean something together."""

from collections.abc import Mapping, Sequence

from leadline.cli.options import PlanOptions
from leadline.ingestion.params import ClockShift
from leadline.model.errors import InvalidInput

# How an option that was given reads where it is refused.
GIVEN = "given"


def kinds_of(named: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The feeds of a live tape without those that are named for one instrument, and these: `NQ=push`."""
    kinds: dict[str, str] = {}
    others = []
    for text in named:
        symbol, _, kind = text.partition("=")
        if symbol and kind in {"sim", "push"}:
            kinds[symbol] = kind
        else:
            others.append(text)
    return others or ["sim"], kinds


def live_clock(options: PlanOptions, kind: str, kinds: Mapping[str, str]) -> tuple[ClockShift, int]:
    """The clock of a live tape of a kind of source: what it shows at first, and how fast it runs.

    kinds: of instruments that have another one. Raises InvalidInput for what makes no sense together.
    """
    if kinds and kind not in {"sim", "push"}:
        named = ", ".join(f"{symbol}={each}" for symbol, each in kinds.items())
        raise InvalidInput("--feed", named, f"--feed sim or --feed push beside it, which {kind} is not")
    if "push" in kinds.values() and options.shift_session:
        raise InvalidInput("--shift-session", GIVEN, "no pushed prints: they have the clock of their market")
    if options.sessions is not None:
        raise InvalidInput("--sessions", options.sessions, "no --live beside it: a live tape has no end")
    if options.trade_from is not None and kind not in {"file", "catalog"}:
        raise InvalidInput("--trade-from", options.trade_from, "no --live beside it: a live tape begins today")
    if options.shift_session and kind != "sim":
        raise InvalidInput("--shift-session", GIVEN, f"--feed sim with it, which {kind} is not")
    if options.shift_to_now and kind not in {"file", "catalog"}:
        raise InvalidInput("--shift-to-now", GIVEN, f"--feed catalog or a file with it, which {kind} is not")
    if kind in {"file", "catalog"} and not options.shift_to_now:
        raise InvalidInput("--live", GIVEN, "--shift-to-now with it, for a drill on recorded prints")
    return _shift(options), _rate(options, "push" if "push" in kinds.values() else kind)


def require_live(options: PlanOptions) -> None:
    """Raises InvalidInput for an option that means something on a live tape alone, where there is none."""
    for option, value in (("--shift-session", options.shift_session), ("--shift-to-now", options.shift_to_now)):
        if value:
            raise InvalidInput(option, GIVEN, "--live with it")


def _shift(options: PlanOptions) -> ClockShift:
    if options.shift_session:
        return "session"
    return "recorded" if options.shift_to_now else "none"


def _rate(options: PlanOptions, kind: str) -> int:
    if options.speed is None:
        return 1
    if kind == "push":
        raise InvalidInput(
            "--speed", options.speed, "no --feed push beside it: pushed prints have the pace of their market"
        )
    text = options.speed
    if not text.isascii() or not text.isdigit() or not 1 <= int(text[:6]) <= 10_000:
        expected = "a whole number from 1 to 10000 beside --live, 1 being real time"
        raise InvalidInput("--speed", text, expected)
    return int(text)
