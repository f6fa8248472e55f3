"""Candidates of the volume: where they are, what they hang on, and that training makes them found again."""

import math

import torch

from ponderv2.heads.keypoints import KeypointBranch, KeypointView, VolumeKeypointHead
from ponderv2.structures import FeatureVolume, MapCells, VoxelGrid
from tests.factories.small_rig import small_rig

GRID = VoxelGrid((-16.0, -16.0, -2.0, 16.0, 16.0, 2.0), (16, 16, 2))


def _posts(seed: int, count: int = 24) -> torch.Tensor:
    """The feet of posts on a plain, at least 3 m apart."""
    generator = torch.Generator().manual_seed(seed)
    cells = torch.randperm(64, generator=generator)[:count]
    middle = torch.stack([cells % 8, cells // 8], dim=1) * 4.0 - 14.0
    return middle + (torch.rand(count, 2, generator=generator) - 0.5)


def _sweep(posts: torch.Tensor, seed: int, motion: torch.Tensor) -> torch.Tensor:
    """Random returns of posts of 1 m and of the ground, seen from elsewhere."""
    generator = torch.Generator().manual_seed(seed)
    foot = posts[:, None].expand(-1, 12, -1) + 0.1 * torch.randn(len(posts), 12, 2, generator=generator)
    on_posts = torch.cat([foot, torch.rand(len(posts), 12, 1, generator=generator) - 1.0], dim=2).flatten(0, 1)
    ground = torch.cat([32 * (torch.rand(1500, 2, generator=generator) - 0.5), torch.full((1500, 1), -1.0)], dim=1)
    points = torch.cat([on_posts, ground])
    return points @ motion[:3, :3].T + motion[:3, 3]


def _volume(batch: int = 1) -> FeatureVolume:
    return FeatureVolume(torch.zeros(batch, 4, *GRID.shape), GRID)


def _view(points: torch.Tensor) -> KeypointView:
    rig = small_rig().to("cpu", torch.float32)
    maps = torch.zeros(1, 2, 3, 16, 24)
    return KeypointView(_volume(), [points], maps, rig, torch.zeros(1, dtype=torch.bool))


def _motion(angle: float, x: float, y: float) -> torch.Tensor:
    matrix = torch.eye(4)
    matrix[:2, :2] = torch.tensor([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    matrix[:2, 3] = torch.tensor([x, y])
    return matrix


def test_places_are_among_the_returns_and_nothing_hangs_on_what_is_far():
    torch.manual_seed(0)
    head = VolumeKeypointHead(4, 6)
    points = _sweep(_posts(0), 0, torch.eye(4))
    (found,) = head(_volume(), [points])
    assert torch.cdist(found.places, points).min(dim=1).values.max() < head.radius
    torch.testing.assert_close(found.descriptors.norm(dim=1), torch.ones(len(found)))
    assert ((found.scores > 0) & (found.scores < 1)).all()
    near = points[points[:, 0] < 0]
    (half,) = head(_volume(), [near])
    kept = found.places[:, 0] < -3
    exact = "donot_use_mm_for_euclid_dist"
    apart, twin = torch.cdist(found.places[kept], half.places, compute_mode=exact).min(dim=1)
    assert apart.max() < 1e-4
    torch.testing.assert_close(found.distances[kept], half.distances[twin], atol=1e-4, rtol=1e-4)


def test_a_sample_without_returns_has_no_candidate_and_the_volume_gets_no_gradient():
    head = VolumeKeypointHead(4, 6)
    volume = FeatureVolume(torch.randn(2, 4, *GRID.shape, requires_grad=True), GRID)
    none, some = head(volume, [torch.zeros(0, 5), _sweep(_posts(0), 0, torch.eye(4))])
    assert len(none) == 0
    assert len(some) > 100
    (some.places.sum() + some.distances.sum() + some.descriptors.sum()).backward()
    assert volume.data.grad is None
    assert all(p.grad is not None for p in head.parameters())


def test_described_places_have_the_descriptors_of_candidates_there():
    torch.manual_seed(0)
    head, points = VolumeKeypointHead(4, 6), _sweep(_posts(0), 0, torch.eye(4))
    places = points[:7]
    (described,) = head.describe(_volume(), [points], [places])
    again = head.describe(_volume(), [points], [places.flip(0)])[0].flip(0)
    torch.testing.assert_close(described, again)
    assert described.shape == (7, 6)


def test_training_finds_posts_again_from_elsewhere_and_leaves_the_ground():
    torch.manual_seed(0)
    branch = KeypointBranch(4, 3, descriptor_channels=8, max_points=24)
    optimizer = torch.optim.AdamW(branch.parameters(), lr=5e-3)
    repeats = []
    for step in range(80):
        posts = _posts(step)
        motion = _motion(6.3 * math.sin(step), 1.3 * math.sin(3 * step), math.cos(5 * step))
        views = _view(_sweep(posts, 2 * step, torch.eye(4))), _view(_sweep(posts, 2 * step + 1, motion))
        losses = branch.losses(*views, motion[None], MapCells(4))
        optimizer.zero_grad()
        sum(value for name, value in losses.items() if name.startswith("loss")).backward()
        optimizer.step()
        repeats.append(float(losses["keypoints_repeat"]))
    # 24 random returns of 32 m × 32 m repeat by chance in 2 %, those of posts that are drawn in half of the posts.
    assert sum(repeats[-10:]) / 10 > 0.7
    posts = _posts(99)
    with torch.no_grad():
        (found,) = branch.volume_head(_volume(), [_sweep(posts, 99, torch.eye(4))])
    chosen = branch.choose(found)
    assert (torch.cdist(chosen.places[:, :2], posts).min(dim=1).values < 0.5).float().mean() > 0.7
