"""The training path is one graph: no host sync, no loop over batch or camera, no shape that depends on data."""

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "name", ["neus", pytest.param("volsdf", marks=pytest.mark.slow), pytest.param("unisurf", marks=pytest.mark.slow)]
)
def test_training_compiles_as_one_graph_and_gives_the_same_gradients(name, repository):
    done = subprocess.run(
        [sys.executable, "-m", "tests.rendering.one_graph", name], cwd=repository, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == f"{name}: one graph"
