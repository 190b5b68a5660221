"""A book to show: two days of an account, run by the real loop into a real database."""

from tests.report.conftest import books, desks, folder

__all__ = ["books", "desks", "folder"]
