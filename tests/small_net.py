"""A fifteenth architecture for tests that run many trials: built and traced in a second.

It has what a resume can get wrong: batch normalisation, dropout with its own random state, and a
depthwise convolution. Two of the fourteen are resumed in `test_resume`, all
of them by `benchmarks/resume_all.py`.
"""

from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from typing import Any

from trainers.architectures import ARCHITECTURES, Architecture

NAME = "smallnet"
STILL = "stillnet"
"""The same without dropout, whose numbers each backend draws for itself."""
ROW = Architecture(
    id=NAME,
    title="SmallNet",
    family="SmallNet",
    module=NAME,
    builder="SmallNet",
    preprocessing="tf",
    parameters_1000=0,
    size_mb_paper=0,
    min_size=8,
    gmacs_224=0.1,
    mega_activations_224=1.0,
    setup_s=1,
    relative_rate=1,
    weights_file="",
)


def register() -> None:
    """Let this process' table and Keras know it, under the names that the others have."""
    import keras

    for name, dropout in ((NAME, 0.1), (STILL, 0.0)):
        ARCHITECTURES[name] = replace(ROW, id=name, module=name)
        module = SimpleNamespace(
            SmallNet=partial(_build, dropout=dropout),
            preprocess_input=keras.applications.mobilenet.preprocess_input,
        )
        setattr(keras.applications, name, module)


def stand_in() -> None:
    """Let the small net be what MobileNet and MobileNetV2 are, under their names."""
    register()
    for name in ("mobilenet", "mobilenetv2"):
        ARCHITECTURES[name] = replace(ARCHITECTURES[name], module=NAME, builder=ROW.builder)


def _build(
    include_top: bool, weights: None, input_tensor: Any, pooling: str, dropout: float
) -> Any:
    import keras
    from keras import layers

    assert not include_top
    assert weights is None
    assert pooling == "avg"
    values = layers.Conv2D(8, 3, strides=2, padding="same", use_bias=False)(input_tensor)
    values = layers.ReLU()(layers.BatchNormalization()(values))
    values = layers.DepthwiseConv2D(3, strides=2, padding="same", use_bias=False)(values)
    values = layers.ReLU()(layers.BatchNormalization()(values))
    values = layers.Conv2D(32, 1)(values)
    values = layers.GlobalAveragePooling2D()(values)
    values = layers.Dropout(dropout)(values) if dropout else values
    return keras.Model(keras.utils.get_source_inputs(input_tensor), values)
