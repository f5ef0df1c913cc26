"""The order of the images: a pure function of seed and epoch, so that a resumed run sees the same.

Nothing is drawn one number after another from hidden state: where a run stands (epoch, step) alone
says which images come next.
"""

import numpy as np
import numpy.typing as npt

_WORD = 1 << 32
_MAX_KEY = 1 << 64


def epoch_order(seed: int, epoch: int, size: int) -> npt.NDArray[np.int64]:
    """Return the order in which `epoch` visits `size` rows: int64 [size], a permutation.

    `seed` and `epoch` are 0 to 2**64 - 1 and key the order as a pair: (7, 1) and (8, 0) differ.
    Raises `ValueError` for a number outside.
    """
    return keyed_permutation((seed, epoch), size)


def keyed_permutation(key: tuple[int, int], size: int) -> npt.NDArray[np.int64]:
    """Return the permutation of `size` rows that the pair `key` names: int64 [size].

    Sorting the raw output of PCG64 keeps the order the same in every NumPy: NumPy promises stable
    streams for bit generators and seed sequences, not for `Generator.permutation` (NEP 19).
    """
    if size < 0:
        raise ValueError(f"size {size} is negative")
    words: list[int] = []
    for number in key:
        if not 0 <= number < _MAX_KEY:
            raise ValueError(f"key {number} is outside 0 to 2**64 - 1")
        # Two words each: SeedSequence joins numbers of any length, and so (2**32 + 7, 1) would
        # otherwise meet (7, 2**32 + 1).
        words += [number % _WORD, number // _WORD]
    draws = np.random.PCG64(np.random.SeedSequence(words)).random_raw(size)
    return np.argsort(np.asarray(draws, dtype=np.uint64), kind="stable").astype(np.int64)
