"""From the stream of bars to the stream of signals, from where its last message left off."""

from leadline.analysis.fold import StrategyFold
from leadline.model.bars import OWN_SERIES, BarMessage
from leadline.model.ids import AccountId, RunId, StrategyId
from leadline.model.signals import BarSignals, SignalMessage


class Publication:
    """The messages that one strategy publishes: one for every bar of a session that it trades, and progress in between.

    analysis_hash: names the code and the settings that speak.
    last: the last message on the strategy's subject, None when there is none. What it shows to be published is not
    said again; a message of another hash shows nothing.

    The bars are those of one contract, folded into `fold`. From `ends_ns` on another contract follows, as in the roll
    of a root: progress is promised no further than that. None: no other one follows.
    """

    def __init__(
        self,
        tape: RunId,
        account: AccountId,
        strategy: StrategyId,
        analysis_hash: str,
        fold: StrategyFold,
        last: SignalMessage | None,
        ends_ns: int | None = None,
    ) -> None:
        self._tape = tape
        self._account = account
        self._strategy = strategy
        self._hash = analysis_hash
        self._last = last if last is not None and last.analysis_hash == analysis_hash else None
        self.follow(fold, ends_ns)

    @property
    def passed(self) -> bool:
        """Whether everything is said up to where another contract follows."""
        return self._passed

    def follow(self, fold: StrategyFold, ends_ns: int | None) -> None:
        """Take the bars of the contract that follows from here on, into its own fold."""
        self._fold, self._ends_ns = fold, ends_ns
        self._passed = ends_ns is not None and self._last is not None and self._last.progress_ns >= ends_ns

    def until(self, ends_ns: int | None) -> None:
        """Where another contract follows, which may be known only once the feed has got it.

        What is promised already stays promised: of the contract that follows nothing is said that was known before.
        """
        if ends_ns != self._ends_ns:
            self._ends_ns = ends_ns
            self._passed = ends_ns is not None and self._last is not None and self._last.progress_ns >= ends_ns

    def step(self, message: BarMessage, series: str = OWN_SERIES) -> SignalMessage | None:
        """Take the next message of the bars in, as `analysis.merge` orders them; what to publish about it, if anything.

        series: whose bar it is. Every message is folded. Progress that is not news, a bar of another series than the
        strategy's own, a repeated bar and one that is published already say nothing.
        """
        answer = None if message.bar is None else self._fold.step(message.bar, series)
        progress_ns, final = message.progress_ns, message.final
        if self._ends_ns is not None:
            self._passed = final or progress_ns >= self._ends_ns
            progress_ns, final = min(progress_ns, self._ends_ns), False
        if not (self._is_news(progress_ns, final=final) if answer is None else self._is_new(answer)):
            return None
        self._last = SignalMessage(
            tape=self._tape,
            account=self._account,
            strategy=self._strategy,
            analysis_hash=self._hash,
            progress_ns=progress_ns,
            final=final,
            bar=answer,
        )
        return self._last

    def _is_news(self, progress_ns: int, *, final: bool) -> bool:
        last = self._last
        return last is None or progress_ns > last.progress_ns or final > last.final

    def _is_new(self, answer: BarSignals) -> bool:
        last = self._last
        if last is None:
            return True
        if last.bar is not None and _place(answer) <= _place(last.bar):
            return False
        return not last.final and answer.known_at_ns >= last.progress_ns


def _place(bar: BarSignals) -> tuple[int, int]:
    return bar.bar.trading_day.toordinal(), bar.bar.ordinal


def message_key(message: SignalMessage) -> str:
    """The key of a message on its subject: the hash of its analysis, and the bar or the progress."""
    if message.bar is not None:
        return f"{message.analysis_hash}/{message.bar.bar.text()}"
    return f"{message.analysis_hash}/{'final' if message.final else 'progress'}/{message.progress_ns}"
