"""The database as it was some seconds ago: all that its transactions have written, kept and put back."""

from copy import copy
from dataclasses import fields, replace

from leadline.execution.adapters.memory_store import Lease, MemoryDatabase, StoredHalt
from leadline.execution.core.records import AccountRecords
from leadline.model.ids import AccountId, RunId


class Tail:
    """A database at the moment at which this was made. Its values are never changed, only replaced."""

    def __init__(self, database: MemoryDatabase) -> None:
        self._leases: dict[AccountId, Lease] = {name: replace(lease) for name, lease in database.leases.items()}
        self._halts: dict[AccountId, dict[int, StoredHalt]] = {name: dict(of) for name, of in database.halts.items()}
        self._records: dict[tuple[RunId, AccountId], AccountRecords] = {
            name: _copied(records) for name, records in database.records.items()
        }

    def put_back(self, database: MemoryDatabase) -> None:
        """Make the database what it was: stores hold on to the mappings in it."""
        database.leases.clear()
        database.leases.update({name: replace(lease) for name, lease in self._leases.items()})
        for name, halts in database.halts.items():
            halts.clear()
            halts.update(self._halts.get(name, {}))
        for key, records in database.records.items():
            kept = _copied(self._records[key]) if key in self._records else AccountRecords()
            for each in fields(AccountRecords):
                setattr(records, each.name, getattr(kept, each.name))


def _copied(records: AccountRecords) -> AccountRecords:
    found = AccountRecords()
    for each in fields(AccountRecords):
        value = copy(getattr(records, each.name))
        if each.name == "_orders_of":
            value = {name: list(of) for name, of in value.items()}
        setattr(found, each.name, value)
    return found
