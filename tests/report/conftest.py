"""A book to report on: two days of an account, run by the real loop into a real database."""

from tests.execution.conftest import desks, folder
from tests.execution.conftest import postgres_books as books

__all__ = ["books", "desks", "folder"]
