"""Rendering a data set with a trained model: pictures and numbers."""

import argparse
import itertools
import json
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import DataLoader

from ponderv2.checkpoints import check_covering, resolve_checkpoint
from ponderv2.compat.safe_checkpoint import load_checkpoint_file
from ponderv2.devices import usable_device
from ponderv2.errors import UserError
from ponderv2.evaluation.mesh_extraction import extract_mesh
from ponderv2.evaluation.render_metric import render_result, summarize
from ponderv2.models import RenderingPretrainer
from ponderv2.progress_bar import progress_bar
from ponderv2.registry import MODELS
from ponderv2.visualization import sample_panel, save_png

from .allocator import keep_freed_memory
from .converted_options import options_of, tell_of_options
from .launch import load_config
from .recipe_errors import must_have, recipe_errors
from .recipe_options import parse_options


def render(args: argparse.Namespace) -> dict[str, float]:
    """Render the recipe's test data; write `panel_*.png`, with `--mesh` also `mesh_*.ply`, and `metrics.json`.

    Args:
        args: the command line of tools/render.py.

    Returns:
        The metrics. `psnr`, `abs_rel`, `rmse` and `delta1` are measured along the rays of the recipe's test pipeline,
        none of which is trained on in the recipes of this project; `image_psnr` and `ssim` on the rendered lattice of
        pixels of whole images. `guess_psnr` and `guess_abs_rel` are what the mean colour and the median depth reach.
    """
    keep_freed_memory()
    device = usable_device(args.device)
    config = load_config(args.config, args.data_root, parse_options(args.cfg_options))
    path = resolve_checkpoint(args.checkpoint)
    must_have(config, ("model", "test_dataloader"), "render")
    with recipe_errors(args.config, "cannot be built", args.cfg_options):
        model = MODELS.build(config.model)
        loader = Runner.build_dataloader(config.test_dataloader)
    if not isinstance(model, RenderingPretrainer):
        raise UserError(f"{args.config}: expected the recipe of a pre-training, found a {type(model).__name__}")
    _load(model, path, config)
    model = model.to(device).eval()
    total = len(loader.dataset) if args.samples is None else min(args.samples, len(loader.dataset))
    results = []
    with progress_bar(total, "rendering", "sample") as progress:
        for data in itertools.islice(single_samples(loader), total):
            results.append(_render_sample(model, data, args, len(results), loader.dataset.metainfo))
            progress.update()
    metrics = summarize(results)
    (args.out / "metrics.json").write_text(json.dumps(metrics | {"samples": len(results)}, indent=2) + "\n")
    return metrics


def describe(metrics: dict[str, float]) -> str:
    """Say what the metrics mean, in sentences for someone who sees them for the first time."""
    lines = []
    if "abs_rel" in metrics:
        lines.append(
            f"Depth along the evaluated rays is off by {metrics['abs_rel']:.1%} of the distance (AbsRel), "
            f"{metrics['rmse']:.1f} m (RMSE); guessing the median each time: off by {metrics['guess_abs_rel']:.1%}."
        )
    if "psnr" in metrics:
        lines.append(
            f"Colour along these rays has a PSNR of {metrics['psnr']:.1f} dB; the mean colour alone "
            f"{metrics['guess_psnr']:.1f} dB. Higher is better: 6 dB halve the error."
        )
    if "semantic_accuracy" in metrics:
        lines.append(
            f"Classes along these rays: {metrics['semantic_accuracy']:.1%} right, mIoU {metrics['semantic_miou']:.3f}; "
            f"naming the most frequent class each time: {metrics['guess_semantic_accuracy']:.1%}, "
            f"{metrics['guess_semantic_miou']:.3f}."
        )
    if "ssim" in metrics:
        lines.append(
            f"Whole images: PSNR {metrics['image_psnr']:.1f} dB, SSIM {metrics['ssim']:.2f} (1 is the same image)."
        )
    return "\n".join(lines)


def _load(model: nn.Module, path: Path, config: Config) -> None:
    """Load the weights of a checkpoint, and print what it needs of the recipe if it was converted."""
    checkpoint = load_checkpoint_file(path)
    model.load_state_dict(check_covering(model, checkpoint, path))
    tell_of_options(path, options_of(checkpoint), config)


def single_samples(loader: DataLoader) -> Iterator[dict]:
    """Yield the samples of a loader one at a time, as batches of one."""
    for data in loader:
        for k, sample in enumerate(data["data_samples"]):
            yield {"inputs": {n: v[k : k + 1] for n, v in data["inputs"].items()}, "data_samples": [sample]}


@torch.no_grad()
def _render_sample(model: nn.Module, data: dict, args: argparse.Namespace, index: int, meta: Mapping) -> dict:
    data = model.data_preprocessor(data)
    inputs = data["inputs"]
    volume = model.encode(inputs)
    sample = model.predict(inputs, data["data_samples"], volume)[0].to_dict()
    fields = model.render_images(inputs, args.stride, volume)
    save_png(
        sample_panel(data, fields, meta.get("palette"), meta.get("classes", ())), args.out / f"panel_{index:04d}.png"
    )
    if args.mesh:
        mesh = extract_mesh(model.head.renderer, model.head.project(volume), args.mesh_step)
        mesh.export(args.out / f"mesh_{index:04d}.ply")
    return render_result(sample | {name: value[0].cpu() for name, value in fields.items()})
