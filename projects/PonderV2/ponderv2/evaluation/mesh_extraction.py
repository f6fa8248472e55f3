"""The zero level of a signed-distance field, as a triangle mesh."""

import numpy as np
import torch
import trimesh
from skimage.measure import marching_cubes

from ponderv2.errors import UserError
from ponderv2.rendering import VolumeRenderer
from ponderv2.structures import FeatureVolume


@torch.no_grad()
def extract_mesh(
    renderer: VolumeRenderer, volume: FeatureVolume, step: float, chunk_size: int = 262144
) -> trimesh.Trimesh:
    """Extract the zero level within the volume's range by marching cubes, coloured when the field has a colour network.

    The colour of a vertex is that seen along its normal.

    Args:
        renderer: renderer with the field.
        volume: volume of one sample, in the channels of the field (`RenderHead.project`).
        step: metres between the corners of the cubes.
        chunk_size: number of points that are evaluated at a time, which bounds the memory.

    Returns:
        A mesh with vertices in metres in the volume's frame; the normals of its triangles point into free space.

    Raises:
        ValueError: when the volume holds several samples, the step is not positive or leaves fewer than two
            corners on an axis, or the field has no surface in the range.
    """
    if len(volume.data) != 1:
        raise ValueError(f"extract_mesh: expected a volume of one sample, got {len(volume.data)}")
    lower, upper = np.array(volume.grid.lower), np.array(volume.grid.upper)
    if not 0 < step <= (upper - lower).min():
        raise UserError(f"extract_mesh: expected a step between 0 and the range {upper - lower}, got {step}")
    if np.prod((upper - lower) / step) > _MOST_CORNERS:
        raise UserError(
            f"extract_mesh: a step of {step} m makes {np.prod((upper - lower) / step):.2g} corners in the range "
            f"{upper - lower}, expected at most {_MOST_CORNERS:.0e}; take a larger step"
        )
    # Half a cell inside the range: beyond it features fade to nothing.
    inset = np.array(volume.grid.voxel_size) / 2
    axes = [
        np.arange(lo, hi + step / 2, step, dtype=np.float32)
        for lo, hi in zip(lower + inset, upper - inset, strict=True)
    ]
    corners = torch.from_numpy(np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3))
    device = volume.data.device
    sdf = torch.cat([renderer.field.sdf(volume, part[None].to(device))[0].cpu() for part in corners.split(chunk_size)])
    sdf = sdf.reshape([len(axis) for axis in axes]).numpy()
    if min(sdf.shape) < 2 or not sdf.min() < 0 < sdf.max():
        raise UserError(
            f"extract_mesh: the field has no surface on a grid of {sdf.shape} corners: its signed distances lie "
            f"between {sdf.min():.3g} and {sdf.max():.3g}"
        )
    vertices, faces, _, _ = marching_cubes(sdf, 0.0, spacing=(step,) * 3, gradient_direction="descent")
    vertices = (vertices + lower + inset).astype(np.float32)
    mesh = trimesh.Trimesh(vertices, faces, process=False)
    colors = _colors(renderer, volume, torch.from_numpy(vertices), chunk_size)
    if colors is not None:
        mesh.visual.vertex_colors = colors
    return mesh


_MOST_CORNERS = 1e9
"""Corners of a grid: a dozen gigabytes, which is beyond any mesh that one looks at."""


def _colors(
    renderer: VolumeRenderer, volume: FeatureVolume, vertices: torch.Tensor, chunk_size: int
) -> np.ndarray | None:
    colors = []
    for part in vertices.split(chunk_size):
        points = part[None].to(volume.data.device)
        normal = renderer.field(volume, points, torch.zeros_like(points)).normal
        out = renderer.field(volume, points, -torch.nn.functional.normalize(normal, dim=-1))
        if out.rgb is None:
            return None
        colors.append((out.rgb[0] * 255).round().byte().cpu())
    return torch.cat(colors).numpy()
