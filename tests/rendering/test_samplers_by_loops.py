"""Every sampler against a plain float64 implementation, ray by ray and sample by sample."""

import bisect
import itertools
import math

import pytest
import torch

from ponderv2.rendering import (
    ErrorBoundedSampler,
    HierarchicalSampler,
    LinearDisparitySampler,
    RootFindingSampler,
    UniformSampler,
    VolSDFOpacity,
)
from tests.factories.volsdf_loop import bound_by_loop


def _sdf(t):
    """Two walls, the first of which is crossed and left again; `t` a number or a tensor."""
    return 0.3 * (0.5 - t) * (t - 0.8) * (t - 1.1) * 10 + 0.02


def _even(near, far, count):
    return [near + (far - near) * (i + 0.5) / count for i in range(count)]


def _weights(alphas):
    ahead, weights = 1.0, []
    for alpha in alphas:
        weights.append(ahead * alpha)
        ahead *= 1 - alpha
    return weights


def _sigmoid(x):
    return 1 / (1 + math.exp(-x))


def _quantiles(edges, weights, count):
    missing = max(0.0, 1e-5 - sum(weights)) / len(weights)
    weights = [w + missing for w in weights]
    cdf = [0.0]
    for w in weights:
        cdf.append(cdf[-1] + w / sum(weights))
    found = []
    for i in range(count):
        q = (i + 0.5) / count
        k = min(max(bisect.bisect_right(cdf, q), 1), len(edges) - 1)
        share = (q - cdf[k - 1]) / max(cdf[k] - cdf[k - 1], 1e-10)
        found.append(edges[k - 1] + min(max(share, 0.0), 1.0) * (edges[k] - edges[k - 1]))
    return found


def _hierarchical(near, far, sampler):
    t = _even(near, far, sampler.num_proposals)
    for step in range(sampler.num_steps):
        k, before, alphas = sampler.sharpness * 2**step, 0.0, []
        for a, b in itertools.pairwise(t):
            slope = (_sdf(b) - _sdf(a)) / (b - a)
            steeper, before = max(-1e3, min(before, slope, 0.0)), slope
            middle, half = (_sdf(a) + _sdf(b)) / 2, steeper * (b - a) / 2
            start, end = _sigmoid(k * (middle - half)), _sigmoid(k * (middle + half))
            alphas.append((start - end) / start)
        t = sorted(t + _quantiles(t, _weights(alphas), sampler.num_important // sampler.num_steps))
    return t


def _density(s, beta):
    return (0.5 * math.exp(-s / beta) if s > 0 else 1 - 0.5 * math.exp(s / beta)) / beta


def _bounds(t, beta):
    return bound_by_loop(t, [_sdf(x) for x in t], beta)


def _error_bounded(near, far, sampler, model_beta):
    t = _even(near, far, sampler.num_evaluated)
    beta = math.sqrt((far - near) ** 2 / (4 * (sampler.num_evaluated - 1) * math.log(1 + sampler.epsilon)))
    for last in [False] * (sampler.num_rounds - 1) + [True]:
        if max(_bounds(t, model_beta)) <= sampler.epsilon:
            beta = model_beta
        else:
            low, high = model_beta, max(beta, model_beta)
            for _ in range(sampler.num_bisections):
                middle = (low + high) / 2
                if max(_bounds(t, middle)) <= sampler.epsilon:
                    high = middle
                else:
                    low = middle
            beta = high
        if not last:
            t = sorted(t + _quantiles(t, _bounds(t, beta), sampler.num_evaluated))
    alphas = [1 - math.exp(-_density(_sdf(a), beta) * (b - a)) for a, b in itertools.pairwise(t)]
    return sorted(_quantiles(t, _weights(alphas), sampler.num_final) + _even(near, far, sampler.num_extra))


def _root_finding(near, far, sampler):
    t = _even(near, far, sampler.num_march)
    low, high = near, far
    for a, b in itertools.pairwise(t):
        if _sdf(a) > 0 >= _sdf(b):
            root = a + (b - a) * _sdf(a) / (_sdf(a) - _sdf(b))
            half = sampler.interval * (far - near)
            low, high = max(near, root - half), min(far, root + half)
            break
    weights = _weights([_sigmoid(-sampler.sharpness * _sdf(a)) for a in t[:-1]])
    return sorted(_even(low, high, sampler.num_interval) + _quantiles(t, weights, sampler.num_important))


CASES = [
    (UniformSampler(7), lambda n, f: _even(n, f, 7)),
    (LinearDisparitySampler(7), lambda n, f: [1 / ((1 - u) / n + u / f) for u in _even(0.0, 1.0, 7)]),
    (s := HierarchicalSampler(18, 6), lambda n, f, s=s: _hierarchical(n, f, s)),
    (s := HierarchicalSampler(18, 6, num_steps=3), lambda n, f, s=s: _hierarchical(n, f, s)),
    (s := ErrorBoundedSampler(8, 4, 16, num_rounds=3), lambda n, f, s=s: _error_bounded(n, f, s, 0.05 + 1e-4)),
    (s := RootFindingSampler(24, 8, 4), lambda n, f, s=s: _root_finding(n, f, s)),
]


@pytest.mark.parametrize(("sampler", "by_loop"), CASES, ids=[type(s).__name__ for s, _ in CASES])
def test_samples_equal_those_of_a_plain_loop(sampler, by_loop):
    near = torch.tensor([0.05, 0.1, 0.3, 0.6], dtype=torch.float64)
    far = torch.tensor([1.5, 0.7, 1.0, 1.4], dtype=torch.float64)
    samples = sampler(near, far, _sdf, opacity=VolSDFOpacity(0.05).double())
    for ray in range(len(near)):
        expected = torch.tensor(by_loop(near[ray].item(), far[ray].item()), dtype=torch.float64)
        torch.testing.assert_close(samples.t[ray], expected, rtol=0, atol=1e-6)
        ends = torch.cat([expected[1:], far[ray : ray + 1].clamp(min=expected[-1])])
        torch.testing.assert_close(samples.delta[ray], ends - expected, rtol=0, atol=2e-6)
