"""Why a Pod is not up, in a sentence: what its container said last, what the scheduler or a volume waits for."""

import json
from collections.abc import Iterable
from dataclasses import dataclass

from leadline_operator.kinds import JsonObject


@dataclass(frozen=True, slots=True)
class NotUp:
    """Why a Pod is not up, for people. restarts: its container ends and is started again and again."""

    message: str
    restarts: bool = False


def why_not_up(pods: Iterable[JsonObject], nothing: str) -> NotUp:
    """The state of the first Pod that is not up, of Pods as they were last seen; `nothing` where there is none."""
    listed = list(pods)
    known = [found for pod in listed if (found := _reason(pod)) is not None]
    return (known or [NotUp(_phase(pod)) for pod in listed] or [NotUp(nothing)])[0]


def _reason(pod: JsonObject) -> NotUp | None:
    """Why a Pod is not up; None where no reason is known, or it is up."""
    name, status = pod["metadata"]["name"], pod.get("status") or {}
    for container in status.get("containerStatuses") or ():
        if container["ready"]:
            continue
        last = last_log_reason(container["ended"]["message"]) or container["ended"]["reason"]
        if last and (container["restarts"] or container["ended"]["reason"] == "Error"):
            return NotUp(f"Pod {name} ends and is started again: {last}", restarts=True)
        waits = container["waiting"]
        if waits["reason"] not in {"", "ContainerCreating", "PodInitializing"}:
            return NotUp(f"Pod {name}: {waits['reason']}: {waits['message']}")
    why = next((item["message"] for item in _lacking(pod) if item.get("message")), "")
    return NotUp(f"{_phase(pod)}: {why}") if why else None


def _lacking(pod: JsonObject) -> list[JsonObject]:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return [item for item in conditions if item.get("status") == "False"]


def _phase(pod: JsonObject) -> str:
    return f"Pod {pod['metadata']['name']} is {(pod.get('status') or {}).get('phase', 'unknown')}"


def last_log_reason(log: str) -> str:
    """The last line of a log that says why its process ended: a line of JSON by its reason, else as it stands."""
    for line in reversed(log.strip().splitlines()):
        try:
            found = json.loads(line)
        except ValueError:
            if line.strip():
                return line.strip()
            continue
        if isinstance(found, dict):
            traced = str(found.get("exception") or "").strip().splitlines()
            reason = found.get("reason") or (traced[-1] if traced else "")
            if reason:
                return str(reason)
    return ""
