"""From a data set to an index of its places, for tools/build_retrieval_index.py."""

import argparse
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from mmengine.dataset import BaseDataset
from torch import Tensor

from ponderv2.datasets.history import lidar_pose
from ponderv2.errors import UserError
from ponderv2.progress_bar import progress_bar
from ponderv2.retrieval import (
    Describer,
    DescriptorSettings,
    PlaceFeatures,
    PlaceIndex,
    fit_vocabulary,
    load_vocabulary,
    place_descriptor,
    read_keypoint_folder,
    record_of,
    save_vocabulary,
    vocabulary_fingerprint,
)

from .describe_places import build_dataset, load_describer
from .launch import load_config
from .recipe_options import parse_options

Around = Callable[[BaseDataset, int], PlaceFeatures | None]
"""Gives the features around the car of a key frame of a data set; None where there are none of it."""

_SAME_POSE = 1e-3
"""Metres, and parts of a rotation, that two poses of one key frame may differ by."""

_FRAMES, _OF_A_FRAME = 200, 512
"""Key frames, and features of each, that a vocabulary is fitted to."""


def build_index(given: argparse.Namespace) -> PlaceIndex:
    """Describe the key frames that the command line names, and write their index.

    Raises:
        UserError: there is neither a checkpoint nor a folder of key points or there are both, an option does not fit
            the layout, or key points are of other data.
    """
    settings = DescriptorSettings(layout=given.layout, power=given.power, heading=given.heading)
    heights = given.channels == "height"
    if (given.checkpoint is None and not heights) == (given.keypoints is None):
        raise UserError("expected a checkpoint or --keypoints, one of them; --channels height needs neither")
    if (given.vocabulary is None) != (given.layout != "vlad"):
        raise UserError("--vocabulary: expected with --layout vlad, and with no other layout")
    if heights and given.modality != "lidar":
        raise UserError("--channels height: pictures have no heights; give --modality lidar")
    if given.layout == "polar" and given.modality == "image" and given.keypoints is None:
        raise UserError("--layout polar: pictures know no distances; give --layout panorama, whole or vlad")
    if given.channels == "text" and given.layout != "whole":
        raise UserError("--channels text: sentences tell no directions; give --layout whole")
    dataset, around, describer = _keypoints(given, settings) if given.keypoints else _model(given, settings)
    words = None
    if given.vocabulary is not None:
        words = _vocabulary(given, dataset, around)
        describer = replace(describer, channels=f"{describer.channels} {vocabulary_fingerprint(words)}")
    vectors, records = [], []
    with progress_bar(len(dataset), f"describing by {given.modality}", "frame") as progress:
        for number in range(len(dataset)):
            found = around(dataset, number)
            if found is not None:
                records.append(record_of(dataset.get_data_info(number)))
                vector = place_descriptor(found.places, found.features, settings, words)
                vectors.append(vector.cpu().numpy())
            progress.update()
    if not vectors:
        raise UserError(f"{given.config}: no key frame of the data set has anything to be described by")
    if len(records) < len(dataset):
        missing = len(dataset) - len(records)
        print(f"{len(records)} of {len(dataset)} key frames are described; {missing} have no file in {given.keypoints}")
    index = PlaceIndex(np.stack(vectors), records, given.modality, describer)
    index.save(given.out)
    return index


def _model(given: argparse.Namespace, settings: DescriptorSettings) -> tuple[BaseDataset, Around, Describer]:
    describer = load_describer(
        given.config,
        given.checkpoint,
        given.data_root,
        given.cfg_options,
        given.channels,
        given.device,
        given.text_model,
    )
    if given.modality == "image" and describer.channels == "volume":
        raise UserError(f"--modality image: {given.checkpoint} with --channels volume has no features of images")
    dataset = build_dataset(describer.config, given.config, given.info_files)
    return (
        dataset,
        lambda frames, number: describer.features(frames[number], given.modality),
        describer.describer(settings),
    )


def _keypoints(given: argparse.Namespace, settings: DescriptorSettings) -> tuple[BaseDataset, Around, Describer]:
    found, model = read_keypoint_folder(given.keypoints, given.modality)
    config = load_config(given.config, given.data_root, parse_options(given.cfg_options))
    dataset = build_dataset(config, given.config, given.info_files)
    tokens = [dataset.get_data_info(number).get("token") for number in range(len(dataset))]
    if not set(tokens) & set(found):
        raise UserError(f"--keypoints {given.keypoints}: no file is of a key frame of the data set")
    channels = next(iter(found.values())).features.features.shape[1]

    def around(frames: BaseDataset, number: int) -> PlaceFeatures | None:
        points = found.get(tokens[number])
        if points is None:
            return None
        pose = lidar_pose(frames.get_data_info(number))
        if pose is not None and not np.allclose(pose, points.pose, atol=_SAME_POSE):
            raise UserError(
                f"--keypoints {given.keypoints}: the pose of key frame {tokens[number]} is not that of the info file; "
                "the key points are of another data set, whose files have the same names"
            )
        return points.features

    return (
        dataset,
        around,
        Describer(settings, model, channels=f"{channels} channels of key points"),
    )


def _vocabulary(given: argparse.Namespace, dataset: BaseDataset, around: Around) -> Tensor:
    if given.vocabulary.is_file():
        return load_vocabulary(given.vocabulary)
    rows = np.unique(np.linspace(0, len(dataset) - 1, min(_FRAMES, len(dataset))).round().astype(int)).tolist()
    parts = []
    with progress_bar(len(rows), "features for the vocabulary", "frame") as progress:
        for row in rows:
            found = around(dataset, row)
            if found is not None:
                step = max(1, len(found.features) // _OF_A_FRAME)
                parts.append(torch.nn.functional.normalize(found.features[::step].float(), dim=1).cpu())
            progress.update()
    words = fit_vocabulary(torch.cat(parts), given.words)
    save_vocabulary(given.vocabulary, words)
    return words
