"""The ids of sent orders in memory: for a backtest, which no kill can leave half done."""

from collections.abc import Iterable
from collections.abc import Set as AbstractSet

from leadline.model.ids import ClientOrderId


class MemoryJournal:
    """As `leadline.execution.loop.ports.Journal`, gone with the process."""

    def __init__(self) -> None:
        self._written: dict[ClientOrderId, None] = {}

    @property
    def written(self) -> AbstractSet[ClientOrderId]:
        """Every id that was written."""
        return self._written.keys()

    def newest(self, count: int) -> list[ClientOrderId]:
        """The ids written last, oldest first."""
        return list(self._written)[-count:] if count else []

    def restore(self, client_ids: Iterable[ClientOrderId]) -> None:
        """Append ids that were missing."""
        self._written.update(dict.fromkeys(client_ids))

    def write(self, client_id: ClientOrderId) -> None:
        """Append an id. Raises AssertionError when it was written before."""
        assert client_id not in self._written, client_id
        self._written[client_id] = None
