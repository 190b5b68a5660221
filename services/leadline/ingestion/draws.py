"""Random numbers that are the same on every machine and with every version of the libraries.

Only the raw 64-bit output of PCG64 is used, whose stream numpy guarantees, and integer arithmetic on it: no
distribution function and no binary float, whose last bit may differ between processors.
"""

import hashlib
from typing import Final

import numpy as np

from leadline.model.ticks import Int64Array

PER_MILLE: Final = 1000
_HALF_WORD_BITS: Final = 32


class Draws:
    """One stream of random integers, named by its parts: another name is another, unrelated stream."""

    def __init__(self, *name: str) -> None:
        digest = hashlib.blake2b("\0".join(name).encode(), digest_size=16).digest()
        self._bits = np.random.PCG64(int.from_bytes(digest, "big"))

    def below(self, bound: int | Int64Array, count: int) -> Int64Array:
        """`count` integers from 0 to `bound` - 1, shape (count,); `bound` at most 2^31, one or one for each."""
        words = (self._bits.random_raw(count) >> np.uint64(_HALF_WORD_BITS)).astype(np.int64)
        return words * bound >> _HALF_WORD_BITS

    def one(self, low: int, high: int) -> int:
        """One integer from `low` to `high`, both included."""
        return low + int(self.below(high - low + 1, 1)[0])

    def chance(self, per_mille: int) -> bool:
        """True in `per_mille` of a thousand cases."""
        return self.one(0, PER_MILLE - 1) < per_mille
