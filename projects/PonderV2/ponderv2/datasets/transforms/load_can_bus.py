"""Loading of the car's signals (CAN bus)."""

import math
from logging import WARNING

import numpy as np
from mmcv.transforms import BaseTransform
from mmengine.logging import print_log
from pyquaternion import Quaternion

from ponderv2.datasets.info_file import InfoFileError
from ponderv2.geometry import CAN_BUS_SIZE
from ponderv2.registry import TRANSFORMS
from ponderv2.shapes import Float


@TRANSFORMS.register_module()
class LoadCanBus(BaseTransform):
    """Load the car's signals at the key frame, for an encoder that reads them, as `DeformableLift(can_bus=True)`.

    The transform adds `can_bus_signals` `[18]`, float64, see `prepare.can_bus_signals`: pose, nine numbers that the car
    measures, yaw. `PackSensorInputs` makes of the pose what it is since the frame before. Augmentation of the scene
    does not change the signals.

    Where nothing was measured, as in scenes without a CAN bus, the nine are 0, as published; that is said in the log,
    once. So it is for an info file without signals, such as mmdet3d's own, whose pose is then `ego2global`.

    Args:
        missing: what to do where nothing was measured: "zeros", or "raise".

    Raises:
        ValueError: `missing` is another word.
        InfoFileError: the info file's `can_bus` is not 18 finite numbers, or there is neither that nor `ego2global`; or
            nothing was measured, and `missing` is "raise".
    """

    def __init__(self, missing: str = "zeros") -> None:
        if missing not in ("zeros", "raise"):
            raise ValueError(f"missing: expected 'zeros' or 'raise', got {missing!r}")
        self.missing = missing
        self._told = False

    def transform(self, results: dict) -> dict:
        where = results.get("info_name", "sample")
        given = results.get("can_bus")
        signals = _pose_alone(results, where) if given is None else _checked(given, where)
        if given is None or not results.get("can_bus_measured", True):
            self._tell(f"{where}: {'no can_bus' if given is None else 'nothing of can_bus was measured'}")
        results["can_bus_signals"] = signals
        return results

    def _tell(self, what: str) -> None:
        hint = "nuScenes' CAN bus expansion beside the data and tools/create_data.py make it known"
        if self.missing == "raise":
            raise InfoFileError(f"{what}; {hint}, and LoadCanBus(missing='zeros') goes without")
        if not self._told:
            print_log(
                f"{what}; acceleration, rotation rate and velocity are 0 there and in all such frames ({hint})",
                logger="current",
                level=WARNING,
            )
        self._told = True


def _checked(given: object, where: str) -> Float[np.ndarray, "18"]:
    try:
        signals = np.array(given, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InfoFileError(f"{where}: can_bus: expected {CAN_BUS_SIZE} numbers") from error
    if signals.shape != (CAN_BUS_SIZE,) or not np.isfinite(signals).all():
        raise InfoFileError(
            f"{where}: can_bus: expected {CAN_BUS_SIZE} finite numbers, got {signals.size} of shape {signals.shape}"
        )
    return signals


def _pose_alone(results: dict, where: str) -> Float[np.ndarray, "18"]:
    """The signals of a car that is where it is and measures nothing."""
    if results.get("ego2global") is None:
        raise InfoFileError(f"{where}: neither can_bus nor ego2global; make the info file with tools/create_data.py")
    pose = np.array(results["ego2global"], dtype=np.float64)
    # With a tolerance: info files of others have matrices that went through float32.
    rotation = Quaternion(matrix=pose[:3, :3], rtol=1e-4, atol=1e-4)
    yaw = math.atan2(pose[1, 0], pose[0, 0]) % (2 * math.pi)
    return np.array([*pose[:3, 3], *rotation.elements, *[0.0] * 9, yaw, math.degrees(yaw)])
