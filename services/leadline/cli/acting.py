"""Commands that reduce risk on a running stack: halt, resume, flatten. Each names the person who gives it."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated, Any

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
from leadline.plan.calls import CALL_SECONDS

app = typer.Typer()

ReasonOption = Annotated[str, typer.Option("--reason", help="Why, for the audit.")]
AccountOption = Annotated[str | None, typer.Option("--account", help="Account, namespace/name; all when absent.")]


@app.command(epilog='Example: leadline halt --reason "news"')
def halt(
    reason: ReasonOption,
    data_dir: DataDirOption,
    account: AccountOption = None,
    kube: KubeOption = False,
    namespace: NamespaceOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Stop entries of an account until a person resumes it. Orders that reduce risk go on."""
    chosen = _accounts(account)
    request = execution_pb2.HaltRequest(reason=reason)
    answers = _on_accounts(
        Place(data_dir, kube, namespace), chosen, lambda stub: stub.Halt(request, timeout=CALL_SECONDS)
    )
    _report(answers, output, lambda name, answer: f"{name}: entries are stopped, by {answer.by}")


@app.command(epilog='Example: leadline resume --reason "the news is out"')
def resume(
    reason: ReasonOption,
    data_dir: DataDirOption,
    account: AccountOption = None,
    kube: KubeOption = False,
    namespace: NamespaceOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Clear the halt of an account, as a named person."""
    chosen = _accounts(account)
    request = execution_pb2.ResumeRequest(reason=reason)
    answers = _on_accounts(
        Place(data_dir, kube, namespace), chosen, lambda stub: stub.Resume(request, timeout=CALL_SECONDS)
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
    output: OutputOption = Output.TEXT,
) -> None:
    """Cancel working orders and close positions at the market."""
    request = execution_pb2.FlattenRequest(strategy="" if strategy is None else qualified(strategy), reason=reason)
    chosen = _accounts(account) if strategy is None else lambda stack: (stack.chosen_strategies(strategy)[0].account,)
    answers = _on_accounts(
        Place(data_dir, kube, namespace), chosen, lambda stub: stub.Flatten(request, timeout=CALL_SECONDS)
    )
    _report(
        answers,
        output,
        lambda name, answer: f"{name}: flattening since {clock_text(answer.instant_ns)} UTC",
    )


def _accounts(account: str | None) -> Callable[[Stack], tuple[str, ...]]:
    return lambda stack: stack.chosen_accounts(account)


def _on_accounts(
    place: Place, chosen: Callable[[Stack], tuple[str, ...]], call: Callable[[Any], Awaitable[Any]]
) -> list[tuple[str, Any]]:
    async def run() -> list[tuple[str, Any]]:
        async with open_stack(place, "cli-trader") as (stack, services):
            return [(name, await call(services.execution(stack.execution_of(name)))) for name in chosen(stack)]

    return asyncio.run(run())


def _report(answers: list[tuple[str, Any]], output: Output, words: Callable[[str, Any], str]) -> None:
    if output is Output.JSON:
        print_json([{"account": name, **plain(answer)} for name, answer in answers])
        return
    for name, answer in answers:
        print(words(name, answer))
