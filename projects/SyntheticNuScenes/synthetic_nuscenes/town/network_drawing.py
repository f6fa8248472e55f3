"""This module draws road networks: bent grids with missing streets, roundabouts and arterials."""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from numpy import ndarray

from synthetic_nuscenes.geometry.paths import curve
from synthetic_nuscenes.mixes import pick

from .network import Network, angle_between
from .roads import BACKWARD, FORWARD, CrossSection, Junction, Road


@dataclass(frozen=True)
class NetworkStyle:
    """A `NetworkStyle` says how the roads of a town are drawn."""

    spacing: tuple[float, float]
    """Range of the distances between neighbouring junctions (m)."""
    bend: float
    """How far roads are bent: 0 gives a grid, 1 winding roads."""
    sections: tuple[tuple[str, float], ...]
    """Kinds of cross-sections with their shares; see `draw_section`."""
    missing: float
    """Share of the streets between junctions that are left out."""
    roundabouts: float
    """Share of the junctions of three and more roads that are roundabouts."""


def draw_section(rng: np.random.Generator, name: str) -> CrossSection:
    """Draw the widths of a cross-section.

    Args:
        name: `lane` (narrow), `street`, `avenue` (two lanes a direction), `arterial` (two or three lanes a direction
            and an island between them) or `yard road` (wide, lorries park).

    Raises:
        KeyError: for any other name.
    """
    number, width, parking, median, cycle, speed = {
        "lane": (1, (2.8, 3.2), (2.0, 2.3), (0.0, 0.0), 0.0, 6.5),
        "street": (1, (3.2, 3.7), (2.2, 2.6), (0.0, 0.0), 0.25, 9.0),
        "avenue": (2, (3.1, 3.5), (2.2, 2.6), (0.0, 2.5), 0.5, 11.0),
        "arterial": (int(rng.integers(2, 4)), (3.3, 3.6), (0.0, 0.0), (2.0, 5.0), 0.3, 13.5),
        "yard road": (1, (3.7, 4.4), (2.8, 3.2), (0.0, 0.0), 0.0, 9.0),
    }[name]
    sides = {"lane": (0.6, 0.3), "street": (0.9, 0.8), "avenue": (0.7, 0.7), "arterial": (0.0, 0.0)}
    chosen = [float(rng.uniform(*parking)) if rng.random() < p else 0.0 for p in sides.get(name, (0.8, 0.8))]
    island = float(rng.uniform(*median))
    return CrossSection(
        name,
        number,
        float(rng.uniform(*width)),
        (chosen[0], chosen[1]),
        island if island > 1.2 else 0.0,
        float(rng.uniform(1.5, 2.0)) if rng.random() < cycle else 0.0,
        float(speed * rng.uniform(0.85, 1.15)),
    )


def draw_network(rng: np.random.Generator, style: NetworkStyle, inner: int = 4) -> Network:
    """Draw a network of `inner`² junctions, with exits around them; all coordinates are positive metres."""
    count = inner + 2
    places, sections = _places(rng, style, count), _sections(rng, style, count)
    edges = _edges(rng, style, count)
    neighbors: dict[int, list[int]] = defaultdict(list)
    for a, b in edges:
        neighbors[a].append(b)
        neighbors[b].append(a)
    junctions = {}
    for node, others in neighbors.items():
        kind = {1: "exit", 2: "bend"}.get(len(others), "crossing")
        island = ring = 0.0
        if kind == "crossing" and rng.random() < style.roundabouts:
            widest = max(_section_of(sections, count, node, other).lanes_width for other in others)
            kind, island, ring = "roundabout", float(rng.uniform(5.0, 12.0)), float(rng.uniform(5.5, 7.0))
            island = max(island, 1.1 * widest)
        junctions[node] = Junction(*places[node].tolist(), kind, island, ring)
    headings = {node: _arm_headings(rng, style, places, node, others, count) for node, others in neighbors.items()}
    order = {node: number for number, node in enumerate(sorted(junctions))}
    roads = []
    for a, b in edges:
        section = _section_of(sections, count, a, b)
        start = np.array([*places[a], headings[a][b]])
        end = np.array([*places[b], headings[b][a] + np.pi])
        trims = [
            _trim(junctions[n], headings[n], o, {k: _section_of(sections, count, n, k) for k in neighbors[n]})
            for n, o in ((a, b), (b, a))
        ]
        roads.append(Road(curve(start, end, 0.36), section, (order[a], order[b]), (trims[0], trims[1])))
    return Network(tuple(junctions[node] for node in sorted(junctions)), tuple(roads))


