"""Training of the street teacher: segmentation of synthetic pictures of towns that no benchmark here has.

The image backbone of a recipe is trained in the same way, for its option `weights`: it stands in for weights of
ImageNet, from which published detectors start with and without pre-training by rendering.
"""

import argparse
import signal
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ponderv2.devices import computes_bfloat16
from ponderv2.engine.stop_signals import StopSignals
from ponderv2.errors import UserError
from ponderv2.shapes import Float, Int
from ponderv2.teachers import StreetNet, write_street_net
from synthetic_nuscenes.output.benchmarks import BENCHMARKS

from .street_backbone import LabeledBackbone, write_backbone
from .street_pictures import CLASSES, labeled_pictures, towns

TAKEN_SEEDS = {benchmark.seed: name for name, benchmark in BENCHMARKS.items()}
"""Seeds of towns that are scored, which a teacher must not have seen."""
STRIDE = 4
_CROP = (192, 320)
_BATCH = 8
_RATE = 4e-3


def train_street_teacher(given: argparse.Namespace) -> int:
    """Train a teacher, or the image backbone of a recipe, score it on other towns, and write it with its scores.

    A signal (SIGTERM, SIGUSR1, Ctrl-C) ends the training before its time; what there is is scored and written.

    Args:
        given: `out`, `pictures` (folder of the pictures that are taken), `towns`, `held_out`, `seed`, `minutes`, and
            `backbone`, the recipe whose image backbone is trained, or None.

    Raises:
        UserError: the towns of a seed are scored elsewhere, or the recipe has no image backbone.
    """
    for seed in (given.seed, given.seed + 1000):
        if seed in TAKEN_SEEDS:
            raise UserError(f"--seed {given.seed}: towns of seed {seed} are those of {TAKEN_SEEDS[seed]}")
    torch.manual_seed(given.seed)
    net = LabeledBackbone.of_recipe(given.backbone) if given.backbone else StreetNet(CLASSES)
    pictures, labels = _all(given.pictures, towns(given.seed, given.towns))
    unseen = _all(given.pictures, towns(given.seed + 1000, given.held_out))
    steps, share = _fit(net, pictures, labels, given.minutes * 60, np.random.default_rng(given.seed))
    found = class_ious(net, *unseen)
    about = {
        "towns": given.towns,
        "held_out": given.held_out,
        "seed": given.seed,
        "pictures": len(pictures),
        "steps": steps,
        "minutes": given.minutes,
        "share_of_the_time": round(share, 4),
        "iou": {name: round(value, 4) for name, value in found.items()},
        "mIoU": round(float(np.mean(list(found.values()))), 4),
    }
    if given.backbone:
        write_backbone(given.out, net, about | {"recipe": given.backbone.name})
    else:
        write_street_net(given.out, net, about)
    print(f"pixel IoU in {given.held_out} towns that were not trained on, {len(unseen[0])} pictures:")
    for name, value in found.items():
        print(f"  {name:22} {value:.3f}")
    print(f"  {'mean':22} {about['mIoU']:.3f}")
    print(f"written: {given.out}")
    return 0


