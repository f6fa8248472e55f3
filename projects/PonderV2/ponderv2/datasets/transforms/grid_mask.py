"""GridMask: image content hidden in a grid of squares (Chen et al. 2020, arXiv 2001.04086)."""

import numpy as np

from ponderv2.datasets.history import EARLIER
from ponderv2.registry import TRANSFORMS

from .switchable import SwitchableTransform

MEAN_COLOR = (123.675, 116.28, 103.53)
"""ImageNet's mean RGB, which `SensorPreprocessor` subtracts."""


@TRANSFORMS.register_module()
class MultiViewGridMask(SwitchableTransform):
    """Hide a grid of image content, the same for all views of a sample.

    A period of d pixels is drawn for both axes and an offset for each; d is uniform in [2, image height), as
    published. The bars of the grid cover the first `round(d * ratio)` rows (columns) of every period. UVTR and
    UniPAD fine-tune cameras with both axes, ratio 0.5, mode 1 and probability 0.7, in the model: there the
    images of all samples of a GPU, one in the camera recipes, share the mask. Their `rotate=1` draws the angle
    from {0}, so there is no rotation here.

    Hidden pixels become the mean colour, rounded: within 0.01 of zero after normalisation, where the published
    code, which masks normalised images, has zero. The transform belongs last before packing, and in training alone.
    Earlier frames of a history are whole (published code masks some of them: it turns training off before the first
    and on again within its loop over them).

    Args:
        prob: probability of masking a sample.
        ratio: share of a period that a bar covers, in (0, 1).
        mode: 1 hides what lies between the bars of both axes, squares, and the bars stay: a share of
            (1 - ratio)² is hidden. 0 hides the bars instead.
        use_h: whether there are bars along rows.
        use_w: whether there are bars along columns.
        mean: colour (R, G, B), 0–255, that hidden pixels get.

    Raises:
        ValueError: an argument is outside of what is said here.
    """

    def __init__(
        self,
        prob: float = 0.7,
        ratio: float = 0.5,
        mode: int = 1,
        use_h: bool = True,
        use_w: bool = True,
        mean: tuple[float, float, float] = MEAN_COLOR,
    ) -> None:
        super().__init__()
        if not 0 <= prob <= 1:
            raise ValueError(f"prob: expected a probability, got {prob}")
        if not 0 < ratio < 1:
            raise ValueError(f"ratio: expected a share in (0, 1), got {ratio}")
        if mode not in (0, 1):
            raise ValueError(f"mode: expected 0 or 1, got {mode!r}")
        if not (use_h or use_w):
            raise ValueError("use_h and use_w: expected at least one of them, got none")
        self.prob, self.ratio, self.mode = prob, ratio, mode
        self.use_h, self.use_w = use_h, use_w
        self.color = np.rint(mean).astype(np.uint8)

    def transform(self, results: dict) -> dict:
        if results.get(EARLIER):
            return results
        # The same number of draws whether masked or not.
        draw = np.random.rand(4)
        if draw[0] >= self.prob:
            return results
        height = max(3, min(image.shape[0] for image in results["img"]))
        period = 2 + int(draw[1] * (height - 2))
        offsets = (int(draw[2] * period), int(draw[3] * period))
        results["img"] = [self.masked(image, period, offsets) for image in results["img"]]
        return results

    def masked(self, image: np.ndarray, period: int, offsets: tuple[int, int]) -> np.ndarray:
        """Return a copy of an image with the grid's part of it hidden.

        Args:
            image: uint8 RGB image `[H, W, 3]`.
            period: period of the grid in pixels, at least 2.
            offsets: row and column where a bar begins.
        """
        bar = min(max(round(period * self.ratio), 1), period - 1)
        # A mask of pixels would be three times as slow as rows and columns.
        rows, columns = (
            (np.arange(size) - offset) % period < bar if used else np.zeros(size, dtype=bool)
            for size, offset, used in zip(image.shape[:2], offsets, (self.use_h, self.use_w), strict=True)
        )
        image = image.copy()
        if self.mode == 1:
            image[np.ix_(~rows, ~columns)] = self.color
        else:
            image[rows] = self.color
            image[:, columns] = self.color
        return image
