"""The account's loop: the only code that opens exposure.

It goes from instant to instant. At each, in this order: the venue matches the prints up to it, fills are booked, limits
and timed actions run, and then the proposals known at that instant are decided, strategies by name, each seeing what
the one before reserved. Everything it needs comes in by `leadline.execution.loop.ports`, so that a backtest runs the
same loop.
"""

from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from leadline.execution.core.account import account_view, decision_inputs, settings, too_often
from leadline.execution.core.adjustments import adjustment, unit_refusal
from leadline.execution.core.book import (
    Book,
    Changes,
    RefusedSignal,
    StrategyBook,
    count_entry,
    fence_off,
    new_order,
    note,
    put_order,
)
from leadline.execution.core.contracts import tape_contract
from leadline.execution.core.day import apply_limits, next_timer
from leadline.execution.core.decisions import Asked, decision_facts, decision_of, undecided
from leadline.execution.core.exits import next_try, settled
from leadline.execution.core.halt_audit import note_halt
from leadline.execution.core.throttle import Purpose
from leadline.execution.core.trails import next_look
from leadline.execution.core.unit_exits import leave
from leadline.execution.loop.account_halts import AccountHalts
from leadline.execution.loop.bookkeeper import Bookkeeper
from leadline.execution.loop.deps import HALTED_BY, Deps
from leadline.execution.loop.order_sender import OrderSender
from leadline.execution.loop.ports import LimitRefused, NotAdmitted, Refused, Unavailable
from leadline.execution.loop.reconciliation import Reconciliation
from leadline.execution.loop.signal_queue import SignalQueue
from leadline.model.errors import InvalidInput, RefusedMessage
from leadline.model.frozen import replace
from leadline.model.halts import FIELD_REASON, HaltSource
from leadline.model.ids import ENTRY, StrategyId, client_order_id, decision_id
from leadline.model.loop_phase import LoopPhase
from leadline.model.orders import Order
from leadline.model.proposals import Action, Decision
from leadline.model.ticks import NS_PER_SECOND
from leadline.risk.decide import execution_instrument, withdrawal
from leadline.risk.entry_terms import at_distances, worst_price
from leadline.risk.limits import order_refusal
from leadline.risk.reasons import Reason
from leadline.risk.view import DecisionInputs, Entry, RiskDecision

END_OF_TIME: Final = 2**63 - 1
LATE_NS: Final = 3 * NS_PER_SECOND
"""On a tape that is live nothing is entered on a bar that was known longer ago."""

LONGEST_ERROR: Final = 500
"""Characters of a part's refusal that are stored."""


