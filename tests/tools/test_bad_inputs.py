"""What every tool says to input that it cannot use: one line that names it, and exit code 2."""

import re
from pathlib import Path

import pytest
import torch

from tests.factories.tool_scripts import call_tool
from tests.tools.conftest import COARSE

HERE = ["--work-dir", "{out}/work"]
TRAIN = ["{detector_recipe}", "--data-root", "{streets}", *HERE]
SCRATCH = ["--scratch", "--cfg-options", COARSE]
PRETRAIN = ["{pretrain_recipe}", "--data-root", "{streets}", *HERE, "--cfg-options", COARSE]
TEST = ["{detector_recipe}", "{detector_checkpoint}", "--data-root", "{streets}", *HERE]
SEGMENT = ["{tiny}/lidarseg_unet_synthetic.py", "--data-root", "{streets}", *HERE]
RENDER = ["{pretrain_recipe}", "{pretrain_checkpoint}", "--data-root", "{streets}", "--out", "{out}/pictures"]
MERGE = ["{encoder}", "{encoder}", "{out}/merged.pth", "--config", "{fusion_recipe}"]
CONVERT = ["{published_checkpoint}", "{out}/converted.pth", "--from", "unipad-lidar"]
EXPORT = ["{pretrain_recipe}", "{pretrain_checkpoint}", "--out", "{out}/encoder.safetensors", "--cfg-options", COARSE]
DATA = ["--root", "{streets}", "--version", "v1.0-mini", "--out", "{out}", "--workers", "1"]
PROBE = ["{detector_recipe}", "--data-root", "{streets}", "--encoders", "scratch"]
STUDY = ["--data-root", "{streets}", "--out", "{out}/study"]
BLIND = ["--data-root", "{streets}", "--out", "{out}/blind", "--json", "{out}/blind.json"]

