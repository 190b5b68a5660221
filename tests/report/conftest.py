"""A book to report on: two days of an account, run by the real loop into a real database."""

from tests.execution.conftest import books, desks, folder

__all__ = ["books", "desks", "folder"]
