"""The mesh of a known field."""

import numpy as np
import pytest
import torch
import trimesh

from ponderv2.evaluation.mesh_extraction import extract_mesh
from ponderv2.rendering import FieldOutput, HierarchicalSampler, NeuSOpacity, VolumeRenderer
from ponderv2.structures import FeatureVolume, VoxelGrid

GRID = VoxelGrid((-8.0, -8.0, -8.0, 8.0, 8.0, 8.0), (8, 8, 8))
CENTER = torch.tensor([1.03, -2.07, 0.41])


class _Ball(torch.nn.Module):
    """A red ball of 3 m."""

    def sdf(self, volume, points):
        return ((points - CENTER).norm(dim=-1) - 3.0) * volume.grid.scene_scale

    def forward(self, volume, points, directions):
        normal = torch.nn.functional.normalize(points - CENTER, dim=-1)
        # What is looked at straight on is red.
        facing = -(normal * directions).sum(dim=-1, keepdim=True)
        return FieldOutput(self.sdf(volume, points), normal, facing.clamp(0, 1) * torch.tensor([1.0, 0.0, 0.0]))


def _renderer(field):
    return VolumeRenderer(field, NeuSOpacity(), HierarchicalSampler())


def _volume():
    return FeatureVolume(torch.zeros(1, 1, *GRID.shape), GRID)


def test_a_ball_becomes_a_closed_coloured_surface_with_normals_outwards(tmp_path):
    extract_mesh(_renderer(_Ball()), _volume(), step=0.5, chunk_size=1000).export(tmp_path / "ball.ply")
    mesh = trimesh.load(tmp_path / "ball.ply")
    assert np.abs(np.linalg.norm(mesh.vertices - CENTER.numpy(), axis=1) - 3.0).max() < 0.05
    mesh.merge_vertices()
    assert mesh.is_watertight
    assert mesh.volume == pytest.approx(4 / 3 * np.pi * 27, rel=0.05)
    assert (mesh.visual.vertex_colors[:, :3] == [255, 0, 0]).all()


def test_a_field_without_surface_says_so():
    class Empty(_Ball):
        def sdf(self, volume, points):
            return torch.ones_like(points[..., 0])

    with pytest.raises(ValueError, match="no surface"):
        extract_mesh(_renderer(Empty()), _volume(), step=1.0)


def test_steps_that_make_no_grid_are_refused():
    with pytest.raises(ValueError, match="step"):
        extract_mesh(_renderer(_Ball()), _volume(), step=0.0)
    with pytest.raises(ValueError, match=r"0\.001 m makes .* corners .*take a larger step"):
        extract_mesh(_renderer(_Ball()), _volume(), step=0.001)
