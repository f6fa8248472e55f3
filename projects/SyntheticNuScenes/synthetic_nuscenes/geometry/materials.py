"""This module lists what surfaces are made of: how they look, what a LiDAR gets back, and their lidarseg class."""

from dataclasses import dataclass
from enum import IntEnum


class Texture(IntEnum):
    """A `Texture` names the pattern that `textures.pattern` draws over the colour."""

    PLAIN = 0
    ASPHALT = 1
    PAINT_ON_ROAD = 2
    SLABS = 3
    GRASS = 4
    BRICK_FACADE = 5
    PLASTER_FACADE = 6
    GLASS_FACADE = 7
    BARK = 8
    LEAVES = 9
    GRAIN = 10
    STRIPES = 11
    HILLS = 12
    COBBLES = 13
    GRAVEL = 14
    TRACK_BED = 15
    WATER = 16
    PANELS = 17
    TIMBER_FACADE = 18
    CONCRETE_FACADE = 19
    SHEET_FACADE = 20
    TILES = 21


@dataclass(frozen=True)
class Material:
    """A `Material` says how a surface looks and reflects; its `color` is linear RGB, and triangles may override it."""

    number: int
    name: str
    color: tuple[float, float, float]
    texture: Texture
    gloss: float
    """Share of the sky that is mirrored at normal incidence."""
    reflectivity: float
    """Diffuse reflectivity for the LiDAR: a white wall has 1, retro-reflectors have more."""
    dropout: float
    """Share of the LiDAR's rays that never come back."""
    label: str
    """Category of lidarseg where the surface is part of the static world."""
    glow: float = 0.0
    """Light (times the color) that it sends out when lights are on."""


