"""The tiny recipes of the lifts of BEVDet, BEVDepth and BEVFormer take a real step, on small grids and images."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate

from ponderv2.engine import load_config
from ponderv2.registry import DATASETS, MODELS

TINY = Path(__file__).parents[2] / "configs" / "tiny"
LIFTS = ("bevdet", "bevdepth", "bevformer")
# Their first step cannot move positions: these choose offsets and weights alone, by layers that start at zero.
AT_FIRST_IDLE = ("encoder.lift.position.",)


def _small(recipe: str, root: Path) -> tuple[torch.nn.Module, dict]:
    """The model of a recipe in training mode, without weights to start from, and a batch of two frames."""
    config = load_config(TINY / f"{recipe}_synthetic.py", root)
    model = config.model
    size = (20, 20, 1 if recipe.startswith("bevformer") else 4)
    model.encoder.grid.size = size
    if "size" in model.encoder.lift:
        model.encoder.lift.size = size
    if "grid" in model.head:
        model.head.grid.size = size
    if "init_cfg" in model:
        model.init_cfg = None
    model = MODELS.build(model)
    model.init_weights()
    if "draw_history" in config.train_dataloader.dataset:
        config.train_dataloader.dataset.draw_history = False
    frames = DATASETS.build(config.train_dataloader.dataset)
    return model.train(), model.data_preprocessor(pseudo_collate([frames[0], frames[1]]), True)


def _silent(model: torch.nn.Module, batch: dict) -> tuple[dict, list[str]]:
    losses = model(**batch, mode="loss")
    model.parse_losses(losses)[0].backward()
    trained = {n: p.grad for n, p in model.named_parameters() if p.requires_grad}
    assert all(grad is None or grad.isfinite().all() for grad in trained.values())
    return losses, [n for n, grad in trained.items() if grad is None or not grad.abs().sum() > 0]


@pytest.mark.parametrize("lift", LIFTS)
def test_pre_training_reaches_every_parameter_of_the_encoder(lift, streets):
    losses, silent = _silent(*_small(f"ponderv2_camera_{lift}", streets))
    assert "loss_lift_depth" not in losses
    assert [name for name in silent if name.startswith("encoder.")] == []


@pytest.mark.parametrize("lift", LIFTS)
def test_fine_tuning_reaches_every_parameter_and_depths_are_supervised_for_bevdepth_alone(lift, streets):
    losses, silent = _silent(*_small(f"center_camera_{lift}", streets))
    assert ("loss_lift_depth" in losses) == (lift == "bevdepth")
    assert silent == []
    # The logarithm of the prior 0.01, and next to nothing of empty cells.
    assert losses["task0.loss_heatmap"].item() == pytest.approx(4.5, rel=0.2)
    assert losses["task0.loss_bbox"] < 3


@pytest.mark.parametrize(
    "recipe", ["bevformer_camera", "bevformer_temporal_camera", "bevformer_center_temporal_camera"]
)
def test_bevformer_trains_and_predicts_without_history_and_with(recipe, streets):
    np.random.seed(0)
    model, batch = _small(recipe, streets)
    # The first frame has none before it, the second has one.
    assert [frame.exists.tolist() for frame in batch["inputs"].history] == [[False, True]] * ("temporal" in recipe)
    losses, silent = _silent(model, batch)
    # The logarithm of the prior 0.01, and in the transformer's focal loss 2 · 0.25 times that, for each box.
    name, expected = ("task0.loss_heatmap", 4.5) if "center" in recipe else ("loss_cls", 2.3)
    assert losses[name].item() == pytest.approx(expected, rel=0.3)
    assert [name for name in silent if name.startswith("encoder.") and not name.startswith(AT_FIRST_IDLE)] == []
    predicted = model.eval()(**batch, mode="predict")
    assert [len(sample.pred_instances_3d.scores_3d) > 0 for sample in predicted] == [True, True]
