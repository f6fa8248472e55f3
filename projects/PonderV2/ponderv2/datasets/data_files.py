"""Files of points, labels and images, read so that an empty, cut or otherwise unusable one is a clear error."""

import io
import os
import stat
import struct
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from ponderv2.errors import UserError
from ponderv2.shapes import Float, UInt8

from .info_file import InfoFileError
from .lidarseg_classes import LIDARSEG_CATEGORIES

_COLOR: int = getattr(cv2, "IMREAD_COLOR_RGB", cv2.IMREAD_COLOR)
"""The flag of OpenCV 4.11 and later gives RGB at once, which is what a JPEG is decoded to first."""
_JPEG, _PNG = b"\xff\xd8", b"\x89PNG"
MAX_IMAGE_PIXELS = 89_478_485
"""Pixels of an image up to which it is decoded: PIL's default, a quarter of a gigabyte in colors."""
_FORMATS = ("JPEG", "PNG", "BMP", "WEBP")
"""Formats of images that are read, by their content, as PIL calls them."""
_UNTOUCHED = 201
"""Value of a row of pixels that is not decoded yet; an image whose first row has it all along is decoded once more."""
_START_OF_SCAN, _END_OF_IMAGE = b"\xff\xda", b"\xff\xd9"


class DataFileError(UserError):
    """A file of points, labels or an image that is empty, cut or of another format; the message names it."""


class MissingCameraError(InfoFileError, DataFileError):
    """A key frame that lacks a camera; the message names it and those that are there."""


class MissingFileError(DataFileError, FileNotFoundError):
    """A file of the data set that is not there."""


def read_point_file(path: str | Path, load_dim: int = 5, name: str = "point file") -> Float[np.ndarray, "p d"]:
    """Read all points of a file, float32; `name` begins the messages.

    Args:
        path: file of nothing but float32 values.
        load_dim: number of values of a point.
        name: what the file is, and of which key frame.

    Raises:
        DataFileError: the file is empty, or its size is no multiple of a point.
        MissingFileError: it does not exist.
    """
    path = Path(path)
    check_point_file(path, load_dim, name)
    with unchanged(path, name):
        points = np.fromfile(path, dtype=np.float32)
    return points.reshape(-1, load_dim)


def check_point_file(path: Path, load_dim: int = 5, name: str = "point file") -> int:
    """Return the number of points of a file by its size alone; raises what `read_point_file` does."""
    size = file_size(path, name)
    if size == 0:
        raise DataFileError(f"{name} {path} is empty (0 bytes); unpack or copy it again")
    if size % (4 * load_dim):
        raise DataFileError(
            f"{name} {path} has {size} bytes, no multiple of {load_dim} float32 values; it is cut or of another format"
        )
    return size // (4 * load_dim)


def read_label_file(path: str | Path, num_points: int | None = None, name: str = "labels") -> np.ndarray:
    """Read the lidarseg labels of a sweep, uint8 `[P]` with numbers of the 32 categories; `name` begins the messages.

    Args:
        path: file with a byte for each point of the sweep's file.
        num_points: number of points of that file; None where it is not known.
        name: what the file is, and of which key frame.

    Raises:
        DataFileError: the file has another number of bytes, or a number that is no category.
        MissingFileError: it does not exist.
    """
    path = Path(path)
    size = file_size(path, name)
    if num_points is not None and size != num_points:
        raise DataFileError(
            f"{name} {path} have {size} bytes, expected one for each of the {num_points} points of the sweep; one of "
            "the two is cut, or of another frame"
        )
    with unchanged(path, name):
        labels = np.fromfile(path, dtype=np.uint8)
    if len(labels) != size:
        raise DataFileError(f"{name} {path} was changed while it was read; who writes to the data set?")
    wrong = np.flatnonzero(labels >= len(LIDARSEG_CATEGORIES))
    if len(wrong):
        raise DataFileError(
            f"{name} {path}: point {wrong[0]} has the label {labels[wrong[0]]}, and {len(wrong)} points have none of "
            f"the categories 0 to {len(LIDARSEG_CATEGORIES) - 1} of nuScenes-lidarseg; the file is damaged or of "
            "another format"
        )
    return labels


def file_size(path: Path, name: str) -> int:
    """Return the number of bytes of a file.

    Raises:
        MissingFileError: it does not exist.
        DataFileError: it is a folder, or something else that is no file; or no file can have that name.
    """
    try:
        found = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise MissingFileError(f"{name} {path} does not exist") from error
    except ValueError as error:
        raise DataFileError(f"{name} {str(path)!r}: {error}; no file can have that name") from error
    if not stat.S_ISREG(found.st_mode):
        raise DataFileError(f"{name} {path} is no file")
    return found.st_size


def read_image(path: str | Path, name: str = "image") -> np.ndarray:
    """Read an image, uint8 RGB `[H, W, 3]`; `name` begins the messages.

    Raises:
        DataFileError: the file is empty, cut, or cannot be decoded.
        MissingFileError: it does not exist.
    """
    path = Path(path)
    file_size(path, name)
    with unchanged(path, name):
        content = path.read_bytes()
    return decode_image(content, f"{name} {path}")


