"""The table of architectures as `fer-orch models` prints it."""

import os
from typing import Any

from trainers.architectures import ARCHITECTURES
from trainers.backend import check_backend, prepare_prediction


def model_rows() -> list[dict[str, Any]]:
    """One row an architecture, in the paper's order; builds each model to count its parameters.

    `parameters` is with the 1000-class ImageNet head, as in the paper's Table 2, and so is
    `size_mb` (the paper's figure); `gmacs` are multiply-adds at 224x224 pixels in units of 1e9.
    """
    check_backend()
    # Only shapes are needed: leave GPUs to others and TensorFlow's greeting off the terminal.
    os.environ["CUDA_VISIBLE_DEVICES"] = "-1"
    prepare_prediction()
    from trainers.model import count_parameters_1000

    return [
        {
            "id": row.id,
            "title": row.title,
            "family": row.family,
            "parameters": count_parameters_1000(row),
            "size_mb": row.size_mb_paper,
            "gmacs": row.gmacs_224,
            "min_image_size": row.min_size,
            "preprocessing": row.preprocessing,
            "weights_file": row.weights_file,
        }
        for row in ARCHITECTURES.values()
    ]
