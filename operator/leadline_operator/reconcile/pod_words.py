"""Why a Pod is not up, in a sentence: what its container said last, what the scheduler or a volume waits for."""

import json
from collections.abc import Iterable

from leadline_operator.kinds import JsonObject


def why_not_up(pods: Iterable[JsonObject], nothing: str) -> str:
    """What is known of Pods, as they were last seen, the first that is not up; `nothing` where there is none."""
    listed = list(pods)
    told = [text for pod in listed if (text := _words(pod))]
    return (told or [_phase(pod) for pod in listed] or [nothing])[0]


def _words(pod: JsonObject) -> str:
    """Why a Pod is not up; empty where nothing is known, or it is."""
    name, status = pod["metadata"]["name"], pod.get("status") or {}
    for container in status.get("containerStatuses") or ():
        if container["ready"]:
            continue
        last = last_words(container["ended"]["message"]) or container["ended"]["reason"]
        if last and (container["restarts"] or container["ended"]["reason"] == "Error"):
            return f"Pod {name} ends and is started again: {last}"
        waits = container["waiting"]
        if waits["reason"] not in {"", "ContainerCreating", "PodInitializing"}:
            return f"Pod {name}: {waits['reason']}: {waits['message']}"
    why = next((item["message"] for item in _lacking(pod) if item.get("message")), "")
    return f"{_phase(pod)}: {why}" if why else ""


def _lacking(pod: JsonObject) -> list[JsonObject]:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return [item for item in conditions if item.get("status") == "False"]


def _phase(pod: JsonObject) -> str:
    return f"Pod {pod['metadata']['name']} is {(pod.get('status') or {}).get('phase', 'unknown')}"


def last_words(log: str) -> str:
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
