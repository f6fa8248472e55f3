"""PSNR, SSIM, depth errors and scores of classes of the predictions of `RenderingPretrainer`."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger

from ponderv2.errors import UserError
from ponderv2.registry import METRICS
from ponderv2.shapes import Int

from .functional import DepthErrors, depth_errors, psnr, ssim
from .segmentation_score import SegmentationScore, confusion_matrix

_OF_RAYS = ("feature_cosine", "guess_feature_cosine")
_OF_SAMPLES = ("view_cosine", "view_cosine_unmatched", "frozen_view_cosine", "frozen_view_cosine_unmatched")


@METRICS.register_module()
class RenderMetric(BaseMetric):
    """Measures the quality of rendering over the rays of the pipeline, and over whole images where they were rendered.

    `psnr` is computed from the mean squared error over all valid rays of a sample, and averaged over samples.
    `abs_rel`, `rmse` and `delta1` are computed over all rays with a LiDAR return. With `image_stride` set in the model,
    `image_psnr` and `ssim` are means over images. `guess_psnr` and `guess_abs_rel` are the scores of a constant guess,
    each sample's own mean colour and median depth, over the same rays; a model has to beat them.

    Where classes are rendered, `semantic_accuracy` and `semantic_miou` are computed over all rays that have one;
    `guess_semantic_accuracy` and `guess_semantic_miou` are those of naming the most frequent class each time.

    Where intensities of returns are rendered, `intensity_mae` is their mean absolute error over all rays with a return,
    of intensities in [0, 1]; `guess_intensity_mae` is that of each sample's own median.

    Where features are rendered, `feature_cosine` is the mean over all rays with a LiDAR return, of rendered features
    and those of the image; `guess_feature_cosine` has the mean of the sample in place of what was rendered. Means over
    samples are `view_cosine`, of the image features of one place in two overlapping cameras, `view_cosine_unmatched`,
    of two places in these cameras, which it has to be above, and `frozen_view_cosine` and
    `frozen_view_cosine_unmatched`, those of the frozen teacher. Samples in which no two cameras see a place do not
    count.

    The pipeline decides whether these rays were trained on: it should sample held-out rays.
    """

    default_prefix = "render"

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Keep a few sums of each sample."""
        self.results.extend(render_result(sample) for sample in data_samples)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Compute the metrics over all samples, and log them.

        Raises:
            ValueError: when no ray was valid.
        """
        metrics = summarize(results)
        MMLogger.get_current_instance().info(
            "rendering over %d samples: %s",
            len(results),
            "  ".join(f"{k} {v:.4g}" for k, v in metrics.items()),
        )
        return metrics


def render_result(sample: dict) -> dict:
    """Return the errors of one sample, whose fields are those of `RenderingPretrainer.predict`; see `summarize`."""
    valid, target = sample["valid"], sample["target_depth"]
    measured = valid & (target > 0)
    result: dict = {"depth": depth_errors(sample["depth"], target, measured)}
    if bool(measured.any()):
        result["guess_depth"] = depth_errors(torch.full_like(target, target[measured].median()), target, measured)
    if "rgb" in sample and bool(valid.any()):
        colors = sample["target_rgb"][valid]
        result["mse"] = float((sample["rgb"][valid] - colors).square().mean())
        result["guess_mse"] = float((colors - colors.mean(dim=0)).square().mean())
    if "class_logits" in sample:
        known = measured & (sample["target_semantic"] >= 0)
        labels, logits = sample["target_semantic"][known], sample["class_logits"][known]
        result["confusion"] = confusion_matrix(labels.numpy(), logits.argmax(dim=-1).numpy(), logits.shape[-1])
    if "intensity" in sample and bool(measured.any()):
        intensity = sample["target_intensity"][measured]
        guesses = {"intensity_mae": sample["intensity"][measured], "guess_intensity_mae": intensity.median()}
        for name, guess in guesses.items():
            result[name] = (float((guess - intensity).abs().sum()), len(intensity))
    for name in _OF_RAYS:
        if name in sample and bool(measured.any()):
            result[name] = (float(sample[name][measured].sum()), int(measured.sum()))
    for name in _OF_SAMPLES:
        if name in sample and not math.isnan(float(sample[name])):
            result[name] = (float(sample[name]), 1)
    if "image" in sample:
        pairs = list(zip(sample["image"], sample["target_image"], strict=True))
        result["image_psnr"] = [psnr(float((a - b).square().mean())) for a, b in pairs]
        result["ssim"] = [ssim(a, b) for a, b in pairs]
    return result


def summarize(results: Sequence[dict]) -> dict[str, float]:
    """Return the metrics over many samples.

    Args:
        results: results of `render_result`.

    Raises:
        ValueError: when no ray of any sample was valid.
    """
    none = DepthErrors(0.0, 0.0, 0.0, 0)
    depth = sum((r["depth"] for r in results), none)
    metrics = {}
    for name in ("mse", "guess_mse"):
        mses = [r[name] for r in results if name in r]
        if mses:
            metrics[name.replace("mse", "psnr")] = sum(map(psnr, mses)) / len(mses)
    if depth.count:
        metrics |= depth.metrics()
        guess = sum((r["guess_depth"] for r in results if "guess_depth" in r), none)
        metrics["guess_abs_rel"] = guess.metrics()["abs_rel"]
    for name in ("intensity_mae", "guess_intensity_mae", *_OF_RAYS, *_OF_SAMPLES):
        sums = [r[name] for r in results if name in r]
        if sums:
            metrics[name] = sum(total for total, _ in sums) / sum(count for _, count in sums)
    confusions = [r["confusion"] for r in results if "confusion" in r]
    if confusions:
        metrics |= _semantic_scores(sum(confusions))
    for name in ("image_psnr", "ssim"):
        values = [v for r in results for v in r.get(name, [])]
        if values:
            metrics[name] = sum(values) / len(values)
    if not metrics:
        raise UserError("RenderMetric: no ray of any sample was valid")
    return metrics


def _semantic_scores(confusion: Int[np.ndarray, "k k"]) -> dict[str, float]:
    """Return the scores of rendered classes beside those of the most frequent class; none where no ray has a class."""
    counts = confusion.sum(axis=1)
    if not counts.any():
        return {}
    guess = np.zeros_like(confusion)
    guess[:, counts.argmax()] = counts
    scores = {}
    for prefix, matrix in (("", confusion), ("guess_", guess)):
        score = SegmentationScore(matrix, tuple(map(str, range(len(matrix)))))
        scores |= {f"{prefix}semantic_accuracy": score.accuracy, f"{prefix}semantic_miou": score.miou}
    return scores
