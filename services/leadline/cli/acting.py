"""Commands that reduce risk on a running stack: halt, resume, flatten. Each names the person who gives it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final

import grpc
import typer

from leadline.cli.output import (
    DataDirOption,
    KubeOption,
    NamespaceOption,
    Output,
    OutputOption,
    clock_text,
    plain,
    print_json,
)
from leadline.cli.place import Place, open_stack
from leadline.cli.stack import Stack, qualified
from leadline.execution.v1 import execution_pb2
from leadline.model.errors import LeadlineError

# A command takes effect between two steps of an account, and a step may wait for the venue.
WAIT_SECONDS: Final = 30
_OUTCOME_UNKNOWN: Final = {grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNKNOWN}

app = typer.Typer()

ReasonOption = Annotated[str, typer.Option("--reason", help="Why, for the audit.")]
WaitOption = Annotated[int, typer.Option("--wait-seconds", min=1, help="How long to wait for an answer.")]
AccountOption = Annotated[str | None, typer.Option("--account", help="Account, namespace/name; all when absent.")]


class NoAnswer(LeadlineError):
    """Execution did not answer in time: what was asked may be done or not."""

    def __init__(self, account: str, seconds: int) -> None:
        super().__init__(account, seconds)

    def __str__(self) -> str:
        return (
            "the execution of {} has not answered within {} s. It may still do what was asked: "
            "look with `leadline status`, and ask again if need be"
        ).format(*self.args)


@app.command(epilog='Example: leadline halt --reason "news"')
def halt(
    reason: ReasonOption,
    data_dir: DataDirOption,
    account: AccountOption = None,
    kube: KubeOption = False,
    namespace: NamespaceOption = None,
    wait_seconds: WaitOption = WAIT_SECONDS,
    output: OutputOption = Output.TEXT,
) -> None:
    """Stop entries of an account until a person resumes it. Orders that reduce risk go on."""
    chosen = _accounts(account)
    request = execution_pb2.HaltRequest(reason=reason)
    answers = _on_accounts(
        Place(data_dir, kube, namespace), chosen, lambda stub: stub.Halt(request, timeout=wait_seconds), wait_seconds
    )
    _report(answers, output, lambda name, answer: f"{name}: entries are stopped, by {answer.by}")


@app.command(epilog='Example: leadline resume --reason "the news is out"')
def resume(
    reason: ReasonOption,
    data_dir: DataDirOption,
    account: AccountOption = None,
    kube: KubeOption = False,
    namespace: NamespaceOption = None,
    wait_seconds: WaitOption = WAIT_SECONDS,
    output: OutputOption = Output.TEXT,
) -> None:
    """Clear the halt of an account, as a named person."""
    chosen = _accounts(account)
    request = execution_pb2.ResumeRequest(reason=reason)
    answers = _on_accounts(
        Place(data_dir, kube, namespace), chosen, lambda stub: stub.Resume(request, timeout=wait_seconds), wait_seconds
    )
    _report(answers, output, lambda name, answer: f"{name}: entries go on, by {answer.by}")


@app.command(epilog='Example: leadline flatten --strategy default/mes-orderflow --reason "enough for today"')
def flatten(
    reason: ReasonOption,
    data_dir: DataDirOption,
    account: AccountOption = None,
    strategy: Annotated[
        str | None, typer.Option("--strategy", help="Only this strategy, namespace/name; else whole accounts.")
    ] = None,
    kube: KubeOption = False,
    namespace: NamespaceOption = None,
    wait_seconds: WaitOption = WAIT_SECONDS,
    output: OutputOption = Output.TEXT,
) -> None:
    """Cancel working orders and close positions at the market."""
    request = execution_pb2.FlattenRequest(strategy="" if strategy is None else qualified(strategy), reason=reason)
    chosen = _accounts(account) if strategy is None else lambda stack: (stack.chosen_strategies(strategy)[0].account,)
    answers = _on_accounts(
        Place(data_dir, kube, namespace), chosen, lambda stub: stub.Flatten(request, timeout=wait_seconds), wait_seconds
    )
    _report(
        answers,
        output,
        lambda name, answer: f"{name}: flattening since {clock_text(answer.instant_ns)} UTC",
    )


def _accounts(account: str | None) -> Callable[[Stack], tuple[str, ...]]:
    return lambda stack: stack.chosen_accounts(account)


def _on_accounts(
    place: Place, chosen: Callable[[Stack], tuple[str, ...]], call: Callable[[Any], Awaitable[Any]], wait_seconds: int
) -> dict[str, Any]:
    """What each account's execution answers, or the error that came instead. All are asked at once."""

    async def ask(name: str, stub: Any) -> Any:
        try:
            return await call(stub)
        except grpc.aio.AioRpcError as error:
            return NoAnswer(name, wait_seconds) if error.code() in _OUTCOME_UNKNOWN else error

    async def run() -> dict[str, Any]:
        async with open_stack(place, "cli-trader") as (stack, services):
            names = chosen(stack)
            asked = (ask(name, services.execution(stack.execution_of(name))) for name in names)
            return dict(zip(names, await asyncio.gather(*asked), strict=True))

    return asyncio.run(run())


def _report(answers: dict[str, Any], output: Output, words: Callable[[str, Any], str]) -> None:
    """Show what was answered; then raise the first error, if there is any."""
    answered = {name: answer for name, answer in answers.items() if not isinstance(answer, Exception)}
    if output is Output.JSON:
        print_json([{"account": name, **plain(answer)} for name, answer in answered.items()])
    else:
        for name, answer in answered.items():
            print(words(name, answer))
    for answer in answers.values():
        if isinstance(answer, Exception):
            raise answer
