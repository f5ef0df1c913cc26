"""The table of architectures against Keras, the paper's Table 2 and what others have published."""

from typing import TYPE_CHECKING

import pytest

from trainers.architectures import ARCHITECTURES, Architecture, architecture
from trainers.model import count_activations, count_macs, count_parameters_1000

if TYPE_CHECKING:
    import keras

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


def built(row: Architecture, size: int) -> "keras.Model":
    """Keras' model without its head, of shapes alone: no memory, no initialisation."""
    import keras

    builder = getattr(getattr(keras.applications, row.module), row.builder)
    with keras.StatelessScope():
        return builder(include_top=False, weights=None, input_shape=(size, size, 3), pooling="avg")


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_parameters_operations_and_activations_are_those_of_the_built_model(name: str):
    row = architecture(name)
    assert count_parameters_1000(row) == row.parameters_1000
    body = built(row, 224)
    published, size = PUBLISHED.get(name, (None, 224))
    if published is not None:
        same = body if size == 224 else built(row, size)
        macs = count_macs(same) + same.output.shape[-1] * 1000  # and those of the head
        assert macs / 1e9 == pytest.approx(published, rel=0.016)
    assert count_macs(body) / 1e9 == pytest.approx(row.gmacs_224, abs=6e-4)
    assert count_activations(body) / 1e6 == pytest.approx(row.mega_activations_224, abs=0.051)


def test_builders_of_one_module_have_one_smallest_image_size():
    sizes = {row.module: row.min_size for row in ARCHITECTURES.values()}
    assert all(row.min_size == sizes[row.module] for row in ARCHITECTURES.values())


# The least deep of each module.
@pytest.mark.parametrize(
    "name",
    [
        *("resnet50", "resnet50v2", "densenet121", "mobilenet"),
        *("mobilenetv2", "nasnetmobile", "inceptionv3", "xception"),
    ],
)
def test_the_smallest_image_size_is_the_true_minimum(name: str):
    row = architecture(name)
    built(row, row.min_size)
    with pytest.raises(ValueError, match="at least"):
        built(row, row.min_size - 1)
