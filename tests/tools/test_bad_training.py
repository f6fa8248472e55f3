"""Training: input that cannot be used is named in one line."""

from tests.tools.conftest import COARSE
from tests.tools.refusals import BadInputs, Refuse, each_of

HERE = ["--work-dir", "{out}/work"]
TRAIN = ["{detector_recipe}", "--data-root", "{streets}", *HERE]
SCRATCH = ["--scratch", "--cfg-options", COARSE]
PRETRAIN = ["{pretrain_recipe}", "--data-root", "{streets}", *HERE, "--cfg-options", COARSE]
SEGMENT = ["{tiny}/lidarseg_unet_synthetic.py", "--data-root", "{streets}", *HERE]

BAD: BadInputs = {
    "estimate_cost": [
        (["{nowhere}/x.py"], r"there is no folder .*nowhere"),
        (["{pretrain_recipe}", "--card", "tpu"], r"--card: invalid choice: 'tpu'"),
        (["{pretrain_recipe}", "--measure", "-1"], r"--measure: expected a whole number of at least 0"),
        (["{pretrain_recipe}", "--json", "{file}/c.json"], r"--json .*file\.txt/c\.json: cannot be written"),
        (
            ["{lidar_recipe}", "--image-size", "64", "96", "--recompute", "head.nowhere"],
            r"RecomputeHook: the model has no head\.nowhere",
        ),
        (["{parts}"], r"tiny\.py has no model and no .*, so there is nothing to estimate"),
    ],
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
        (
            ["{interop}/fcos3d_r101_nuscenes.py", *HERE],
            r"fcos3d_r101_nuscenes\.py: dataset is mmdet3d's NuScenes",
        ),
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
            r"init_cfg: expected the keys checkpoint, new, parts and head",
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
}


@each_of(BAD)
def test_a_bad_input_is_one_line_with_exit_code_2(refuse: Refuse, tool, arguments, line):
    refuse(tool, arguments, line)
