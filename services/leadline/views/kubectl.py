"""kubectl, as the program that people have: it knows their kubeconfig and their rights."""

import asyncio
import json
import os
from typing import IO, Any

from leadline.model.errors import LeadlineError


class ClusterRefused(LeadlineError):
    """kubectl could not do what was asked; its own words say why."""


async def kubectl_json(*arguments: str, text: str = "") -> Any:
    """JSON document that kubectl answers with. text: its standard input. Raises ClusterRefused."""
    return json.loads(await kubectl(*arguments, "--output", "json", text=text))


async def kubectl(*arguments: str, text: str = "", into: IO[bytes] | None = None) -> bytes:
    """Output of kubectl; it goes into a file where one is given. text: its standard input. Raises ClusterRefused."""
    stdout = asyncio.subprocess.PIPE if into is None else into
    stdin = asyncio.subprocess.PIPE if text else asyncio.subprocess.DEVNULL
    process = await start_kubectl(*arguments, stdin=stdin, stdout=stdout)
    out, complaint = await process.communicate(text.encode() if text else None)
    if process.returncode:
        refusal = complaint.decode().strip() or f"kubectl {' '.join(arguments)} failed"
        raise ClusterRefused(await _without_context() or refusal)
    return out or b""


async def start_kubectl(
    *arguments: str, stdin: int = asyncio.subprocess.DEVNULL, stdout: int | IO[bytes] = asyncio.subprocess.PIPE
) -> asyncio.subprocess.Process:
    """A kubectl that runs. Raises ClusterRefused where there is none."""
    stderr = asyncio.subprocess.PIPE
    try:
        return await asyncio.create_subprocess_exec("kubectl", *arguments, stdin=stdin, stdout=stdout, stderr=stderr)
    except FileNotFoundError:
        raise ClusterRefused("there is no kubectl on the PATH, and --kube asks the cluster through it") from None


async def _without_context() -> str:
    """Advice for a kubectl that knows no cluster; empty where it knows one."""
    process = await start_kubectl("config", "current-context")
    await process.communicate()
    if not process.returncode:
        return ""
    named = os.environ.get("KUBECONFIG", "")
    place = f"KUBECONFIG={named}" if named else "~/.kube/config"
    return (
        f"kubectl knows no cluster: {place} is not there, or names no current context; give the file of one in "
        "KUBECONFIG, or choose one of it with `kubectl config use-context NAME`"
    )