def _places(rng: np.random.Generator, style: NetworkStyle, count: int) -> ndarray:
    """Return the places of the nodes `[count * count, 2]`: a grid with uneven distances, bent and moved about."""
    steps = rng.uniform(*style.spacing, (2, count - 1))
    x, y = (np.concatenate([[0.0], np.cumsum(axis)]) for axis in steps)
    grid = np.stack(np.meshgrid(x, y, indexing="ij"), axis=-1)
    # Long waves bend whole rows; what is left moves each node by itself.
    phase, size = rng.uniform(0, 2 * np.pi, 2), style.bend * rng.uniform(10, 32, 2)
    waves = np.stack([np.sin(grid[..., 1] / 75 + phase[0]), np.sin(grid[..., 0] / 75 + phase[1])], axis=-1)
    moved = grid + size * waves + style.bend * rng.uniform(-12, 12, grid.shape)
    # No town lies along the axes of its map.
    angle = rng.uniform(0, 2 * np.pi)
    c, s = np.cos(angle), np.sin(angle)
    turned = moved.reshape(-1, 2) @ np.array([[c, s], [-s, c]])
    return turned - turned.min(axis=0) + 70.0


def _sections(rng: np.random.Generator, style: NetworkStyle, count: int) -> list[list[CrossSection]]:
    """Draw a cross-section for each row and each column of the grid."""
    return [[draw_section(rng, pick(rng, style.sections)) for _ in range(count)] for _ in range(2)]


def _section_of(sections: list[list[CrossSection]], count: int, a: int, b: int) -> CrossSection:
    (i, j), (k, _) = divmod(a, count), divmod(b, count)
    return sections[0][j] if i != k else sections[1][i]


def _edges(rng: np.random.Generator, style: NetworkStyle, count: int) -> list[tuple[int, int]]:
    """Draw which neighbours are linked; whoever comes from one inner junction finds another way on."""
    ring = {0, count - 1}
    inner, exits = [], []
    for i in range(count):
        for j in range(count):
            for k, m in ((i + 1, j), (i, j + 1)):
                if max(k, m) == count:
                    continue
                outside = [bool({a, b} & ring) for a, b in ((i, j), (k, m))]
                if not any(outside):
                    inner.append((i * count + j, k * count + m))
                elif sum(outside) == 1:
                    exits.append((i * count + j, k * count + m))
    kept = list(inner)
    for k in rng.permutation(len(inner))[: round(style.missing * len(inner))]:
        fewer = [edge for edge in kept if edge != inner[k]]
        if _enough(fewer, inner):
            kept = fewer
    return kept + [edge for edge in exits if rng.random() < 0.6]


def _enough(edges: list[tuple[int, int]], inner: list[tuple[int, int]]) -> bool:
    """Return whether all junctions of `inner` are linked with each other, and each with two at least."""
    neighbors = defaultdict(set)
    for a, b in edges:
        neighbors[a].add(b)
        neighbors[b].add(a)
    nodes = {node for edge in inner for node in edge}
    seen, waiting = set(), [min(nodes)]
    while waiting:
        node = waiting.pop()
        if node not in seen:
            seen.add(node)
            waiting += neighbors[node]
    return seen == nodes and all(len(neighbors[node]) >= 2 for node in nodes)


def _arm_headings(
    rng: np.random.Generator, style: NetworkStyle, places: ndarray, node: int, others: list[int], count: int
) -> dict[int, float]:
    """Return the heading (rad) in which the road to each neighbour leaves a node; opposite roads are one line."""
    here = places[node]
    i = node // count
    wobble = np.deg2rad(14) * style.bend
    if len(others) == 2:
        # The two are one road that bends here.
        chord = places[others[1]] - places[others[0]]
        heading = float(np.arctan2(chord[1], chord[0]) + rng.uniform(-wobble, wobble))
        return {others[0]: heading + np.pi, others[1]: heading}
    found = {}
    for along in (True, False):
        arms = sorted(other for other in others if (other // count != i) == along)
        if len(arms) == 2:
            chord = places[arms[1]] - places[arms[0]]
            heading = float(np.arctan2(chord[1], chord[0]) + rng.uniform(-wobble, wobble))
            found |= {arms[0]: heading + np.pi, arms[1]: heading}
        elif arms:
            away = places[arms[0]] - here
            found[arms[0]] = float(np.arctan2(away[1], away[0]) + rng.uniform(-wobble, wobble))
    return found


def _trim(junction: Junction, headings: dict[int, float], arm: int, sections: dict[int, CrossSection]) -> float:
    """Return how far (m) from the middle of a junction the road along an arm begins."""
    if junction.kind == "exit":
        return 0.0
    if junction.kind == "bend":
        # Two roads of one kind go on without a seam; others need some way to change their lanes' places.
        return 1.0 if len(set(sections.values())) == 1 else 8.0
    if junction.kind == "roundabout":
        return junction.island + junction.ring + 5.0
    widest = 0.0
    for other, heading in headings.items():
        apart = abs(angle_between(heading - headings[arm]))
        if other != arm and apart < np.deg2rad(150):
            half = max(sections[other].half_width(d) for d in (FORWARD, BACKWARD))
            widest = max(widest, half / max(np.sin(min(apart, np.pi / 2)), 0.5))
    return widest + 4.5
