"""What the header of an encoder file may name. Whatever is not written here is refused, at export and at loading.

A new encoder, backbone, neck or lift is added to `PARTS`, under the setting that takes it.
"""

from dataclasses import dataclass, field

_ENCODERS = "ponderv2.encoders"

PARTS: dict[str, dict[str, str]] = {
    "encoder": {
        "CameraEncoder": _ENCODERS,
        "LidarEncoder": _ENCODERS,
        "FusionEncoder": _ENCODERS,
        "PointFusionEncoder": _ENCODERS,
    },
    "camera": {"CameraEncoder": _ENCODERS},
    "lidar": {"LidarEncoder": _ENCODERS},
    "img_backbone": {"PonderConvNeXt": _ENCODERS, "PonderResNet": _ENCODERS},
    "img_neck": {"FPN": "mmdet.models.necks"},
    "depth_net": {"SimpleDepth": _ENCODERS, "DepthNet": _ENCODERS},
    "lift": dict.fromkeys(("PullLift", "SplatLift", "DeformableLift"), "ponderv2.lifting"),
    "pts_middle_encoder": {"HeightKeepingSparseEncoder": _ENCODERS, "VoxelUNet": _ENCODERS, "VoxelMinkUNet": _ENCODERS},
    "pts_backbone": {"SECOND3D": _ENCODERS},
    "pts_neck": {"SECOND3DFPN": _ENCODERS},
    "preprocessor": {"SensorPreprocessor": "ponderv2.models"},
}
"""The classes that each setting may name, and the module of each. A setting that is not here takes no class."""


@dataclass(frozen=True)
class Settings:
    """The contents that a dictionary without a class of its own may have.

    Attributes:
        keys: names of its entries.
        types: values of its entry `type`; the module of a class that mmcv does not know by its name, or None.
    """

    keys: tuple[str, ...]
    types: dict[str, str | None] = field(default_factory=dict)


_NORMS = ("BN", "BN1d", "BN2d", "BN3d", "SyncBN", "IN", "IN1d", "IN2d", "IN3d", "GN", "LN")
_ACTIVATIONS = ("ReLU", "LeakyReLU", "PReLU", "GELU", "SiLU")

SETTINGS: dict[str, Settings] = {
    "grid": Settings(("point_cloud_range", "size", "placement")),
    "depth_loss": Settings(("weight", "min_radius", "max_lag")),
    "norm_cfg": Settings(
        ("type", "eps", "momentum", "affine", "num_groups", "requires_grad"),
        dict.fromkeys(_NORMS) | {"SparseBatchNorm": "ponderv2.encoders.sparse.row_norms"},
    ),
    "conv_cfg": Settings(("type",), dict.fromkeys(("Conv1d", "Conv2d", "Conv3d"))),
    "act_cfg": Settings(("type", "inplace", "negative_slope"), dict.fromkeys(_ACTIVATIONS)),
    "upsample_cfg": Settings(("mode", "scale_factor", "align_corners")),
}
"""The settings whose value is a plain dictionary."""

NOT_STORED = frozenset({"init_cfg", "weights", "non_blocking"})
"""Settings that are left out at export and refused at loading.

The first two name weights to start from, which a file with weights does not need and which would open other files or
the network; the last one changes no number.
"""

COUNTS = frozenset({"blocks", "depths", "num_blocks", "num_convs", "num_layers", "num_outs"})
"""Settings that say how many layers are built. No tensor's shape bounds them before they are built."""

MAX_COUNT = 64
MAX_NUMBER = 2**20
MAX_ITEMS = 16
MAX_CHARACTERS = 64
MAX_HEADER_CHARACTERS = 2**16
MAX_CELLS = 2 * 10**6
MAX_PAD_DIVISOR = 1024
"""Far beyond any encoder that one would train, and small enough that building one such encoder is harmless."""
