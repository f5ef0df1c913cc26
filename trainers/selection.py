"""A part of training that chooses the best epoch, in place of the validation split.

Choosing an epoch by its accuracy on the validation split is choosing on the test set. The part that
is held out for it is a function of the labels, the fraction and the seed: a resumed trial holds out
the same images.
"""

import numpy as np

from datasets.batches import Split, Subset
from datasets.errors import ConfigError
from datasets.splits import validation_rows


def hold_out(train: Split, fraction: float, seed: int) -> tuple[Split, Split | None]:
    """Divide a training split into what is trained on and what chooses the epoch.

    With a fraction of 0 nothing is held out: the split itself, and None. Else each class gives its
    share, a class of one image none. Raises `ConfigError` where no class has two images.
    """
    if not fraction:
        return train, None
    chosen = validation_rows(train.labels.tolist(), fraction, seed)
    if not chosen:
        raise ConfigError(
            f"recipe.selection_fraction {fraction:g}: {len(train)} training images are too few to "
            "hold some out; set it to 0"
        )
    rows = np.arange(len(train), dtype=np.int64)
    held = np.isin(rows, sorted(chosen))
    return Subset(train, rows[~held]), Subset(train, rows[held])
