"""Folders in object stores, `s3://` and `gs://`, by pyarrow's file systems.

Credentials, regions and endpoints come from where these stores' own tools take them (environment,
configuration files, the machine's role). An object appears when its upload has ended, so a killed
upload leaves nothing that could be read.
"""

import hashlib
import mmap
import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
from pyarrow import fs

from datasets.errors import ConfigError, UnreachableError
from datasets.folder import Stamp

SCHEMES = ("s3", "gs")
_HERE = fs.LocalFileSystem()


@dataclass(frozen=True)
class RemoteFolder:
    """A folder of an object store; see `datasets.folder.Folder`."""

    address: str
    """`s3://bucket/folder`; what follows a `?` are options of pyarrow's file systems."""

    def __post_init__(self) -> None:
        scheme = self.address.partition("://")[0]
        if scheme not in SCHEMES:
            kinds = ", ".join(f"{scheme}://" for scheme in SCHEMES)
            raise ConfigError(f"{self.address}: of these addresses only {kinds} can be used")
        bucket = self.address.partition("://")[2].partition("?")[0].partition("/")[0]
        if ":" in bucket:
            raise ConfigError(
                f"the address of {scheme}://…@{bucket.rpartition('@')[2]} holds a password, which "
                "would get into logs: give it as the store's own tools take it, by the environment "
                "or a configuration file"
            )
        if not bucket:
            raise ConfigError(f"{self.address} names no bucket: give {scheme}://BUCKET/FOLDER")

    def __str__(self) -> str:
        return self.address.partition("?")[0].rstrip("/")

    def opened(self) -> tuple[fs.FileSystem, str]:
        """Return the file system of pyarrow, and the folder's path in it."""
        return _opened(self.address)

    def names(self) -> list[str]:
        """See `Folder`."""
        return sorted(self.stamps())

    def stamps(self) -> dict[str, Stamp]:
        """See `Folder`. Stores keep whole seconds: two writes in one may have one stamp."""
        system, root = _opened(self.address)
        selector = fs.FileSelector(root, recursive=True, allow_not_found=True)
        return {
            one.path[len(root) + 1 :]: Stamp(int(one.size), int(one.mtime_ns or 0))
            for one in system.get_file_info(selector)
            if one.is_file
        }

    def has(self, name: str) -> bool:
        """See `Folder`."""
        return bool(self._info(name).is_file)

    def read(self, name: str) -> bytes:
        """See `Folder`. One that is replaced meanwhile may be cut short: it has two requests."""
        system, root = _opened(self.address)
        with system.open_input_stream(f"{root}/{name}") as stream:
            data: bytes = stream.read()
        return data

    def size(self, name: str) -> int:
        """See `Folder`."""
        info = self._info(name)
        if not info.is_file:
            raise FileNotFoundError(f"{self}/{name}")
        return int(info.size)

    @contextmanager
    def local(self, name: str) -> Iterator[Path]:
        """See `Folder`: a copy in the temporary folder, for the time of the block."""
        system, root = _opened(self.address)
        with tempfile.TemporaryDirectory(prefix="fer-orch-") as directory:
            path = Path(directory, Path(name).name)
            fs.copy_files(f"{root}/{name}", str(path), system, _HERE)
            yield path

    def write(self, name: str, write: Callable[[Path], None]) -> None:
        """See `Folder`: written in the temporary folder, then uploaded."""
        system, root = _opened(self.address)
        with tempfile.TemporaryDirectory(prefix="fer-orch-") as directory:
            path = Path(directory, Path(name).name)
            write(path)
            # In a thread: where Ctrl-C breaks a stream off, it closes, and half is uploaded.
            with ThreadPoolExecutor(1, thread_name_prefix="upload") as pool:
                pool.submit(_upload, path, system, f"{root}/{name}").result()

    def rename(self, name: str, new: str) -> None:
        """See `Folder`."""
        system, root = _opened(self.address)
        if not self.has(name):
            raise FileNotFoundError(f"{self}/{name}")
        system.copy_file(f"{root}/{name}", f"{root}/{new}")
        system.delete_file(f"{root}/{name}")

    def copy(self, name: str, new: str) -> None:
        """See `Folder`: in the store, by one request."""
        system, root = _opened(self.address)
        try:
            system.copy_file(f"{root}/{name}", f"{root}/{new}")
        except OSError as error:
            if self.has(name):
                raise
            raise FileNotFoundError(f"{self}/{name}") from error

    def remove(self, name: str) -> None:
        """See `Folder`."""
        system, root = _opened(self.address)
        if self.has(name):
            system.delete_file(f"{root}/{name}")

    def remove_below(self, name: str) -> None:
        """See `Folder`."""
        system, root = _opened(self.address)
        selector = fs.FileSelector(f"{root}/{name}", recursive=True, allow_not_found=True)
        files = [one.path for one in system.get_file_info(selector) if one.is_file]
        if files and isinstance(system, fs.S3FileSystem):
            system.delete_dir(f"{root}/{name}")  # in one request, and leaves no empty folder
            return
        for path in files:
            system.delete_file(path)

    def below(self, name: str) -> "RemoteFolder":
        """See `Folder`."""
        path, mark, options = self.address.partition("?")
        return RemoteFolder(f"{path.rstrip('/')}/{name}{mark}{options}")

    def lock_file(self, name: str) -> Path:
        """See `Folder`. Object stores have no locks: this one holds on this machine alone."""
        folder = Path(tempfile.gettempdir(), f"fer-orch-locks-{os.getuid()}")
        folder.mkdir(mode=0o700, exist_ok=True)
        return folder / hashlib.sha256(f"{self}/{name}".encode()).hexdigest()

    def _info(self, name: str) -> fs.FileInfo:
        system, root = _opened(self.address)
        return system.get_file_info(f"{root}/{name}")


def _upload(path: Path, system: fs.FileSystem, target: str) -> None:
    """Write a file of this machine to a store, all of it in one call: nothing can come in between.

    Not by `fs.copy_files`, which says nothing where the store refuses the end of an upload (seen
    with pyarrow 26.0.1).
    """
    size = path.stat().st_size
    with path.open("rb") as source:
        # Nothing can't be mapped. Closed with its last reader: parts are uploaded beside.
        data = mmap.mmap(source.fileno(), size, prot=mmap.PROT_READ) if size else b""
    with system.open_output_stream(target) as stream:
        stream.write(pa.py_buffer(data))


@lru_cache(maxsize=8)
def _opened(address: str) -> tuple[fs.FileSystem, str]:
    """Return the file system of an address and the path in it, without a slash at its end."""
    scheme, _, rest = address.partition("://")
    path, mark, options = rest.partition("?")
    if scheme == "s3" and "allow_delayed_open" not in options:
        # A small file is one request then, and not three.
        mark, options = "?", f"{options}&allow_delayed_open=true".lstrip("&")
    try:
        # Names may have spaces, which an address may not.
        uri = f"{scheme}://{quote(path, safe='/@')}{mark}{options}"
        system, path = fs.FileSystem.from_uri(uri)
    except (pa.ArrowException, ValueError) as error:
        raise ConfigError(f"{address} is no address of an object store: {error}") from error
    except OSError as error:
        raise UnreachableError(
            f"can't reach {address} ({error}): check the bucket's name, the network and the "
            "credentials"
        ) from error
    return system, path.rstrip("/")
