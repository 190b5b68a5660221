"""How many sequences of commands are said to a model and to the part that it stands for."""

import os


def sequences(few: int) -> int:
    """A few; or as many as the environment asks for: `make sim-models` does."""
    return int(os.environ.get("LEADLINE_SEQUENCES", few))
