"""One undisturbed run, which the others are compared with."""

import asyncio

import pytest

from tests.system.stack_run import MES, Ended, run_stack

FEED = ("--feed", "sim", "--seed", "3", "--sessions", "2")


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    return asyncio.run(run_stack(MES, tmp_path_factory.mktemp("undisturbed"), *FEED))