@torch.no_grad()
def class_ious(net: StreetNet | LabeledBackbone, pictures: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Return the IoU of each class that the pixels have, at the resolution of the labels.

    Args:
        net: the network; it is put into evaluation.
        pictures: `[V, H, W, 3]` uint8.
        labels: `[V, H, W]`, -1 where a pixel does not count.
    """
    net.eval()
    count = len(net.classes)
    confusion = np.zeros((count, count), np.int64)
    for picture, label in zip(pictures, labels, strict=True):
        height, width = label.shape
        logits = net.classify(net(_padded(torch.from_numpy(picture)[None])))
        logits = F.interpolate(logits, scale_factor=STRIDE, mode="bilinear", align_corners=False)
        guess = logits[0, :, :height, :width].argmax(dim=0).numpy()
        known = label >= 0
        confusion += np.bincount(label[known] * count + guess[known], minlength=count * count).reshape(count, count)
    hits, union = confusion.diagonal(), confusion.sum(0) + confusion.sum(1) - confusion.diagonal()
    there = confusion.sum(1) > 0
    return {net.classes[k]: float(hits[k] / union[k]) for k in range(count) if there[k]}


def _all(folder: Path, places: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    parts = []
    for k, (seed, scene) in enumerate(places):
        parts.append(labeled_pictures(folder, seed, scene))
        print(f"town {seed}/{scene}: {k + 1} of {len(places)}", flush=True)
    return tuple(np.concatenate(values) for values in zip(*parts, strict=True))


def _fit(
    net: StreetNet | LabeledBackbone, pictures: np.ndarray, labels: np.ndarray, seconds: float, rng: np.random.Generator
) -> tuple[int, float]:
    """Train for a time of the processor, or until a signal; return the number of steps and the share of the time."""
    weights = _class_weights(labels)
    net.train().to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(net.parameters(), lr=_RATE, weight_decay=0.02)
    start, step, shown, spent = time.process_time(), 0, 0.0, 0.0
    signals = StopSignals()
    with signals.listening():
        while spent < 1 and not signals.received:
            for group in optimizer.param_groups:
                # A warm-up and a cosine, by the time that is spent.
                group["lr"] = _RATE * min(spent / 0.03 + 0.05, 0.5 + 0.5 * float(np.cos(np.pi * spent)))
            loss = _loss(net, pictures, labels, weights, rng)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            step += 1
            if spent - shown > 0.02 or step == 1:
                print(f"step {step}, {100 * spent:.0f} % of the time, loss {loss.item():.3f}", flush=True)
                shown = spent
            spent = (time.process_time() - start) / seconds
    if signals.received:
        name = signal.Signals(signals.received).name
        print(f"stopped by {name} after {100 * spent:.0f} % of the time, which is scored and written", flush=True)
    return step, min(spent, 1.0)


def _loss(
    net: StreetNet | LabeledBackbone,
    pictures: np.ndarray,
    labels: np.ndarray,
    weights: Float[Tensor, "k"],
    rng: np.random.Generator,
) -> Float[Tensor, ""]:
    """Compute the loss of a batch that is drawn."""
    crops = [_crop(pictures[k], labels[k], rng) for k in rng.integers(len(pictures), size=_BATCH)]
    images, targets = (torch.stack(values) for values in zip(*crops, strict=True))
    with torch.autocast("cpu", torch.bfloat16, enabled=computes_bfloat16("cpu")):
        logits = net.classify(net(images.contiguous(memory_format=torch.channels_last)))
    return nn.functional.cross_entropy(logits.float(), targets, weight=weights, ignore_index=-1)


def _class_weights(labels: np.ndarray) -> Float[Tensor, "k"]:
    """Weigh classes by the inverse root of how many pixels they have."""
    share = np.bincount(labels[labels >= 0].ravel(), minlength=len(CLASSES)) / labels.size
    weights = 1 / np.sqrt(np.maximum(share, 1e-4))
    return torch.from_numpy(weights / (weights * share).sum()).float()


def _crop(
    picture: np.ndarray, label: np.ndarray, rng: np.random.Generator
) -> tuple[Float[Tensor, "3 h w"], Int[Tensor, "y x"]]:
    """Draw a part of a picture in another size, mirrored and brightened at random; labels are at centers of cells."""
    scale = rng.uniform(0.9, 1.5)
    height, width = (round(side / scale) for side in _CROP)
    top, left = (int(rng.integers(side - part + 1)) for side, part in zip(label.shape, (height, width), strict=True))
    part = np.s_[top : top + height, left : left + width]
    image = torch.from_numpy(picture[part]).permute(2, 0, 1).float()[None] / 255
    target = torch.from_numpy(label[part])[None, None].float()
    image = F.interpolate(image, size=_CROP, mode="bilinear", align_corners=False)[0]
    target = F.interpolate(target, size=_CROP, mode="nearest-exact")[0].long()
    if rng.random() < 0.5:
        image, target = image.flip(-1), target.flip(-1)
    image = (image * float(rng.uniform(0.8, 1.25)) + float(rng.uniform(-0.05, 0.05))).clamp(0, 1)
    return image, target[0, STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE]


def _padded(pictures: Tensor) -> Float[Tensor, "v 3 h w"]:
    height, width = pictures.shape[1:3]
    scaled = pictures.permute(0, 3, 1, 2).float() / 255
    return F.pad(scaled, (0, -width % STRIDE, 0, -height % STRIDE), mode="replicate")
