"""The code of a backtest: the package's, and that of the packages that its strategies and nodes come from."""

from collections.abc import Iterable

from leadline.analysis.assemble import modules_of
from leadline.backtest.identity import Code
from leadline.model.manifest.specs import TradingStrategy
from leadline.runtime.version import code_version, commit, module_digest, package_version


def code_of(strategies: Iterable[TradingStrategy]) -> Code:
    """The code that decides for these strategies, which have been made once, so that all of it is loaded.

    Of a strategy of one's own that is its whole package, or its one file where it lies in none.
    """
    modules = {module for each in strategies for module in modules_of(each.spec)}
    names = sorted({each.partition(".")[0] for each in modules} - {"leadline"})
    at = commit()
    return Code(
        package_version(),
        code_version(),
        "" if at is None else at.name,
        at is not None and at.dirty,
        tuple((name, module_digest(name)) for name in names),
    )
