"""Point files and images that the tables name, looked at without being read: there, whole, and of the right size."""

from pathlib import Path

from PIL import Image

from ponderv2.datasets.data_files import (
    DataFileError,
    MissingFileError,
    check_point_file,
    file_size,
    read_label_file,
)

from .nuscenes_tables import PreparationError

_TAIL = 1024
"""Number of bytes at the end of an image in which its end is looked for."""
_ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}


class RecordingFiles:
    """Check the recordings of a scene, each of them once.

    Of point files the size is looked at, of images the header and the end as well: none is decoded. Labels, a byte a
    point, are read. That finds files that are empty or cut, but not points or images that were changed in the middle,
    or points that were cut off whole where there are no labels to count.

    Args:
        root: folder of the data set.

    Raises:
        PreparationError: on checking, when a file is missing, empty, cut or of another size than the tables say.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._points: dict[str, int] = {}
        self._images: set[str] = set()

    def check_points(self, path: str) -> int:
        """Check a point file; returns its number of points."""
        if path not in self._points:
            try:
                self._points[path] = check_point_file(self.root / path)
            except DataFileError as error:
                raise _explained(error, path) from error
        return self._points[path]

    def check_labels(self, path: str, points: str) -> None:
        """Check that a file of lidarseg has a byte for each point of a point file, and none that is no category."""
        count = self.check_points(points)
        try:
            size = file_size(self.root / path, "labels")
        except DataFileError as error:
            raise _explained(error, path) from error
        if size != count:
            raise PreparationError(
                f"labels {self.root / path} have {size} bytes, expected one for each of the {count} points of "
                f"{self.root / points}; one of the two is cut"
            )
        try:
            read_label_file(self.root / path)
        except DataFileError as error:
            raise _explained(error, path) from error

    def check_image(self, path: str, width: int, height: int) -> None:
        """Check an image against the size in pixels that the tables have."""
        if path in self._images:
            return
        full = self.root / path
        try:
            size = file_size(full, "image")
        except DataFileError as error:
            raise _explained(error, path) from error
        if size == 0:
            raise PreparationError(f"image {full} is empty (0 bytes); unpack or copy it again")
        with full.open("rb") as file:
            try:
                with Image.open(file) as image:
                    found, end = image.size, _ENDS.get(image.format, b"")
            except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
                raise PreparationError(f"image {full} does not begin as an image does; copy it again") from error
            file.seek(max(size - _TAIL, 0))
            tail = file.read()
        if found != (width, height):
            raise PreparationError(
                f"image {full} has {found[0]}×{found[1]} pixels, the tables say {width}×{height}; are images and "
                "tables of one data set?"
            )
        if end not in tail:
            raise PreparationError(
                f"image {full} is cut: {size} bytes without the end of an image; unpack or copy it again"
            )
        self._images.add(path)


def _explained(error: DataFileError, path: str) -> PreparationError:
    if not isinstance(error, MissingFileError):
        return PreparationError(str(error))
    text = f"{error}, but the tables name it; unpack that part of the data set too"
    # Whoever has no earlier sweeps at all can do without them, but not without key frames.
    if Path(path).parts[0] == "sweeps":
        text += ", or do without earlier sweeps (--lidar-sweeps 0, --camera-sweeps 0)"
    return PreparationError(text)
