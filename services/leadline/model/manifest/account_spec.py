"""The `TradingAccount` manifest: the venue, the capital tiers and the limits that its strategies share."""

from collections.abc import Iterator
from decimal import Decimal
from inspect import cleandoc
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from pydantic import Field, create_model

from leadline.model.errors import InvalidInput
from leadline.model.ids import DEFAULT_NAMESPACE, AccountId, account_id
from leadline.model.manifest.spec_base import (
    API_VERSION,
    DNS_NAME_PATTERN,
    Change,
    DecimalText,
    DurationText,
    NamespaceText,
    SpecModel,
    Text,
    changes,
)
from leadline.model.manifest.strategy_spec import PAPER_ACCOUNT, Count, Metadata, Ticks
from leadline.model.manifest.venues import GROUP, PAPER, venues

RootText = Annotated[str, Text(r"^[A-Z0-9]{1,16}$", "the root of an instrument, such as MES", 16)]
VenueText = Annotated[str, Text(r"^[a-z][a-z0-9-]{0,31}$", "the name of a venue's adapter, such as paper", 32)]
ContractText = Annotated[str, Text(r"^[A-Z0-9]{1,24}$", "the full name of a contract, such as MESZ2025", 24)]
SecretText = Annotated[str, Text(DNS_NAME_PATTERN, "the name of a Secret", 253)]
CurrencyText = Annotated[str, Text(r"^[A-Z]{3,5}$", "a currency code, such as USD", 5)]


class Credentials(SpecModel):
    """Where the venue's credentials are; never the credentials."""

    secret_name: SecretText | None = None
    """A Secret of the account's namespace."""


class Tier(SpecModel):
    """Contracts and sizes that may be traded from this amount of capital on."""

    from_: Annotated[DecimalText, Field(alias="from")]
    """Lower bound of the cash equity, included."""
    execute: RootText
    """Root of the execution instrument; of the same underlying as the signal instrument."""
    min_size: Count = 1
    """Least contracts of an entry."""
    max_size: Count
    """Most contracts of an entry, in every mode of sizing."""
    day_loss: DecimalText | None = None
    """Loss of a trading day at which the account stops and is flattened; limits.dayLoss, else 300, where absent."""


class Limits(SpecModel):
    """Limits of the account. An absent limit is unset."""

    day_loss: DecimalText | None = None
    """Loss of a trading day; the stricter of this and the tier's. 300 where neither is given.
    Of what is held over the roll, each day has the loss and gain of its own prices.
    """
    day_target: DecimalText | None = None
    """Profit of a trading day after which nothing is entered; 500 where absent."""
    max_position: Count | None = None
    """Most contracts open at a time; 2 where absent."""
    max_open_trades: Count | None = None
    """Open trades at which nothing is entered; 1 where absent. A trade is all that a strategy holds of a contract."""
    max_orders_per_second: Annotated[int, Field(ge=1, le=1000)] = 5
    """Most orders sent per second."""
    max_messages_per_second: Annotated[int | None, Field(ge=3, le=1000)] = None
    """Messages a second that the venue takes of the account. Entries have four tenths of them; to protect and to leave
    have the rest, and of the entries' when that is not enough. Unlimited where absent.
    """
    max_entries_per_hour: Count | None = None
    """Most entries within an hour: one more halts the account until a person resumes. Unlimited where absent."""
    max_order_value: DecimalText | None = None
    """Most money that one entry may be worth, its contracts at its price; unlimited where absent."""
    duplicate_within: DurationText | None = None
    """How long after an entry another one of the same contract, side and size is refused; not at all where absent."""
    days_before_expiry: Count | None = None
    """Days before the first day without entries of a contract that expires on which nothing is entered any more."""
    allowed_contracts: Annotated[tuple[ContractText, ...], Field(max_length=64)] = ()
    """The only contracts that are entered, by their full names; every one where the list is empty."""


DEFAULT_TIERS: Final = tuple(
    Tier(from_=Decimal(start), execute=root, min_size=1, max_size=most, day_loss=Decimal(loss))
    for start, root, most, loss in (
        (0, "MES", 3, 100),
        (3500, "ES", 1, 400),
        (5000, "ES", 2, 400),
        (7500, "ES", 3, 500),
        (10000, "ES", 3, 500),
    )
)


