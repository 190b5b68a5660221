"""Which of a builder's messages are still to be published, and the key of each on its subject."""

from leadline.model.bars import BarMessage


class Publication:
    """Passes on what comes after the last message of an earlier life on the same subject.

    last: that message, None when there is none. A builder that starts again folds the same prints into the same
    messages; the published ones are left out. A bar that became known at the very instant of the last progress may be
    published again, and so may a revision: readers drop the keys that they know.
    """

    def __init__(self, last: BarMessage | None) -> None:
        self._last = last

    @property
    def ended(self) -> bool:
        """The tape is published to its end."""
        return self._last is not None and self._last.final

    def unpublished(self, messages: list[BarMessage]) -> list[BarMessage]:
        """Those of a builder's next messages that are not published yet."""
        if self._last is None or not messages:
            return messages
        fresh = [message for message in messages if _is_after(message, self._last)]
        if fresh:
            self._last = None
        return fresh


def coalesced(messages: list[BarMessage]) -> list[BarMessage]:
    """Messages that go out together, without the progress that a later one of them includes."""
    return [message for message in messages[:-1] if message.bar is not None] + messages[-1:]


def message_key(message: BarMessage) -> str:
    """Key of a message on its subject: the bar's, or the instants of what progress promises."""
    if message.bar is not None:
        return f"{message.bar.key.text()}/{message.bar.revision}"
    return f"{'final' if message.final else 'progress'}/{message.progress_ns}/{message.quiet_until_ns}"


def _is_after(message: BarMessage, last: BarMessage) -> bool:
    if message.final or last.final:
        return not last.final
    if _is_revision(message) or _is_revision(last):
        # A revision has no place in the order of the bars. One that is told twice has the same key.
        return message.progress_ns >= last.progress_ns and message_key(message) != message_key(last)
    if message.bar is None:
        return (message.progress_ns, message.quiet_until_ns) > (last.progress_ns, last.quiet_until_ns)
    if last.bar is None:
        return message.bar.known_at_ns >= last.progress_ns
    key, published = message.bar.key, last.bar.key
    return (key.trading_day, key.ordinal) > (published.trading_day, published.ordinal)


def _is_revision(message: BarMessage) -> bool:
    return message.bar is not None and message.bar.revision > 0
