"""Shape checks for the whole package, and data to test on: a key frame of a factory, and the real one if there."""

import os
import signal
import threading
from pathlib import Path

from jaxtyping import install_import_hook

# The hook names the checker as an attribute of `tests`, which it is once it has been imported.
import tests.shape_checks  # noqa: F401

# Before anything of the package is imported: annotated shapes are checked at run time from here on.
install_import_hook(["ponderv2", "synthetic_nuscenes", "studies", "benchmarks"], "tests.shape_checks.typechecker")

import pytest  # noqa: E402
import torch  # noqa: E402
from filelock import FileLock  # noqa: E402

from tests.factories.keyframe import write_keyframe  # noqa: E402
from tests.factories.shared_folder import shared_folder  # noqa: E402

REPOSITORY = Path(__file__).parents[1]


LONG_FIRST = (
    "engine/test_demo.py",
    "engine/test_tiny_detectors.py",
    "docs/test_readme.py",
    "synthetic_nuscenes/test_dataset.py",
    "evaluation/test_nuscenes_metric.py",
    "engine/test_training.py",
    "studies/test_transfer_end_to_end.py",
    "benchmarks/test_gpu_check.py",
)
"""Files of half a minute and more: processes that share the tests take them first, and end at the same time."""


def pytest_configure() -> None:
    """Hear Ctrl-C also where the tests are a job in the background of a shell, which ignores it for them."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files come first; tests marked `gpu` or `real` are skipped where there is no GPU or no key frame."""
    order = {str(REPOSITORY / "tests" / name): place for place, name in enumerate(LONG_FIRST)}
    items.sort(key=lambda item: order.get(str(item.path), len(order)))
    no_gpu = pytest.mark.skip(reason="needs a CUDA device")
    no_frame = pytest.mark.skip(reason="needs the real key frame: set PONDER_KEYFRAME to its folder")
    for item in items:
        if "gpu" in item.keywords and not torch.cuda.is_available():
            item.add_marker(no_gpu)
        if "real" in item.keywords and not os.environ.get("PONDER_KEYFRAME"):
            item.add_marker(no_frame)


@pytest.fixture
def keyframe_root() -> Path:
    """Folder of the real key frame."""
    return Path(os.environ["PONDER_KEYFRAME"])


@pytest.fixture(scope="session")
def frame_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a factory's key frame in nuScenes' layout; do not write to it."""
    root = tmp_path_factory.mktemp("keyframe")
    write_keyframe(root)
    return root


@pytest.fixture(scope="session")
def streets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of a synthetic set with info files, all classes in it: a training and a validation scene of two key
    frames each, images of 96×54; do not write to it."""
    # Not at the top: tests of single modules do without the stack behind them.
    from ponderv2.datasets.prepare import InfoSettings, create_info_files, open_tables
    from synthetic_nuscenes import Recording, make_dataset

    common = shared_folder(tmp_path_factory)
    root = common / "streets"
    with FileLock(common / "streets.lock"):
        make_dataset(root, 2, Recording(seed=53, keyframes=2, width=96, height=54), workers=0, progress=False)
        create_info_files(open_tables(root, "v1.0-mini"), root, InfoSettings(lidar_sweeps=0))
    return root


@pytest.fixture
def repository() -> Path:
    """The checkout that is tested."""
    return REPOSITORY


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)
