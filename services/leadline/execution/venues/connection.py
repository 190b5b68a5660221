"""Both ports of a venue to which an account is connected. Nothing here needs a network."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

from leadline.execution.loop.ports import MarketTime, Orders


@dataclass(frozen=True, slots=True)
class Connection:
    """Both ports of the loop. A venue that matches the tape itself is both at once.

    `hear`, where there is one, runs for as long as the account does: it hears what the venue pushes.
    """

    time: MarketTime
    orders: Orders
    hear: Callable[[], Coroutine[Any, Any, None]] | None = None