class AccountFields(SpecModel):
    """The wish for one account."""

    environment: Annotated[Literal["Paper", "Live"], changes(Change.FIXED)] = "Paper"
    """Paper, or real money. An account named paper is always Paper."""
    venue: Annotated[VenueText, changes(Change.FIXED)] = PAPER
    """The adapter that orders go through."""
    credentials: Annotated[Credentials, changes(Change.ROLLOUT)] = Credentials()
    """Where the venue's credentials are; Live only."""
    currency: Annotated[CurrencyText, changes(Change.FIXED)] = "USD"
    """The currency of the account; of its instruments too."""
    starting_balance: Annotated[DecimalText, changes(Change.ROLLOUT)] = Decimal(2500)
    """Cash at the start of the tape; Paper only, a live venue's balance is its own."""
    commission: Annotated[dict[str, DecimalText], Field(max_length=64), changes(Change.HOT)] = Field(
        default_factory=dict
    )
    """Per side and contract, by root; the instrument sheet's where absent."""
    tiers: Annotated[tuple[Tier, ...], Field(max_length=16), changes(Change.HOT)] = DEFAULT_TIERS
    """Capital tiers by cash equity, ascending from 0; an empty list switches them off."""
    pending_entries: Annotated[Literal["Independent", "FirstFillWins"], changes(Change.HOT)] = "Independent"
    """How entries of several strategies stand to one another. Independent: each by itself. FirstFillWins: the first
    fill takes the other strategies' entries out, and nothing new is entered until the account is flat.
    """
    limits: Annotated[Limits, changes(Change.HOT)] = Limits()
    """Limits of the account."""
    margin_limits: Annotated[dict[str, DecimalText], Field(max_length=64), changes(Change.HOT)] = Field(
        default_factory=dict
    )
    """No entries while the venue's margin of a contract is above, by root; roots not listed are not watched."""
    overnight_gap_ticks: Annotated[dict[str, Ticks], Field(max_length=64), changes(Change.HOT)] = Field(
        default_factory=dict
    )
    """How far beyond its stop a position may be filled after a close, in ticks, by root. It counts with the risk of
    what is held over a close; of roots not listed nothing is.
    """
    no_stop_risk_ticks: Annotated[dict[str, Ticks], Field(max_length=64), changes(Change.HOT)] = Field(
        default_factory=dict
    )
    """How far against it a position without a stop may go in the limits, in ticks, by root; of roots not listed none is
    held without one.
    """
    allowed_namespaces: Annotated[tuple[NamespaceText, ...], Field(max_length=64), changes(Change.HOT)] = ()
    """Namespaces besides its own whose strategies may trade it."""
    halt: Annotated[bool, changes(Change.HOT)] = False
    """Stop entries until a person resumes."""


def _sections() -> Iterator[tuple[str, Any]]:
    """The section of each venue, under its name: it is how the venue is set, whichever one the account is at."""
    for venue in venues():
        if venue.name in AccountFields.model_fields:
            raise InvalidInput(f"entry points of {GROUP}", venue.name, "a name that no field of an account's spec has")
        described = Field(default=venue.section(), description=cleandoc(venue.section.__doc__ or ""))
        yield venue.name, (Annotated[venue.section, changes(Change.ROLLOUT)], described)


if TYPE_CHECKING:
    AccountSpec = AccountFields
else:
    AccountSpec = create_model(
        "AccountSpec", __base__=AccountFields, __doc__=AccountFields.__doc__, **dict(_sections())
    )


class TradingAccount(SpecModel):
    """An account's manifest."""

    api_version: Literal["leadline.dev/v1alpha1"] = API_VERSION
    """The version of the manifest's schema."""
    kind: Literal["TradingAccount"] = "TradingAccount"
    """The kind of object."""
    metadata: Metadata
    """Which object this is."""
    spec: AccountSpec = AccountSpec()
    """The wish for it."""

    @property
    def full_name(self) -> AccountId:
        """`namespace/name`."""
        return account_id(self.metadata.namespace, self.metadata.name)


def default_account(namespace: str = DEFAULT_NAMESPACE) -> TradingAccount:
    """The account `paper` that a namespace has without a manifest for it."""
    return TradingAccount(metadata=Metadata(name=PAPER_ACCOUNT, namespace=namespace))