class AccountLoop:
    """One account on one tape."""

    def __init__(self, deps: Deps, new_book: Callable[[], Book]) -> None:
        self._keeper = Bookkeeper(deps, new_book)
        self._orders = OrderSender(self._keeper)
        self._reconciliation = Reconciliation(self._keeper, self._orders)
        self.halts = AccountHalts(self._keeper, self._reconciliation)
        self.phase = LoopPhase.STARTING
        self._reconciled = False

    @property
    def book(self) -> Book:
        """The book as of the last committed transaction."""
        return self._keeper.book

    @property
    def _deps(self) -> Deps:
        return self._keeper.deps

    # --- start: the only way in is recovery ---

    async def load(self) -> None:
        """Read the book. Commands may run from here on; nothing is entered before the venue has been asked."""
        self.phase = LoopPhase.RECONCILING
        self._reconciled = False
        await self.halts.read()
        await self._keeper.load()
        if self.book.manifest.spec.halt and not self._deps.switch.halts.of(HaltSource.FIELD):
            self._deps.halt(HaltSource.FIELD, FIELD_REASON)
        await self.halts.tell()

    async def recover(self) -> None:
        """Read the book, and reconcile it with the venue."""
        await self.load()
        await self._looked_at(self._reconcile)

    async def load_again(self) -> None:
        """Read the book as it was committed, after a command that changed it and failed."""
        await self._keeper.load()

    async def _reconcile(self) -> None:
        self.phase = LoopPhase.RECONCILING
        await self._reconciliation.run()
        self._reconciled = True

    async def _looked_at(self, work: Callable[[], Awaitable[None]]) -> None:
        """Stop entries when venue or database answer what contradicts this account, or means nothing to it."""
        try:
            await work()
        except NotAdmitted:
            raise
        except Refused as error:
            self._keeper.differs(str(error))
            raise

    async def compare(self) -> None:
        """Compare book and venue while both go on; what differs is settled by the next step."""
        if self._reconciled and not self._keeper.doubted:
            await self._looked_at(self._reconciliation.look)

    # --- one step ---

    async def step(self) -> None:
        """Go to the next instant at which something may happen, or wait for news.

        Before that, whatever is not done yet of what a start or a command calls for.
        """
        stands = self._reconciled and not self._keeper.doubted
        await self._looked_at(self._step if stands else self._reconcile)

    async def _step(self) -> None:
        await self.halts.tell()
        if self._deps.halted():
            self._keeper.due = True  # an entry that works must not meet another print
        await self._reconciliation.look_for_doubted()
        await self.carry_out()
        await self._fence_refused()
        book = self.book
        target = None if book.finished else self._target()
        if target is None:
            self.phase = LoopPhase.FINISHED if book.finished else LoopPhase.WAITING_FOR_SIGNALS
            await self._deps.idle()
            return
        self.phase, began_ns = LoopPhase.RUNNING, book.instant_ns
        advanced = await self._keeper.advance(target)
        await self._keeper.take_in(advanced)
        if self._keeper.doubted:
            await self._reconcile()
            self.phase = LoopPhase.RUNNING
        await self._orders.carry_out()
        if self._complete_through() >= book.instant_ns:
            for queue, asked in self._undecided():
                await self._decide_once(queue, asked)
                if book.live:  # time has gone on meanwhile
                    break
        if advanced.final and not self._anything_follows():
            await self._finish()
        elif advanced.final and advanced.instant_ns == began_ns:
            # A strategy has promised silence for longer than there is a tape: only its own end is left to come.
            self.phase = LoopPhase.WAITING_FOR_SIGNALS
            await self._deps.idle()

    async def _fence_refused(self) -> None:
        """Fence off the strategies of which a message was refused and all that came before it is decided."""
        queues = self._deps.queues
        if not any(queue.refused for queue in queues.values()):
            return
        heard = {name: queue.refused_at(self.book.instant_ns) for name, queue in sorted(queues.items())}
        if not any(heard.values()):
            return
        undecided = {queue.strategy for queue, _ in self._undecided()}
        changes = Changes()
        for name, refused in heard.items():
            queue, strategy = self._deps.queues[name], self.book.strategies.get(name)
            if refused is not None and strategy is not None and strategy.waited_for and name not in undecided:
                fence_off(self.book, changes, strategy, refused, queue.progress_ns)
        if changes.refused:
            await self._keeper.commit(changes)

    def _target(self) -> int | None:
        """The next instant to go to; None when there is nothing to do before more is heard."""
        book = self.book
        waited = [name for name, strategy in book.strategies.items() if strategy.waited_for]
        if book.live:
            waited = [name for name in waited if name in self._deps.queues]
        elif not book.strategies or any(name not in self._deps.queues for name in waited):
            return None
        complete = self._complete_through()
        if complete >= book.instant_ns and self._undecided():
            return book.instant_ns
        instants = [complete, next_timer(book), next_try(book), self._orders.next_try()]
        for name in waited:
            bar = self._deps.queues[name].first_after(book.instant_ns)
            instants.append(None if bar is None else bar.known_at_ns)
        if not self._deps.trails:
            instants.append(next_look(book))
        target = min(instant for instant in instants if instant is not None)
        return target if target > book.instant_ns else None

    def _complete_through(self) -> int:
        """The last instant at which no strategy that is waited for can still speak; live, nobody is waited for."""
        queues, complete = self._deps.queues, END_OF_TIME
        if self.book.live:
            return complete
        for name, strategy in self.book.strategies.items():
            if strategy.waited_for and (through := queues[name].complete_through_ns) is not None:
                complete = min(complete, through)
        return complete

    def _undecided(self) -> list[tuple[SignalQueue, Asked]]:
        """Proposals known at this instant without a decision: strategies by name, bars by ordinal, then in their order.

        A strategy that is not waited for has none: whether its bar came in time would be chance. On a tape that is live
        these are the bars known by now, whenever they came.
        """
        book = self.book
        if book.live:
            return list(self._undecided_live())
        found: list[tuple[SignalQueue, Asked]] = []
        for name, queue in sorted(self._deps.queues.items()):
            bars, strategy = queue.known_at(book.instant_ns), book.strategies.get(name)
            if bars and strategy is not None and strategy.waited_for:
                found += [(queue, asked) for bar in bars for asked in undecided(book, name, bar)]
        return found

    def _undecided_live(self) -> Iterator[tuple[SignalQueue, Asked]]:
        book = self.book
        for name, queue in sorted(self._deps.queues.items()):
            if name not in book.strategies or not book.strategies[name].waited_for:
                continue
            for bar in queue.known_by(book.instant_ns):
                found = list(undecided(book, name, bar))
                if not found:
                    queue.done(bar)
                yield from ((queue, asked) for asked in found)

    def _anything_follows(self) -> bool:
        waited = [name for name, strategy in self.book.strategies.items() if strategy.waited_for]
        return any(not self._deps.queues[name].final for name in waited)

    async def _finish(self) -> None:
        self.book.finished = True
        await self._keeper.commit(Changes())

    # --- getting in ---

    async def _decide_once(self, queue: SignalQueue, asked: Asked) -> None:
        """Decide a proposal, unless processes have ended at it or its strategy was fenced off at this instant."""
        strategy = self.book.strategies[queue.strategy]
        name = f"the bar {asked.source} of {strategy.strategy}"
        why = self._deps.marks.poison(name)
        if not strategy.waited_for or await self._was_decided(strategy, asked):
            return
        if why:
            await self._pass_over(queue, asked, name, why)
            return
        with self._deps.marks.at(name):
            await self._decide(strategy, asked)

    async def _was_decided(self, strategy: StrategyBook, asked: Asked) -> bool:
        """Whether a bar that is said again was decided so long ago that the book does not know it any more."""
        book = self.book
        if asked.bar.known_at_ns >= book.decided_since_ns:
            return False
        decision = decision_id(book.account, strategy.strategy, asked.source)
        if not await self._deps.store.decided(decision):
            return False
        book.decided[decision] = book.instant_ns
        return True

    async def _pass_over(self, queue: SignalQueue, asked: Asked, name: str, why: str) -> None:
        """Refuse a proposal at which processes ended, fence its strategy off and halt, so that somebody looks at it.

        Where even the refusal cannot be written, the fence alone keeps the bar from being met again.
        """
        self._deps.halt(HaltSource.POISON, f"{name} is passed over: {why}")
        refusal, strategy = f"the refusal of {name}", self.book.strategies[queue.strategy]
        seen = RefusedSignal(
            f"bar.{strategy.strategy}", 0, "", name.encode(), RefusedMessage("poison", f"{name}: {why}")
        )
        if self._deps.marks.poison(refusal):
            changes = Changes()
            fence_off(self.book, changes, strategy, seen, queue.progress_ns)
            await self._keeper.commit(changes)
            return
        with self._deps.marks.at(refusal):
            answer = RiskDecision(False, Reason.POISON.value, arithmetic=(("error", why[:LONGEST_ERROR]),))
            changes = Changes()
            self._note_decision(changes, decision_of(self.book, strategy, asked, answer))
            fence_off(self.book, changes, strategy, seen, queue.progress_ns)
            await self._keeper.commit(changes)

    async def _adjust(self, strategy: StrategyBook, asked: Asked) -> None:
        """One decision on what is held or works: its transaction says what is wanted, and then it is carried out."""
        book, changes = self.book, Changes()
        decision = decision_id(book.account, strategy.strategy, asked.source)
        found = adjustment(
            book,
            strategy,
            asked.proposal,
            decision,
            seen=asked.bar.bar.contract,
            halt=self._deps.halted(),
            attaches=self._deps.attaches,
            pairs=self._deps.pairs,
        )
        self._note_decision(changes, decision_of(book, strategy, asked, found.answer))
        for order in found.orders:
            put_order(book, changes, order)
        strategy.flatten = strategy.flatten or found.closes or ""
        for wanted in found.exits:
            leave(self.book, strategy, wanted)
        await self._keeper.commit(changes)
        await self._orders.carry_out()

    async def _decide(self, strategy: StrategyBook, asked: Asked) -> None:
        """One decision: risk's word, then the transaction that checks the limits again and writes the intent.

        Risk is not asked about a proposal that asks for nothing.
        """
        if not asked.proposal.action.enters:
            await self._adjust(strategy, asked)
            return
        book, proposal = self.book, asked.proposal
        answer = self._sent_before(strategy, asked) or unit_refusal(strategy, proposal) or withdrawal(proposal)
        answer = answer or self._refused_live(asked)
        if answer is None:
            answer = await self._ask_risk(
                decision_inputs(book, strategy, asked.bar, proposal, halt=self._deps.halted())
            )
        decision = decision_of(book, strategy, asked, answer)
        if not decision.accepted:
            await self._commit_decision(decision, None, strategy)
            return
        client_id = client_order_id(decision.decision_id, ENTRY)
        tape = tape_contract(decision.contract, strategy.contract, book.feed_contracts)
        order = new_order(decision, client_id, book.instant_ns, tape)
        try:
            await self._commit_decision(decision, order, strategy, asked.bar.close)
        except LimitRefused as refused:
            await self._keeper.load()
            refusal = RiskDecision(False, refused.reason, patterns=answer.patterns, arithmetic=answer.arithmetic)
            again = self.book.strategies[strategy.strategy]
            await self._commit_decision(decision_of(self.book, again, asked, refusal), None, again)
            return
        await self._orders.send(order)

    def _sent_before(self, strategy: StrategyBook, asked: Asked) -> RiskDecision | None:
        """The refusal of an entry that has left before, although no row of its decision is there any more."""
        decision = decision_id(self.book.account, strategy.strategy, asked.source)
        client_id = client_order_id(decision, ENTRY)
        if client_id in self.book.orders or client_id in self._deps.journal.written:
            return RiskDecision(False, Reason.SENT_BEFORE.value)
        return None

    def _refused_live(self, asked: Asked) -> RiskDecision | None:
        """The refusal of an entry for the machine's sake: live the market goes on, whatever stands still here."""
        if not self.book.live:
            return None
        behind_ns = self.book.instant_ns - asked.bar.known_at_ns
        if behind_ns > LATE_NS * self.book.clock_rate:
            return RiskDecision(False, Reason.LATE.value, arithmetic=(("behind_ns", str(behind_ns)),))
        doubt = self._deps.doubt()
        return None if doubt is None else RiskDecision(False, doubt[0].value, arithmetic=(("doubt", doubt[1]),))

    async def _ask_risk(self, what: DecisionInputs) -> RiskDecision:
        """Risk's word; a question that it cannot answer is refused, so that no bar can hold the account up.

        So is one that it does not answer, on a tape that is live.
        """
        try:
            with self._deps.marks.waiting():
                return await self._deps.risk.decide(what)
        except NotAdmitted:
            raise
        except Unavailable as away:
            if not self.book.live:
                raise
            return RiskDecision(
                False, Reason.RISK_UNAVAILABLE.value, arithmetic=(("error", str(away)[:LONGEST_ERROR]),)
            )
        except (Refused, InvalidInput) as refused:
            return RiskDecision(False, Reason.RISK_ERROR.value, arithmetic=(("error", str(refused)[:LONGEST_ERROR]),))

    async def _commit_decision(
        self, decision: Decision, order: Order | None, strategy: StrategyBook, close: int = 0
    ) -> None:
        """Tx A: decision, reservation and intent together, the limits checked on the rows as they are locked.

        `close` is that of the bar which decided, ticks; an order needs it.
        """
        book, changes = self.book, Changes()
        self._note_decision(changes, decision)
        if order is None:
            await self._commit_refusal(changes, decision.reason, strategy)
            return
        count_entry(book, strategy)
        put_order(book, changes, order)
        adds = decision.proposal.action is Action.ADD
        await self._keeper.commit(changes, lambda locked: self._refusal(locked, order, close, adds=adds))

    def _note_decision(self, changes: Changes, decision: Decision) -> None:
        self.book.decided[decision.decision_id] = decision.instant_ns
        changes.decisions.append(decision)
        note(self.book, changes, "decision", decision.decision_id, 1, decision_facts(decision))

    async def _commit_refusal(self, changes: Changes, reason: str, strategy: StrategyBook) -> None:
        """Entries that come too often halt the account: something repeats itself, and a person has to see why.

        The halt is written with the refusal, so that a crash leaves both or none.
        """
        cause = too_often(self.book, strategy, reason)
        if not cause:
            await self._keeper.commit(changes)
            return
        halt = self._deps.switch.draft(HaltSource.LIMIT, cause, HALTED_BY)
        note_halt(self.book, changes, halt)
        await self._keeper.commit(changes)
        self._deps.switch.adopt(halt)

    def _refusal(self, locked: Book, order: Order, close: int, *, adds: bool) -> str | None:
        """The first limit that an entry would break, by the rows as they are locked."""
        view = account_view(locked, halt=self._deps.halted())
        own = settings(locked, locked.strategies[order.strategy], view)
        instrument = execution_instrument(view, own)
        if isinstance(instrument, Reason):
            return instrument.value
        entry = Entry(order.side, order.quantity, order.decided_at_ns, close, order.price, adds, order.group)
        if order.bracket is not None and instrument.quote is not None:
            price = worst_price(order.type, order.price, instrument.quote.price, order.side)
            own, entry = at_distances(own, order.bracket, order.side, price), replace(entry, priced_at=price)
        refusal = order_refusal(view, own, instrument, entry)
        if refusal is None and not self._orders.may_send(Purpose.ENTER):
            refusal = Reason.MAX_MESSAGES_PER_SECOND
        return None if refusal is None else refusal.value

    # --- commands: they run between two steps ---

    async def cancel(self, order: Order, reason: str) -> None:
        """Cancel one working order and book what the venue says of it."""
        await self._orders.cancel(order, reason)

    async def flatten(self, strategy: StrategyId, reason: str) -> None:
        """Have one strategy, or with an empty name the whole account, leave the market; durable on return.

        It is carried out by the loop's next step, and goes on for as long as something is left.
        """
        if strategy:
            self.book.strategies[strategy].flatten = reason
        else:
            self.book.flatten = reason
        await self.commit()

    async def commit(self, changes: Changes | None = None) -> None:
        """Write what a command has changed. What that calls for is carried out at this instant, by the next step."""
        apply_limits(self.book)
        settled(self.book)
        await self._keeper.commit(Changes() if changes is None else changes)
        self._keeper.due = True

    async def carry_out(self) -> None:
        """Do what a command has called for, at the instant at which it was given."""
        if self._keeper.due:
            await self._orders.carry_out()
            self._keeper.due = False
