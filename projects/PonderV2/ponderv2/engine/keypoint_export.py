"""Key points of a data set, one file a sample, and what needs no network beside them."""

import argparse
import itertools
import re
from pathlib import Path

import numpy as np
import torch
from mmengine.runner import Runner

from ponderv2.checkpoints import load_weights, resolve_checkpoint
from ponderv2.devices import usable_device
from ponderv2.errors import UserError
from ponderv2.evaluation.keypoint_files import SampleKeypoints, write_keypoints
from ponderv2.models import ImageFeaturePretrainer
from ponderv2.progress_bar import progress_bar
from ponderv2.registry import MODELS

from .describe_places import model_hash
from .launch import load_config
from .recipe_errors import must_have, recipe_errors
from .recipe_options import parse_options
from .render_dataset import single_samples

RANDOM = "random"
BASELINES = (RANDOM, *ImageFeaturePretrainer.keypoint_rules)
"""Folders, inside of that of the key points, of as many random returns and candidates that a rule chooses."""


def export_keypoints(args: argparse.Namespace) -> tuple[int, float]:
    """Write the key points of the recipe's test data to `TOKEN.npz`, and as many of each of `BASELINES` to a folder.

    Args:
        args: the command line of tools/export_keypoints.py.

    Returns:
        The number of samples, and the mean number of key points of a sample.

    Raises:
        UserError: the folder has key points already, the recipe has none, the checkpoint is not of this recipe, or a
            sample has no pose or no token that can be the name of a file, or is augmented.
    """
    # Files that are left of another export would be scored with these.
    left = [path for name in ("", *BASELINES) for path in (args.out / name).glob("*.npz")]
    if left:
        raise UserError(
            f"--out {args.out}: has {len(left)} files of key points already, as {left[0].name}; give an empty folder"
        )
    device = usable_device(args.device)
    config = load_config(args.config, args.data_root, parse_options(args.cfg_options))
    path = resolve_checkpoint(args.checkpoint)
    must_have(config, ("model", "test_dataloader"), "export key points")
    with recipe_errors(args.config, "cannot be built", args.cfg_options):
        model = MODELS.build(config.model)
        loader = Runner.build_dataloader(config.test_dataloader)
    if not isinstance(model, ImageFeaturePretrainer) or model.keypoints is None:
        raise UserError(f"{args.config}: expected a recipe whose model has key points (model.keypoints)")
    load_weights(model, path)
    model_of = model_hash(model)
    model = model.to(device).eval()
    total = len(loader.dataset) if args.samples is None else min(args.samples, len(loader.dataset))
    numbers = []
    with progress_bar(total, "key points", "sample") as progress:
        for data in itertools.islice(single_samples(loader), total):
            numbers.append(_export_sample(model, model_of, data, args.out, args.source))
            progress.update()
    return len(numbers), float(np.mean(numbers))


def _export_sample(model: ImageFeaturePretrainer, model_of: str, data: dict, out: Path, source: str) -> int:
    data = model.data_preprocessor(data)
    meta = data["data_samples"][0].metainfo
    token, pose = meta.get("token"), meta.get("lidar2global")
    if not token or pose is None:
        raise UserError("export: a sample has no token or no lidar2global; make the info file with create_data.py")
    name = file_name_of(token)
    if not np.array_equal(np.asarray(meta.get("lidar_aug", np.eye(4))), np.eye(4)):
        raise UserError("export: the recipe's test pipeline turns the scene; key points are written as it is")
    view = model.keypoint_view(data["inputs"], data["data_samples"])
    (points,) = model.keypoints_of(view, source)
    # The same returns at each export, whatever was drawn before.
    generator = torch.Generator().manual_seed(int.from_bytes(token.encode()[-6:], "little"))
    (chance,) = model.random_keypoints(view, [len(points)], generator)
    extent = np.array(view.volume.grid.point_cloud_range)
    by_rule = {rule: model.rule_keypoints(view, [len(points)], rule)[0] for rule in model.keypoint_rules}
    told = token, source, model_of, np.asarray(pose), extent
    for folder, found in {"": points, RANDOM: chance, **by_rule}.items():
        arrays = (value.detach().cpu().numpy() for value in (found.places, found.descriptors, found.scores))
        write_keypoints(out / folder / name, SampleKeypoints(*arrays, *told))
    return len(points)


def file_name_of(token: str) -> str:
    """Return the name of the file of a sample's key points.

    Raises:
        UserError: the token is more than a name, and would lead to another folder.
    """
    if not re.fullmatch(r"[\w.-]{1,200}", token):
        raise UserError(f"export: expected a token of letters, digits, '_', '-' and '.', got {token!r}")
    return f"{token}.npz"
