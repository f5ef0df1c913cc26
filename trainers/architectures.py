"""The fourteen architectures of the paper: one row each, plain data.

`parameters_1000` is the paper's Table 2 (the 1000-class ImageNet head), equal to Keras'
`count_params()`. `gmacs_224` is the number of multiply-adds, in units of 1e9, of one forward pass
at 224x224 pixels (convolutions and dense layers of the built Keras model without its top, counted
by `trainers.model.count_macs`). `mega_activations_224` is what its layers give out for one such
image, in units of 1e6 values (`trainers.model.count_activations`). `setup_s` is about how many
seconds one core of 2.6 GHz takes to import Keras, build the model and trace its first step.
`relative_rate` is how many operations a second that core does in its training, beside ResNet50's
(from one run of the demo: 76 pixels, batches of 8). `min_size` is the smallest image side that
Keras' builder accepts without its top. `preprocessing` names the input convention of the ImageNet
weights: `caffe` (BGR, mean subtracted), `tf` (-1 to 1), `torch` (0 to 1, standardised).
`weights_file` is Keras' name for the file without its top.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from datasets.errors import ConfigError

Preprocessing = Literal["caffe", "tf", "torch"]


@dataclass(frozen=True)
class Architecture:
    """One row of the table. `module` and `builder` are names under `keras.applications`."""

    id: str
    title: str
    family: str
    module: str
    builder: str
    preprocessing: Preprocessing
    parameters_1000: int
    size_mb_paper: int
    min_size: int
    gmacs_224: float
    mega_activations_224: float
    setup_s: float
    relative_rate: float
    weights_file: str


def _row(  # noqa: PLR0917
    title: str,
    family: str,
    module: str,
    preprocessing: Preprocessing,
    parameters_1000: int,
    size_mb_paper: int,
    min_size: int,
    gmacs_224: float,
    mega_activations_224: float,
    setup_s: float,
    relative_rate: float,
    weights_file: str,
) -> Architecture:
    return Architecture(
        id=title.lower(),
        title=title,
        family=family,
        module=module,
        builder=title,
        preprocessing=preprocessing,
        parameters_1000=parameters_1000,
        size_mb_paper=size_mb_paper,
        min_size=min_size,
        gmacs_224=gmacs_224,
        mega_activations_224=mega_activations_224,
        setup_s=setup_s,
        relative_rate=relative_rate,
        weights_file=weights_file,
    )


# fmt: off
# ruff: noqa: E501
ARCHITECTURES: dict[str, Architecture] = {
    row.id: row
    for row in (
        _row("ResNet50", "ResNet", "resnet", "caffe", 25_636_712, 98, 32, 3.856, 37.0, 11, 1.0, "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"),
        _row("ResNet101", "ResNet", "resnet", "caffe", 44_707_176, 171, 32, 7.568, 55.7, 18, 1.12, "resnet101_weights_tf_dim_ordering_tf_kernels_notop.h5"),
        _row("ResNet152", "ResNet", "resnet", "caffe", 60_419_944, 232, 32, 11.280, 78.9, 27, 1.15, "resnet152_weights_tf_dim_ordering_tf_kernels_notop.h5"),
        _row("ResNet50V2", "ResNetV2", "resnet_v2", "tf", 25_613_800, 98, 32, 3.480, 31.2, 10, 0.91, "resnet50v2_weights_tf_dim_ordering_tf_kernels_notop.h5"),
        _row("ResNet101V2", "ResNetV2", "resnet_v2", "tf", 44_675_560, 171, 32, 7.192, 51.1, 17, 1.05, "resnet101v2_weights_tf_dim_ordering_tf_kernels_notop.h5"),
        _row("ResNet152V2", "ResNetV2", "resnet_v2", "tf", 60_380_648, 232, 32, 10.905, 75.6, 26, 1.08, "resnet152v2_weights_tf_dim_ordering_tf_kernels_notop.h5"),
        _row("DenseNet121", "DenseNet", "densenet", "torch", 8_062_504, 33, 32, 2.833, 49.8, 17, 1.35, "densenet121_weights_tf_dim_ordering_tf_kernels_notop.h5"),
        _row("DenseNet169", "DenseNet", "densenet", "torch", 14_307_880, 57, 32, 3.358, 59.9, 24, 1.27, "densenet169_weights_tf_dim_ordering_tf_kernels_notop.h5"),
        _row("DenseNet201", "DenseNet", "densenet", "torch", 20_242_984, 80, 32, 4.289, 77.1, 30, 1.19, "densenet201_weights_tf_dim_ordering_tf_kernels_notop.h5"),
        _row("MobileNet", "MobileNet", "mobilenet", "tf", 4_253_864, 16, 32, 0.568, 16.7, 6, 1.02, "mobilenet_1_0_224_tf_no_top.h5"),
        _row("MobileNetV2", "MobileNetV2", "mobilenet_v2", "tf", 3_538_984, 14, 32, 0.299, 21.7, 8, 0.59, "mobilenet_v2_weights_tf_dim_ordering_tf_kernels_1.0_224_no_top.h5"),
        _row("NASNetMobile", "NASNet", "nasnet", "tf", 5_326_716, 23, 32, 0.563, 27.5, 28, 0.26, "nasnet_mobile_no_top.h5"),
        _row("InceptionV3", "Inception", "inception_v3", "tf", 23_851_784, 92, 75, 2.836, 16.6, 11, 1.5, "inception_v3_weights_tf_dim_ordering_tf_kernels_notop.h5"),
        _row("Xception", "Xception", "xception", "tf", 22_910_480, 88, 71, 4.551, 34.4, 9, 1.22, "xception_weights_tf_dim_ordering_tf_kernels_notop.h5"),
    )
}
# fmt: on


def architecture(name: str) -> Architecture:
    """The row of one architecture id; an unknown one raises `ConfigError` with the valid ones."""
    try:
        return ARCHITECTURES[name]
    except KeyError:
        raise ConfigError(
            f"unknown architecture {name!r}; valid: {', '.join(ARCHITECTURES)}"
        ) from None


def check_image_size(names: Iterable[str], image_size: int) -> None:
    """Refuse an image side below what any of the architectures can take."""
    small = [row for name in names if (row := architecture(name)).min_size > image_size]
    if small:
        listed = ", ".join(f"{row.id} needs {row.min_size}" for row in small)
        raise ConfigError(
            f"image size {image_size} is too small: {listed} pixels at least; "
            "raise recipe.image_size or leave these architectures out with --only"
        )
