"""An account's connection to its venue: what an adapter is made with, and what it has to give."""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from importlib import import_module
from typing import TypeAlias

import grpc

from leadline.execution.venues.connection import Connection
from leadline.execution.venues.live_time import LiveTime
from leadline.model.ids import AccountId, ContractId
from leadline.model.manifest.spec_base import SpecModel
from leadline.model.manifest.specs import TradingAccount
from leadline.model.manifest.venues import venue_named


@dataclass(frozen=True, slots=True)
class Reach:
    """The arguments with which an adapter is made.

    account: `namespace/name`. section: the venue's section of its manifest. contracts: those that the feed has by now;
    it may gain some. channel: a channel to one of the venue's processes, by its service; it carries this account's
    token with every call. live: the time of the account where its tape is live, None where it ends; a venue's clock is
    not asked then, and `live.wake` has the account look as soon as the venue has something to say.
    """

    account: AccountId
    section: SpecModel
    contracts: Collection[ContractId]
    channel: Callable[[str], grpc.aio.Channel]
    live: LiveTime | None = None


Adapter: TypeAlias = Callable[[Reach], Connection]


def connect(
    manifest: TradingAccount,
    contracts: Collection[ContractId],
    channel: Callable[[str], grpc.aio.Channel],
    live: LiveTime | None = None,
) -> Connection:
    """Connect an account to the venue of its manifest. Raises Unknown for a venue that is not installed."""
    venue = venue_named(manifest.spec.venue)
    module, _, function = venue.adapter.partition(":")
    adapter: Adapter = getattr(import_module(module), function)
    return adapter(Reach(manifest.full_name, venue.section_of(manifest.spec), contracts, channel, live))
