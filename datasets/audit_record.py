"""`audit.json`: what an audit found, in figures, kept beside the shards that it is of.

It is no part of the data: a manifest does not list it, no fingerprint depends on it, and one that
is of other shards, or can't be read, counts as none.
"""

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from datasets.audit import DEFAULT_THRESHOLD, Audit
from datasets.folder import Place, as_folder, write_bytes
from datasets.manifest import Manifest, SplitName
from datasets.perceptual_hash import HASH_BITS

AUDIT_NAME: Final = "audit.json"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Counted(_Frozen):
    """Numbers of images."""

    images: int = Field(ge=0)
    equal: int = Field(ge=0)
    """Those of them with equal pixels."""
    named: int = Field(ge=0)
    """Those of them of which only the names tell."""

    def __str__(self) -> str:
        parts = [f"{self.equal:,} with equal pixels"]
        parts += [f"{self.named:,} by their names alone"] if self.named else []
        return f"{self.images:,} ({', '.join(parts)})"


class AuditRecord(_Frozen):
    """The figures of an audit; the same for the same shards and threshold."""

    schema_version: Literal[1] = 1
    fingerprint: str = Field(pattern="^[0-9a-f]{64}$")
    """Of the shards that were audited, as in their manifest."""
    threshold: int = Field(ge=0)
    """Bits of 96 in which the hashes of near duplicates could differ."""
    thorough: bool
    """Whether turned, moved, cropped and inverted copies were sought too."""
    images: int = Field(ge=0)
    groups: int = Field(ge=0)
    duplicates: Counted
    """Images that have a duplicate."""
    leaks: dict[SplitName, Counted]
    """Images of each split that are duplicates of images of the other one."""
    conflicts: int = Field(ge=0)
    """Images that are duplicates of images with another label."""
    incomplete: int = Field(ge=0)
    """Images so like thousands of others that not all their pairs were compared."""

    @property
    def text(self) -> str:
        """All of it as a sentence or two, for people."""
        leaks = {split: self.leaks.get(split, _NONE) for split in ("train", "validation")}
        told = (
            f"Of {self.images:,} images {self.duplicates} have a duplicate. {leaks['train']} "
            f"training images are in validation too, {leaks['validation']} validation images in "
            f"training; {self.conflicts:,} images are labelled otherwise elsewhere."
        )
        if self.threshold != DEFAULT_THRESHOLD:
            told += f" Hashes of near duplicates differ in at most {self.threshold} of {HASH_BITS} "
            told += f"bits, where {DEFAULT_THRESHOLD} is usual."
        if not self.thorough:
            told += " Turned, cropped or inverted copies were sought by their names alone."
        if self.incomplete:
            told += f" Of {self.incomplete:,} images not all pairs were compared."
        return told


_NONE: Final = Counted(images=0, equal=0, named=0)


def record_of(audit: Audit, manifest: Manifest) -> AuditRecord:
    """Return the figures of an audit of the shards that `manifest` describes."""
    return AuditRecord(
        fingerprint=manifest.fingerprint,
        threshold=audit.threshold,
        thorough=audit.thorough,
        images=audit.images,
        groups=len(audit.groups),
        duplicates=Counted(
            images=audit.num_duplicates(), equal=audit.num_equal(), named=audit.num_named()
        ),
        leaks={split: _leaks(audit, split) for split in manifest.classes},
        conflicts=audit.num_conflicts(),
        incomplete=audit.incomplete,
    )


def _leaks(audit: Audit, split: SplitName) -> Counted:
    return Counted(
        images=audit.num_leaked(split),
        equal=audit.num_leaked(split, "exact"),
        named=audit.num_leaked(split, "name"),
    )


def write_record(place: Place, record: AuditRecord) -> None:
    """Write `audit.json`, atomically; an equal one is left untouched. Raises `OSError`."""
    data = f"{record.model_dump_json(indent=1)}\n".encode()
    write_bytes(as_folder(place), AUDIT_NAME, data)


def read_record(place: Place, manifest: Manifest) -> AuditRecord | None:
    """Return what is known of an audit of these shards; None where nothing is.

    Nothing depends on it, so one that can't be read, or that is of other shards, is none either.
    """
    try:
        record = AuditRecord.model_validate_json(as_folder(place).read(AUDIT_NAME))
    except (OSError, ValidationError):
        return None
    return record if record.fingerprint == manifest.fingerprint else None
