"""Files that are damaged, missing, changed or far too large while a data set is read: named, or skipped and counted."""

import os
import pickle
import random
import re
import shutil
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from ponderv2.datasets import (
    GroundTruthDatabase,
    LoadCameras,
    LoadLidarSweeps,
    PonderNuScenesDataset,
    data_files,
    derived_file,
    skipped_frames,
)
from ponderv2.datasets.data_files import (
    DataFileError,
    MissingFileError,
    read_image,
    read_images,
    read_label_file,
    read_point_file,
)
from ponderv2.datasets.frame_store import open_frame_store
from ponderv2.datasets.info_file import InfoFileError
from ponderv2.datasets.skipped_frames import TooManyBadFramesError
from ponderv2.engine.seeded_samples import seed_all
from ponderv2.errors import UserError
from tests.factories.gt_database import gt_object, write_gt_database
from tests.factories.keyframe import INFO_NAME, write_keyframe

FRAMES = 4


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Four key frames, each with files of its own."""
    info = write_keyframe(tmp_path)
    frames = []
    for k in range(FRAMES):
        frame = pickle.loads(pickle.dumps(info["data_list"][0]))
        frame |= {"sample_idx": k, "token": f"frame{k}", "timestamp": 100.0 + k}
        for name, camera in frame["images"].items():
            folder = tmp_path / "samples" / name
            shutil.copy(folder / "frame.png", folder / f"frame{k}.png")
            camera["img_path"] = f"frame{k}.png"
        folder = tmp_path / "samples" / "LIDAR_TOP"
        shutil.copy(folder / "key.pcd.bin", folder / f"key{k}.pcd.bin")
        frame["lidar_points"]["lidar_path"] = f"key{k}.pcd.bin"
        frames.append(frame)
    _write_info(tmp_path, info | {"data_list": frames})
    return tmp_path


def _write_info(root: Path, info: dict) -> None:
    (root / INFO_NAME).write_bytes(pickle.dumps(info))


def _change_info(root: Path, change) -> None:
    info = pickle.loads((root / INFO_NAME).read_bytes())
    change(info["data_list"])
    _write_info(root, info)


def _dataset(root: Path, **options) -> PonderNuScenesDataset:
    pipeline = [LoadCameras(), LoadLidarSweeps()]
    return PonderNuScenesDataset(data_root=str(root), ann_file=INFO_NAME, pipeline=pipeline, **options)


def _read(dataset: PonderNuScenesDataset, *places: int) -> list[str]:
    """Return the tokens of the key frames that are read in these places."""
    return [dataset[place]["token"] for place in places]


def _cut_image(root: Path) -> None:
    path = root / "samples" / "CAM_BACK" / "frame2.png"
    path.write_bytes(path.read_bytes()[:100])


def _cut_sweep(root: Path) -> None:
    path = root / "samples" / "LIDAR_TOP" / "key2.pcd.bin"
    path.write_bytes(path.read_bytes()[:-3])


def _empty_sweep(root: Path) -> None:
    (root / "samples" / "LIDAR_TOP" / "key2.pcd.bin").write_bytes(b"")


def _sweep_of_nothing(root: Path) -> None:
    np.full((10, 5), np.nan, np.float32).tofile(root / "samples" / "LIDAR_TOP" / "key2.pcd.bin")


def _missing_file(root: Path) -> None:
    (root / "samples" / "CAM_FRONT" / "frame2.png").unlink()


def _missing_camera(root: Path) -> None:
    _change_info(root, lambda frames: frames[2]["images"].pop("CAM_BACK"))


FAULTS = {
    "cut image": (_cut_image, r"key frame frame2: images\.CAM_BACK\.img_path: image .*frame2\.png is cut"),
    "cut sweep": (_cut_sweep, r"key frame frame2: lidar_points\.lidar_path: .*key2\.pcd\.bin has 59997 bytes"),
    "empty sweep": (_empty_sweep, r"key2\.pcd\.bin is empty \(0 bytes\)"),
    "sweep of nothing": (_sweep_of_nothing, r"key2\.pcd\.bin has no point that is finite"),
    "missing file": (_missing_file, r"CAM_FRONT/frame2\.png does not exist"),
    "missing camera": (_missing_camera, r"key frame frame2: images has no \['CAM_BACK'\]"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_by_default_a_fault_ends_the_run_with_the_name_of_the_file(root, fault):
    inject, named = FAULTS[fault]
    inject(root)
    dataset = _dataset(root)
    assert _read(dataset, 1) == ["frame1"]
    with pytest.raises(DataFileError, match=named):
        dataset[2]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_frame_that_is_skipped_is_named_once_and_counted_and_the_next_takes_its_place(root, fault, monkeypatch):
    inject, named = FAULTS[fault]
    inject(root)
    dataset = _dataset(root, bad_frames="skip", max_bad_frames=1)
    logged: list[str] = []
    monkeypatch.setattr(skipped_frames, "print_log", lambda line, **_: logged.append(line))
    assert _read(dataset, 0, 1, 2, 3, 2) == ["frame0", "frame1", "frame3", "frame3", "frame3"]
    (message,) = logged
    assert "1 of at most 1" in message
    assert re.search(named, message)


def test_what_takes_the_place_of_a_bad_frame_draws_as_if_it_were_tried_first():
    def read(place: int) -> dict:
        drawn = random.random(), float(np.random.rand()), float(torch.rand(()))
        if place == 1:
            raise DataFileError("cut")
        return {"place": place, "drawn": drawn}

    met: list[dict] = []
    frames = skipped_frames.SkippedFrames(4, 2)
    # The second time it is known to be bad.
    for _ in range(2):
        seed_all(7)
        met.append(frames.first_readable(1, read))
    seed_all(7)
    assert met == [read(2)] * 2


def test_one_frame_more_than_the_limit_ends_the_run(root):
    _cut_image(root)
    (root / "samples" / "CAM_FRONT" / "frame0.png").unlink()
    dataset = _dataset(root, bad_frames="skip", max_bad_frames=1)
    assert _read(dataset, 2) == ["frame3"]
    with pytest.raises(TooManyBadFramesError, match=r"2 of 4 key frames .* max_bad_frames allows 1; .*frame0\.png"):
        dataset[0]


def test_workers_count_together(root):
    _cut_image(root)
    (root / "samples" / "CAM_FRONT" / "frame1.png").unlink()
    dataset = _dataset(root, bad_frames="skip", max_bad_frames=2)
    # Of the two workers, each meets one of the two.
    loader = DataLoader(dataset, batch_size=1, num_workers=2, collate_fn=list, multiprocessing_context="fork")
    assert [frame["token"] for batch in loader for frame in batch] == ["frame0", "frame3", "frame3", "frame3"]
    assert len(dataset.skipped_frames) == 2
    dataset.skipped_frames.limit = 1
    (root / "samples" / "CAM_FRONT" / "frame0.png").unlink()
    with pytest.raises(TooManyBadFramesError, match=r"3 of 4 .*frame0\.png"):
        list(loader)


def test_a_part_of_a_data_set_counts_for_itself(root):
    _cut_image(root)
    dataset = _dataset(root, bad_frames="skip", max_bad_frames=1)
    part = dataset.get_subset([1, 2])
    assert _read(part, 0, 1) == ["frame1", "frame1"]
    assert (len(part.skipped_frames), len(dataset.skipped_frames)) == (1, 0)


def test_data_sets_without_a_readable_frame_end(root):
    for k in range(FRAMES):
        (root / "samples" / "CAM_FRONT" / f"frame{k}.png").unlink()
    with pytest.raises(TooManyBadFramesError, match="none of 4 key frames can be read"):
        _dataset(root, bad_frames="skip", max_bad_frames=4)[0]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"bad_frames": "ignore"}, "bad_frames: expected 'raise' or 'skip', got 'ignore'"),
        ({"bad_frames": "skip", "max_bad_frames": 0}, "max_bad_frames: expected a whole number of at least 1, got 0"),
        ({"bad_frames": "skip", "test_mode": True}, "evaluation needs every key frame"),
    ],
)
def test_options_that_make_no_sense_are_refused(root, options, words):
    with pytest.raises(UserError, match=words):
        _dataset(root, **options)


# ------------------------------------------------------------------------------------- changes under the run


@pytest.mark.parametrize("read_file", [read_point_file, read_label_file])
@pytest.mark.parametrize("how", ["appended to", "replaced"])
def test_a_file_that_changes_while_it_is_read_is_named(root, how, read_file, monkeypatch):
    path = root / "samples" / "LIDAR_TOP" / "key0.pcd.bin"

    def change() -> None:
        content = path.read_bytes()
        if how == "replaced":
            path.rename(path.with_name("earlier"))
        path.write_bytes(content if how == "replaced" else content + bytes(20))

    read = np.fromfile
    monkeypatch.setattr(data_files.np, "fromfile", lambda *args, **options: (read(*args, **options), change())[0])
    with pytest.raises(DataFileError, match=r"key0\.pcd\.bin was changed while it was read"):
        read_file(path)


def test_a_paste_database_that_is_made_anew_under_a_training_is_named(tmp_path):
    objects = [gt_object("car", (0, 0, 0, 4, 2, 1.5, 0), camera="CAM_FRONT")]
    folder = write_gt_database(tmp_path / "database", objects)
    database = GroundTruthDatabase(folder)
    (entry,) = database.objects["car"]
    assert (len(database.points(entry)), database.crop(entry).shape) == (20, (24, 40, 3))
    other = write_gt_database(tmp_path / "other", [*objects, gt_object("car", (9, 0, 0, 4, 2, 1.5, 0))])
    os.replace(other / "lidar_car.bin", folder / "lidar_car.bin")
    with pytest.raises(DataFileError, match=r"lidar_car\.bin was changed or replaced since"):
        database.points(entry)
    os.utime(folder / "image_car.bin", (1e9, 1e9))
    with pytest.raises(DataFileError, match=r"image_car\.bin was changed or replaced since"):
        database.crop(entry)


def test_an_info_file_that_is_made_anew_leaves_the_running_data_set_as_it_is(root):
    dataset = _dataset(root)
    _change_info(root, lambda frames: frames.reverse() or frames.pop())
    assert _read(dataset, *range(FRAMES)) == [f"frame{k}" for k in range(FRAMES)]
    assert len(_dataset(root)) == FRAMES - 1


# --------------------------------------------------------------------------------- the folder, and its clock


def test_a_read_only_data_root_is_read_and_caches_lie_elsewhere(root, tmp_path_factory, monkeypatch):
    def listing() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in [root, *root.rglob("*")]}

    cache = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    monkeypatch.setattr(derived_file, "SMALL_BYTES", 0)
    allowed = os.access
    # Root may write everywhere, whatever the modes say.
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != root and allowed(path, mode))
    before = listing()
    assert _read(_dataset(root), 0) == ["frame0"]
    assert listing() == before
    assert list(cache.rglob("*.frames"))


def test_files_with_times_in_the_future_are_read_and_what_is_made_from_them_is_seen_to_be_old(root, monkeypatch):
    """A file server's clock may be ahead of ours: then a change need not show in the times, so content is compared."""
    monkeypatch.setattr(derived_file, "SMALL_BYTES", 0)
    path, future = root / INFO_NAME, 4e9
    for file in root.rglob("*.*"):
        os.utime(file, (future, future))
    assert _read(_dataset(root), 0) == ["frame0"]
    before = path.read_bytes()
    path.write_bytes(before.replace(b"frame3", b"FRAME3"))
    os.utime(path, (future, future))
    assert open_frame_store(path).tokens.astype(str).tolist()[-1] == "FRAME3"


