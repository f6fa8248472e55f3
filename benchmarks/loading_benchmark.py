"""Samples of a data set against the decoding of their images, in one process with one thread, as a worker has it.

The samples are those of the published recipes: six cameras with a sweep and rays of 512 a camera, and a LiDAR sample of
which no image is decoded. What counts is time of the CPU, so files have to be in the system's cache. Everything takes
turns, so that noise meets all alike.
"""

import argparse
import statistics
from pathlib import Path

import cv2
import torch
from mmengine.registry import DATASETS, init_default_scope

from ponderv2.datasets.data_files import read_image
from ponderv2.engine import load_config
from ponderv2.engine.allocator import keep_freed_memory
from ponderv2.errors import UserError

from .measure import cpu_seconds, surroundings

ROOT = Path(__file__).resolve().parents[1]
CAMERA = "configs/pretrain/ponderv2_camera_convnext_s_vs0p1_4xb1_12e_nuscenes.py"
LIDAR = "configs/pretrain/ponderv2_lidar_voxelnet_vs0p075_4xb4_12e_nuscenes.py"


def run(args: argparse.Namespace) -> dict:
    """Measure and print a table.

    Returns:
        `decode_ms`, `camera_ms` and `lidar_ms`, medians of CPU time; `camera_over_decode`, the median of the ratios of
        each round; `rounds`, the `sizes` of the images, machine and versions.
    """
    torch.set_num_threads(1)
    cv2.setNumThreads(0)
    # As a training does before its workers start.
    keep_freed_memory()
    init_default_scope("mmdet3d")
    camera, lidar = (_dataset(ROOT / recipe, args) for recipe in (CAMERA, LIDAR))
    paths = [view["img_path"] for view in camera.get_data_info(0)["images"].values()]
    ways = {
        "decode": lambda: [read_image(path) for path in paths],
        "camera": lambda: camera[0],
        "lidar": lambda: lidar[0],
    }
    rounds = []
    for number in range(2 + args.repeats):
        taken = {way: cpu_seconds(load) for way, load in ways.items()}
        if number >= 2:
            rounds.append(taken)
    result = {f"{way}_ms": 1e3 * statistics.median(taken[way] for taken in rounds) for way in ways}
    result["camera_over_decode"] = statistics.median(taken["camera"] / taken["decode"] for taken in rounds)
    sizes = sorted({tuple(image.shape[:2]) for image in ways["decode"]()})
    result |= {"rounds": args.repeats, "images": len(paths), "sizes": sizes} | surroundings("cpu")
    shown = " and ".join(f"{width}×{height}" for height, width in sizes)
    print(f"{len(paths)} images of {shown}; ms of CPU time, medians of {args.repeats} rounds")
    for way in ways:
        print(f"{way:<8} {result[f'{way}_ms']:7.1f}")
    print(f"camera / decode {result['camera_over_decode']:.2f}")
    return result


def _dataset(recipe: Path, args: argparse.Namespace) -> torch.utils.data.Dataset:
    if not (args.data_root / args.ann_file).is_file():
        raise UserError(f"--ann-file: {args.data_root} has no {args.ann_file}; tools/create_data.py makes info files")
    config = load_config(recipe, args.data_root)
    return DATASETS.build(config.train_dataloader.dataset | {"ann_file": args.ann_file})
