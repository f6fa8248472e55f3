"""This module tells how much light comes back along rays: from sun, sky, lamps, and by way of wet streets."""

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from synthetic_nuscenes.geometry.materials import MATERIALS, Texture, material
from synthetic_nuscenes.moment import NOTHING, STATIC, Moment, WorldHits
from synthetic_nuscenes.world import World, dot

from .lamps import NightLights, has_lights_on
from .sky import sky
from .textures import pattern
from .wet import DARKENING, water_film

_GLOSS = np.array([m.gloss for m in MATERIALS], np.float32)
_TEXTURE = np.array([m.texture for m in MATERIALS])
_GLOW = np.array([m.glow for m in MATERIALS], np.float32)
_LAMP = material("lamp").number
_REFLECTIVITY = np.array([m.reflectivity for m in MATERIALS], np.float32)


class Shader:
    """A `Shader` gives the light of one world at one moment.

    Args:
        focal: focal length of the camera (pixels), from which the size of a pixel on a surface comes.
        place: `[2]` where the camera is (m).
    """

    def __init__(self, world: World, moment: Moment, focal: float, place: ndarray) -> None:
        self.world, self.moment, self.focal, self.weather = world, moment, focal, world.weather
        self.lights = NightLights(world, moment, place) if world.weather.lights > 0 else None
        self._lamp_color = world.weather.lamp_color.astype(np.float32)
        self._lit = np.array([True] + [has_lights_on(actor) for actor in world.actors])

    def light(
        self, hits: WorldHits, origins: ndarray, directions: ndarray, times: ndarray, mirrors: bool = True
    ) -> Float[ndarray, "n 3"]:
        """Return the light that arrives along rays, in linear RGB.

        Args:
            hits: what the rays hit.
            origins: `[n, 3]` metres, in the world.
            directions: `[n, 3]` unit vectors.
            times: `[n]` seconds.
            mirrors: whether wet streets mirror what is around; mirrored rays are not mirrored again.
        """
        light = np.empty((len(origins), 3), np.float32)
        above = hits.body == NOTHING
        light[above] = sky(self.weather, directions[above].astype(np.float32))
        solid = np.flatnonzero(~above)
        if len(solid):
            solid_hits = WorldHits(*(a[solid] for a in hits))
            light[solid] = self._of_surfaces(solid_hits, origins[solid], directions[solid], times[solid], mirrors)
        return light

    def _of_surfaces(
        self, hits: WorldHits, origins: ndarray, directions: ndarray, times: ndarray, mirrors: bool
    ) -> ndarray:
        weather = self.weather
        surface = self.world.surfaces(hits, origins, directions, times)
        normal, directions = surface.normal, directions.astype(np.float32)
        facing = -dot(normal, directions)
        footprint = (hits.distance / self.focal / np.clip(facing, 0.06, 1)).astype(np.float32)
        albedo, gloss, glow = self._patterns(surface, footprint)
        if weather.wet > 0:
            albedo *= (1 - weather.wet * DARKENING[surface.material])[:, None]
        point = origins + hits.distance[:, None] * directions + 0.004 * normal
        received, sunlight = self._received(point, normal)
        light = albedo * received
        if self.lights is not None:
            shining = np.where(self._lit[hits.body], _GLOW[surface.material], 0.0)
            # What sends light straight back is bright in the beams of the own car.
            light += (1.5 * (_REFLECTIVITY[surface.material] > 0.9) * (facing > 0.1))[:, None] * light
            lamps = surface.material == _LAMP
            light += glow + shining[:, None] * np.where(lamps[:, None], self._lamp_color, albedo)

        shiny = np.flatnonzero(gloss > 0.004)
        if len(shiny):
            light[shiny] = self._mirrored_sky(
                light[shiny], gloss[shiny], facing[shiny], directions[shiny], normal[shiny], sunlight[shiny]
            )
        if mirrors and weather.wet > 0:
            static = np.flatnonzero(hits.body == STATIC)
            film = water_film(
                weather.wet,
                surface.material[static],
                point[static],
                normal[static],
                directions[static],
                footprint[static],
            )
            at = static[film.points]
            seen = self._seen_in_water(point[at], film.mirrored, film.puddle, times[at])
            light[at] = light[at] * (1 - film.share[:, None]) + film.share[:, None] * seen
        air = (1 - np.exp(-hits.distance / weather.haze)).astype(np.float32)[:, None]
        return light * (1 - air) + (0.85 * weather.horizon).astype(np.float32) * air

    def _patterns(self, surface, footprint: ndarray) -> tuple[ndarray, ndarray, ndarray]:
        """Return color, gloss and glow of surfaces with their textures drawn."""
        albedo, gloss = surface.color.copy(), _GLOSS[surface.material].copy()
        glow = np.zeros_like(albedo)
        texture = _TEXTURE[surface.material]
        place = surface.place.astype(np.float32)
        for kind in np.flatnonzero(np.bincount(texture)):
            if kind == Texture.PLAIN:
                continue
            at = np.flatnonzero(texture == kind)
            drawn = pattern(Texture(kind), albedo[at], place[at], surface.normal[at], surface.uv[at], footprint[at])
            albedo[at], gloss[at] = drawn.color, gloss[at] + drawn.gloss
            if drawn.glow is not None:
                glow[at] = drawn.glow
        return albedo, gloss, glow

    def _received(self, point: ndarray, normal: ndarray) -> tuple[ndarray, ndarray]:
        """Return the light `[n, 3]` that falls on points, and the share `[n]` of the sun that does."""
        weather = self.weather
        sunlight = np.zeros(len(point), np.float32)
        if weather.sun_color.max() > 1e-3:
            sun = weather.sun.astype(np.float32)
            sunlight = np.clip(normal @ sun, 0, 1)
            lit = np.flatnonzero(sunlight > 0)
            sunlight[lit[self.moment.occluded(point[lit], np.broadcast_to(sun, (len(lit), 3)))]] = 0.0
        up = 0.5 + 0.5 * normal[:, 2:3]
        zenith, horizon = weather.zenith.astype(np.float32), weather.horizon.astype(np.float32)
        bounce = np.float32([0.13, 0.12, 0.11]) * np.float32(weather.daylight * (0.4 + weather.sun_color.max() / 2.9))
        ambient = up * (0.55 * zenith + 0.45 * horizon) * 1.1 + (1 - up) * (bounce + 0.25 * horizon)
        received = ambient * self._openness(point, normal)[:, None]
        if self.lights is not None:
            received += self.lights.on_surfaces(point, normal)
        return received + sunlight[:, None] * weather.sun_color.astype(np.float32), sunlight

    def _openness(self, point: ndarray, normal: ndarray) -> ndarray:
        """Return the share of the ambient light that reaches points: it is less under cars and in corners."""
        slant = normal + np.float32([0.35, 0.25, 0.3])
        slant /= np.sqrt(dot(slant, slant))[:, None]
        under = self.moment.occluded(point, normal, 1.2)
        near = self.moment.occluded(point, slant, 0.8)
        return (1 - 0.55 * under - 0.3 * near).astype(np.float32)

    def _mirrored_sky(
        self, light: ndarray, gloss: ndarray, facing: ndarray, directions: ndarray, normal: ndarray, sunlight: ndarray
    ) -> ndarray:
        """Return the light of glossy surfaces with the sky in them."""
        weather = self.weather
        cosine = np.clip(facing, 0, 1)
        share = gloss + (0.75 - gloss) * (1 - cosine) ** 5 * np.clip(gloss * 14, 0, 1)
        mirrored = directions + 2 * cosine[:, None] * normal
        seen = sky(weather, mirrored)
        # Below the horizon and near it a mirror shows streets and houses rather than sky.
        street = np.clip(1 - 3.5 * (mirrored[:, 2:3] - 0.05), 0, 1)
        around = (
            np.float32([0.17, 0.165, 0.16]) * np.float32(weather.daylight) * (0.5 + weather.horizon.astype(np.float32))
        )
        if self.lights is not None:
            around = around + 0.04 * weather.lamp_color.astype(np.float32)
        seen = seen * (1 - street) + around * street
        glint = np.clip(mirrored @ weather.sun.astype(np.float32), 0, 1)[:, None] ** 160 * 6.0 * (sunlight > 0)[:, None]
        return light * (1 - share[:, None]) + share[:, None] * (seen + glint * weather.sun_color)

    def _seen_in_water(self, point: ndarray, mirrored: ndarray, puddle: ndarray, times: ndarray) -> ndarray:
        """Return what a film of water shows; what is rough shows lamps as long streaks."""
        hits = self.moment.first_hits(point, mirrored)
        seen = self.light(hits, point, mirrored, times, mirrors=False)
        if self.lights is not None and len(point):
            seen += (1 - 0.6 * puddle)[:, None] * self.lights.highlights(point, mirrored, sharpness=90.0)
        return seen
