"""The panel of a segmented sweep: its points from above, colored by true class, predicted class and error."""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from ponderv2.shapes import Float, Int

from .picture import color_handle, figure_to_array

# No class has the color of the ground, of an error or of a missing label; the darkest classes are purple and blue.
_RIGHT, _WRONG, _UNLABELED = "#8fc1e8", "#000000", "#d3d7db"
_BACKGROUND = "#ffffff"


def draw_segmentation_panel(
    points: Float[Tensor, "p c"],
    truth: Int[Tensor, "p"],
    predicted: Int[Tensor, "p"],
    classes: Sequence[str],
    palette: Sequence[tuple[int, int, int]],
    title: str = "",
    reach: float = 54.0,
) -> np.ndarray:
    """Draw the points of a sweep three times from above: by true class, by predicted class, and where these differ.

    Higher points cover lower ones in each view alike, so that errors are not shown larger than they are. Points without
    label are pale in the first and the third view; in the second they have the color of what was predicted.

    Args:
        points: points, metres; the first two columns are x and y, the third is z.
        truth: true class of each point, negative where there is none.
        predicted: predicted class of each point.
        classes: names of the classes.
        palette: color of each class, RGB 0–255.
        title: text above the picture.
        reach: half the side of each view, metres.

    Returns:
        An RGB picture, uint8 `[H, W, 3]`; x points right and y up, which is ahead in nuScenes.
    """
    order = points[:, 2].argsort().numpy()
    places, truth, predicted = (values.numpy()[order] for values in (points[:, :2], truth, predicted))
    colors = [tuple(value / 255 for value in color) for color in palette]
    labeled = truth >= 0
    wrong = labeled & (truth != predicted)
    shown = np.array([*colors, _rgb(_UNLABELED)])
    accuracy = f", {1 - wrong.sum() / labeled.sum():.1%} right" if labeled.any() else ""
    views = (
        ("truth", shown[np.where(labeled, truth, -1)]),
        ("prediction", shown[predicted]),
        (f"error{accuracy}", np.array([_rgb(_RIGHT), _rgb(_WRONG), _rgb(_UNLABELED)])[_kind(wrong, labeled)]),
    )
    figure = Figure(figsize=(16.0, 6.3), dpi=100, layout="constrained")
    for axis, (name, color) in zip(figure.subplots(1, 3), views, strict=True):
        _draw_points(axis, places, color, reach)
        axis.set_title(name, fontsize=11)
    occurring = [k for k in range(len(classes)) if (truth == k).any() or (predicted == k).any()]
    handles = [color_handle(colors[k], classes[k].replace("_", " ")) for k in occurring]
    handles += [color_handle(_RIGHT, "right"), color_handle(_WRONG, "wrong"), color_handle(_UNLABELED, "no label")]
    figure.legend(handles=handles, loc="outside lower center", ncols=9, fontsize=9, frameon=False)
    figure.suptitle(title, fontsize=11)
    return figure_to_array(figure)


def _draw_points(axis: Axes, places: np.ndarray, colors: np.ndarray, reach: float) -> None:
    axis.set(xlim=(-reach, reach), ylim=(-reach, reach), aspect="equal", xticks=[], yticks=[])
    axis.set_facecolor(_BACKGROUND)
    axis.scatter(places[:, 0], places[:, 1], c=colors, s=1.2, linewidths=0)
    axis.plot(0.0, 0.0, marker="+", color="#606060")


def _kind(wrong: np.ndarray, labeled: np.ndarray) -> np.ndarray:
    """Return 0 for points that are right, 1 for wrong ones, 2 for those without a label."""
    return np.where(labeled, wrong, 2)


def _rgb(text: str) -> tuple[float, float, float]:
    return tuple(int(text[k : k + 2], 16) / 255 for k in (1, 3, 5))
