"""`manifest.json`: what a directory of shards holds, and the check that it still holds it."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from datasets.errors import DataError
from datasets.folder import Folder, LocalFolder, Place, as_folder, write_bytes

MANIFEST_NAME = "manifest.json"
SCHEMA_VERSION = 1
SPLITS: tuple["SplitName", ...] = ("train", "validation")

SplitName = Literal["train", "validation"]
Encoding = Literal["jpeg", "png", "raw"]
ShardFormat = Literal["arrow", "tfrecord"]
RequestValue = str | int | float | None


_MAY_HAVE_NUMBERS = ("class-folders", "csv-folder", "hub-parquet", "yolo")


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ShardEntry(_Frozen):
    """One shard file; `file` is relative to the manifest, with forward slashes."""

    file: str
    split: SplitName
    rows: int = Field(ge=1)
    bytes: int = Field(ge=1)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")

    @field_validator("file")
    @classmethod
    def _stays_inside(cls, file: str) -> str:
        path = PurePosixPath(file)
        if path.is_absolute() or ".." in path.parts or not path.parts:
            raise ValueError(f"shard path {file!r} leads out of the directory")
        return file


class Manifest(_Frozen):
    """All that a reader needs to know of the shards; rows lie in the order of `shards`."""

    schema_version: Literal[1] = 1
    image_size: int = Field(ge=1)
    """Height and width of every image, pixels."""
    encoding: Encoding
    format: ShardFormat
    source: str
    """Where the images come from, in words."""
    request: dict[str, RequestValue] = Field(default_factory=dict)
    """What `prepare` or `synth` was asked for; the same request again finds its work done."""
    shards: list[ShardEntry]
    classes: dict[SplitName, dict[str, int]]
    """Rows per expression, for each split."""
    excluded: dict[str, int] = Field(default_factory=dict)
    """Rows left out on purpose, by reason: None, Uncertain, No-Face, …"""
    remarks: dict[str, int] = Field(default_factory=dict)
    """What else was noticed about rows, and about how many."""
    labels: str = ""
    """Where the labels are from, and what numbers among them were taken for; for people."""
    division: str = ""
    """Whose division into training and validation this is; for people."""
    rejected: int = Field(default=0, ge=0)
    """Rows that could not be used; `rejected.csv` lists them."""
    fingerprint: str = Field(pattern="^[0-9a-f]{64}$")
    """sha256 of the content in order, whatever the shard format (see `content_fingerprint`)."""

    def rows(self, split: SplitName) -> int:
        """Return the number of rows of `split`."""
        return sum(shard.rows for shard in self.shards if shard.split == split)

    @property
    def labels_told(self) -> str:
        """`labels`, or what must be known of shards from before it was noted."""
        if self.labels or self.request.get("layout") not in _MAY_HAVE_NUMBERS:
            return self.labels
        return (
            "not noted by the version that prepared these shards, which took numbers for "
            "AffectNet's codes; if there were numbers, prepare anew to another place"
        )

    @property
    def num_rows(self) -> int:
        """The number of rows of all splits."""
        return sum(shard.rows for shard in self.shards)

    def of_split(self, split: SplitName) -> list[ShardEntry]:
        """Return the shards of `split`, in data set order."""
        return [shard for shard in self.shards if shard.split == split]


def read_manifest(place: Place) -> Manifest:
    """Read the manifest of the shards at `place`.

    Raises `DataError` if there is none, or if it is damaged or of another schema version.
    """
    folder = as_folder(place)
    where = f"{folder}/{MANIFEST_NAME}"
    try:
        text = folder.read(MANIFEST_NAME)
    except (FileNotFoundError, NotADirectoryError):
        raise _no_manifest(folder) from None
    except OSError as error:
        raise DataError(f"can't read {where}: {error.strerror or error}") from error
    try:
        return Manifest.model_validate_json(text)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, item['loc'])) or 'file'}: {item['msg']}"
            for item in error.errors()[:3]
        )
        raise DataError(
            f"{where} is damaged or of another version than {SCHEMA_VERSION} ({problems}): "
            "delete its directory and prepare the data again"
        ) from error


def _no_manifest(folder: Folder) -> DataError:
    if isinstance(folder, LocalFolder) and not folder.path.is_dir():
        return DataError(
            f"there is no data directory {folder}: make one with `fer-orch data prepare` "
            "or `fer-orch data synth`"
        )
    return DataError(
        f"{folder} holds no {MANIFEST_NAME}, so it is not a (whole) directory of shards: "
        "make one with `fer-orch data prepare`"
    )


def write_manifest(folder: Folder, manifest: Manifest) -> None:
    """Write the manifest; it says that the folder is complete."""
    write_bytes(folder, MANIFEST_NAME, f"{manifest.model_dump_json(indent=1)}\n".encode())


def row_digest(split: SplitName, image_id: str, label: int, image: bytes) -> bytes:
    """Return the sha256 of one row, 32 bytes; images count by the bytes that are stored."""
    name = image_id.encode("utf-8")
    head = f"{split}\n{label}\n{len(name)}\n".encode()
    return hashlib.sha256(head + name + hashlib.sha256(image).digest()).digest()


def content_fingerprint(image_size: int, encoding: Encoding, digests: Iterable[bytes]) -> str:
    """Return the fingerprint of the content: sha256 over every `row_digest` in data set order.

    Shard format and shard borders don't enter: the same rows as Arrow and as TFRecord agree.
    """
    whole = hashlib.sha256(f"fer-orch content 1\n{image_size}\n{encoding}\n".encode())
    for digest in digests:
        whole.update(digest)
    return whole.hexdigest()


def file_sha256(path: Path) -> str:
    """Return the sha256 of a file, in hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def shard_entry(file: str, split: SplitName, rows: int, content: Path) -> ShardEntry:
    """Return the entry for a shard whose content lies at a path on this machine."""
    size = content.stat().st_size
    return ShardEntry(file=file, split=split, rows=rows, bytes=size, sha256=file_sha256(content))


