"""How a place is described: which cells features are pooled in, and how."""

import itertools
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from ponderv2.errors import UserError

LAYOUTS = ("whole", "polar", "panorama", "vlad")
"""The values of `DescriptorSettings.layout`."""

MODALITIES = ("lidar", "image")
"""What a place is described by."""


@dataclass(frozen=True)
class DescriptorSettings:
    """How the features around a car become one vector of unit length.

    Equal settings and equal encoders give descriptors that can be compared.

    Attributes:
        layout: "whole" pools everything at once. "polar" pools rings of distance, as in Scan Context (Kim and Kim, IROS
            2018). "panorama" pools bands of elevation, which pictures have as well: they know no distances. Both divide
            them into sectors of bearing. "vlad" sums up differences to the words of a vocabulary (Jégou et al., CVPR
            2010).
        power: exponent p of the generalized mean (Radenović et al., TPAMI 2019, equation 3): 1 is the mean, large ones
            approach the maximum.
        heading: "car" keeps the sectors, which turn with the car, and so finds passes in the same direction alone.
            "any" keeps magnitudes of a Fourier series around the car, which do not change when it turns, and tell less.
        sectors: number of sectors.
        harmonics: number of terms of the Fourier series, the mean among them; of "any".
        rings: limits of the rings, metres from the car; of "polar".
        min_height: height (m) in the LiDAR frame below which nothing counts, as the road does not; of "polar".
        bands: limits of the bands, degrees above the horizon; of "panorama".

    Raises:
        UserError: a value is none of those.
    """

    layout: str = "polar"
    power: float = 3.0
    heading: str = "car"
    sectors: int = 30
    harmonics: int = 12
    rings: tuple[float, ...] = (3.0, 8.0, 13.0, 18.0, 23.0, 28.0, 33.0, 38.0, 43.0, 48.0, 53.0)
    min_height: float = -1.3
    bands: tuple[float, ...] = (-20.0, -12.0, -8.0, -5.0, -3.0, -1.0, 1.0, 3.0, 6.0, 10.0)

    def __post_init__(self) -> None:
        for name in ("rings", "bands"):
            object.__setattr__(self, name, tuple(float(value) for value in getattr(self, name)))
            limits = getattr(self, name)
            if len(limits) < 2 or any(low >= high for low, high in itertools.pairwise(limits)):
                raise UserError(f"{name}: expected at least two growing limits, got {limits}")
        _expect("layout", self.layout, LAYOUTS)
        _expect("heading", self.heading, ("any", "car"))
        if not self.power > 0:
            raise UserError(f"power: expected a number above 0, got {self.power}")
        if self.sectors < 1:
            raise UserError(f"sectors: expected a whole number of at least 1, got {self.sectors}")
        if not 1 <= self.harmonics <= self.sectors // 2 + 1:
            raise UserError(f"harmonics: expected 1 to sectors / 2 + 1 of {self.sectors}, got {self.harmonics}")

    def to_json(self) -> dict:
        """Return the settings as plain values."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}

    @staticmethod
    def from_json(content: Mapping, where: str) -> "DescriptorSettings":
        """Read settings; `where` says in errors where they stand.

        Raises:
            UserError: a key is unknown or missing, or a value is of another kind.
        """
        kinds = {field.name: type(field.default) for field in fields(DescriptorSettings)}
        if not isinstance(content, Mapping) or set(content) != set(kinds):
            raise UserError(f"{where}: expected the keys {sorted(kinds)}")
        values = {}
        for name, kind in kinds.items():
            value = content[name]
            number = isinstance(value, int | float) and not isinstance(value, bool)
            fits = {
                str: isinstance(value, str),
                int: isinstance(value, int) and number,
                float: number,
                tuple: isinstance(value, list) and all(isinstance(v, int | float) for v in value),
            }[kind]
            if not fits:
                raise UserError(f"{where}: {name}: expected a {kind.__name__}, got {value!r}")
            values[name] = kind(value)
        return DescriptorSettings(**values)


@dataclass(frozen=True)
class Describer:
    """What made descriptors; vectors of two of them cannot be compared.

    Attributes:
        settings: how features are pooled.
        encoder: hash of the weights of the model.
        projection: hash of the fitted projection; empty where there is none.
        channels: which features were pooled, with the hash of the vocabulary where there is one.
    """

    settings: DescriptorSettings
    encoder: str
    projection: str = ""
    channels: str = "image"

    def told(self) -> dict[str, object]:
        """Return all that has to be equal for descriptors to be compared, one setting beside the other."""
        return vars(self.settings) | {name: value for name, value in vars(self).items() if name != "settings"}


def _expect(name: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise UserError(f"{name}: expected one of {list(known)}, got {value!r}")
