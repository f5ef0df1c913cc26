"""The table of architectures against Keras, the paper's Table 2 and what others have published."""

import keras
import pytest

from trainers.architectures import ARCHITECTURES, Architecture, architecture
from trainers.model import count_activations, count_macs

pytestmark = pytest.mark.slow

# Multiply-adds of one forward pass with the 1000-class head, in units of 1e9, and the image's side.
PUBLISHED = {
    # He et al. 2016, "Deep Residual Learning for Image Recognition", table 1.
    "resnet50": (3.8, 224),
    "resnet101": (7.6, 224),
    "resnet152": (11.3, 224),
    # torchvision's documentation of its pretrained models (GFLOPS, which are multiply-adds).
    "densenet121": (2.834, 224),
    "densenet169": (3.36, 224),
    "densenet201": (4.291, 224),
    "inceptionv3": (5.713, 299),
    # Howard et al. 2017, "MobileNets", table 8.
    "mobilenet": (0.569, 224),
    # Sandler et al. 2018, "MobileNetV2", table 4.
    "mobilenetv2": (0.300, 224),
    # Zoph et al. 2018, "Learning Transferable Architectures", table 3 (NASNet-A, 4 @ 1056).
    "nasnetmobile": (0.564, 224),
    # The timm library's table of inference benchmarks.
    "xception": (8.4, 299),
}


def built(row: Architecture, **options: object) -> keras.Model:
    """Keras' model, of shapes alone: no memory, no initialisation."""
    builder = getattr(getattr(keras.applications, row.module), row.builder)
    with keras.StatelessScope():
        return builder(weights=None, **options)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_parameters_operations_and_activations_are_those_of_the_built_model(name: str):
    row = architecture(name)
    whole = built(row)
    assert whole.count_params() == row.parameters_1000
    if name in PUBLISHED:
        published, size = PUBLISHED[name]
        assert whole.input.shape[1] == size
        assert count_macs(whole) / 1e9 == pytest.approx(published, rel=0.016)
    body = built(row, include_top=False, input_shape=(224, 224, 3), pooling="avg")
    assert count_macs(body) / 1e9 == pytest.approx(row.gmacs_224, abs=6e-4)
    assert count_activations(body) / 1e6 == pytest.approx(row.mega_activations_224, abs=0.051)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_smallest_image_size_is_the_true_minimum(name: str):
    row = architecture(name)

    def build(size: int) -> None:
        built(row, include_top=False, input_shape=(size, size, 3), pooling="avg")

    build(row.min_size)
    with pytest.raises(ValueError, match="at least"):
        build(row.min_size - 1)
