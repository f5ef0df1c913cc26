"""When rows that can't be used stop a `prepare`, and what it says then."""

from collections.abc import Sequence

from datasets.dealing import Scan
from datasets.destination import REJECTED_NAME, write_rejected
from datasets.errors import DataError
from datasets.folder import Folder
from datasets.manifest import SPLITS
from datasets.shard_writer import ShardOutcome
from datasets.sources import Rejected
from datasets.sources.paths import NO_FILE

_REASONS_SHOWN = 5


def check_rejected(
    dest: Folder, found: Scan, rejected: Sequence[Rejected], kept: int, max_rejected: float
) -> None:
    """See that of `kept` and `rejected` rows the latter are a fraction of `max_rejected` at most.

    `found` is the scan that they are of. Raises `DataError` with the first reasons, after
    `rejected.csv` is written; what it says first is that most of a list's files are not there.
    """
    total = kept + len(rejected)
    if not rejected or len(rejected) <= max_rejected * total:
        return
    write_rejected(dest, rejected)
    shown = "\n".join(
        f"  {origin.file}{'' if origin.row is None else f', line {origin.row}'}: {reason}"
        for origin, reason in rejected[:_REASONS_SHOWN]
    )
    raise DataError(
        f"{_other_copy(found)}{len(rejected)} of {total} rows can't be used "
        f"({len(rejected) / total:.1%}, at most {max_rejected:.1%} may be):\n{shown}\n"
        f"Those found so far are listed in {dest}/{REJECTED_NAME}. Mend the source, or allow more "
        "with --max-rejected."
    )


def _other_copy(found: Scan) -> str:
    """The sentence for a list of which over half of the files are not there, or nothing."""
    rejected = [row for row in found.rejected if row.reason == NO_FILE]
    gone = {row.origin.file for row in rejected if row.origin.row is not None}
    there = {row.origin.file for row in found.rows if row.origin.row is not None}
    listed = len(gone | there)
    if 2 * len(gone) <= listed:
        return ""
    return (
        f"this list is of another copy of the images: {len(gone):,} of {listed:,} files that it "
        "names are not in SOURCE.\n"
    )


def check_splits(
    dest: Folder, outcomes: Sequence[ShardOutcome], rejected: Sequence[Rejected]
) -> None:
    """See that each split has a row. Raises `DataError`, after `rejected.csv` is written."""
    filled = {one.entry.split for one in outcomes if one.entry is not None}
    for split in SPLITS:
        if split not in filled:
            write_rejected(dest, rejected)
            raise DataError(
                f"no image of {split} can be used: {dest}/{REJECTED_NAME} says why, row by row. "
                "Mend the source, or hold out more with --validation-fraction."
            )