def shard_problem(folder: Folder, shard: ShardEntry) -> str | None:
    """Say what is wrong with a shard file, or None: it is missing, or of other size or content."""
    try:
        size = folder.size(shard.file)
        if size != shard.bytes:
            return f"{shard.file}: {size} bytes, expected {shard.bytes}"
        with folder.local(shard.file) as path:
            return content_problem(path, shard)
    except FileNotFoundError:
        return f"{shard.file}: missing"
    except OSError as error:
        return f"{shard.file}: {error.strerror or error}"


def content_problem(path: Path, shard: ShardEntry) -> str | None:
    """Say what is wrong with the content of a shard, which lies at `path`. Raises `OSError`."""
    size = path.stat().st_size
    if size != shard.bytes:
        return f"{shard.file}: {size} bytes, expected {shard.bytes}"
    actual = file_sha256(path)
    if actual != shard.sha256:
        return f"{shard.file}: sha256 {actual[:12]}…, expected {shard.sha256[:12]}…"
    return None


def verify_shards(
    place: Place, manifest: Manifest, progress: Callable[[int, int], None] | None = None
) -> None:
    """Compare every shard with the manifest: it exists and has the size and the sha256.

    `progress(done, total)` counts shards. Raises `DataError` that names every damaged shard.
    """
    folder = as_folder(place)
    problems = []
    for done, shard in enumerate(manifest.shards, start=1):
        problem = shard_problem(folder, shard)
        if problem is not None:
            problems.append(problem)
        if progress is not None:
            progress(done, len(manifest.shards))
    if problems:
        raise damaged_shards(folder, problems)


def damaged_shards(folder: Folder, problems: list[str]) -> DataError:
    """Return the error that names damaged shards and the way out."""
    return DataError(
        f"{len(problems)} damaged shard(s) in {folder}:\n  "
        + "\n  ".join(problems)
        + "\nRestore them from a copy, or delete the directory and prepare the data again."
    )
