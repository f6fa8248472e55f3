"""VolSDF's opacity error bound as a plain loop, for the tests of the bound and of the sampler."""

import math


def bound_by_loop(t, sdf, beta):
    """Compute VolSDF's bound section by section, as the paper writes it."""
    bounds, error, passed = [], 0.0, 0.0
    for i in range(len(t) - 1):
        delta, a, b = t[i + 1] - t[i], abs(sdf[i]), abs(sdf[i + 1])
        if sdf[i] * sdf[i + 1] <= 0:
            nearest = 0.0
        elif delta**2 + a**2 <= b**2:
            nearest = a
        elif delta**2 + b**2 <= a**2:
            nearest = b
        elif a + b > delta:
            s = (delta + a + b) / 2
            nearest = 2 / delta * math.sqrt(max(s * (s - delta) * (s - a) * (s - b), 0.0))
        else:
            nearest = 0.0
        error += delta**2 / (4 * beta**2) * math.exp(-nearest / beta)
        # Capped as in VolSDF's code, against overflow.
        bounds.append(math.exp(-passed) * (math.exp(min(error, math.log(1e6))) - 1))
        psi = 0.5 * math.exp(-sdf[i] / beta) if sdf[i] > 0 else 1 - 0.5 * math.exp(sdf[i] / beta)
        passed += psi / beta * delta
    return bounds
