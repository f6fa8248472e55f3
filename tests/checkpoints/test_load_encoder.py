"""One file is enough to encode: in another process, in another folder, to the same bits."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from safetensors.torch import load_file, save_file

import ponderv2
from ponderv2.checkpoints import export_encoder, read_header
from ponderv2.datasets import LoadCameras, LoadLidarSweeps, PackSensorInputs, PonderNuScenesDataset
from ponderv2.encoders import DepthNet
from ponderv2.engine import load_config
from ponderv2.lifting import DeformableLift, SplatLift
from ponderv2.registry import DATASETS, MODELS
from tests.factories.camera_models import model_config
from tests.factories.keyframe import INFO_NAME
from tests.factories.lidar_models import fusion_model_config, lidar_model_config, unet_encoder_config

CONFIGS = Path(__file__).parents[2] / "configs"
TINY = sorted((CONFIGS / "tiny").glob("*.py"))

OTHER_PROCESS = """
import sys
from pathlib import Path
import ponderv2
from safetensors.torch import load_file, save_file

frame = load_file("frame.safetensors")
for path in sorted(Path("encoders").iterdir()):
    loaded = ponderv2.load_encoder(path)
    volume = loaded.encode(loaded.batch(**frame))
    save_file({"volume": volume.data.contiguous()}, f"{path.stem}_volume.safetensors")
    Path(f"{path.stem}_report.txt").write_text(str(loaded.report))
