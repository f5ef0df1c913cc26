"""Writes layout `named-files`: grey TIFFs named as JAFFE's, or with quirks JPEGs named as KDEF's.

Neither has Contempt: those faces are skipped. JAFFE's lie in one folder; KDEF's in one for each
person, some extensions in small letters, with images that are broken or have another name. The
faces of training and of validation are one set, which `prepare` divides.
"""

import io
from pathlib import Path

from PIL import Image

from datasets.known_names import known_person
from datasets.labels import EXPRESSIONS
from datasets.synthetic.base import FaceKey, Progress, Request, Truth, divided, rendered
from datasets.synthetic.encoded import jpeg_face, truncated

_CONTEMPT = EXPRESSIONS.index("Contempt")
# By code.
_JAFFE = ("NE", "HA", "SA", "SU", "FE", "DI", "AN")
_KDEF = ("NE", "HA", "SA", "SU", "AF", "DI", "AN")
_ANGLES = ("FL", "HL", "S", "HR", "FR")
_PEOPLE = ("KA", "KL", "KM", "KR", "MK", "NA", "NM", "TM", "UY", "YM")


def write_named_files(dest: Path, request: Request, progress: Progress | None = None) -> Truth:
    """Write images whose names have the label; see `WriteLayout`."""
    every = request.keys()
    keys = [key for key in every if key.label != _CONTEMPT]
    render = jpeg_face if request.quirks else _tiff
    labels: dict[str, int] = {}
    truth, last = Truth(), b""
    for number, (key, image) in enumerate(rendered(keys, render, progress)):
        name = _kdef(number, key.label) if request.quirks else _jaffe(number, key.label)
        _write(dest, name, image)
        labels[name] = key.label
        last = image
    broken = {}
    if request.quirks:
        _write(dest, "README.TXT", b"The letters of a name: session, sex, ...")
        _write(dest, "AF01/Thumbs.db", b"not an image")
        for name in ("AF01/AF01H.JPG", "cover.jpg"):
            _write(dest, name, last)
            truth.rejected[name] += 1
        broken = {"BM35/BM35HAS.JPG": truncated(last), "BM35/BM35NES.JPG": b""}
        for name, data in broken.items():
            _write(dest, name, data)
            truth.rejected[name] += 1
            labels[name] = EXPRESSIONS.index("Happiness" if "HAS" in name else "Neutral")
    # `prepare` reads the folder's own files first, then folder by folder.
    in_order = dict(sorted(labels.items(), key=lambda one: one[0].rpartition("/")[::2]))
    truth.kept = {
        name: kept for name, kept in divided(in_order, _person).items() if name not in broken
    }
    return truth


def _tiff(key: FaceKey) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(key.draw()).convert("L").save(stream, "TIFF")
    return stream.getvalue()


def _jaffe(number: int, label: int) -> str:
    person = _PEOPLE[number % len(_PEOPLE)]
    return f"{person}.{_JAFFE[label]}{number % 3 + 1}.{number + 1}.tiff"


def _kdef(number: int, label: int) -> str:
    person = f"A{'FM'[number % 2]}{number // len(_ANGLES) + 1:02d}"
    extension = "jpg" if number % 11 == 5 else "JPG"
    return f"{person}/{person}{_KDEF[label]}{_ANGLES[number % len(_ANGLES)]}.{extension}"


def _write(dest: Path, name: str, data: bytes) -> None:
    path = dest / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _person(name: str) -> str:
    person = known_person(name)
    return "" if person is None else " ".join(person)
