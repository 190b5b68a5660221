"""The end of a position whose contract is settled in cash, as the paper venue tells of it."""

from leadline.model.ids import SETTLEMENT, ContractId, fill_id, foreign_decision
from leadline.model.market.settlement import SETTLED, settlement_id
from leadline.model.orders import Fill, LastPrint, OrderState, OrderType, Side, VenueOrder


def settlement(
    contract: ContractId, tape: ContractId, held: int, last: LastPrint, instant_ns: int
) -> tuple[VenueOrder, Fill]:
    """An order of the venue's own that has closed the position `held` (signed size steps), and its fill.

    `tape` is the contract whose prints price it and `last` the last of them. The price is that print's, without
    slippage: the exchange's final settlement price is not on the tape.
    """
    client_id, side, size = settlement_id(contract), Side.SELL if held > 0 else Side.BUY, abs(held)
    order = VenueOrder(
        client_id=client_id,
        decision=foreign_decision(client_id),
        leg=SETTLEMENT,
        contract=contract,
        tape_contract=tape,
        side=side,
        type=OrderType.MARKET,
        quantity=size,
        decided_at_ns=instant_ns,
        reduce_only=True,
        state=OrderState.FILLED,
        filled=size,
        reason=SETTLED,
    )
    index = last.source_index
    fill = Fill(fill_id(client_id, index), client_id, contract, side, size, last.price, instant_ns, index, 1)
    return order, fill
