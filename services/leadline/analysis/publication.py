"""From the stream of bars to the stream of signals, from where its last message left off."""

from leadline.analysis.fold import StrategyFold
from leadline.model.bars import BarMessage
from leadline.model.signals import BarSignals, SignalMessage


class Publication:
    """What one strategy publishes: a message for every bar of a session that it trades, and progress in between.

    analysis_hash: names the code and the settings that speak.
    last: the last message on the strategy's subject, None when there is none. What it shows to be published is not
    said again; a message of another hash shows nothing.
    """

    def __init__(
        self, tape: str, account: str, strategy: str, analysis_hash: str, fold: StrategyFold, last: SignalMessage | None
    ) -> None:
        self._tape = tape
        self._account = account
        self._strategy = strategy
        self._hash = analysis_hash
        self._fold = fold
        self._last = last if last is not None and last.analysis_hash == analysis_hash else None

    def step(self, message: BarMessage) -> SignalMessage | None:
        """Take the next message of the bar stream in; what to publish about it, if anything.

        Every message is folded. Progress that is not news, a repeated bar and one that is published already say
        nothing.
        """
        said = None if message.bar is None else self._fold.step(message.bar)
        if not (self._is_news(message) if said is None else self._is_unsaid(said)):
            return None
        self._last = SignalMessage(
            tape=self._tape,
            account=self._account,
            strategy=self._strategy,
            analysis_hash=self._hash,
            progress_ns=message.progress_ns,
            final=message.final,
            bar=said,
        )
        return self._last

    def _is_news(self, message: BarMessage) -> bool:
        last = self._last
        return last is None or message.progress_ns > last.progress_ns or message.final > last.final

    def _is_unsaid(self, said: BarSignals) -> bool:
        last = self._last
        if last is None:
            return True
        if last.bar is not None and _place(said) <= _place(last.bar):
            return False
        return not last.final and said.known_at_ns >= last.progress_ns


def _place(bar: BarSignals) -> tuple[int, int]:
    return bar.bar.trading_day.toordinal(), bar.bar.ordinal


def message_key(message: SignalMessage) -> str:
    """What makes a message of one subject unique: the analysis that spoke, and the bar or the progress."""
    if message.bar is not None:
        return f"{message.analysis_hash}/{message.bar.bar.text()}"
    return f"{message.analysis_hash}/{'final' if message.final else 'progress'}/{message.progress_ns}"
