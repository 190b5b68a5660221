"""Bounds of a proposal: within them every decision on it is cheap, and beyond them it cannot be meant."""

from numbers import Integral
from typing import Final

from leadline.model.durations import NS_PER_HOUR
from leadline.model.errors import InvalidInput
from leadline.model.market.contracts import sheet_of
from leadline.model.orders import Bracket, OrderType, Trail
from leadline.model.proposals import Action, Direction, EntryTerms, Proposal, Withdrawal

MOST_PROPOSALS: Final = 9
"""Of one bar. Their sources sort as their numbers do."""
MOST_WHY: Final = 256
LONGEST_WHY: Final = 64
LARGEST_PRICE: Final = 1 << 45
LARGEST_SIZE: Final = 10**9
MOST_TICKS: Final = 10**6
LONGEST_VALIDITY_NS: Final = 1_000_000 * NS_PER_HOUR
"""As long as the longest length of time that a manifest can say."""
ENTRY_TYPES: Final = (OrderType.MARKET, OrderType.LIMIT, OrderType.STOP)


def check_proposals(proposals: object, contract: str) -> None:
    """Raises InvalidInput, with the field, for what cannot be proposed at a bar of that contract."""
    if not isinstance(proposals, tuple | list):
        raise InvalidInput("proposals", proposals, "a tuple of Proposal")
    if len(proposals) > MOST_PROPOSALS:
        raise InvalidInput("proposals", f"{len(proposals)} items", f"at most {MOST_PROPOSALS}")
    for number, proposal in enumerate(proposals):
        check_proposal(f"proposals[{number}]", proposal, contract)


def check_proposal(name: str, proposal: object, contract: str) -> None:
    """Raises InvalidInput, with the field after `name`, for what cannot be proposed in a contract."""
    if not isinstance(proposal, Proposal):
        raise InvalidInput(name, proposal, "a Proposal")
    _one_of(f"{name}.action", proposal.action, Action)
    _check_why(f"{name}.why", proposal.why)
    _check_name(f"{name}.unit", proposal.unit)
    if proposal.action.enters:
        _check_enter(name, proposal, contract)
        return
    for field in ("direction", "entry", "withdrawn"):
        _nothing(f"{name}.{field}", getattr(proposal, field), proposal.action)
    if proposal.action is not Action.EXIT:
        _nothing(f"{name}.quantity", proposal.quantity, proposal.action)
    elif proposal.quantity is not None:
        _whole(f"{name}.quantity", proposal.quantity, 1, LARGEST_SIZE)
    _nothing(f"{name}.group", proposal.group or None, proposal.action)
    if proposal.action is Action.PROTECT:
        _check_protection(f"{name}.bracket", proposal.bracket, contract)
    else:
        _nothing(f"{name}.bracket", proposal.bracket, proposal.action)


def _check_enter(name: str, proposal: Proposal, contract: str) -> None:
    if proposal.withdrawn is not None:
        _one_of(f"{name}.withdrawn", proposal.withdrawn, Withdrawal)
    elif proposal.direction is None:
        raise InvalidInput(f"{name}.direction", None, "LONG or SHORT")
    if proposal.direction is not None:
        _one_of(f"{name}.direction", proposal.direction, Direction)
    if proposal.entry is not None:
        _check_entry(f"{name}.entry", proposal.entry, contract)
    if proposal.bracket is not None:
        _check_bracket(f"{name}.bracket", proposal.bracket, contract)
    if proposal.quantity is not None:
        _whole(f"{name}.quantity", proposal.quantity, 1, LARGEST_SIZE)
    _check_name(f"{name}.group", proposal.group)


def _check_protection(name: str, bracket: object, contract: str) -> None:
    """Where a stop and a target go, and how the stop trails: each is a price, for a distance may have several fills."""
    wanted = isinstance(bracket, Bracket) and (bracket.stop_price, bracket.target_price, bracket.trail)
    if not isinstance(bracket, Bracket) or wanted == (None, None, None):
        raise InvalidInput(name, bracket, "a Bracket with the price of a stop or a target, or a trail")
    for field in ("stop_ticks", "target_ticks"):
        _nothing(f"{name}.{field}", getattr(bracket, field), Action.PROTECT)
    _check_bracket(name, bracket, contract, stop_is_there=True)


