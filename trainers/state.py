"""Between a compiled Keras model and the arrays of a checkpoint."""

from typing import TYPE_CHECKING, Any

import numpy as np

from trainers import backend
from trainers.checkpoint import CheckpointMismatchError

if TYPE_CHECKING:
    import keras

Arrays = dict[str, np.ndarray[Any, Any]]


def _variables(model: "keras.Model") -> dict[str, Any]:
    """All variables by a stable key: group and place (Keras' own names are not unique)."""
    groups = {
        "model": model.variables,  # trainable, batch-norm statistics, seed generators
        "optimizer": model.optimizer.variables,
        "metrics": model.metrics_variables,
    }
    return {
        f"{group}/{place:05d}": variable
        for group, variables in groups.items()
        for place, variable in enumerate(variables)
    }


def read_state(model: "keras.Model") -> Arrays:
    """Copies of all variables of a compiled model: weights, optimizer, metric accumulators."""
    backend.settle(model)
    return {key: backend.read_variable(variable) for key, variable in _variables(model).items()}


def restore_weights(model: "keras.Model", arrays: Arrays) -> None:
    """Set weights and optimizer; arrays that don't match the model raise and name the first."""
    variables = _variables(model)
    if variables.keys() != arrays.keys():
        odd = sorted(variables.keys() ^ arrays.keys())
        raise CheckpointMismatchError(
            f"a checkpoint holds {len(arrays)} variables, the model {len(variables)}; "
            f"the first that only one has: {odd[0]}"
        )
    for key, variable in variables.items():
        shape = backend.state_shape(variable)
        if shape != arrays[key].shape:
            raise CheckpointMismatchError(
                f"{key} ({variable.path}): checkpoint {arrays[key].shape}, model {shape}"
            )
        if not key.startswith("metrics/"):
            backend.assign_variable(variable, arrays[key])


def restore_metrics(model: "keras.Model", arrays: Arrays) -> None:
    """Set the metric accumulators; `fit` resets them at an epoch's begin, so after that."""
    for key, variable in _variables(model).items():
        if key.startswith("metrics/"):
            backend.assign_variable(variable, arrays[key])