# ------------------------------------------------------------------------- files that want too much, or elsewhere


def _png(width: int, height: int) -> bytes:
    """A small file that says it is a large gray image."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [10_000, 20_000, 60_000])
def test_an_image_that_unpacks_to_far_more_pixels_is_refused_before_it_is(root, side, monkeypatch):
    path = root / "samples" / "CAM_FRONT" / "frame2.png"
    path.write_bytes(_png(side, side))
    for decode in ("imdecode", "imread"):
        monkeypatch.setattr(data_files.cv2, decode, lambda *_, **__: pytest.fail("it was decoded"))
    for read in (lambda: read_image(path), lambda: read_images([path], ["image"])):
        with pytest.raises(DataFileError, match=r"frame2\.png is refused: .*89478485"):
            read()


@pytest.mark.parametrize("suffix", [".hdr", ".tiff", ".ppm"])
def test_a_format_whose_size_is_not_known_before_is_not_decoded(root, suffix, monkeypatch):
    """OpenCV looks at the content, and knows many formats; a name says nothing."""
    image = np.ones((8, 8, 3), np.float32 if suffix == ".hdr" else np.uint8)
    path = root / "samples" / "CAM_FRONT" / "frame2.png"
    path.write_bytes(cv2.imencode(suffix, image)[1].tobytes())
    for decode in ("imdecode", "imread"):
        monkeypatch.setattr(data_files.cv2, decode, lambda *_, **__: pytest.fail("it was decoded"))
    for read in (lambda: read_image(path), lambda: read_images([path], ["image"])):
        with pytest.raises(
            DataFileError, match=r"frame2\.png cannot be decoded; .*another format than JPEG, PNG, BMP, WEBP"
        ):
            read()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp"])
def test_formats_that_are_read(root, suffix):
    path = root / "samples" / "CAM_FRONT" / "frame2.png"
    path.write_bytes(cv2.imencode(suffix, np.full((8, 9, 3), 200, np.uint8))[1].tobytes())
    assert read_image(path).shape == (8, 9, 3)


@pytest.mark.parametrize(
    ("key", "place"),
    [
        ("images.CAM_FRONT.img_path", "../../../secret.png"),
        ("images.CAM_FRONT.img_path", "/etc/passwd"),
        ("images.CAM_FRONT.img_path", "../../../{name}_other/secret.png"),
        ("lidar_points.lidar_path", "../../../secret.bin"),
    ],
)
def test_a_path_that_leaves_the_data_set_is_refused(root, key, place):
    def change(frames: list[dict]) -> None:
        *parts, last = key.split(".")
        part = frames[2]
        for name in parts:
            part = part[name]
        part[last] = place.format(name=root.name)

    _change_info(root, change)
    (root.parent / "secret.png").write_bytes(_png(4, 4))
    dataset = _dataset(root, bad_frames="skip")
    with pytest.raises(InfoFileError, match=rf"key frame frame2: {key} leads to .*out of the data set's folder"):
        dataset[2]


def test_paths_inside_of_the_data_set_are_read_whatever_they_look_like(root):
    def change(frames: list[dict]) -> None:
        frames[0]["images"]["CAM_FRONT"]["img_path"] = "../CAM_FRONT/./frame0.png"
        frames[1]["images"]["CAM_FRONT"]["img_path"] = str(root / "samples" / "CAM_FRONT" / "frame1.png")

    _change_info(root, change)
    outside = root.parent / f"{root.name}_disk"
    outside.mkdir()
    (root / "samples" / "CAM_BACK" / "frame0.png").rename(outside / "frame0.png")
    (root / "samples" / "CAM_BACK" / "frame0.png").symlink_to(outside / "frame0.png")
    dataset = _dataset(root)
    assert _read(dataset, 0, 1) == ["frame0", "frame1"]


@pytest.mark.parametrize("name", ["../lidar_car.bin", "/etc/passwd", "..", "", 7])
def test_a_paste_database_that_names_a_file_elsewhere_is_refused(tmp_path, name):
    folder = write_gt_database(tmp_path / "database", [gt_object("car", (0, 0, 0, 4, 2, 1.5, 0))])
    index = pickle.loads((folder / "index.pkl").read_bytes())
    index["metainfo"]["lidar_files"]["car"] = name
    (folder / "index.pkl").write_bytes(pickle.dumps(index))
    with pytest.raises(UserError, match=r"index\.pkl: metainfo\.lidar_files\.car: expected the name of a file"):
        GroundTruthDatabase(folder)


@pytest.mark.parametrize(("first", "count"), [(-5, 10), (0, -1), (0, 1 << 50), (1 << 62, 1)])
def test_an_object_that_lies_outside_of_its_file_is_refused_before_memory_is_taken(tmp_path, first, count):
    folder = write_gt_database(tmp_path / "database", [gt_object("car", (0, 0, 0, 4, 2, 1.5, 0), camera="CAM_FRONT")])
    files = GroundTruthDatabase(folder).files
    with pytest.raises(DataFileError, match=r"lidar_car\.bin ends before"):
        files.points("car", first, count)
    with pytest.raises(DataFileError, match=r"image_car\.bin holds no picture in the bytes"):
        files.crop("car", first, count)


def test_a_missing_file_is_also_an_error_of_the_system(tmp_path):
    with pytest.raises(FileNotFoundError) as found:
        read_image(tmp_path / "nowhere.png")
    assert isinstance(found.value, MissingFileError)