_ROAD, _WALK, _MADE, _GREEN = "flat.driveable_surface", "flat.sidewalk", "static.manmade", "static.vegetation"
_FLAT = "flat.other"
"""nuScenes counts traffic islands, rail tracks and larger bodies of water to `flat.other`."""
_TABLE = (
    ("asphalt", (0.085, 0.085, 0.09), Texture.ASPHALT, 0.0, 0.12, 0.03, _ROAD),
    ("road_marking", (0.62, 0.62, 0.6), Texture.PAINT_ON_ROAD, 0.0, 0.55, 0.01, _ROAD),
    ("pavement", (0.31, 0.295, 0.275), Texture.SLABS, 0.0, 0.28, 0.02, _WALK),
    ("kerb", (0.4, 0.39, 0.37), Texture.GRAIN, 0.0, 0.32, 0.02, _WALK),
    ("lawn", (0.075, 0.135, 0.035), Texture.GRASS, 0.0, 0.22, 0.03, "flat.terrain"),
    ("plaza", (0.26, 0.21, 0.165), Texture.SLABS, 0.0, 0.28, 0.02, "flat.other"),
    ("brick", (0.3, 0.12, 0.075), Texture.BRICK_FACADE, 0.0, 0.3, 0.02, _MADE),
    ("plaster", (0.5, 0.44, 0.34), Texture.PLASTER_FACADE, 0.0, 0.45, 0.02, _MADE),
    ("office", (0.2, 0.21, 0.22), Texture.GLASS_FACADE, 0.02, 0.3, 0.1, _MADE),
    ("stone", (0.38, 0.36, 0.33), Texture.GRAIN, 0.0, 0.4, 0.02, _MADE),
    ("roof", (0.16, 0.13, 0.12), Texture.GRAIN, 0.0, 0.2, 0.02, _MADE),
    ("awning", (0.4, 0.06, 0.05), Texture.STRIPES, 0.0, 0.3, 0.02, _MADE),
    ("steel", (0.16, 0.165, 0.17), Texture.PLAIN, 0.04, 0.4, 0.03, _MADE),
    ("wood", (0.2, 0.12, 0.065), Texture.BARK, 0.0, 0.3, 0.02, _MADE),
    ("lamp", (0.85, 0.82, 0.7), Texture.PLAIN, 0.05, 0.5, 0.05, _MADE, 14.0),
    ("sign", (0.03, 0.09, 0.33), Texture.PLAIN, 0.02, 1.0, 0.0, _MADE),
    ("bark", (0.09, 0.06, 0.04), Texture.BARK, 0.0, 0.25, 0.03, _GREEN),
    ("leaves", (0.07, 0.14, 0.03), Texture.LEAVES, 0.0, 0.35, 0.08, _GREEN),
    ("car_paint", (0.4, 0.4, 0.4), Texture.PLAIN, 0.05, 0.4, 0.03, "vehicle.car"),
    ("glass", (0.012, 0.015, 0.018), Texture.PLAIN, 0.1, 0.08, 0.55, "vehicle.car"),
    ("rubber", (0.018, 0.018, 0.018), Texture.PLAIN, 0.005, 0.06, 0.05, "vehicle.car"),
    ("chrome", (0.42, 0.42, 0.44), Texture.PLAIN, 0.2, 0.5, 0.05, "vehicle.car"),
    ("trim", (0.03, 0.03, 0.032), Texture.PLAIN, 0.02, 0.1, 0.05, "vehicle.car"),
    ("headlight", (0.85, 0.85, 0.8), Texture.PLAIN, 0.15, 0.9, 0.05, "vehicle.car", 10.0),
    ("tail_light", (0.42, 0.012, 0.01), Texture.PLAIN, 0.08, 1.6, 0.0, "vehicle.car", 2.5),
    ("panel", (0.55, 0.55, 0.55), Texture.PLAIN, 0.03, 0.45, 0.02, "vehicle.truck"),
    ("skin", (0.42, 0.24, 0.16), Texture.PLAIN, 0.01, 0.4, 0.02, "human.pedestrian.adult"),
    ("cloth", (0.15, 0.15, 0.2), Texture.GRAIN, 0.0, 0.3, 0.02, "human.pedestrian.adult"),
    ("signal_plastic", (0.75, 0.13, 0.02), Texture.PLAIN, 0.02, 0.5, 0.01, "movable_object.trafficcone"),
    ("reflector", (0.8, 0.8, 0.8), Texture.PLAIN, 0.02, 2.0, 0.0, "movable_object.trafficcone"),
    ("hills", (0.09, 0.13, 0.06), Texture.HILLS, 0.0, 0.25, 0.03, "flat.terrain"),
    ("cobbles", (0.19, 0.18, 0.175), Texture.COBBLES, 0.0, 0.2, 0.02, _ROAD),
    ("cycle_lane", (0.24, 0.05, 0.04), Texture.ASPHALT, 0.0, 0.2, 0.02, _ROAD),
    ("track_bed", (0.13, 0.12, 0.11), Texture.TRACK_BED, 0.0, 0.2, 0.04, _FLAT),
    ("water", (0.02, 0.035, 0.035), Texture.WATER, 0.02, 0.02, 0.9, _FLAT),
    ("gravel", (0.27, 0.245, 0.205), Texture.GRAVEL, 0.0, 0.3, 0.03, "flat.terrain"),
    ("earth", (0.16, 0.11, 0.07), Texture.GRAVEL, 0.0, 0.25, 0.03, "flat.terrain"),
    ("concrete", (0.36, 0.355, 0.34), Texture.PANELS, 0.0, 0.38, 0.02, _MADE),
    ("guard_rail", (0.34, 0.35, 0.36), Texture.PLAIN, 0.12, 0.5, 0.04, _MADE),
    ("timber", (0.26, 0.16, 0.09), Texture.TIMBER_FACADE, 0.0, 0.35, 0.02, _MADE),
    ("concrete_panels", (0.4, 0.39, 0.37), Texture.CONCRETE_FACADE, 0.0, 0.4, 0.02, _MADE),
    ("corrugated_sheet", (0.36, 0.39, 0.42), Texture.SHEET_FACADE, 0.03, 0.45, 0.04, _MADE),
    ("dark_glass", (0.05, 0.055, 0.06), Texture.GLASS_FACADE, 0.04, 0.15, 0.25, _MADE),
    ("roof_tiles", (0.3, 0.12, 0.07), Texture.TILES, 0.0, 0.25, 0.02, _MADE),
    ("raindrop", (0.5, 0.5, 0.5), Texture.PLAIN, 0.0, 0.05, 0.0, "noise"),
)
MATERIALS = tuple(Material(number, *row) for number, row in enumerate(_TABLE))
"""All materials, by number."""

_BY_NAME = {material.name: material for material in MATERIALS}


def material(name: str) -> Material:
    """Return the material of a name.

    Raises:
        KeyError: for an unknown name.
    """
    if name not in _BY_NAME:
        raise KeyError(f"no material is called {name!r}; there are {sorted(_BY_NAME)}")
    return _BY_NAME[name]
