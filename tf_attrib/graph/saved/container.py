"""What a Keras model file is made of, HDF5 or a zip archive, and a private copy of it that is checked and then loaded.

Which of the two it is, its bytes say and not its name, here alone. A zip archive is written anew from what was checked, so that
nothing is read twice and differently; an HDF5 file is copied. Nobody else can change the copy.
"""

import contextlib
import json
import shutil
import stat
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from ...common.errors import AttributionError, plain
from ...common.opening import open_regular, size_of

HDF5 = b"\x89HDF\r\n\x1a\n"
ZIP = b"PK\x03\x04"
CONFIG, METADATA, WEIGHTS, ASSETS = "config.json", "metadata.json", "model.weights.h5", "assets/"
# A configuration with a vocabulary of a million words has 20 MB.
MAX_CONFIG = 2**26
MAX_MEMBERS = 10_000
# How much larger than in its file data may become; Keras does not compress.
EXPANSION, ROOM = 20, 2**24
# Compression that HDF5 itself brings; others are loaded from libraries.
FILTERS = frozenset({1, 2, 3, 4, 5, 6, 32000})
BLOCK = 2**20


class Container:
    """An opened model file.

    Attributes:
        is_zip: whether it is a `.keras` archive.
        config: the model's configuration, a copy that may be changed.
        version: of the Keras that wrote it.
        training: of an HDF5 file, how the model was compiled; None where that is not said.
    """

    def __init__(self, path: Path, trusted: bool = False) -> None:
        self._path, self._trusted = path, trusted
        self._file = open_regular(path)
        self.is_zip = _is_zip(self._file)
        self.config: Any = None
        self.version, self.training = "", None

    def read(self, folder: Path) -> None:
        """Copies what is needed into `folder` and reads the configuration from there."""
        (self._read_zip if self.is_zip else self._read_hdf5)(folder)

    @contextlib.contextmanager
    def for_loading(self, folder: Path, config: Any) -> Iterator[Path]:
        """The private copy, with `config` in place of its own, under a name by which Keras reads it as what it is."""
        if not self.is_zip:
            yield folder / "model.h5"
            return
        path = folder / "model.keras"
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr(CONFIG, json.dumps(config))
            archive.write(folder / "weights.h5", WEIGHTS)
        (folder / "weights.h5").unlink()
        yield path

    def stored_bytes(self, folder: Path) -> int:
        """The bytes of the weights in the copy, once they are known to be in it and nowhere else."""
        return _weights_in(folder / ("weights.h5" if self.is_zip else "model.h5"))

    def close(self) -> None:
        self._file.close()

    def _read_zip(self, folder: Path) -> None:
        with zipfile.ZipFile(self._file) as archive:
            members = archive.infolist() if self._trusted else _checked(archive.infolist(), size_of(self._file))
            named = {member.filename: member for member in members}
            metadata = json.loads(_bytes(archive, named[METADATA]))
            self.version = str(metadata.get("keras_version", "3"))
            self.config = json.loads(_bytes(archive, named[CONFIG]))
            if WEIGHTS not in named:
                raise AttributionError("holds no model.weights.h5; save the model again with model.save()")
            with archive.open(named[WEIGHTS]) as source, open(folder / "weights.h5", "wb") as weights:
                shutil.copyfileobj(source, weights, BLOCK)
            with zipfile.ZipFile(folder / "model.keras", "w") as copy:  # configuration and weights follow when they are checked
                for member in [named[METADATA], *(one for one in members if one.filename.startswith(ASSETS))]:
                    if not member.is_dir():
                        copy.writestr(member.filename, _bytes(archive, member))

    def _read_hdf5(self, folder: Path) -> None:
        import h5py  # a dependency of Keras

        path = folder / "model.h5"
        self._file.seek(0)
        with open(path, "wb") as copy:
            shutil.copyfileobj(self._file, copy, BLOCK)
        with h5py.File(path, "r") as file:
            if "model_config" not in file.attrs:
                raise AttributionError("holds weights without a model; save with model.save()")
            self.config = _attribute(file, "model_config")
            self.training = _attribute(file, "training_config") if "training_config" in file.attrs else None
            self.version = str(file.attrs.get("keras_version", "2"))


@contextlib.contextmanager
def opened(path: Path, trusted: bool = False) -> Iterator[tuple[Container, Path]]:
    """A model file and the folder with its private copy, which is gone afterwards.

    Args:
        path: the file.
        trusted: read it whatever it holds.

    Raises:
        AttributionError: not a regular file, neither HDF5 nor zip; with what was found, to be put behind the file's name.
    """
    with tempfile.TemporaryDirectory(prefix="tf_attrib-") as folder:
        container = Container(path, trusted)
        try:
            container.read(Path(folder))
            yield container, Path(folder)
        finally:
            container.close()


