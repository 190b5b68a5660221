"""Strategies: what turns the bars of a session into opinions."""

from collections import deque
from collections.abc import Mapping
from importlib import import_module
from typing import Final, Protocol

from leadline.analysis.detectors import (
    absorption_signals,
    buy_imbalances,
    divergence_signals,
    exhaustion_signals,
    imbalance_signals,
    sell_imbalances,
    stacked_signals,
)
from leadline.analysis.regime import RegimeScale, RegimeTracker, classify
from leadline.analysis.router import Router
from leadline.analysis.settings import DetectorSettings
from leadline.analysis.unfinished import UnfinishedAuctions
from leadline.model.bars import Bar
from leadline.model.errors import GivenUp, InvalidInput, RefusedMessage
from leadline.model.instruments import Instrument
from leadline.model.signals import BarSignals, Pattern, Signal

WARM_UP: Final = "warm_up"

_PATTERN_ORDER: Final = {pattern: place for place, pattern in enumerate(Pattern)}


class Strategy(Protocol):
    """One session's worth of opinions; a new one is made for every session.

    It gets the bars of the history sessions, oldest first, then the bars of its own session as they close. What it
    says must follow from these bars and its parameters alone: no clock, no randomness, no I/O.
    """

    def warm(self, bar: Bar) -> None:
        """Take a bar of an earlier session in, without saying anything."""

    def on_bar(self, bar: Bar) -> BarSignals:
        """Take a bar of the session in, and say what there is to say about it."""


class StrategyFactory(Protocol):
    """What an entry point names: a class, or a function, that makes a `Strategy`."""

    def __call__(self, parameters: Mapping[str, object], instrument: Instrument) -> Strategy:
        """A fresh strategy; `parameters` as the manifest has them. Raises InvalidInput when they cannot be used."""


class StrategyFailed(GivenUp):
    """The code of a strategy raised.

    doing: what it was asked for, with the bar where there was one. error: what it raised. The message names the error,
    and the file and line of the strategy that it came from.
    """

    def __init__(self, doing: str, error: BaseException) -> None:
        super().__init__(doing, error)
        self.doing = doing
        self.error = error

    def __str__(self) -> str:
        if isinstance(self.error, RefusedMessage):  # it is about what the strategy said, and not about its code
            return f"the strategy failed {self.doing}: {self.error.detail}"
        words = f"{type(self.error).__name__}: {self.error}".rstrip(": ")
        return f"the strategy failed {self.doing}: {words}{_place_in_code(self.error)}"


def _place_in_code(error: BaseException) -> str:
    """File and line of the deepest frame that is the strategy's own, and not this platform's."""
    places = []
    frame = error.__traceback__
    while frame is not None:
        code = frame.tb_frame.f_code
        if not frame.tb_frame.f_globals.get("__name__", "").startswith("leadline."):
            places.append(f" ({code.co_filename}, line {frame.tb_lineno}, in {code.co_name})")
        frame = frame.tb_next
    own = [place for place in places if "site-packages" not in place]
    return (own or places or [""])[-1]


class OrderFlow:
    """The detectors, the regime and the router together.

    Before every input of the regime is available it says nothing but that. `around_the_clock`: its session has no open
    and no close.
    """

    def __init__(
        self, detectors: DetectorSettings, router: Router, scale: RegimeScale, *, around_the_clock: bool = False
    ) -> None:
        self._around_the_clock = around_the_clock
        self._detectors = detectors
        self._router = router
        self._scale = scale
        self._regime = RegimeTracker()
        self._unfinished = UnfinishedAuctions(detectors.unfinished)
        # Divergence compares within one session only, and a strategy is told of no other session but in `warm`.
        self._session: deque[Bar] = deque(maxlen=detectors.divergence.lookback)

    def warm(self, bar: Bar) -> None:
        """Fold a bar of an earlier session."""
        self._regime.update(bar)
        self._unfinished.update(bar)

    def on_bar(self, bar: Bar) -> BarSignals:
        """Fold a bar of the session; its regime, and its patterns with the router's word on each."""
        self._regime.update(bar)
        self._session.append(bar)
        found = self._detect(bar)
        reading = classify(
            self._regime.inputs(), self._scale, self._router.multiplier, around_the_clock=self._around_the_clock
        )
        return BarSignals(
            bar=bar.key,
            known_at_ns=bar.known_at_ns,
            close=bar.close,
            session_open_ns=bar.session_open_ns,
            session_close_ns=bar.session_close_ns,
            regime=reading,
            signals=() if reading.reason == WARM_UP else self._router.route(reading, found),
        )

    def _detect(self, bar: Bar) -> list[Signal]:
        settings = self._detectors
        found: list[Signal] = []
        buys, sells = buy_imbalances(bar, settings.imbalance), sell_imbalances(bar, settings.imbalance)
        if settings.imbalance.enabled:
            found += imbalance_signals(buys, sells)
        if settings.stacked.enabled:
            found += stacked_signals(bar, buys, sells, settings.stacked)
        if settings.exhaustion.enabled:
            found += exhaustion_signals(bar, settings.exhaustion)
        if settings.absorption.enabled:
            found += absorption_signals(bar, settings.absorption)
        if settings.divergence.enabled:
            found += divergence_signals(tuple(self._session), settings.divergence)
        revisits = self._unfinished.update(bar)
        if settings.unfinished.enabled:
            found += revisits
        return sorted(found, key=_place)


def _place(signal: Signal) -> tuple[int, int]:
    """By pattern, then from the lowest price up.

    Only the two ends of a bar of one price have one pattern, one price and two directions: the high comes first.
    """
    return _PATTERN_ORDER[signal.pattern], signal.price


def load_entry_point(entry_point: str) -> StrategyFactory:
    """The factory that `module:name` names; InvalidInput when there is no such thing to call, or its module raises."""
    expected = "module:name of an importable strategy"
    module_name, _, name = entry_point.partition(":")
    try:
        factory: object = getattr(import_module(module_name), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise InvalidInput("spec.strategy.entryPoint", entry_point, f"{expected} ({error})") from error
    except (Exception, SystemExit) as error:
        raise InvalidInput(
            "spec.strategy.entryPoint", entry_point, f"{expected} ({StrategyFailed('while imported', error)})"
        ) from error
    if not callable(factory):
        raise InvalidInput("spec.strategy.entryPoint", entry_point, expected)
    return factory