def read_images(paths: Sequence[str | Path], names: Sequence[str]) -> list[UInt8[np.ndarray, "h w 3"]]:
    """Read images as `read_image` does; those of the first one's size are parts of one array `[N, H, W, 3]`, in order.

    They are decoded to where they stay, so that neither a batch of them is a copy nor a second place in memory is
    written. The array is the `base` of its images.

    Args:
        paths: files of the images.
        names: what each of them is, which begins the messages.

    Raises:
        DataFileError, MissingFileError: as `read_image`.
    """
    together: np.ndarray | None = None
    images = []
    for place, (path, name) in enumerate(zip(map(Path, paths), names, strict=True)):
        file_size(path, name)
        with unchanged(path, name):
            content = path.read_bytes()
        size = _checked_size(content, f"{name} {path}")
        if together is None:
            together = np.empty((len(paths), *size, 3), dtype=np.uint8)
        image = together[place]
        if size != together.shape[1:3] or not _decode_to(image, content):
            image = decode_image(content, f"{name} {path}")
        images.append(image)
    return images


@contextmanager
def unchanged(path: Path, name: str) -> Iterator[None]:
    """Refuse what was read of a file in the block if the file was changed or replaced meanwhile.

    Raises:
        DataFileError: it was; the message begins with `name`.
    """
    before = path.stat()
    yield
    after = path.stat()
    if (before.st_ino, before.st_size, before.st_mtime_ns) != (after.st_ino, after.st_size, after.st_mtime_ns):
        raise DataFileError(f"{name} {path} was changed while it was read; who writes to the data set?")


def decode_image(content: bytes, name: str) -> np.ndarray:
    """Decode the content of an image file, uint8 RGB `[H, W, 3]`.

    Raises:
        DataFileError: it is empty, cut, or no image; the message begins with `name`.
    """
    _checked_size(content, name)
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), _COLOR)
        if image is not None and _COLOR == cv2.IMREAD_COLOR:
            image = cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
    except cv2.error as error:
        raise DataFileError(f"{name} cannot be decoded; it is damaged or of another format") from error
    if image is None:
        raise DataFileError(f"{name} cannot be decoded; it is damaged or of another format")
    return image


def _decode_to(image: UInt8[np.ndarray, "h w 3"], content: bytes) -> bool:
    """Decode the content of a file into an array of its size; False where that was not done, or is not known to be."""
    if not (hasattr(cv2, "IMREAD_COLOR_RGB") and hasattr(os, "memfd_create")):
        # OpenCV before 4.11 has no way to decode to where one wants, and later ones do so from files alone.
        return False
    # OpenCV says nothing when it leaves the array as it is, as for a file that it cannot decode.
    image[0] = _UNTOUCHED
    # A file in memory: what is decoded is what was checked, and is read from the disk once.
    with open(os.memfd_create("image"), "wb") as file:
        file.write(content)
        file.flush()
        try:
            decoded = cv2.imread(f"/proc/self/fd/{file.fileno()}", image, _COLOR)
        except cv2.error:
            return False
    # Where the file says that its image is turned, it is another array.
    return decoded is image and bool((image[0] != _UNTOUCHED).any())


def _checked_size(content: bytes, name: str) -> tuple[int, int]:
    """Return the (height, width) that the header of an image tells, of a file that is whole.

    An image of more than `MAX_IMAGE_PIXELS` is refused before memory is taken for them. What OpenCV decodes by formats
    that are not in `_FORMATS`, whose sizes nobody checks, is refused as well.
    """
    if not content:
        raise DataFileError(f"{name} is empty (0 bytes); unpack or copy it again")
    # OpenCV would fill what is missing with gray.
    if is_cut(content):
        raise DataFileError(f"{name} is cut: {len(content)} bytes without the end of an image; unpack or copy it again")
    size = "far more"
    try:
        with warnings.catch_warnings():
            # PIL warns beyond its limit, and refuses twice as many, unless some other package has switched that off.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(io.BytesIO(content), formats=_FORMATS) as image:
                width, height = image.size
        if width * height <= MAX_IMAGE_PIXELS:
            return height, width
        size = f"{width}×{height} pixels, more"
    except Image.DecompressionBombError:
        pass
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, OverflowError, struct.error) as error:
        formats = ", ".join(_FORMATS)
        raise DataFileError(f"{name} cannot be decoded; it is damaged or of another format than {formats}") from error
    raise DataFileError(f"{name} is refused: it has {size} than {MAX_IMAGE_PIXELS} pixels")


def is_cut(content: bytes) -> bool:
    """Tell whether a JPEG or PNG file lacks its end; of other formats this does not know.

    In a JPEG's data no marker can occur by chance: there the byte FF is followed by 00. A thumbnail before them has an
    end of its own, and some programs put something after the end.
    """
    if content.startswith(_JPEG):
        return content.rfind(_END_OF_IMAGE) <= content.rfind(_START_OF_SCAN)
    return content.startswith(_PNG) and b"IEND" not in content[-64:]