def _is_zip(file: BinaryIO) -> bool:
    """Whether a file is a zip archive; raises AttributionError where it is no HDF5 file either."""
    start = file.read(8)
    if start.startswith(ZIP):
        return True
    place, size = 0, size_of(file)
    while place < size:  # where HDF5 itself looks, behind a block of the user's own
        file.seek(place)
        if file.read(8) == HDF5:
            return False
        place = max(512, 2 * place)
    raise AttributionError("is not a readable Keras model file (.keras or .h5): neither a zip archive nor HDF5, or truncated")


def _checked(members: list[zipfile.ZipInfo], size: int) -> list[zipfile.ZipInfo]:
    """The members of an archive of `size` bytes, where each is there once, is a file inside of it and not too large."""
    if len(members) > MAX_MEMBERS:
        raise AttributionError(f"holds {len(members):,} files; up to {MAX_MEMBERS:,} are read")
    seen: set[str] = set()
    for member in members:
        name = member.filename
        shown = repr(plain(name, 80))
        if name in seen:
            raise AttributionError(f"holds the file {shown} twice")
        if name.startswith(("/", "\\")) or ":" in name or "\\" in name or ".." in name.split("/"):
            raise AttributionError(f"holds a file called {shown}, which leads out of it")
        if stat.S_ISLNK(member.external_attr >> 16):
            raise AttributionError(f"holds {shown}, which is a link")
        if name in (CONFIG, METADATA) and member.file_size > MAX_CONFIG:
            raise AttributionError(f"holds a {name} of {member.file_size:,} bytes; up to {MAX_CONFIG:,} are read")
        seen.add(name)
    total = sum(member.file_size for member in members)
    if total > EXPANSION * size + ROOM:
        raise AttributionError(f"would become {total:,} bytes, from {size:,}")
    missing = next((name for name in (METADATA, CONFIG) if name not in seen), None)
    if missing:
        raise AttributionError(f"is not a readable Keras model file (.keras or .h5): an archive without {missing}")
    return members


def _bytes(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    with archive.open(member) as file:
        return file.read()


def _attribute(file: Any, name: str) -> Any:
    """The JSON in an attribute of an HDF5 file."""
    attribute = file.attrs.get_id(name)
    if attribute.get_storage_size() > MAX_CONFIG or attribute.shape not in ((), (1,)):
        raise AttributionError(f"has a {name} of {attribute.get_storage_size():,} bytes; up to {MAX_CONFIG:,} are read")
    text = file.attrs[name]
    if len(text) > MAX_CONFIG:
        raise AttributionError(f"has a {name} of {len(text):,} bytes; up to {MAX_CONFIG:,} are read")
    return json.loads(text)


def _weights_in(path: Path) -> int:
    """The bytes of all arrays in an HDF5 file, which hold them themselves: nothing in it leads to another file.

    Raises:
        AttributionError: links, arrays in other files, arrays that claim more than is stored.
    """
    import h5py

    found = {"claimed": 0, "stored": 0}

    def visit(name: str, link: Any) -> None:
        shown = repr(plain(name, 80))
        if not isinstance(link, h5py.HardLink):
            raise AttributionError(f"has {shown} as a link in its weights, which may lead to another file")
        dataset = file[name]
        if not isinstance(dataset, h5py.Dataset):
            return
        properties = dataset.id.get_create_plist()
        if dataset.is_virtual or properties.get_external_count():
            raise AttributionError(f"keeps the weights {shown} in another file")
        if any(properties.get_filter(number)[0] not in FILTERS for number in range(properties.get_nfilters())):
            raise AttributionError(f"keeps the weights {shown} in a form that needs a plugin of HDF5")
        if dataset.dtype.kind == "O" and h5py.check_string_dtype(dataset.dtype) is None:
            raise AttributionError(f"keeps no numbers or texts in the weights {shown}")
        size, stored = dataset.size * dataset.dtype.itemsize if dataset.shape is not None else 0, dataset.id.get_storage_size()
        if size > EXPANSION * stored + BLOCK:
            raise AttributionError(f"claims {size:,} bytes for the weights {shown}, and holds {stored:,}")
        found["claimed"] += size
        found["stored"] += stored

    with h5py.File(path, "r") as file:
        file.visititems_links(visit)
        if found["claimed"] > EXPANSION * found["stored"] + ROOM:
            raise AttributionError(f"claims {found['claimed']:,} bytes for its weights, and holds {found['stored']:,}")
    return found["claimed"]
