"""A machine without spconv: everything but sparse convolution is there."""

import os
import subprocess
import sys
import textwrap

PROGRAM = """
    import sys
    for name in ("spconv", "cumm"):
        sys.modules[name] = None
    # Versions are looked up, not imported.
    from ponderv2 import compat
    compat.find_spec = lambda name: None
    import ponderv2.encoders as encoders
    import ponderv2.models
    print(encoders.CameraEncoder.__name__, encoders.voxelize.__name__)
    try:
        encoders.VoxelUNet
    except ImportError as error:
        print("refused", error.name)
    try:
        encoders.NoSuchEncoder
    except AttributeError as error:
        print(error)
"""


def test_camera_encoders_are_imported_and_sparse_ones_name_what_is_missing():
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM)], capture_output=True, text=True, env=environment
    )
    assert done.returncode == 0, done.stderr
    first, second, third = done.stdout.splitlines()
    assert first == "CameraEncoder voxelize"
    assert second.startswith("refused spconv")
    assert third == "module 'ponderv2.encoders' has no attribute 'NoSuchEncoder'"
