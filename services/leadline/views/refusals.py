"""The reasons for which a proposal is refused, in words. docs/reference/refusals.md says more of each."""

from collections.abc import Mapping
from typing import Final

from leadline.risk.reasons import Reason

REFUSAL_WORDS: Final[Mapping[str, str]] = {
    Reason.NO_APPROVED_SIGNAL: "the strategy withdrew it, because the router approved none of the bar's signals",
    Reason.CONFLICT: "the strategy withdrew it, because approved signals of the bar speak for both sides",
    Reason.GAP: "prints of the bar may be missing, and no entry comes of such a bar",
    Reason.STRATEGY_NOT_RUNNING: "the strategy does not run, or it is leaving its position",
    Reason.HALTED: "the account is halted",
    Reason.UNRESOLVED: "the fate of an order of the account is not known yet",
    Reason.SENT_BEFORE: "the bar's entry has left before, and the database has lost the row of its decision",
    Reason.DAY_LOSS: "the day's loss of the account, or of the strategy, has reached its limit",
    Reason.DAY_TARGET: "the day's profit has reached the account's target",
    Reason.CONTRACT_ROLLING: "the strategy still has the contract month before, and the bar is of the new one",
    Reason.OUTSIDE_SESSION: "the instant is not inside the bar's session",
    Reason.AFTER_OPEN: "the session has been open for less than `entries.afterOpen`",
    Reason.BEFORE_CLOSE: "the session closes in less than `entries.beforeClose`",
    Reason.BLOCKED_WINDOW: "the instant lies inside one of the windows of `entries.blocks`",
    Reason.NEWS: "the instant lies around one of the times of `entries.news`",
    Reason.NO_TIER: "the account has tiers, and its equity is in none of them",
    Reason.NO_CONTRACT: "the account's tier executes a root in which the strategy cannot be filled",
    Reason.MARGIN_ABOVE_LIMIT: "the contract's margin is above the account's limit for its root",
    Reason.MARGIN_UNKNOWN: "the account has a margin limit for the root, and the contract's margin is not known",
    Reason.CONTRACT_EXPIRED: "the trading day is the contract's last one, or later",
    Reason.STALE: "the last print of the contract that fills is older than its staleness allows, or there is none",
    Reason.PRICE_COLLAR: "the price lies further from the last print, or that from the bar's close, than the collar",
    Reason.NO_STOP: "the entry has no stop, and the account declares no risk for an entry without one",
    Reason.GROUP_AT_MARKET: "alternatives have to wait for a price, and this entry would go at the market",
    Reason.EXIT_BEYOND_ENTRY: "its stop or its target is a price that the entry would have passed already",
    Reason.REGIME_SIZE: "the regime multiplies the size by 0",
    Reason.NOT_FLAT: "the first fill wins, and there is one already",
    Reason.MAX_PENDING: "as many entries of the strategy wait as `entries.maxPending` allows",
    Reason.MAX_OPEN_TRADES: "as many trades are open as the account allows",
    Reason.OPPOSITE_POSITION: "the strategy holds a position the other way, or enters one",
    Reason.MAX_TRADES_PER_DAY: "the strategy has had its entries for the day",
    Reason.MAX_ENTRIES_PER_HOUR: "the account has had its entries for the hour",
    Reason.FOREIGN_ORDER: "an order of somebody else works in the contract",
    Reason.CONTRACT_NOT_ALLOWED: "the account allows some contracts alone, and this is none of them",
    Reason.STRATEGY_ENTRIES_PER_HOUR: "the strategy has had its entries for the hour, which halts the account",
    Reason.STRATEGY_ENTRIES_PER_SESSION: "the strategy has had its entries for the session, which halts the account",
    Reason.MAX_ORDER_VALUE: "its contracts are worth more at its price than one order of the account may be",
    Reason.DUPLICATE_ENTRY: "the account has entered the same contract, side and size just before",
    Reason.MAX_ORDERS_PER_SECOND: "the account or the strategy has had its orders for the second",
    Reason.MAX_MESSAGES_PER_SECOND: "the entries' share of the account's `limits.maxMessagesPerSecond` is used up",
    Reason.MAX_POSITION: "the position limit of the account, or of the strategy, is reached",
    Reason.MAX_SIZE: "no size of one contract or more fits the largest size of the strategy, the proposal and the tier",
    Reason.RISK_BUDGET: "the part of the equity that may be risked does not pay for one contract",
    Reason.DAY_BUDGET: "the loss that is left for the day does not pay for one contract",
    Reason.MARGIN: "the equity that is free does not carry the margin of one contract",
    Reason.NOTHING_HELD: "the strategy holds nothing that it could add to, leave or protect",
    Reason.UNIT_NOT_HELD: "nothing is held of the unit that it names",
    Reason.UNIT_LEAVING: "all of the unit that it would enter is on its way out",
    Reason.MORE_THAN_HELD: "so much cannot leave: less is held, or it is leaving already",
    Reason.NOTHING_WORKING: "no entry works that it could cancel",
    Reason.NO_SUCH_EXIT: "the position does not have the stop or the target that it would move",
    Reason.STOP_TRAILS: "the stop follows the price, and it would be moved back",
    Reason.ENTRY_PRICE_UNKNOWN: "the account does not know the fill from which the stop is to follow the price",
    Reason.LATE: "the bar came too late",
    Reason.CLOCK: "the machine's clock cannot be believed",
    Reason.LEASE: "the account was not held for sure",
    Reason.DISK: "the disk of the account was nearly full",
    Reason.RISK_UNAVAILABLE: "risk did not answer in time",
    Reason.RISK_ERROR: "risk could not decide on this question",
    Reason.POISON: "processes of execution ended at this proposal again and again, so it is passed over",
}


def refusal_text(reason: str) -> str:
    """The reason of a refusal, as the end of a sentence. A reason of a strategy's own stays as it is spelt."""
    return REFUSAL_WORDS.get(reason, reason.replace("_", " "))
