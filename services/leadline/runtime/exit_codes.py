"""How a service process ends, for whoever started it."""

from typing import Final

EXIT_FAILED: Final = 1
"""Its work failed; started again it may go well."""
EXIT_REFUSED: Final = 2
"""Its settings, or the work that they name, cannot be used: started again it would end the same way."""
