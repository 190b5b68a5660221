"""Applying objects, and Events about those that somebody else had changed."""

import hashlib
import json
from collections.abc import Iterable

from leadline_operator import metrics
from leadline_operator.cache import place_of
from leadline_operator.clients.kube import Invalid
from leadline_operator.conditions import Reason
from leadline_operator.desired.drift import differences, who_wrote
from leadline_operator.kinds import JsonObject, kind_of
from leadline_operator.reconcile.deps import Deps, deleting, place_key

_NAMED = 3


async def ensure(deps: Deps, owner: JsonObject, documents: Iterable[JsonObject]) -> bool:
    """Apply what is not as it should be; True when everything was. Says so when somebody else had changed it."""
    settled = True
    for document in documents:
        settled = await _ensure_one(deps, owner, document) and settled
    return settled


async def _ensure_one(deps: Deps, owner: JsonObject, document: JsonObject) -> bool:
    kind = kind_of(document)
    place = place_of(document)
    known = deps.cache.get(kind, *place)
    if known is not None and deleting(known):
        # It is made again when it is gone; until then its name is taken.
        return False
    changed = [] if known is None else list(differences(document, known))
    if known is not None and not changed:
        deps.applied[place_key(kind, document)] = _digest(document)
        return True
    drifted = deps.applied.get(place_key(kind, document)) == _digest(document)
    culprit = await _culprit(deps, document, changed) if drifted else ""
    deps.cache.put(kind, await _apply(deps, document, known))
    deps.applied[place_key(kind, document)] = _digest(document)
    if drifted:
        metrics.DRIFT.labels(kind.name).inc()
        named = ", ".join(changed[:_NAMED]) + (" ..." if len(changed) > _NAMED else "")
        what = f"{named} changed{culprit}" if changed else "was deleted"
        await deps.events.record(owner, Reason.DRIFT_CORRECTED, f"{kind.name} {place[1]}: {what}; put right")
    return False


async def _apply(deps: Deps, document: JsonObject, known: JsonObject | None) -> JsonObject:
    """Apply; where what somebody else has put beside it makes the object invalid, put the whole of it in its place."""
    try:
        return await deps.kube.apply(document)
    except Invalid:
        if known is None:
            raise
    kind = kind_of(document)
    parts: JsonObject = {part: document[part] for part in ("spec", "data") if part in document}
    await deps.kube.merge(kind, *place_of(document), parts)
    return await deps.kube.apply(document)


async def _culprit(deps: Deps, document: JsonObject, changed: list[str]) -> str:
    """By whom, as far as the API server knows."""
    if not changed:
        return ""
    live = await deps.kube.get(kind_of(document), *place_of(document))
    manager = "" if live is None else who_wrote(live, changed[0])
    return f" by {manager}" if manager else ""


def _digest(document: JsonObject) -> str:
    return hashlib.blake2b(json.dumps(document, sort_keys=True).encode(), digest_size=16).hexdigest()
