"""Commands that change a running stack: halt, resume, release, flatten. Each names the person who gives it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import grpc

from leadline.cli.options import Output
from leadline.cli.output import complain, halt_text, print_json
from leadline.execution.v1 import execution_pb2
from leadline.model.errors import LeadlineError
from leadline.model.ids import AccountId, StrategyId
from leadline.report.clock import moment
from leadline.report.printable import printable
from leadline.runtime.rpc.errors import explain
from leadline.runtime.rpc.failures import OUTCOME_UNKNOWN
from leadline.views.convert import halt_view
from leadline.views.documents import document
from leadline.views.opening import find_targets, open_stack
from leadline.views.place import Place


class StillHalted(LeadlineError):
    """The command was carried out, and the account still enters nothing."""

    def __init__(self, accounts: str) -> None:
        super().__init__(accounts)

    def __str__(self) -> str:
        return "{} stays halted: look at what still stands, and resume again".format(*self.args)


class NoAnswer(LeadlineError):
    """Execution did not answer in time: what was asked may be done or not."""

    def __init__(self, account: AccountId, seconds: int) -> None:
        super().__init__(account, seconds)

    def __str__(self) -> str:
        return (
            "the execution of {} has not answered within {} s. It may still do what was asked: "
            "look with `leadline status`, and ask again if need be"
        ).format(*self.args)


class NotReached(LeadlineError):
    """Execution could not be reached, or was lost before it answered."""

    def __init__(self, account: AccountId, reason: str) -> None:
        super().__init__(account, reason)

    def __str__(self) -> str:
        return (
            "the execution of {} cannot be reached ({}). If it was lost while it was asked, it may still do what was "
            "asked: look with `leadline status`, and ask again if need be"
        ).format(*self.args)


@dataclass(frozen=True, slots=True)
class Command:
    """The options that every such command has. wait_seconds: how long it waits for an answer."""

    place: Place
    reason: str
    wait_seconds: int
    output: Output


def halt_accounts(command: Command, account: str | None) -> None:
    """Halt an account, or all."""
    request = execution_pb2.HaltRequest(reason=command.reason)
    answers = _on_accounts(command, _Target(account), lambda stub, _: stub.Halt(request, timeout=command.wait_seconds))
    _report(
        answers,
        command.output,
        lambda name, answer: f"{name}: entries are stopped, {halt_text(answer.halt)}",
        lambda answer: {"halt": document(halt_view(answer.halt))},
    )


def resume_accounts(command: Command, account: str | None) -> None:
    """Clear the halts that stand now, of an account or of all. Raises StillHalted."""

    async def ask(stub: Any, _: str) -> Any:
        state = await stub.GetState(execution_pb2.GetStateRequest(), timeout=command.wait_seconds)
        numbers = [halt.number for halt in state.halts if halt.number]
        if not numbers:
            return execution_pb2.ResumeResponse(halts=state.halts)
        if command.output is Output.TEXT:
            for halt in state.halts:
                print(f"{state.account}: to be cleared: {halt_text(halt)}")
        request = execution_pb2.ResumeRequest(reason=command.reason, numbers=numbers)
        return await stub.Resume(request, timeout=command.wait_seconds)

    answers = _on_accounts(command, _Target(account), ask)
    _report(answers, command.output, _resumed, _resumed_document)
    standing = [name for name, answer in answers.items() if not isinstance(answer, Exception) and answer.halts]
    if standing:
        raise StillHalted(", ".join(standing))


def _resumed(name: str, answer: Any) -> str:
    if answer.halts:
        return "\n".join(f"{name}: still halted: {halt_text(halt)}" for halt in answer.halts)
    return f"{name}: entries go on, by {answer.by}" if answer.cleared else f"{name}: was not halted"


def _resumed_document(answer: Any) -> dict[str, Any]:
    cleared, halts = ([document(halt_view(each)) for each in some] for some in (answer.cleared, answer.halts))
    return {"by": answer.by, "cleared": cleared, "halts": halts}


def flatten_accounts(command: Command, account: str | None, strategy: str | None) -> None:
    """Flatten a strategy, an account, or all accounts."""

    async def ask(stub: Any, named: str) -> Any:
        return await stub.Flatten(
            execution_pb2.FlattenRequest(strategy=named, reason=command.reason), timeout=command.wait_seconds
        )

    answers = _on_accounts(command, _Target(account, strategy), ask)
    _report(
        answers,
        command.output,
        lambda name, answer: f"{name}: leaves the market from {moment(answer.instant_ns)} of the tape on",
        lambda answer: {"instant_ns": answer.instant_ns},
    )


def release_strategy(command: Command, strategy: str) -> None:
    """End the fence of a strategy."""

    async def ask(stub: Any, named: str) -> Any:
        request = execution_pb2.ReleaseRequest(strategy=named, reason=command.reason)
        return await stub.Release(request, timeout=command.wait_seconds)

    _report(
        _on_accounts(command, _Target(None, strategy), ask),
        command.output,
        lambda name, answer: (
            f"{name}: {strategy} counts again since {moment(answer.instant_ns)}; it was fenced off for {answer.fence}"
        ),
        lambda answer: {"instant_ns": answer.instant_ns, "fence": answer.fence},
    )


@dataclass(frozen=True, slots=True)
class _Target:
    """The account, or the strategy whose account it is; all accounts where neither is named."""

    account: str | None
    strategy: str | None = None


def _on_accounts(command: Command, target: _Target, call: Callable[[Any, str], Awaitable[Any]]) -> dict[str, Any]:
    """The answer of each account's execution, or the error that came instead. Each is reached and asked by itself.

    call: with the stub, and the full name of the strategy that was named, empty for none.
    """

    async def ask(name: AccountId, strategy: StrategyId) -> Any:
        try:
            async with open_stack(command.place, "cli-trader", account=name) as (stack, services):
                return await call(services.execution(stack.execution_of(name), name), strategy)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.UNAVAILABLE:
                return NotReached(name, explain(error))
            return NoAnswer(name, command.wait_seconds) if error.code() in OUTCOME_UNKNOWN else error
        except LeadlineError as error:
            return error

    async def run() -> dict[str, Any]:
        targets = await find_targets(command.place, target.account, target.strategy)
        answers = await asyncio.gather(*(ask(name, targets.strategy) for name in targets.accounts))
        return dict(zip(targets.accounts, answers, strict=True))

    return asyncio.run(run())


def _report(
    answers: dict[str, Any],
    output: Output,
    text: Callable[[str, Any], str],
    json_of: Callable[[Any], dict[str, Any]],
) -> None:
    """Show what was answered, and each error but the first, which is raised."""
    answered = {name: answer for name, answer in answers.items() if not isinstance(answer, Exception)}
    if output is Output.JSON:
        print_json([{"account": name, **json_of(answer)} for name, answer in answered.items()])
    else:
        for name, answer in answered.items():
            print(printable(text(name, answer)))
    failed = {name: answer for name, answer in answers.items() if isinstance(answer, Exception)}
    for name, error in list(failed.items())[1:]:
        complain(f"{name}: {explain(error) if isinstance(error, grpc.aio.AioRpcError) else error}")
    for error in failed.values():
        raise error
