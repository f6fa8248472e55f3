"""What metrics of a nuScenes split share: their files, the checks of these, and that padded samples count once."""

import sys
from collections.abc import Sequence
from pathlib import Path

from mmengine.evaluator import BaseMetric

from ponderv2.datasets import FramesByToken, open_frame_store
from ponderv2.datasets.prepare.nuscenes_tables import missing_tables
from ponderv2.datasets.splits import SPLITS
from ponderv2.errors import UserError

from .submission import SENSORS

TEST_VERSION = "v1.0-test"


class SplitMetric(BaseMetric):
    """Base of the metrics that read the info file and the tables of the evaluated split, and may write a submission.

    Args:
        data_root: folder of the tables (`v1.0-…/`) and of the info file; None for a metric that reads neither.
        ann_file: info file of the evaluated data set, relative to `data_root`.
        sensors: sensors that the model uses, which the submission declares: some of `SENSORS`.
        submission_dir: folder that takes the submission; None keeps none.
        partial: whether samples of the split may lack, for numbers that are not official.
        collect_device: device on which ranks collect results, see mmengine's `BaseMetric`.
        prefix: prefix of the keys, see mmengine's `BaseMetric`.

    Raises:
        UserError: a sensor is unknown; when it is told a data set, its info file or tables are missing; at the first
            sample, the version of the info file is unknown.
    """

    needs_tables = ""
    """Why the tables are needed, for the message when they are missing."""

    def __init__(
        self,
        data_root: str | None,
        ann_file: str | None,
        sensors: tuple[str, ...],
        submission_dir: str | None,
        partial: bool,
        collect_device: str = "cpu",
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix)
        unknown = [sensor for sensor in sensors if sensor not in SENSORS]
        if unknown or not sensors:
            raise UserError(f"{type(self).__name__}: sensors: expected some of {SENSORS}, got {tuple(sensors)}")
        self.data_root = None if data_root is None else Path(data_root)
        self.info_file = None if data_root is None or ann_file is None else Path(data_root, ann_file)
        self.sensors, self.partial = tuple(sensors), partial
        self.submission_dir = None if submission_dir is None else Path(submission_dir)
        self._frames: FramesByToken | None = None
        self._version = ""

    @property
    def dataset_meta(self) -> dict | None:
        """Meta information of the evaluated data set; setting it checks that its samples can be scored at all."""
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, meta: dict) -> None:
        self._dataset_meta = meta
        if self.reads_files:
            self._check_files(meta.get("version"))
            self.check_tokens(meta.get("tokens"), meta.get("version"))

    @property
    def reads_files(self) -> bool:
        """Whether the info file and the tables are needed."""
        return self.info_file is not None

    def evaluate(self, size: int) -> dict[str, float]:
        """Compute the metrics as mmengine does, but of all collected results instead of the first `size`.

        mmengine drops the rest because padded samples come last when the ranks' samples are interleaved; a contiguous
        sampler has real samples there. Here, samples that were predicted twice are recognised by their token.
        """
        return super().evaluate(sys.maxsize)

    def reads_tables_of(self, version: str | None) -> bool:
        """Whether the tables of a version of nuScenes are needed."""
        return version in SPLITS

    def check_tokens(self, tokens: Sequence[str] | None, version: str | None) -> None:
        """Check the samples of the evaluated data set, where it tells them, before any of them is predicted."""

    def check_frames(self, frames: FramesByToken) -> None:
        """Check the key frames of the info file before the first of them is used."""

    def frames(self) -> FramesByToken:
        """Return the info file's key frames by token; the first call, at the first sample, opens the file."""
        if self._frames is None:
            store = open_frame_store(self.info_file)
            self._version = store.metainfo.get("version")
            if self._version not in SPLITS:
                raise UserError(
                    f"info file {self.info_file}: metainfo.version is {self._version!r}, expected one of "
                    f"{sorted(SPLITS)}"
                )
            frames = FramesByToken(store)
            self.check_frames(frames)
            self._frames = frames
        return self._frames

    def _check_files(self, version: str | None) -> None:
        if not self.info_file.is_file():
            raise UserError(f"info file {self.info_file} of {type(self).__name__} does not exist; is data_root right?")
        # An unknown version is an error of the info file, at the first sample.
        missing = missing_tables(self.data_root, version) if self.reads_tables_of(version) else []
        if missing:
            more = f" and {len(missing) - 1} more tables are" if missing[1:] else " is"
            raise UserError(
                f"{self.data_root / version / missing[0]}{more} missing: {self.needs_tables} of nuScenes {version}; "
                "unpack them there, beside samples/"
            )