"""


def _splat_model_config() -> dict:
    model = model_config()
    model["encoder"] |= dict(
        depth_net=dict(
            type=DepthNet, in_channels=8, num_bins=16, channels=8, pyramid_channels=8, num_blocks=1, camera_aware=True
        ),
        lift=dict(type=SplatLift, depth_range=(1.0, 32.0)),
        num_convs=1,
    )
    return model


def _deformable_model_config() -> dict:
    model = model_config()
    lift = dict(type=DeformableLift, channels=8, size=(24, 24, 4), num_levels=2, num_heads=2, num_points=2)
    model["encoder"] |= dict(depth_net=None, lift=lift)
    return model


MODELS_TO_EXPORT = {
    "camera": model_config,
    "camera_splat": _splat_model_config,
    "camera_deformable": _deformable_model_config,
    "lidar": lidar_model_config,
    "lidar_unet": lambda: lidar_model_config(unet_encoder_config()),
    "fusion": fusion_model_config,
}


def _sample(root: Path, *changes: dict) -> dict:
    pipeline = [dict(type=LoadCameras), dict(type=LoadLidarSweeps), *changes, dict(type=PackSensorInputs)]
    dataset = dict(type=PonderNuScenesDataset, data_root=str(root), ann_file=INFO_NAME, pipeline=pipeline)
    return DATASETS.build(dataset)[0]


def _frame(sample: dict) -> dict:
    """Images, calibration and points of a sample, as tensors."""
    inputs = sample["inputs"]
    rig = inputs["rig"]
    return dict(images=inputs["img"], points=inputs["points"], lidar2cam=rig.lidar2cam, cam2img=rig.cam2img)


def _export_trained(config: dict, sample: dict, path: Path) -> torch.Tensor:
    """Export a model whose norms have seen the sample; returns its volume of the sample."""
    model = MODELS.build(config)
    batch = model.data_preprocessor(pseudo_collate([sample]))["inputs"]
    with torch.no_grad():
        model.train().encoder(batch)
        volume = model.eval().encoder(batch).volume.data
    path.parent.mkdir(exist_ok=True)
    export_encoder(model.encoder, path, config["encoder"], config["data_preprocessor"], name="small")
    return volume


def _encode_elsewhere(sample: dict, folder: Path) -> None:
    """Encode the sample with all of `folder/encoders`, in another process that has no recipe."""
    save_file({k: v.contiguous() for k, v in _frame(sample).items()}, folder / "frame.safetensors")
    done = subprocess.run(
        [sys.executable, "-c", OTHER_PROCESS],
        cwd=folder,
        capture_output=True,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": str(torch.get_num_threads())},
    )
    assert done.returncode == 0, done.stderr[-3000:]


@pytest.fixture(scope="module")
def encoded(frame_root, tmp_path_factory):
    """A folder with what another process made of the key frame, and our own volumes of it, by name."""
    folder = tmp_path_factory.mktemp("elsewhere")
    sample = _sample(frame_root)
    ours = {
        name: _export_trained(config(), sample, folder / "encoders" / f"{name}.safetensors")
        for name, config in MODELS_TO_EXPORT.items()
    }
    _encode_elsewhere(sample, folder)
    return folder, ours


@pytest.mark.parametrize("name", MODELS_TO_EXPORT)
def test_another_process_encodes_the_key_frame_to_the_same_volume(name, encoded):
    folder, ours = encoded
    assert ours[name].std() > 0
    assert torch.equal(load_file(folder / f"{name}_volume.safetensors")["volume"], ours[name])
    shown = (folder / f"{name}_report.txt").read_text()
    assert "recipe 'small'" in shown
    assert read_header(folder / "encoders" / f"{name}.safetensors")[0].sha256 in shown
    assert "0 missing, 0 unexpected" in shown


@pytest.mark.real
def test_another_process_encodes_the_real_key_frame_to_the_same_volume(keyframe_root, tmp_path):
    config = load_config(CONFIGS / "tiny" / "ponderv2_camera_keyframe.py")
    (resize,) = [step for step in config.train_dataloader.dataset.pipeline if "resize" in step]
    sample = _sample(keyframe_root, resize)
    ours = _export_trained(config.model, sample, tmp_path / "encoders" / "camera.safetensors")
    _encode_elsewhere(sample, tmp_path)
    assert torch.equal(load_file(tmp_path / "camera_volume.safetensors")["volume"], ours)


@pytest.mark.parametrize("recipe", TINY, ids=lambda p: p.stem)
def test_the_encoder_of_every_tiny_recipe_is_exported_and_loaded(recipe, tmp_path):
    config = load_config(recipe)
    encoder = MODELS.build(config.model.encoder)
    path = tmp_path / "encoder.safetensors"
    export_encoder(encoder, path, config.model.encoder, config.model.data_preprocessor, config.pretty_text)
    loaded = ponderv2.load_encoder(path)
    own = loaded.encoder.state_dict()
    assert own.keys() == encoder.state_dict().keys()
    assert all(torch.equal(own[k], v) for k, v in encoder.state_dict().items())
    assert str(loaded.encoder) == str(encoder)
    assert loaded.encoder.grid == encoder.grid
    assert "model" in loaded.report.header.recipe


@pytest.fixture
def loaded(tmp_path):
    config = fusion_model_config()
    encoder = MODELS.build(config["encoder"])
    export_encoder(encoder, tmp_path / "encoder.safetensors", config["encoder"], config["data_preprocessor"])
    return ponderv2.load_encoder(str(tmp_path / "encoder.safetensors"), device="cpu")


def test_a_loaded_encoder_is_in_eval_mode_and_can_be_trained_further(loaded, frame_root):
    assert not any(module.training for module in loaded.encoder.modules())
    assert all(parameter.requires_grad for parameter in loaded.encoder.parameters())
    batch = loaded.batch(**_frame(_sample(frame_root)))
    assert not loaded.encode(batch).data.requires_grad
    loaded.encoder(batch).volume.data.sum().backward()
    assert loaded.encoder.fuse[0].conv.weight.grad.abs().sum() > 0


def test_the_report_counts_the_weights_of_every_part(loaded):
    report = loaded.report
    assert set(report.parts) == {"camera", "lidar", "fuse"}
    assert sum(len(part.matched) for part in report.parts.values()) == report.header.tensors
    assert "FusionEncoder from" in str(report)
    assert f"written by ponderv2 {ponderv2.__version__!r}" in str(report)


def test_a_batch_is_made_of_arrays_with_square_intrinsics_as_of_tensors(loaded, frame_root):
    frame = _frame(_sample(frame_root))
    # numpy's own floats have 64 bits.
    arrays = {k: np.asarray(v) for k, v in frame.items()} | {"cam2img": frame["cam2img"][:, :3, :3].numpy()}
    arrays["points"] = arrays["points"].astype(np.float64)
    ours, theirs = loaded.batch(**arrays), loaded.batch(**frame)
    assert torch.equal(ours.images, theirs.images)
    assert torch.equal(ours.points[0], theirs.points[0])
    assert torch.equal(ours.rig.lidar2img, theirs.rig.lidar2img)


def test_images_without_calibration_or_of_another_shape_are_refused(loaded, frame_root):
    frame = _frame(_sample(frame_root))
    with pytest.raises(ValueError, match="lidar2cam and cam2img with the images, found images alone"):
        loaded.batch(images=frame["images"])
    with pytest.raises(ValueError, match="found neither"):
        loaded.batch()
    wrong = {
        "images": frame["images"].permute(0, 2, 3, 1),
        "lidar2cam": frame["lidar2cam"][:1],
        "cam2img": frame["cam2img"][0],
        "points": frame["points"][:, :3],
        "can_bus": torch.zeros(17),
    }
    for name, value in wrong.items():
        with pytest.raises(ValueError, match=f"{name}: expected shape .* found"):
            loaded.batch(**frame | {name: value})
    with pytest.raises(ValueError, match="the batch has no images"):
        loaded.encode(loaded.batch(points=frame["points"]))


def test_importing_the_package_imports_nothing_heavy(tmp_path):
    code = (
        "import sys, ponderv2\n"
        "heavy = {'torch', 'numpy', 'mmengine', 'mmcv', 'transformers', 'safetensors', 'spconv'}\n"
        "print(sorted(heavy & set(sys.modules)), hasattr(ponderv2, 'nothing'))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] False"
