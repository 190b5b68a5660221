"""Bringing objects to what they should be, and saying who had changed them."""

import hashlib
import json
from collections.abc import Iterable

from leadline_operator import metrics
from leadline_operator.clients.kube import Invalid
from leadline_operator.conditions import Reason
from leadline_operator.desired.drift import differences, who_wrote
from leadline_operator.kinds import JsonObject, kind_of
from leadline_operator.reconcile.world import World, deleting, place_key
from leadline_operator.seen import place_of

_NAMED = 3


async def ensure(world: World, owner: JsonObject, documents: Iterable[JsonObject]) -> bool:
    """Apply what is not as it should be; True when everything was. Says so when somebody else had changed it."""
    settled = True
    for document in documents:
        settled = await _ensure_one(world, owner, document) and settled
    return settled


async def _ensure_one(world: World, owner: JsonObject, document: JsonObject) -> bool:
    kind = kind_of(document)
    place = place_of(document)
    known = world.seen.get(kind, *place)
    if known is not None and deleting(known):
        # It is made again when it is gone; until then its name is taken.
        return False
    changed = [] if known is None else list(differences(document, known))
    if known is not None and not changed:
        world.applied[place_key(kind, document)] = _digest(document)
        return True
    drifted = world.applied.get(place_key(kind, document)) == _digest(document)
    culprit = await _culprit(world, document, changed) if drifted else ""
    world.seen.put(kind, await _apply(world, document, known))
    world.applied[place_key(kind, document)] = _digest(document)
    if drifted:
        metrics.DRIFT.labels(kind.name).inc()
        named = ", ".join(changed[:_NAMED]) + (" ..." if len(changed) > _NAMED else "")
        what = f"{named} changed{culprit}" if changed else "was deleted"
        await world.events.say(owner, Reason.DRIFT_CORRECTED, f"{kind.name} {place[1]}: {what}; put right")
    return False


async def _apply(world: World, document: JsonObject, known: JsonObject | None) -> JsonObject:
    """Apply; where what somebody else has put beside it makes the object invalid, put the whole of it in its place."""
    try:
        return await world.kube.apply(document)
    except Invalid:
        if known is None:
            raise
    kind = kind_of(document)
    parts: JsonObject = {part: document[part] for part in ("spec", "data") if part in document}
    await world.kube.merge(kind, *place_of(document), parts)
    return await world.kube.apply(document)


async def _culprit(world: World, document: JsonObject, changed: list[str]) -> str:
    """By whom, as far as the API server knows."""
    if not changed:
        return ""
    live = await world.kube.get(kind_of(document), *place_of(document))
    manager = "" if live is None else who_wrote(live, changed[0])
    return f" by {manager}" if manager else ""


def _digest(document: JsonObject) -> str:
    return hashlib.blake2b(json.dumps(document, sort_keys=True).encode(), digest_size=16).hexdigest()
