"""Asking every execution, again and again, for what no watch of the API server tells: halts, fences, what it lacks.

The answer is compared with the account's object, and not only with the answer before: a halt that came before the first
question, or went and came between two of them, is noticed as well.
"""

import asyncio
from collections.abc import Callable

from leadline.model.manifest.status_spec import HALT_LENGTH, AccountStatus, JournalRestored
from leadline_operator.clients.calls import ServiceAway, ServiceRefused
from leadline_operator.clients.execution import AccountState
from leadline_operator.kinds import ACCOUNT, Key, own_key
from leadline_operator.reconcile.context import status_of
from leadline_operator.reconcile.deps import Deps

_Shown = tuple[str, bool, tuple[str, ...], JournalRestored | None, str, tuple[tuple[str, str], ...]]
"""The halts of an account, whether its feed has ended, its fenced strategies, when its journal was restored, why it
cannot trade now, and which of its strategies cannot, and why.
"""


class HaltWatch:
    """Asks for each account once in `seconds`, while `leading`; reconciles one that answers something else.

    An execution that does not answer holds up no other, and is asked again when its call has ended.
    """

    def __init__(self, deps: Deps, leading: Callable[[], bool], enqueue: Callable[[Key], None], seconds: float) -> None:
        self._deps = deps
        self._leading = leading
        self._enqueue = enqueue
        self._seconds = seconds
        self._known: dict[Key, _Shown | None] = {}
        self._asking: dict[Key, asyncio.Task[None]] = {}

    async def run(self) -> None:
        """Ask until cancelled."""
        try:
            while True:
                if self._leading():
                    self._ask_all()
                await asyncio.sleep(self._seconds)
        finally:
            for task in self._asking.values():
                task.cancel()

    def _ask_all(self) -> None:
        keys = {own_key(found, ACCOUNT) for found in self._deps.cache.all(ACCOUNT)}
        for gone in self._known.keys() - keys:
            del self._known[gone]
        for key in keys - self._asking.keys():
            task = asyncio.create_task(self._ask(key))
            self._asking[key] = task
            task.add_done_callback(lambda _, key=key: self._asking.pop(key, None))  # type: ignore[misc]

    async def _ask(self, key: Key) -> None:
        try:
            answered: _Shown | None = _shown(await self._deps.state(key.account, fresh=True))
        except (ServiceAway, ServiceRefused):
            answered = None
        if key not in self._known or self._known[key] != answered or not self._shows(key, answered):
            self._enqueue(key)
        self._known[key] = answered

    def _shows(self, key: Key, answered: _Shown | None) -> bool:
        """Whether the account's object has the halt and the restoration that were told; yes where nobody answers."""
        shown = status_of(AccountStatus, self._deps.cache.owner(key) or {})
        return answered is None or (shown.halt, shown.journal_restored) == (answered[0][:HALT_LENGTH], answered[3])


def _shown(state: AccountState) -> _Shown:
    fenced = tuple(sorted(name for name, here in state.strategies.items() if here.fence))
    lacking = tuple(sorted((name, here.lacking) for name, here in state.strategies.items() if here.lacking))
    return state.halt, state.finished, fenced, state.journal_restored, state.lacking, lacking
