"""Writes layout `yolo`: `{train,valid}/{images,labels}` and `data.yaml`.

With quirks `data.yaml` numbers the classes in an order of its own, boxes are not quite or not at
all the whole image, a test split is there, and label files are missing, empty or broken.
"""

from pathlib import Path

from datasets.labels import EXPRESSIONS
from datasets.manifest import SplitName
from datasets.sources.split_names import TEST_SPLIT
from datasets.sources.yolo import SMALL_BOX
from datasets.synthetic.base import FaceKey, Kept, Progress, Request, Truth, rendered
from datasets.synthetic.encoded import jpeg_face, truncated

_SPLIT_FOLDERS: dict[SplitName, str] = {"train": "train", "validation": "valid"}
_CLASS_NAMES = ("Anger", "Contempt", "Disgust", "Fear", "Happy", "Neutral", "Sad", "Surprise")
# The code of each class, in the usual order and in that of the quirk.
_CODES = (6, 7, 5, 4, 1, 0, 2, 3)
_ODD_CODES = (0, 1, 2, 3, 4, 5, 6, 7)
_BROKEN_LABELS = {
    "empty": "",
    "two_lines": "1 0.5 0.5 1 1\n1 0.2 0.2 0.1 0.1\n",
    "outside": "8 0.5 0.5 1 1\n",
    "negative": "-1 0.5 0.5 1 1\n",
    "polygon": "1 0.1 0.1 0.9 0.1 0.9 0.9\n",
    "words": "happy 0.5 0.5 1 1\n",
    "nan": "1 0.5 0.5 nan 1\n",
    "pixels": "1 112 112 224 224\n",
    "nul": "\0\0\0\0",
}


def write_yolo(dest: Path, request: Request, progress: Progress | None = None) -> Truth:
    """Write images with a label file each; see `WriteLayout`."""
    truth = Truth()
    _write_yaml(dest, request.quirks)
    last = b""
    for key, image in rendered(request.keys(), jpeg_face, progress):
        name = f"{_SPLIT_FOLDERS[key.split]}/images/image{key.number:07d}.jpg"
        _write(dest, name, image, _label(key, request.quirks, truth))
        truth.kept[name] = Kept(key.split, key.label)
        last = image
    if request.quirks:
        _write_quirks(dest, last, truth)
    return truth


def _write_yaml(dest: Path, quirks: bool) -> None:
    lines = ["train: ../train/images", "val: ../valid/images", f"nc: {len(_CODES)}"]
    if quirks:
        names = [f"  {number}: {EXPRESSIONS[code]}" for number, code in enumerate(_ODD_CODES)]
        lines += ["names:", *names]
    else:
        lines.append(f"names: {list(_CLASS_NAMES)}")
    (dest / "data.yaml").write_text("\n".join(lines) + "\n")


def _label(key: FaceKey, quirks: bool, truth: Truth) -> str:
    number = (_ODD_CODES if quirks else _CODES).index(key.label)
    if not quirks:
        return f"{number} 0.5 0.5 1.0 1.0\n"
    if key.number % 10 == 4:
        truth.remarks[SMALL_BOX] += 1
        return f"{number} 0.40 0.45 0.60 0.70\n"
    width, height = key.dice().uniform(0.9, 1.0, size=2)
    end = "\r\n\r\n" if key.number % 10 == 5 else ""
    return f"{number} 0.500000 0.500000 {width:.6f} {height:.6f}{end}"


def _write_quirks(dest: Path, image: bytes, truth: Truth) -> None:
    whole = "1 0.5 0.5 1 1\n"
    for stem, label in _BROKEN_LABELS.items():
        name = f"train/images/{stem}.jpg"
        _write(dest, name, image, label)
        truth.rejected[name] += 1
    _write(dest, "train/images/unlabelled.jpg", image, None)
    (dest / "train/labels/no_image.txt").write_text(whole)
    _write(dest, "train/images/broken.jpg", truncated(image), whole)
    for name in ("images/unlabelled.jpg", "labels/no_image.txt", "images/broken.jpg"):
        truth.rejected[f"train/{name}"] += 1
    for extension in (".jpg", ".PNG"):
        name = f"train/images/twice{extension}"
        _write(dest, name, image, whole)
        truth.rejected[name] += 1
    for name in ("train/images/Thumbs.db", "train/labels/classes.txt", "train/labels.cache"):
        (dest / name).write_bytes(b"left here by a tool")
    _write(dest, "test/images/image0000000.jpg", image, whole)
    truth.excluded[TEST_SPLIT] += 1


def _write(dest: Path, name: str, image: bytes, label: str | None) -> None:
    path = dest / name
    labels = path.parent.parent / "labels"
    for folder in (path.parent, labels):
        folder.mkdir(parents=True, exist_ok=True)
    path.write_bytes(image)
    if label is not None:
        (labels / f"{path.stem}.txt").write_bytes(label.encode())
