"""nuScenes key frames."""

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmdet3d.datasets import NuScenesDataset
from mmengine.dataset import force_full_init

from ponderv2.errors import UserError
from ponderv2.registry import DATASETS
from ponderv2.shapes import Bool, Int

from .file_places import check_places
from .frame_list import FrameList
from .frame_store import FrameStore, InstanceColumns, open_frame_store
from .history import EARLIER, POSE, SHARED_KEYS, choose_history, lidar_pose, link_signals, pack_history
from .info_file import InfoFileError
from .label_fractions import choose_fraction
from .nuscenes_constants import CAMERAS, LIDAR
from .pipeline_transforms import PART, UsesFrames, transforms_of
from .skipped_frames import SkippedFrames, check_bad_frames


@DATASETS.register_module()
class PonderNuScenesDataset(NuScenesDataset):
    """mmdet3d's `NuScenesDataset`, which reads info files safely and gives key frames in the order of time.

    Samples without boxes are kept: pre-training needs none. Key frames are not held in memory but decoded from the
    info file's store (`open_frame_store`) one at a time, which all processes share; the first of each set of keys is
    parsed at the start, so that a file with wrong keys is refused there. Transforms of the pipeline that take from
    other key frames are told which the data set uses (`UsesFrames`).

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
        history: number of earlier key frames of the scene whose images a sample has as well, as `history` of its
            inputs, a `FrameQueue`; fewer at the start of a scene. They go through the same pipeline, each with draws of
            its own, but for the augmentation of the scene, which is that of the sample (`SHARED_KEYS`). They are of the
            whole info file, also where the data set uses a part of it: nothing is read of their labels.
        draw_history: whether one of the last `history + 1` frames is left out at random, see `choose_history`; never in
            `test_mode`.
        test_mode: whether the pipeline gets no annotations, as in mmdet3d.
        bad_frames: what to do with a key frame that has a file which is missing, empty, cut or damaged, or lacks a
            camera: "raise" ends the run with the file's name; "skip" logs it and takes the next one in time instead.
        max_bad_frames: number of different key frames that may be skipped, by a process with all its workers.
        **kwargs: arguments of `NuScenesDataset`; `serialize_data` changes nothing.

    Raises:
        InfoFileError: an info file is damaged, of another format or without key frames, or one of several is of
            another version; a key frame lacks what is needed, or names a file outside of the data set's folders.
        DataFileError: a file of a key frame cannot be used, and `bad_frames` is "raise".
        TooManyBadFramesError: more than `max_bad_frames` were skipped.
        UserError: frames are to be skipped in evaluation; `load_interval` is no whole number of at least 1, `history`
            none of at least 0; or a transform cannot tell which key frames it takes from.
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
        history: int = 0,
        draw_history: bool = False,
        test_mode: bool = False,
        bad_frames: str = "raise",
        max_bad_frames: int = 10,
        **kwargs,
    ) -> None:
        check_bad_frames(bad_frames, max_bad_frames, test_mode)
        self.bad_frames, self.max_bad_frames = bad_frames, max_bad_frames
        self.skipped_frames: SkippedFrames | None = None
        if not isinstance(history, int) or history < 0:
            raise UserError(f"history: expected a whole number of at least 0, got {history!r}")
        self.history, self.draw_history = history, draw_history
        if not isinstance(load_interval, int) or load_interval < 1:
            raise UserError(f"load_interval: expected a whole number of at least 1, got {load_interval!r}")
        self.load_interval = load_interval
        self.fraction, self.fraction_by, self.fraction_seed = fraction, fraction_by, fraction_seed
        files = [ann_file] if isinstance(ann_file, str) else list(ann_file)
        self.info_files = [Path(data_root, file) for file in files]
        self._version_given = "version" in (kwargs.get("metainfo") or {})
        prefix = {"pts": f"samples/{LIDAR}", "sweeps": f"sweeps/{LIDAR}"} | {c: f"samples/{c}" for c in CAMERAS}
        kwargs.setdefault("data_prefix", prefix)
        kwargs.setdefault("modality", {"use_lidar": True, "use_camera": True})
        kwargs.setdefault("filter_empty_gt", False)
        # Frames lie serialised in the store; mmengine's copy of them would be one more in each process.
        kwargs["serialize_data"] = False
        # mmdet3d forgets it with `lazy_init`.
        self.show_ins_var = kwargs.get("show_ins_var", False)
        super().__init__(data_root=data_root, ann_file=files[0], pipeline=pipeline, test_mode=test_mode, **kwargs)

    def full_init(self) -> None:
        """Choose the key frames, as mmengine does, and tell the transforms that need to know."""
        if self._fully_initialized:
            return
        super().full_init()
        self._tell_transforms()

    def load_data_list(self) -> Sequence:
        """Choose the key frames, sorted by time stamp: every `load_interval`-th of the chosen fraction."""
        stores = [open_frame_store(path) for path in self.info_files]
        self._check_files(stores)
        frames = FrameList(stores, self.parse_data_info)
        frames = frames.take(self._fraction_of(frames))[:: self.load_interval]
        for index in frames.first_of_each_layout():
            frames[index]
        if not self.test_mode or self.load_eval_anns:
            counted = self._counted_labels(frames.all_instances())
            self.num_ins_per_cat = np.bincount(counted, minlength=len(self.num_ins_per_cat)).tolist()
        return frames

    def _fraction_of(self, frames: FrameList) -> list[int]:
        """Return the indices of the frames that are in the fraction."""
        if self.fraction == 1:
            return list(range(len(frames)))
        entries = [
            {"index": index, "token": token, "scene_token": scene} if token else {**frames.entry(index), "index": index}
            for index, (token, scene) in enumerate(zip(frames.tokens(), frames.scene_tokens(), strict=True))
        ]
        chosen = choose_fraction(entries, self.fraction, self.fraction_by, self.fraction_seed)
        return [entry["index"] for entry in chosen]

    def check_info(self, metainfo: dict, path: Path) -> None:
        """Check what an info file says of itself; subclasses say what they ask of it.

        Raises:
            InfoFileError: the file cannot be used; the message names the file and the key.
        """

    def _check_files(self, stores: Sequence[FrameStore]) -> None:
        """Check that all have key frames, of one version, which becomes that of the data set."""
        first, version = stores[0].path, stores[0].metainfo.get("version")
        for store in stores:
            path, metainfo = store.path, store.metainfo
            if not len(store):
                raise InfoFileError(f"info file {path} has no key frames")
            if metainfo.get("version") != version:
                raise InfoFileError(f"info file {path} is of version {metainfo.get('version')}, {first} of {version}")
            # As mmengine's loader does: what the class and the config say wins over the file.
            for key, value in metainfo.items():
                self._metainfo.setdefault(key, value)
            self.check_info(metainfo, path)
        # But the class knows nothing of this file's version: mmdet3d's says v1.0-trainval, even of mini.
        if not self._version_given and version is not None:
            self._metainfo["version"] = version

    @force_full_init
    def get_data_info(self, idx: int) -> dict:
        """Decode and parse a key frame; negative numbers count from the end."""
        info = self.data_list[idx]
        if not isinstance(self.data_list, FrameList):
            # A subclass has made a list of its own.
            info = copy.deepcopy(info)
        info["sample_idx"] = idx if idx >= 0 else len(self) + idx
        if self._uses_part:
            info[PART] = True
        return info

    @force_full_init
    def scene_tokens(self) -> list[str]:
        """Return the token of the scene of each key frame, without decoding any; empty where the file lacks it."""
        if isinstance(self.data_list, FrameList):
            return self.data_list.scene_tokens()
        return [frame.get("scene_token") or "" for frame in self.data_list]

    def __getitem__(self, idx: int) -> dict:
        """Return a key frame as the pipeline makes it; of one that cannot be read what `bad_frames` says."""
        if self.bad_frames == "raise":
            return super().__getitem__(idx)
        return self.skipped_frames.first_readable(idx, super().__getitem__)

    def prepare_data(self, index: int) -> dict | None:
        """Run a key frame through the pipeline, and earlier ones of its scene where the data set has a history."""
        if self.filter_empty_gt or self.show_ins_var or not isinstance(self.data_list, FrameList):
            example = super().prepare_data(index)
        else:
            # Decoded for this call alone, so that it need not be copied: 3 ms, a fifth of a sample without images.
            example = self._prepare(self.get_data_info(index))
        if example is None or not self.history:
            return example
        if not isinstance(self.data_list, FrameList):
            raise UserError(f"history: {type(self).__name__} has made a list of key frames of its own, without scenes")
        draw = self.draw_history and not self.test_mode
        infos = self.data_list.earlier_in_scene(index, self.history + draw)
        shared = {key: example["data_samples"].get(key) for key in SHARED_KEYS if key in example["data_samples"]}
        shared[EARLIER] = True
        if self._uses_part:
            shared[PART] = True
        past = [self._prepare(info | shared) for info in choose_history(infos, self.history, draw)]
        link_signals([*past, example])
        example["inputs"]["history"] = pack_history(example, past)
        return example

    def _prepare(self, info: dict) -> dict | None:
        return self.pipeline(info | {"box_type_3d": self.box_type_3d, "box_mode_3d": self.box_mode_3d})

    def parse_data_info(self, info: dict) -> dict:
        """Parse a key frame as mmdet3d does, on a copy (it joins paths in place), with errors that name the key."""
        info = dict(info)
        file = info.pop("info_file", self.info_files[0].name)
        where = f"{file}, key frame {info.get('token', info.get('sample_idx'))}"
        try:
            return self._parsed(info, where)
        except UserError:
            # It names the key already.
            raise
        except KeyError as error:
            raise InfoFileError(f"{where}: key {error} is missing, or has a value that is not known") from error
        except (TypeError, AttributeError, IndexError, ValueError, OverflowError) as error:
            raise InfoFileError(f"{where}: {error}; expected the keys and values of mmdet3d's v2 format") from error

    def _parsed(self, info: dict, where: str) -> dict:
        info["images"] = {name: dict(camera) for name, camera in info.get("images", {}).items()}
        info["lidar_points"] = dict(info.get("lidar_points", {}))
        if "lidar_sweeps" in info:
            info["lidar_sweeps"] = [s | {"lidar_points": dict(s["lidar_points"])} for s in info["lidar_sweeps"]]
        if "lidar_path" not in info["lidar_points"]:
            raise InfoFileError(f"{where}: lidar_points.lidar_path is missing")
        unknown = sorted(set(info["images"]) - set(self.data_prefix))
        if unknown:
            raise InfoFileError(
                f"{where}: images has the unknown cameras {unknown}; known are "
                f"{sorted(set(self.data_prefix) - {'pts', 'sweeps'})} (keys of data_prefix)"
            )
        info.setdefault("instances", [])
        info["info_name"] = where
        pose = lidar_pose(info)
        if pose is not None:
            info[POSE] = pose
        parsed = super().parse_data_info(info)
        check_places(parsed, self.data_root, self.data_prefix, where)
        return parsed

    def parse_ann_info(self, info: dict) -> dict:
        """Parse boxes as mmdet3d does; but they are counted once, at the start, and not whenever a frame is parsed."""
        counted = list(self.num_ins_per_cat)
        try:
            return super().parse_ann_info(info)
        finally:
            self.num_ins_per_cat = counted

    def get_cat_ids(self, idx: int) -> set[int]:
        """Return the labels of the boxes of a key frame, without decoding it."""
        # `len` makes sure that the frames are chosen.
        if len(self) and not isinstance(self.data_list, FrameList):
            return super().get_cat_ids(idx)
        instances = self.data_list.instances(idx)
        return set(self._mapped_labels(instances)[self._shown(instances)].tolist())

    def _mapped_labels(self, instances: InstanceColumns) -> Int[np.ndarray, "n"]:
        """Return labels of the data set's classes, -1 for objects of others."""
        known = max(self.label_mapping) + 1
        # The last place is that of -1 and of what the file has beyond the known labels.
        numbers = np.array([self.label_mapping.get(label, -1) for label in range(known)] + [-1])
        inside = (instances.labels >= 0) & (instances.labels < known)
        return numbers[np.where(inside, instances.labels, known)]

    def _counted_labels(self, instances: InstanceColumns) -> Int[np.ndarray, "m"]:
        """Return the labels of the boxes that the log counts; mmdet3d counts them before it leaves any out."""
        labels = self._mapped_labels(instances)
        return labels[labels >= 0]

    def _shown(self, instances: InstanceColumns) -> Bool[np.ndarray, "n"]:
        """Tell which boxes mmdet3d keeps, those of other categories among them."""
        return instances.valid if self.use_valid_flag else instances.lidar_points > 0

    @force_full_init
    def get_subset(self, indices: int | Sequence[int]) -> "PonderNuScenesDataset":
        """Return a data set of some of the key frames: the first, the last with a negative number, or those listed."""
        # Without a memo of its own mmengine's copy remembers every copy that was ever made.
        subset = self._copy_without_annotation({})
        chosen = self._get_unserialized_subset(indices)
        lazy = isinstance(chosen, FrameList)
        subset.data_list = chosen.parsed_by(subset.parse_data_info) if lazy else copy.deepcopy(chosen)
        subset._tell_transforms()
        return subset

    @force_full_init
    def get_subset_(self, indices: int | Sequence[int]) -> None:
        """Keep some of the key frames alone, see `get_subset`."""
        super().get_subset_(indices)
        self._tell_transforms()

    def _get_unserialized_subset(self, indices: int | Sequence[int]) -> Sequence:
        if isinstance(self.data_list, FrameList) and isinstance(indices, Sequence):
            return self.data_list.take(indices)
        return super()._get_unserialized_subset(indices)

    def _tell_transforms(self) -> None:
        frames = self.data_list
        if self.bad_frames == "skip":
            self.skipped_frames = SkippedFrames(len(frames), self.max_bad_frames)
        every = isinstance(frames, FrameList) and frames.holds_all
        self._uses_part = not every
        if self.test_mode and isinstance(frames, FrameList):
            # A metric knows from them, before anything is predicted, whether a whole split is evaluated.
            self._metainfo["tokens"] = tuple(frames.tokens())
        transforms = [t for t in transforms_of(self.pipeline) if isinstance(t, UsesFrames)]
        if not transforms:
            return
        if isinstance(frames, FrameList):
            tokens = frames.tokens()
        else:
            tokens = [frame.get("token") or "" for frame in frames]
        if every and not all(tokens):
            # All frames are used, and some cannot be named: there is nothing to leave out.
            return
        if not all(tokens):
            raise InfoFileError(
                f"{self.info_files[0].name}: {type(transforms[0]).__name__} takes from the key frames that are used "
                f"alone, but {tokens.count('')} of {len(tokens)} have no token; make the info file with "
                "tools/create_data.py"
            )
        for transform in transforms:
            transform.use_frames(set(tokens), every)
