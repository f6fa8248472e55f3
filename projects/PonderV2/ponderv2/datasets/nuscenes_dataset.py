"""nuScenes key frames."""

from collections.abc import Sequence
from pathlib import Path

from mmdet3d.datasets import NuScenesDataset

from ponderv2.registry import DATASETS

from .info_file import InfoFileError, load_info_file
from .label_fractions import choose_fraction
from .nuscenes_constants import CAMERAS, LIDAR


@DATASETS.register_module()
class PonderNuScenesDataset(NuScenesDataset):
    """mmdet3d's `NuScenesDataset`, which reads info files safely and gives key frames in the order of time.

    Samples without boxes are kept: pre-training needs none.

    Args:
        data_root: folder that holds the info file, `samples/` and `sweeps/`.
        ann_file: info file, relative to `data_root`; or several of one version, as train and val together for a
            submission.
        pipeline: transforms, or their configs.
        load_interval: distance n of the key frames that are used, every n-th in the order of time (published: 2 for
            "50 %" of the data).
        fraction: share of the frames or scenes that is used, see `choose_fraction`; before `load_interval`.
        fraction_by: unit of the fraction, "frames" or "scenes".
        fraction_seed: seed of the choice.
        test_mode: whether the pipeline gets no annotations, as in mmdet3d.
        **kwargs: arguments of `NuScenesDataset`.

    Raises:
        InfoFileError: an info file is damaged, of another format or without key frames, or one of several is of
            another version.
    """

    def __init__(
        self,
        data_root: str,
        ann_file: str | Sequence[str],
        pipeline: list,
        load_interval: int = 1,
        fraction: float = 1.0,
        fraction_by: str = "frames",
        fraction_seed: int = 0,
        test_mode: bool = False,
        **kwargs,
    ) -> None:
        self.load_interval = load_interval
        self.fraction, self.fraction_by, self.fraction_seed = fraction, fraction_by, fraction_seed
        files = [ann_file] if isinstance(ann_file, str) else list(ann_file)
        self.info_files = [Path(data_root, file) for file in files]
        self._version_given = "version" in (kwargs.get("metainfo") or {})
        prefix = {"pts": f"samples/{LIDAR}", "sweeps": f"sweeps/{LIDAR}"} | {c: f"samples/{c}" for c in CAMERAS}
        kwargs.setdefault("data_prefix", prefix)
        kwargs.setdefault("modality", {"use_lidar": True, "use_camera": True})
        kwargs.setdefault("filter_empty_gt", False)
        super().__init__(data_root=data_root, ann_file=files[0], pipeline=pipeline, test_mode=test_mode, **kwargs)

    def load_data_list(self) -> list[dict]:
        """Load and parse the key frames, sorted by time stamp: every `load_interval`-th of the chosen fraction."""
        infos = [(path, load_info_file(path)) for path in self.info_files]
        self._check_files(infos)
        # An error about a frame names the file it is from.
        frames = [frame | {"info_file": path.name} for path, info in infos for frame in info["data_list"]]
        frames.sort(key=lambda frame: frame.get("timestamp", 0.0))
        frames = choose_fraction(frames, self.fraction, self.fraction_by, self.fraction_seed)
        return [self.parse_data_info(frame) for frame in frames[:: self.load_interval]]

    def check_info(self, info: dict, path: Path) -> None:
        """Check an info file as a whole; subclasses say what they ask of it.

        Raises:
            InfoFileError: the file cannot be used; the message names the file and the key.
        """

    def _check_files(self, infos: list[tuple[Path, dict]]) -> None:
        """Check that all have key frames, of one version, which becomes that of the data set."""
        first, version = infos[0][0], infos[0][1]["metainfo"].get("version")
        for path, info in infos:
            if not info["data_list"]:
                raise InfoFileError(f"info file {path} has no key frames")
            if info["metainfo"].get("version") != version:
                raise InfoFileError(
                    f"info file {path} is of version {info['metainfo'].get('version')}, {first} of {version}"
                )
            # As mmengine's loader does: what the class and the config say wins over the file.
            for key, value in info["metainfo"].items():
                self._metainfo.setdefault(key, value)
            self.check_info(info, path)
        # But the class knows nothing of this file's version: mmdet3d's says v1.0-trainval, even of mini.
        if not self._version_given and version is not None:
            self._metainfo["version"] = version

    def parse_data_info(self, info: dict) -> dict:
        """Parse a key frame as mmdet3d does, on a copy (it joins paths in place), with errors that name the key."""
        info = info | {
            "images": {name: dict(camera) for name, camera in info.get("images", {}).items()},
            "lidar_points": dict(info.get("lidar_points", {})),
        }
        if "lidar_sweeps" in info:
            info["lidar_sweeps"] = [s | {"lidar_points": dict(s["lidar_points"])} for s in info["lidar_sweeps"]]
        file = info.pop("info_file", self.info_files[0].name)
        where = f"{file}, key frame {info.get('token', info.get('sample_idx'))}"
        if "lidar_path" not in info["lidar_points"]:
            raise InfoFileError(f"{where}: lidar_points.lidar_path is missing")
        unknown = sorted(set(info["images"]) - set(self.data_prefix))
        if unknown:
            raise InfoFileError(
                f"{where}: images has the unknown cameras {unknown}; known are "
                f"{sorted(set(self.data_prefix) - {'pts', 'sweeps'})} (keys of data_prefix)"
            )
        info.setdefault("instances", [])
        parsed = super().parse_data_info(info)
        parsed["info_name"] = where
        return parsed
