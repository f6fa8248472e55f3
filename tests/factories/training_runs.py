"""A training that takes no time, for studies of transfer: recipes, scores and checkpoints are fake."""

import json
import zipfile
from pathlib import Path

DETECTOR = """
model = dict(type="D", init_cfg=dict(checkpoint="somewhere", new=("convs",)))
train_dataloader = dict(dataset=dict(type="Balanced", dataset=dict(type="Set", ann_file="train.pkl")))
val_dataloader = dict(dataset=dict(type="Set", ann_file="val.pkl"))
"""
PRETRAINING = DETECTOR.replace(', init_cfg=dict(checkpoint="somewhere", new=("convs",))', "")
# Runs of a study of one model with 10 % of the labels and two seeds, in their order.
RUNS = [f"lidar_0.1_{init}_seed{seed}" for seed in (0, 1) for init in ("scratch", "pretrained", "frozen")]


class Training:
    """Stands in for the process of tools/train.py.

    mAP is 0.2 plus a hundredth a seed and a thousandth a pre-training seed, for a pre-trained start a tenth and the
    fraction more, and for a frozen encoder 0.15 less; NDS is half of it.
    """

    def __init__(self) -> None:
        self.commands: list[list[str]] = []
        self.environments: list[dict] = []
        self.fails: set[str] = set()
        self.leaves_checkpoint = False
        self.validates = True
        # Added to the score, one a validation.
        self.scores = (0.0,)
        self.write = write_validation

    def __call__(self, command, log: Path, environment: dict) -> int:
        self.commands.append(list(command))
        self.environments.append(environment)
        work_dir = Path(command[command.index("--work-dir") + 1])
        with log.open("a") as file:
            file.write(f"training {work_dir.name}\n")
        if work_dir.name in self.fails:
            with log.open("a") as file:
                file.write("ValueError: out of luck\n")
            if self.leaves_checkpoint:
                zipfile.ZipFile(work_dir / "iter_2.pth", "w").close()
                (work_dir / "last_checkpoint").write_text("iter_2.pth")
            return 1
        if work_dir.parent.name == "pretrain":
            (work_dir / "encoder.safetensors").write_bytes(b"weights")
            return 0
        if not self.validates:
            return 0
        options = dict(o.split("=", 1) for o in command[command.index("--cfg-options") + 1 :] if "=" in o)
        seed = int(options["randomness.seed"])
        score = 0.2 + 0.01 * (seed % 1000) + 0.001 * (seed // 1000)
        if options.get("model.init_cfg") != "None":
            assert Path(options["model.init_cfg.checkpoint"]).is_file()
            score += 0.1 + float(options["train_dataloader.dataset.dataset.fraction"])
        if options.get("model.freeze_encoder") == "True":
            score -= 0.15
        self.write(work_dir, f"2026_{len(self.commands):04d}", *(score + more for more in self.scores))
        return 0

    @property
    def names(self) -> list[str]:
        return [Path(c[c.index("--work-dir") + 1]).name for c in self.commands]


def write_validation(work_dir: Path, start: str, *scores: float) -> None:
    _write(work_dir, start, [{"nuscenes/mAP": s, "nuscenes/NDS": s / 2, "nuscenes/mATE": 0.7} for s in scores])


def write_segmentation(work_dir: Path, start: str, *scores: float) -> None:
    found = [{"mIoU": s, "fwIoU": 2 * s, "car_IoU": s / 2, "bus_IoU": 0.0} for s in scores]
    _write(work_dir, start, [{f"lidarseg/{k}": v for k, v in values.items()} for values in found])


def _write(work_dir: Path, start: str, validations: list[dict]) -> None:
    folder = work_dir / start / "vis_data"
    folder.mkdir(parents=True)
    # As mmengine writes them: all validations are at step 0.
    lines = [{"loss": 1.0, "iter": 1, "step": 1}]
    for k, values in enumerate(validations):
        lines += [{"loss": 1.0, "iter": 2 + k, "step": 2 + k}, {**values, "step": 0}]
    (folder / "scalars.json").write_text("".join(json.dumps(line) + "\n" for line in lines))
