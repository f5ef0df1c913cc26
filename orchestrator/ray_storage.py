"""The storage of a trial's Train run, for Ray: a directory, or an object store that may fail.

Ray's own small files (its register, its marker of a storage that works) go through pyarrow, which
gives up after seconds, and a controller that can't write its register ends the trial. Through this
they are tried again as ours are.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
from pyarrow import fs

from datasets.folder import Folder
from datasets.remote_folder import RemoteFolder
from trainers.checkpoint_writer import persist

T = TypeVar("T")


@dataclass(frozen=True)
class RayStorage:
    """What tells Ray where a folder is: an absolute path, and its file system; None: this one's."""

    path: str
    filesystem: fs.FileSystem | None = None


def storage_of(folder: Folder, patience_s: float) -> RayStorage:
    """Where a folder is, as Ray wants to be told."""
    if isinstance(folder, RemoteFolder):
        system, path = folder.opened()
        return RayStorage(path, fs.PyFileSystem(PatientHandler(system, patience_s)))
    return RayStorage(str(Path(str(folder)).absolute()))


class PatientHandler(fs.FileSystemHandler):  # type: ignore[misc]  # pyarrow has no types
    """A file system of pyarrow that is asked again for `patience_s` seconds while it fails."""

    def __init__(self, system: fs.FileSystem, patience_s: float) -> None:
        self.system = system
        self.patience_s = patience_s

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PatientHandler) and self.system == other.system

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.system.type_name)

    def __reduce__(self) -> tuple[type, tuple[fs.FileSystem, float]]:
        return type(self), (self.system, self.patience_s)

    def _asked(self, act: Callable[[], T]) -> T:
        return persist(act, "Ray's storage", self.patience_s, but=(FileNotFoundError,))

    def get_type_name(self) -> str:
        """See `pyarrow.fs.FileSystemHandler`."""
        return str(self.system.type_name)

    def normalize_path(self, path: str) -> str:
        """See `pyarrow.fs.FileSystemHandler`."""
        return str(self.system.normalize_path(path))

    def get_file_info(self, paths: list[str]) -> list[fs.FileInfo]:
        """See `pyarrow.fs.FileSystemHandler`."""
        return self._asked(lambda: self.system.get_file_info(paths))

    def get_file_info_selector(self, selector: fs.FileSelector) -> list[fs.FileInfo]:
        """See `pyarrow.fs.FileSystemHandler`."""
        return self._asked(lambda: self.system.get_file_info(selector))

    def create_dir(self, path: str, recursive: bool) -> None:
        """See `pyarrow.fs.FileSystemHandler`."""
        self._asked(lambda: self.system.create_dir(path, recursive=recursive))

    def delete_dir(self, path: str) -> None:
        """See `pyarrow.fs.FileSystemHandler`."""
        self._asked(lambda: self.system.delete_dir(path))

    def delete_dir_contents(self, path: str, missing_dir_ok: bool = False) -> None:
        """See `pyarrow.fs.FileSystemHandler`."""
        self._asked(lambda: self.system.delete_dir_contents(path, missing_dir_ok=missing_dir_ok))

    def delete_root_dir_contents(self) -> None:
        """See `pyarrow.fs.FileSystemHandler`."""
        raise NotImplementedError

    def delete_file(self, path: str) -> None:
        """See `pyarrow.fs.FileSystemHandler`."""
        self._asked(lambda: self.system.delete_file(path))

    def move(self, src: str, dest: str) -> None:
        """See `pyarrow.fs.FileSystemHandler`."""
        self._asked(lambda: self.system.move(src, dest))

    def copy_file(self, src: str, dest: str) -> None:
        """See `pyarrow.fs.FileSystemHandler`."""
        self._asked(lambda: self.system.copy_file(src, dest))

    def open_input_stream(self, path: str) -> pa.NativeFile:
        """See `pyarrow.fs.FileSystemHandler`."""
        return self._asked(lambda: self.system.open_input_stream(path))

    def open_input_file(self, path: str) -> pa.NativeFile:
        """See `pyarrow.fs.FileSystemHandler`."""
        return self._asked(lambda: self.system.open_input_file(path))

    def open_output_stream(self, path: str, metadata: dict[str, str]) -> pa.NativeFile:
        """See `pyarrow.fs.FileSystemHandler`."""
        return pa.PythonFile(_Upload(self, path, metadata), mode="w")

    def open_append_stream(self, path: str, metadata: dict[str, str]) -> pa.NativeFile:
        """See `pyarrow.fs.FileSystemHandler`."""
        raise NotImplementedError

    def upload(self, path: str, data: bytes, metadata: dict[str, str]) -> None:
        """Write an object."""

        def write() -> None:
            with self.system.open_output_stream(path, metadata=metadata) as stream:
                stream.write(data)

        self._asked(write)


class _Upload(io.BytesIO):
    """Gathers what is written, and uploads it when it is closed."""

    def __init__(self, handler: PatientHandler, path: str, metadata: dict[str, str]) -> None:
        super().__init__()
        self._upload = partial(handler.upload, path, metadata=metadata)

    def close(self) -> None:
        """Upload."""
        if self.closed:
            return
        try:
            self._upload(self.getvalue())
        finally:  # or it is closed, and uploaded, once more when it is collected
            super().close()
