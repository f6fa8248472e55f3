"""nuScenes key frames with a label for each LiDAR point."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from mmengine.dataset import force_full_init

from ponderv2.errors import UserError
from ponderv2.registry import DATASETS
from ponderv2.shapes import Int

from .data_files import read_label_file
from .detection_dataset import check_categories_of_boxes
from .frame_list import FrameList
from .frame_store import InstanceColumns
from .info_file import InfoFileError
from .label_fractions import check_fraction, choose_points
from .lidarseg_classes import IGNORE_LABEL, LIDARSEG_CLASSES, LIDARSEG_PALETTE, class_labels
from .nuscenes_constants import DETECTION_CLASSES
from .nuscenes_dataset import PonderNuScenesDataset

_BOX_LABELS = np.array([LIDARSEG_CLASSES.index(name) for name in DETECTION_CLASSES])
"""The class of points of each class of boxes."""


@DATASETS.register_module()
class PonderNuScenesSegDataset(PonderNuScenesDataset):
    """Key frames with the path of their labels, `pts_semantic_mask_path`, which `LoadPointLabels` reads.

    Frames have also `lidar_token`, the token of the sweep that submissions are named by. In training they have the
    data set itself as `dataset`, from which `LidarLaserMix` and `LidarPolarMix` draw the other sweep; and with
    `fraction_by="points"` they have `label_fraction`, by which `LoadPointLabels` takes most labels away; with
    `keep_unlabeled` they have `labeled`, whether the frame is in the fraction.
    Boxes are those of the detection classes, as mmdet3d keeps them; `GroundTruthSampling` needs them.

    Args:
        data_root: folder that holds the info file, `samples/`, `sweeps/` and `lidarseg/`.
        ann_file: info file or files, see `PonderNuScenesDataset`.
        pipeline: transforms, or their configs.
        fraction: share that is used of the frames, scenes or labeled points.
        fraction_by: unit of the fraction: "frames", "scenes", or "points" for weak labels: every frame is used, with
            a share of its labels.
        fraction_seed: seed of the choice.
        keep_unlabeled: whether frames outside of the fraction stay, without their labels: pre-training learns from
            what it sees in all frames, and from labels in those alone that fine-tuning with the same fraction, unit and
            seed has.
        test_mode: whether frames are for evaluation: they keep all labels.
        load_eval_anns: whether frames for evaluation need labels; without, as for the test set, they may lack them.
        **kwargs: arguments of `PonderNuScenesDataset`.

    Raises:
        InfoFileError: a key frame has no path of labels, or in evaluation no token of its sweep; the message says how
            the info file is made anew. Or the file numbers the classes of boxes otherwise than mmdet3d does.
        UserError: a fraction of the points, or `keep_unlabeled`, is asked for in evaluation; the fraction is no share;
            or `keep_unlabeled` is combined with a fraction of the points or with `load_interval`.
    """

    METAINFO = {
        "classes": LIDARSEG_CLASSES,
        "palette": list(LIDARSEG_PALETTE),
        "version": "v1.0-trainval",
        "ignore_index": IGNORE_LABEL,
    }

    def __init__(
        self,
        data_root: str,
        ann_file: str | Sequence[str],
        pipeline: list,
        fraction: float = 1.0,
        fraction_by: str = "frames",
        fraction_seed: int = 0,
        keep_unlabeled: bool = False,
        test_mode: bool = False,
        load_eval_anns: bool = True,
        **kwargs,
    ) -> None:
        check_fraction(fraction, fraction_by, ("frames", "scenes", "points"))
        self.label_fraction = None
        self.keep_unlabeled, self._labeled = keep_unlabeled, frozenset()
        if keep_unlabeled and test_mode:
            raise UserError("keep_unlabeled: frames without labels are for training, evaluation needs every label")
        if keep_unlabeled and (fraction_by == "points" or kwargs.get("load_interval", 1) != 1):
            raise UserError(
                "keep_unlabeled: expected a fraction by frames or scenes of all frames, got "
                f"fraction_by={fraction_by!r}, load_interval={kwargs.get('load_interval', 1)}"
            )
        if fraction_by == "points":
            if test_mode:
                raise UserError("fraction_by='points': weak labels are for training, evaluation needs every label")
            if fraction < 1:
                self.label_fraction = {"fraction": fraction, "seed": fraction_seed}
            fraction, fraction_by = 1.0, "frames"
        super().__init__(
            data_root=data_root,
            ann_file=ann_file,
            pipeline=pipeline,
            fraction=fraction,
            fraction_by=fraction_by,
            fraction_seed=fraction_seed,
            test_mode=test_mode,
            load_eval_anns=load_eval_anns,
            **kwargs,
        )

    def check_info(self, metainfo: dict, path: Path) -> None:
        """Check how boxes are numbered, and take the folder of labels from the version unless `data_prefix` has it."""
        check_categories_of_boxes(metainfo, path, DETECTION_CLASSES)
        folder = Path(self.data_root, "lidarseg", str(metainfo.get("version", "v1.0-trainval")))
        self.data_prefix.setdefault("pts_semantic_mask", str(folder))

    def parse_data_info(self, info: dict) -> dict:
        """Parse a key frame as `PonderNuScenesDataset` does, with the path of its labels."""
        where = f"{info.get('info_file', self.info_files[0].name)}, key frame {info.get('token')}"
        version = self._metainfo.get("version", "v1.0-trainval")
        anew = f"tools/create_data.py --root {self.data_root} --version {version} --overwrite"
        path = info.get("pts_semantic_mask_path")
        if path is None and (self.load_eval_anns or not self.test_mode):
            evaluation = "; frames without labels can be predicted with load_eval_anns=False" if self.test_mode else ""
            raise InfoFileError(
                f"{where}: pts_semantic_mask_path, the file of its point labels, is missing; unpack nuScenes-lidarseg "
                f"into the data set's folder and make the info file anew with {anew}{evaluation}"
            )
        parsed = super().parse_data_info(info)
        if path is not None:
            if not isinstance(path, str):
                raise InfoFileError(f"{where}: pts_semantic_mask_path: expected the name of a file, got {path!r}")
            parsed["pts_semantic_mask_path"] = str(Path(self.data_prefix["pts_semantic_mask"], Path(path).name))
        token = parsed["lidar_points"].get("sample_data_token")
        if token:
            parsed["lidar_token"] = token
        elif self.test_mode:
            raise InfoFileError(
                f"{where}: lidar_points.sample_data_token, by which predictions are named, is missing; make the info "
                f"file anew with {anew}"
            )
        return parsed

    def get_data_info(self, idx: int) -> dict:
        """Decode and parse a key frame, see `PonderNuScenesDataset`."""
        info = super().get_data_info(idx)
        if self.label_fraction is not None:
            info["label_fraction"] = dict(self.label_fraction)
        if self.keep_unlabeled:
            info["labeled"] = self.fraction == 1 or info["token"] in self._labeled
        return info

    def _fraction_of(self, frames: FrameList) -> list[int]:
        """Return the indices of the frames that are used, and remember which have labels."""
        chosen = super()._fraction_of(frames)
        if not self.keep_unlabeled:
            return chosen
        tokens = frames.tokens()
        self._labeled = frozenset(tokens[index] for index in chosen)
        if self.fraction < 1 and not all(tokens):
            raise InfoFileError(
                f"{self.info_files[0].name}: keep_unlabeled knows frames by their token, which some lack; make the "
                "info file with tools/create_data.py"
            )
        return list(range(len(frames)))

    def prepare_data(self, idx: int) -> dict:
        """Put a key frame through the pipeline; in training the transforms that mix sweeps get the data set as well."""
        if self.test_mode:
            return super().prepare_data(idx)
        # Decoded for this call alone, so that it need not be copied, least of all with the data set.
        info = self.get_data_info(idx)
        info |= {"box_type_3d": self.box_type_3d, "box_mode_3d": self.box_mode_3d, "dataset": self}
        return self.pipeline(info)

    def _counted_labels(self, instances: InstanceColumns) -> Int[np.ndarray, "m"]:
        """Return the labels of the boxes that the log counts, by the names of the classes of points."""
        labels = super()._counted_labels(instances)
        return _BOX_LABELS[labels[labels < len(_BOX_LABELS)]]

    def get_cat_ids(self, idx: int) -> set[int]:
        """Return the classes of the points of a key frame that have a label in training; its labels are read for it."""
        info = self.get_data_info(idx)
        if not info.get("labeled", True):
            return set()
        labels = class_labels(read_label_file(info["pts_semantic_mask_path"]))
        labeled = labels != IGNORE_LABEL
        if share := info.get("label_fraction"):
            labeled = choose_points(labeled, share["fraction"], info["token"], share["seed"])
        return set(np.unique(labels[labeled]).tolist())

    @force_full_init
    def labeled_tokens(self) -> list[str]:
        """Return the token of each key frame whose labels, or a share of them, are in the fraction."""
        tokens = self.data_list.tokens()
        return tokens if not self.keep_unlabeled or self.fraction == 1 else [t for t in tokens if t in self._labeled]