def _check_entry(name: str, entry: object, contract: str) -> None:
    if not isinstance(entry, EntryTerms):
        raise InvalidInput(name, entry, "EntryTerms")
    kind: object = entry.type
    if not isinstance(kind, OrderType) or kind not in ENTRY_TYPES:
        raise InvalidInput(f"{name}.type", kind, "an OrderType, one of " + ", ".join(ENTRY_TYPES))
    if entry.type is OrderType.MARKET:
        for field in ("price", "valid_for_ns"):
            if (value := getattr(entry, field)) is not None:
                raise InvalidInput(f"{name}.{field}", value, "nothing at the market")
        return
    _price(f"{name}.price", entry.price, contract)
    if entry.valid_for_ns is not None:
        _whole(f"{name}.valid_for_ns", entry.valid_for_ns, 1, LONGEST_VALIDITY_NS)


def _check_bracket(name: str, bracket: object, contract: str, *, stop_is_there: bool = False) -> None:
    if not isinstance(bracket, Bracket):
        raise InvalidInput(name, bracket, "a Bracket")
    for leg in ("stop", "target"):
        ticks, price = getattr(bracket, f"{leg}_ticks"), getattr(bracket, f"{leg}_price")
        if ticks is not None:
            _whole(f"{name}.{leg}_ticks", ticks, 1, MOST_TICKS)
        if price is not None:
            _price(f"{name}.{leg}_price", price, contract)
        if ticks is not None and price is not None:
            raise InvalidInput(f"{name}.{leg}_price", price, f"no price beside a distance of {ticks} ticks")
    if (trail := bracket.trail) is None:
        return
    if not isinstance(trail, Trail):
        raise InvalidInput(f"{name}.trail", trail, "a Trail")
    if not stop_is_there and bracket.stop_ticks is None and bracket.stop_price is None:
        raise InvalidInput(f"{name}.trail", trail, "a trail of a bracket with a stop")
    _whole(f"{name}.trail.trigger_ticks", trail.trigger_ticks, 0, MOST_TICKS)
    _whole(f"{name}.trail.offset_ticks", trail.offset_ticks, 1, MOST_TICKS)


def _check_why(name: str, why: object) -> None:
    if not isinstance(why, tuple | list):
        raise InvalidInput(name, why, "a tuple of words")
    if len(why) > MOST_WHY:
        raise InvalidInput(name, f"{len(why)} items", f"at most {MOST_WHY}")
    for item in why:
        if not isinstance(item, str) or not 0 < len(item) <= LONGEST_WHY or not item.isprintable():
            raise InvalidInput(name, item, f"1 to {LONGEST_WHY} printable characters")


def _check_name(name: str, value: object) -> None:
    if not isinstance(value, str) or len(value) > LONGEST_WHY or not value.isprintable():
        raise InvalidInput(name, value, f"at most {LONGEST_WHY} printable characters")


def _price(name: str, value: object, contract: str) -> None:
    """A price can lie below zero only where the instrument's sheet says so."""
    sheet = sheet_of(contract)
    least = 1 if sheet is not None and not sheet.below_zero else -LARGEST_PRICE
    _whole(name, value, least, LARGEST_PRICE)


def _nothing(name: str, value: object, action: Action) -> None:
    if value is not None:
        raise InvalidInput(name, value, f"nothing of a proposal to {action}")


def _whole(name: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, Integral) or not low <= int(value) <= high:
        raise InvalidInput(name, value, f"a whole number from {low} to {high}")


def _one_of(name: str, value: object, known: type[Action] | type[Direction] | type[Withdrawal]) -> None:
    if not isinstance(value, known):
        raise InvalidInput(name, value, "one of " + ", ".join(known))
