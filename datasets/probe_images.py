"""The four pictures that every trained model is shown: one face in four poses.

By default a drawn face, of a seed that is not the default of drawn data sets; else the user's own
files.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from datasets.drawn import Pose, probe_faces
from datasets.errors import ConfigError
from datasets.images import (
    EXTENSIONS,
    ImageHWC,
    UnreadableImageError,
    decode_rgb,
    read_image_file,
)
from datasets.labels import (
    EXPRESSIONS,
    HAPPINESS,
    NUM_CLASSES,
    UnknownLabelError,
    parse_label,
)

# Not a seed that comes to mind for a data set: the face should be a stranger to the models.
PROBE_SEED: Final[int] = 1004


@dataclass(frozen=True)
class Probe:
    """One picture. `source` names the file, or says what was drawn; `label` is None if unknown."""

    pose: Pose
    source: str
    label: int | None
    image_HWC: ImageHWC


def drawn_probes(size: int) -> tuple[Probe, ...]:
    """One happy face in the four poses, `size` by `size` pixels."""
    source = f"drawn face, seed {PROBE_SEED}, index 0"
    faces = probe_faces(size, PROBE_SEED)
    return tuple(Probe(pose, source, HAPPINESS, faces[pose.value]) for pose in Pose)


def read_probes(folder: Path, size: int, label: int | None) -> tuple[Probe, ...]:
    """The user's four pictures, resized as training images are.

    Raises `ConfigError` with the file and the way out for what is missing or can't be read.
    """
    return tuple(
        Probe(pose, path.name, label, _decode(path, size))
        for pose, path in probe_files(folder).items()
    )


def probe_files(folder: Path) -> dict[Pose, Path]:
    """The file of each pose: `front`, `occluded`, `right` and `left` with an image's extension.

    Raises `ConfigError` for a pose with none or with several.
    """
    try:
        names = sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise ConfigError(
            f"probes {folder}: {error.strerror}; name a folder that holds the pictures "
            f"{', '.join(Pose)}, like front.jpg"
        ) from error
    return {pose: folder / _file_of(pose, names, folder) for pose in Pose}


def pose_of(name: str) -> Pose | None:
    """The pose that a file's name stands for; None for any other file."""
    path = Path(name)
    is_pose = path.stem.casefold() in tuple(Pose) and path.suffix.casefold() in EXTENSIONS
    return Pose(path.stem.casefold()) if is_pose else None


def _file_of(pose: Pose, names: list[str], folder: Path) -> str:
    found = [name for name in names if pose_of(name) is pose]
    if not found:
        raise ConfigError(
            f"probes {folder}: no picture is named '{pose.value}' (like {pose.value}.jpg); put it "
            "there, or leave probes out for a drawn face"
        )
    if len(found) > 1:
        raise ConfigError(
            f"probes {folder}: {' and '.join(found)} are both the pose {pose.value}; leave one"
        )
    return found[0]


def _decode(path: Path, size: int) -> ImageHWC:
    try:
        return decode_rgb(read_image_file(path), size)
    except UnreadableImageError as error:
        raise ConfigError(f"probe {path}: {error}; put another picture there") from error


def probe_label(label: object) -> int | None:
    """The code of the pictures' expression, given as a name or a code; None stays None (unknown).

    Raises `ConfigError` for what is none of the eight.
    """
    if label is None:
        return None
    try:
        code = parse_label(label if isinstance(label, int) else str(label))
    except UnknownLabelError:
        code = NUM_CLASSES
    if code >= NUM_CLASSES:
        valid = ", ".join(EXPRESSIONS)
        raise ConfigError(f"probes_label is {label!r}; valid: {valid}, or null for unknown")
    return code
