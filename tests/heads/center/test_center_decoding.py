"""Circle suppression: against an explicit loop, class by class."""

import torch

from ponderv2.heads.center.center_decoding import suppress_circles


def test_suppression_is_that_of_an_explicit_loop():
    generator = torch.Generator().manual_seed(0)
    centers = torch.rand(200, 2, generator=generator) * 20
    scores, labels = torch.rand(200, generator=generator), torch.randint(0, 3, (200,), generator=generator)
    radii = {0: 2.0, 1: 0.5}
    kept = []
    for k in scores.argsort(descending=True).tolist():
        radius = radii.get(labels[k].item(), -1.0)
        near = [j for j in kept if labels[j] == labels[k] and (centers[j] - centers[k]).norm() <= radius]
        if not near:
            kept.append(k)
    assert 0 < len(kept) < 200
    assert suppress_circles(centers, scores, labels, radii).tolist() == kept


def test_nothing_is_kept_of_nothing():
    empty = torch.zeros(0)
    assert suppress_circles(torch.zeros(0, 2), empty, empty.long(), {0: 1.0}).tolist() == []