BAD: dict[str, list[tuple[list[str], str]]] = {
    "train": [
        ([], r"the following arguments are required: config"),
        (["nowhere.py"], r"recipe nowhere\.py does not exist"),
        (["{tiny}/uvtr_camera_sinthetic.py"], r"does not exist; did you mean .*uvtr_camera_synthetic\.py\?"),
        (["{nowhere}/x.py"], r"there is no folder .*nowhere"),
        (["{tiny}"], r"expected a recipe, .*tiny is a folder"),
        (["{broken_recipe}", *HERE], r"recipe .*broken_recipe\.py cannot be read: .* in line 1"),
        (["{baseless_recipe}", *HERE], r"nowhere\.py"),
        (["{importing_recipe}", *HERE], r"importing_recipe\.py cannot be .*no_such_package"),
        (["{unknown_class_recipe}", *HERE], r"unknown_class_recipe\.py cannot be .*NoSuchModel"),
        (["{file}", *HERE], r"recipe .*file\.txt: expected a file of Python"),
        (["{detector_recipe}", "--data-root", "{nowhere}"], r"--data-root: folder .*nowhere does not exist"),
        (["{detector_recipe}", "--data-root", "{file}"], r"--data-root: folder .*file\.txt is not a folder"),
        (["{detector_recipe}", "--work-dir", "{file}"], r"--work-dir .*file\.txt: expected a folder, found a file"),
        (["{detector_recipe}", "--work-dir", "/proc/work"], r"--work-dir /proc/work: nothing can be written there"),
        (["{detector_recipe}", "--epochs", "3"], r"unrecognized arguments: --epochs 3"),
        (["{detector_recipe}", "--launcher", "ssh"], r"--launcher: invalid choice: 'ssh'"),
        ([*TRAIN, "--cfg-options", "seed"], r"expected KEY=VALUE, got 'seed'"),
        ([*TRAIN, "--cfg-options", "train_cgf.max_iters=1"], r"has no 'train_cgf'; did you mean train_cfg\?"),
        ([*TRAIN, "--cfg-options", "lr=1"], r"--cfg-options lr: the recipe .* has no 'lr'"),
        (
            [*TRAIN, "--cfg-options", "train_dataloader.dataset.pipeline.99.prob=1"],
            r"which has no place 99 in .*pipeline",
        ),
        ([*TRAIN, *SCRATCH, "model.haed=1"], r"cannot be built: .*haed"),
        (
            [*TRAIN, *SCRATCH, "model.head.num_queries=few"],
            r"num_queries=few, cannot be built: ",
        ),
        ([*TRAIN, *SCRATCH, "train_dataloader.dataset.fractoin=0.1"], r"cannot be built: .*fractoin"),
        ([*TRAIN, *SCRATCH, "train_dataloader.dataset.fraction=2"], r"fraction: expected a share in \(0, 1\], got 2"),
        ([*TRAIN, *SCRATCH, "train_dataloader.dataset.load_interval=0"], r"load_interval: expected a whole number of"),
        ([*TRAIN, *SCRATCH, "train_dataloader.dataset.load_interval=-1"], r"load_interval: .*at least 1, got -1"),
        ([*TRAIN, *SCRATCH, "train_dataloader.batch_size=-1"], r"cannot be built: batch_size"),
        ([*TRAIN, *SCRATCH, "train_cfg.max_itres=3"], r"cannot be built: .*max_itres"),
        ([*TRAIN, *SCRATCH, "optim_wrapper.optimizer.lr=fast"], r"cannot be built: .*'?(str|fast)"),
        ([*TRAIN, *SCRATCH, "param_scheduler.0.total_step=5"], r"cannot be built: .*total_step"),
        ([*TRAIN, *SCRATCH, "train_cfg.max_iters=0"], r"train_cfg\.max_iters is below 1|begin=0, end=0"),
        ([*TRAIN, *SCRATCH, "train_cfg.val_interval=0"], r"train_cfg\.val_interval is below 1"),
        ([*TRAIN, *SCRATCH, "train_cfg.max_iters=5000"], r"total_steps is 300, but the training has 5000 steps"),
        ([*TRAIN, "--cfg-options", "model.encoder.grid.size=(36,36"], r"size=\(36,36: the value cannot be read"),
        ([*TRAIN, *SCRATCH, "optim_wrapper.optimizer.type=AdamX"], r"changed by --cfg-options .*type=AdamX, cannot be"),
        (
            [*TRAIN, *SCRATCH, "model.init_cfg.checkpoint=x"],
            r"does not fit .* where model\.init_cfg is None",
        ),
        ([*TRAIN, *SCRATCH, "resume=True"], r"--resume: .*work has no last_checkpoint to go on from"),
        ([*TRAIN, *SCRATCH, "load_from={pretrain_checkpoint}"], r"pretrain\.pth is not of this recipe"),
        ([*TRAIN, *SCRATCH, "resume=True", "load_from={detector_checkpoint}"], r"of another recipe, its optimiser has"),
        ([*TRAIN, "--resume", "{coded_checkpoint}", *SCRATCH], r"meta\.config, a recipe that resuming would run"),
        ([*TRAIN, "--launcher", "pytorch"], r"--launcher pytorch: expected to be started by torchrun"),
        ([*TRAIN, "--launcher", "slurm"], r"--launcher slurm: expected to be started by srun"),
        (
            [*SEGMENT, "--scratch", "--cfg-options", "model.trained_parts=('pts_middle_encoder.up',)"],
            r"needs freeze_encoder=True",
        ),
        ([*SEGMENT, "--scratch", "--cfg-options", "model.head.loss.lovaz=1"], r"cannot be built: .*lovaz"),
        (["{parts}", *HERE], r"tiny\.py has no model and no train_dataloader"),
        ([*TRAIN, "--resume"], r"--resume: .*work has no last_checkpoint to go on from"),
        ([*TRAIN, "--resume", "{nowhere}.pth"], r"checkpoint .*nowhere\.pth does not exist"),
        ([*TRAIN, "--resume", "{moved}"], r"last_checkpoint names the checkpoint iter_9\.pth, which does not exist"),
        ([*TRAIN, "--resume", "{pretrain_checkpoint}", *SCRATCH], r"pretrain\.pth is not of this recipe, it covers"),
        ([*TRAIN, "--resume", "{encoder}", *SCRATCH], r"encoder\.safetensors has no optimizer and no meta"),
        ([*TRAIN, "--resume", "{foreign_checkpoint}", *SCRATCH], r"foreign\.pth has no optimizer"),
        (["{pretrain_recipe}", "--scratch"], r"ponderv2_camera_synthetic\.py names no baseline"),
        (
            ["{detector_recipe}", "--data-root", "{no_infos}", *HERE, *SCRATCH],
            r"info file .*_train\.pkl does not exist; make it with tools/create_data\.py .* --version v1\.0-mini",
        ),
        (["{detector_recipe}", "--data-root", "{torn_infos}", *HERE, *SCRATCH], r"_train\.pkl cannot be read"),
        (["{detector_recipe}", "--data-root", "{hostile_infos}", *HERE, *SCRATCH], r"wants to load (posix|nt)\.system"),
        (["{detector_recipe}", "--data-root", "{old_infos}", *HERE, *SCRATCH], r"generation before mmdet3d 1\.0"),
        (["{detector_recipe}", "--data-root", "{listed_infos}", *HERE, *SCRATCH], r"expected a dict with 'metainfo'"),
        (["{detector_recipe}", "--data-root", "{empty_infos}", *HERE, *SCRATCH], r"has no key frames"),
        (["{detector_recipe}", "--data-root", "{no_tables}", *HERE, *SCRATCH], r"v1\.0-mini"),
        (
            ["{detector_recipe}", "--data-root", "{wrong_box}", *HERE, *SCRATCH],
            r"key frame .*\.bbox_3d: expected finite",
        ),
        (["{detector_recipe}", "--data-root", "{cut_image}", *HERE, *SCRATCH], r"images\.CAM_FRONT.*\.(jpg|png)"),
        (
            [*TRAIN, "--cfg-options", COARSE, "model.init_cfg.checkpoint={nowhere}.safetensors"],
            r"encoder file .*nowhere\.safetensors does not exist",
        ),
        (
            [*PRETRAIN, "model.encoder.img_backbone.weights={nowhere}.pth"],
            r"weights '.*nowhere\.pth': no such file or folder, .*docs/model_zoo\.md says where",
        ),
        (
            [
                *TRAIN,
                "--cfg-options",
                COARSE,
                "model.init_cfg.checkpoint={detector_checkpoint}",
                "model.init_cfg.heads=1",
            ],
            r"init_cfg: expected the keys checkpoint, new and head",
        ),
        (
            [*TRAIN, "--cfg-options", COARSE, "model.init_cfg.checkpoint={foreign_checkpoint}"],
            r"foreign\.pth does not cover this model's encoder, nothing was loaded",
        ),
        (
            [*TRAIN, "--cfg-options", COARSE, "model.init_cfg.checkpoint={keyless_checkpoint}"],
            r"keyless\.pth: expected a checkpoint with the key 'state_dict'",
        ),
    ],
    "test": [
        (
            [SEGMENT[0], "{detector_checkpoint}", *SEGMENT[1:], "--cfg-options", "test_evaluator.ranges=(40,20)"],
            r"ranges: expected growing distances above 0 m, got \(40, 20\)",
        ),
        (
            [SEGMENT[0], "{detector_checkpoint}", *SEGMENT[1:]],
            r"detector\.pth is not of this recipe",
        ),
        (["{detector_recipe}"], r"the following arguments are required: checkpoint"),
        (["{detector_recipe}", "{nowhere}.pth"], r"checkpoint .*nowhere\.pth does not exist"),
        (["{detector_recipe}", "{empty}", *HERE], r"empty has no last_checkpoint"),
        (["{detector_recipe}", "{moved}", *HERE], r"names the checkpoint iter_9\.pth, which does not exist"),
        (
            [*TEST[:1], "{pretrain_checkpoint}", *TEST[2:], "--cfg-options", COARSE],
            r"pretrain\.pth is not of this recipe",
        ),
        ([*TEST[:1], "{encoder}", *TEST[2:], "--cfg-options", COARSE], r"encoder\.safetensors is an exported encoder"),
        (["{lidar_recipe}", *TEST[1:]], r"detector\.pth is not of this recipe, it covers \d+ of \d+ weights"),
        ([*TEST[:1], "{torn_checkpoint}", *TEST[2:]], r"cannot read .*torn\.pth as a checkpoint"),
        ([*TEST[:1], "{nothing_checkpoint}", *TEST[2:]], r"cannot read .*nothing\.pth as a checkpoint"),
        ([*TEST[:1], "{hostile_checkpoint}", *TEST[2:]], r"refused to load .*hostile\.pth"),
        (
            [*TEST[:1], "{keyless_checkpoint}", *TEST[2:]],
            r"keyless\.pth: expected a checkpoint with the key 'state_dict'",
        ),
        ([*TEST, "--tta"], r"--tta: .*has no tta_model and no tta_pipeline"),
        ([*TEST, "--draw", "{file}"], r"--draw .*file\.txt: expected a folder, found a file"),
        ([*TEST, "--cfg-options", "test_dataloadr.batch_size=2"], r"did you mean test_dataloader\?"),
        (
            [
                "{detector_recipe}",
                "{detector_checkpoint}",
                "--data-root",
                "{no_tables}",
                *HERE,
                "--cfg-options",
                COARSE,
            ],
            r"v1\.0-mini",
        ),
    ],
    "render": [
        (RENDER[:-2], r"the following arguments are required: --out"),
        ([*RENDER, "--samples", "0"], r"--samples: expected a whole number of at least 1, got '0'"),
        ([*RENDER, "--stride", "-2"], r"--stride: expected a whole number of at least 1"),
        ([*RENDER, "--mesh-step", "0"], r"--mesh-step: expected a number above 0"),
        ([*RENDER[:-1], "{file}"], r"--out .*file\.txt: expected a folder, found a file"),
        ([*RENDER, "--device", "meta"], r"--device meta: expected a device that torch can use here"),
        ([*RENDER, "--device", "tpu9"], r"--device tpu9: expected a device that torch can use here"),
        (["{detector_recipe}", *RENDER[1:]], r"expected the recipe of a pre-training, found a VolumeDetector"),
        ([*RENDER[:1], "{detector_checkpoint}", *RENDER[2:]], r"detector\.pth is not of this recipe"),
        ([*RENDER[:1], "{encoder}", *RENDER[2:]], r"encoder\.safetensors is an exported encoder"),
    ],
    "print_config": [
        (["nowhere.py"], r"recipe nowhere\.py does not exist"),
        (["{pretrain_recipe}", "--scratch"], r"names no baseline"),
        (["{parts}"], r"tiny\.py has no model, so there is nothing to print"),
        (["{pretrain_recipe}", "--cfg-options", "modle.x=1"], r"has no 'modle'; did you mean model\?"),
    ],
    "merge_checkpoints": [
        (["{nowhere}.pth", *MERGE[1:]], r"checkpoint .*nowhere\.pth does not exist"),
        ([*MERGE[:2], "{empty}", *MERGE[3:]], r"OUT .*empty: expected a file, found a folder"),
        ([*MERGE[:2], "{out}/merged.ckpt", *MERGE[3:]], r"OUT .*merged\.ckpt: expected a file \*\.pth"),
        (
            ["{foreign_checkpoint}", "{encoder}", "{foreign_checkpoint}", *MERGE[3:], "--overwrite"],
            r"is the input .*foreign",
        ),
        ([*MERGE[:2], "{foreign_checkpoint}", *MERGE[3:]], r"foreign\.pth: is there already; give --overwrite"),
        ([*MERGE[:2], "/proc/merged.pth", *MERGE[3:]], r"OUT /proc/merged\.pth: cannot be written"),
        ([*MERGE[:-1], "{detector_recipe}"], r"expected a model with an encoder of camera and lidar"),
        ([*MERGE[:-1], "{nowhere}.py"], r"recipe .*nowhere\.py does not exist"),
        (["{fused_checkpoint}", *MERGE[1:]], r"fused\.pth: expected a camera encoder, found a fusion encoder"),
        ([*MERGE[:1], "{keyless_checkpoint}", *MERGE[2:]], r"keyless\.pth: expected a checkpoint with the key"),
        (["{foreign_checkpoint}", *MERGE[1:], "--no-head"], r"the weights are not of this recipe, nothing was written"),
        (MERGE, r"encoder\.safetensors is an exported encoder, which has no head; .*; --no-head starts"),
    ],
    "export_encoder": [
        (["{pretrain_recipe}"], r"the following arguments are required: checkpoint"),
        (["{pretrain_recipe}", "{nowhere}.pth"], r"checkpoint .*nowhere\.pth does not exist"),
        ([*EXPORT, "--out", "{file}"], r"--out .*file\.txt: expected a file \*\.safetensors"),
        ([*EXPORT, "--out", "{empty}"], r"--out .*empty: expected a file, found a folder"),
        (["{pretrain_recipe}", "{detector_checkpoint}", *EXPORT[2:]], r"detector\.pth is not of this recipe"),
        (["{parts}", "{pretrain_checkpoint}"], r"tiny\.py has no model, so there is nothing to export"),
    ],
    "convert_checkpoint": [
        (CONVERT[:2], r"the following arguments are required: --from"),
        ([*CONVERT[:3], "ponder"], r"--from: invalid choice: 'ponder'"),
        (["{nowhere}.pth", *CONVERT[1:]], r"checkpoint .*nowhere\.pth does not exist"),
        ([CONVERT[0], "{empty}", *CONVERT[2:]], r"OUT .*empty: expected a file, found a folder"),
        ([CONVERT[0], "{out}/converted", *CONVERT[2:]], r"OUT .*converted: expected a file \*\.pth"),
        ([CONVERT[0], CONVERT[0], *CONVERT[2:], "--overwrite"], r"published\.pth: is the input .*published\.pth"),
        ([CONVERT[0], "{foreign_checkpoint}", *CONVERT[2:]], r"foreign\.pth: is there already; give --overwrite"),
        (["{torn_checkpoint}", *CONVERT[1:]], r"cannot read .*torn\.pth as a checkpoint"),
        (["{hostile_checkpoint}", *CONVERT[1:]], r"hostile\.pth"),
        (["{keyless_checkpoint}", *CONVERT[1:]], r"keyless\.pth: expected a checkpoint with the key 'state_dict'"),
        (["{detector_checkpoint}", *CONVERT[1:]], r"detector\.pth: no key of its state_dict starts with img_backbone"),
        ([*CONVERT[:3], "unipad-camera"], r"--from unipad-camera expects the encoder of camera, the file holds the"),
        (
            CONVERT,
            r"published\.pth does not fit the model, weights are 1 left over: pts_middle_encoder\.extra; \d+ miss",
        ),
        ([*CONVERT, "--config", "{nowhere}.py"], r"recipe .*nowhere\.py does not exist"),
        ([*CONVERT, "--config", "{parts}"], r"--config .*tiny\.py: expected a recipe whose model has an encoder"),
        ([*CONVERT, "--cfg-options", "modle.x=1"], r"has no 'modle'; did you mean model\?"),
    ],
    "benchmark": [
        ([], r"the following arguments are required: benchmark"),
        (["rendering"], r"invalid choice: 'rendering'"),
        (["render", "--repeats", "0"], r"--repeats: expected a whole number of at least 1"),
        (["render", "--json", "{empty}"], r"--json .*empty: expected a file, found a folder"),
        (["render", "--json", "{file}/x.json"], r"--json .*file\.txt/x\.json: cannot be written"),
        (["lift", "--device", "tpu9"], r"--device tpu9: expected a device"),
        (["lidar", "--ratio", "2"], r"--ratio: expected a share above 0 and at most 1"),
        (["lidar", "--sweep", "{nowhere}.bin"], r"sweep .*nowhere\.bin does not exist"),
    ],
    "check_data": [
        (["{nowhere}.pkl"], r"info file .*nowhere\.pkl does not exist"),
        (["{streets}/nuscenes_infos_train.pkl", "--frames", "-1"], r"--frames: expected a whole number of at least 1"),
        (["{streets}/nuscenes_infos_train.pkl", "--root", "{nowhere}"], r"--root: folder .*nowhere does not exist"),
        (["{torn_infos}/nuscenes_infos_train.pkl"], r"nuscenes_infos_train\.pkl cannot be read"),
        (["{hostile_infos}/nuscenes_infos_train.pkl"], r"only containers and numpy values are read"),
        (["{file}"], r"file\.txt is no pickle, or a damaged one .*; expected an info file that tools/create_data"),
        (["{wrong_velocity}/nuscenes_infos_train.pkl"], r"_train\.pkl .*key frame .*: velocity of instances: expected"),
        (
            ["{singular_matrix}/nuscenes_infos_train.pkl"],
            r"_train\.pkl .*key frame .*lidar2cam: expected a matrix that",
        ),
    ],
    "make_synthetic_nuscenes": [
        ([], r"the following arguments are required: --out"),
        (["--out", "{out}/s", "--scenes", "0"], r"--scenes: expected a whole number of at least 1, got '0'"),
        (["--out", "{out}/s", "--keyframes", "1"], r"--keyframes: expected a whole number of at least 2"),
        (["--out", "{out}/s", "--workers", "0"], r"--workers: expected a whole number of at least 1"),
        (["--out", "{out}/s", "--seed", "-1"], r"--seed: expected a whole number of at least 0"),
        (["--out", "{out}/s", "--preview", "pic.txt"], r"--preview: expected a file \*\.png, got 'pic\.txt'"),
        (["--out", "{out}/s", "--image-size", "big"], r"'big' is no image size; it looks like 800x450"),
        (["--out", "{out}/s", "--image-size", "8x8"], r"image size 8x8: each side must be 16 to 4096 pixels"),
        (["--out", "{out}/s", "--scenes", "9999"], r"scenes: got 9999"),
        (["--out", "{file}"], r"file\.txt is a file; the data set needs a folder"),
        (["--out", "{here}"], r"not empty and holds no synthetic data set"),
        (["--out", "{streets}", "--scenes", "1"], r"holds another synthetic data set \(.*scenes 2 instead of 1"),
        (["--out", "/proc/set"], r"--out /proc: nothing can be written there"),
        (["--out", "{out}/s", "--benchmark", "streets-v9"], r"--benchmark: invalid choice: 'streets-v9'"),
        (
            ["--out", "{out}/s", "--benchmark", "streets-mini", "--scenes", "2", "--image-size", "96x54"],
            r"--benchmark streets-mini fixes --scenes and --image-size: leave that out, or the benchmark",
        ),
        (
            ["--out", "{streets}", "--benchmark", "streets-mini"],
            r"another synthetic data set \(.*scenes 2 instead",
        ),
        (
            ["--out", "{streets}", "--check", "--benchmark", "streets-mini"],
            r"--check: .*streets is no benchmark, not streets-mini; leave out --benchmark",
        ),
        (["--out", "{streets}", "--check"], r"--check: no hashes are stored for .*streets, so nothing was compared"),
        (
            ["--out", "{out}/s", "--report", "{out}/r.json"],
            r"--report: .*s holds no finished .*; name a --benchmark or",
        ),
        (["--out", "{out}/s", "--check"], r"--check: .*s holds no finished synthetic data set"),
        (
            ["--out", "{streets}", "--check", "--seed", "0"],
            r"--check is of a benchmark, which fixes --seed: leave",
        ),
        (
            ["--out", "{streets}", "--hashes", "{out}/h.json"],
            r"--hashes: .*streets is no benchmark, its",
        ),
        (["--out", "{streets}", "--report", "r.png"], r"--report: expected a file \*\.json, got 'r\.png'"),
        (["--out", "{streets}", "--report", "{file}/r.json"], r"--report .*file\.txt/r\.json: cannot be written"),
    ],
    "linear_probe": [
        ([*PROBE, "--frames", "0"], r"--frames: expected a whole number of at least 1"),
        ([*PROBE, "--free-cells", "-5"], r"--free-cells: expected a whole number of at least 1"),
        ([*PROBE, "--json", "{file}/probe.json"], r"--json .*file\.txt/probe\.json: cannot be written"),
        ([*PROBE, "--device", "tpu9"], r"--device tpu9: expected a device"),
        ([*PROBE[:-1], "{nowhere}.safetensors", "--cfg-options", COARSE], r"nowhere\.safetensors does not exist"),
        ([*PROBE[:-1], "{foreign_checkpoint}", "--cfg-options", COARSE], r"foreign\.pth does not cover this model's"),
        ([*PROBE[:-1], "scrach"], r"checkpoint scrach does not exist; did you mean scratch\?"),
        ([*PROBE, "{nowhere}.safetensors"], r"checkpoint .*nowhere\.safetensors does not exist$"),
        (["{pretrain_recipe}", *PROBE[1:]], r"expected the recipe of a detector, found a RenderingPretrainer"),
        ([*PROBE, "--seed", "-1"], r"--seed: expected a whole number of at least 0"),
        ([*PROBE[:2], "{no_infos}", *PROBE[3:], "--cfg-options", COARSE], r"_train\.pkl does not exist"),
    ],
    "transfer_study": [
        ([*STUDY, "--fractions", "2"], r"--fractions: expected a share above 0 and at most 1, got 2"),
        ([*STUDY, "--fractions", "0.1", "0.1"], r"--fractions: expected different values"),
        ([*STUDY, "--jobs", "0"], r"--jobs: expected a whole number of at least 1"),
        ([*STUDY, "--modalities", "radar"], r"--modalities: invalid choice: 'radar'"),
        ([*STUDY, "--seeds", "-1"], r"--seeds: expected a whole number of at least 0, got '-1'"),
        ([*STUDY, "--seeds", "4294967296"], r"--seeds: expected a seed of at most 4294967295"),
        *(
            (
                [*STUDY, "--modalities", "camera", option, "lidar={encoder}"],
                rf"{option} lidar=.*: the study does not compare lidar; add it to --modalities \(camera\)",
            )
            for option in ("--config", "--pretrained", "--pretrain-config")
        ),
        ([*STUDY, "--config", "lidar=a.py", "lidar=b.py"], r"--config: expected one path for lidar, got 2"),
        ([*STUDY, "--config", "radar=x.py"], r"expected MODALITY=PATH with one of camera, lidar, fusion"),
        ([*STUDY, "--pretrained", "camera={nowhere}.pth"], r"nothing was started: .*nowhere\.pth does not exist"),
        ([*STUDY, "--cfg-options", "max_iters"], r"expected KEY=VALUE, got 'max_iters'"),
        ([*STUDY[:2], "--out", "{file}"], r"--out .*file\.txt: expected a folder, found a file"),
        (["--data-root", "{nowhere}", *STUDY[2:]], r"--data-root: folder .*nowhere does not exist"),
    ],
    "segmentation_study": [
        ([*STUDY, "--protocols", "probe"], r"--protocols: invalid choice: 'probe'"),
        ([*STUDY, "--json", "{file}/x.json"], r"--json .*file\.txt/x\.json: cannot be written"),
        (
            [*STUDY, "--protocols", "finetune", "--pretrained", "pretrained={nowhere}.pth"],
            r"nothing was started: .*nowhere\.pth does not exist",
        ),
    ],
    "blind_baselines": [
        (BLIND[:-2], r"the following arguments are required: --json"),
        ([*BLIND[:-1], "{file}/x.json"], r"--json .*file\.txt/x\.json: cannot be written"),
        ([*BLIND[:-1], "{file}"], r"--json .*file\.txt: expected blind baselines of an earlier run"),
        ([*BLIND[:3], "{file}", *BLIND[4:]], r"--out .*file\.txt: expected a folder, found a file"),
        (["--data-root", "{nowhere}", *BLIND[2:]], r"--data-root: folder .*nowhere does not exist"),
        (
            ["--data-root", "{no_infos}", *BLIND[2:]],
            r"has no nuscenes_infos_train\.pkl; make it with tools/create_data",
        ),
        ([*BLIND, "--only", "random"], r"--only: invalid choice: 'random'"),
        ([*BLIND, "--modalities", "fusion"], r"--modalities: invalid choice: 'fusion'"),
        ([*BLIND, "--fraction", "0"], r"--fraction: expected a share above 0 and at most 1"),
        ([*BLIND, "--frozen-fractions", "1", "1"], r"--fractions: expected different values"),
        ([*BLIND, "--seeds", "0", "0"], r"--seeds: expected different values"),
        ([*BLIND, "--seeds", "-1"], r"--seeds: expected a whole number of at least 0"),
        ([*BLIND, "--full-steps", "0"], r"--full-steps: expected a whole number of at least 1"),
        ([*BLIND, "--cfg-options", "model.haed=1"], r"cannot be built: .*haed"),
    ],
    "create_data": [
        (["--root", "{nowhere}", *DATA[2:]], r"--root: folder .*nowhere does not exist"),
        ([*DATA[:3], "v1.0-nano", *DATA[4:]], r"unknown version 'v1\.0-nano'"),
        ([*DATA[:3], "v1.0-trainval", *DATA[4:]], r"v1\.0-trainval lacks"),
        ([*DATA[:-1], "0"], r"--workers: expected a whole number of at least 1"),
        ([*DATA, "--lidar-sweeps", "-1"], r"--lidar-sweeps: expected a whole number of at least 0"),
        ([*DATA[:5], "{file}", *DATA[6:]], r"--out .*file\.txt: expected a folder, found a file"),
        ([*DATA[:5], "/proc/out", *DATA[6:]], r"--out /proc/out: nothing can be written there"),
        (["--root", "{streets}/v1.0-mini", *DATA[2:]], r"v1\.0-mini holds tables itself: --root is the folder above"),
        (["--root", "{torn_tables}", *DATA[2:]], r"the devkit cannot open .*v1\.0-mini"),
        ([*DATA[:5], "{old_infos}", *DATA[6:]], r"_train\.pkl was made .*give --overwrite"),
    ],
}

ROWS = [(tool, k, *row) for tool, rows in BAD.items() for k, row in enumerate(rows)]


def test_the_table_is_long_enough():
    assert len(ROWS) >= 60


@pytest.mark.parametrize(
    ("tool", "arguments", "line"), [(t, a, e) for t, _, a, e in ROWS], ids=[f"{t}-{k}" for t, k, *_ in ROWS]
)
def test_a_bad_input_is_one_line_with_exit_code_2(
    tool, arguments, line, places, repository, tmp_path, monkeypatch, capsys
):
    if "--amp" in arguments and torch.cuda.is_available():
        pytest.skip("CUDA is there")
    monkeypatch.chdir(tmp_path)
    paths = places | {"out": tmp_path, "nowhere": tmp_path / "nowhere"}
    code, error = call_tool(repository, tool, [a.format(**paths) for a in arguments], capsys)
    lines = error.strip().splitlines()
    assert code == 2, error
    assert len(lines) == 1, error
    assert re.search(line, lines[0]), lines[0]
    assert not list(tmp_path.rglob("*.pth"))
    assert not list(Path(tmp_path).glob("merged*"))
