"""PSNR, SSIM and depth errors of what `RenderingPretrainer.predict` returns."""

from collections.abc import Sequence

import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger

from ponderv2.registry import METRICS

from .functional import DepthErrors, depth_errors, psnr, ssim


@METRICS.register_module()
class RenderMetric(BaseMetric):
    """Rendering quality over the rays of the pipeline, and over whole images where they were rendered.

    `psnr` is that of the mean squared error over all valid rays of a sample, averaged over samples; `abs_rel`,
    `rmse`, `delta1` are over all rays with a LiDAR return. With `image_stride` set in the model, `image_psnr`
    and `ssim` are means over images. `guess_psnr` and `guess_abs_rel` are what each sample's own mean colour and
    median depth would score over the same rays: what a model has to beat.

    Whether the rays were trained on is up to the pipeline: use `SampleRays(split="heldout")`.
    """

    default_prefix = "render"

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Keep a few numbers a sample."""
        self.results.extend(render_result(sample) for sample in data_samples)

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Over all samples.

        Raises:
            ValueError: when not one ray was valid.
        """
        metrics = summarise(results)
        MMLogger.get_current_instance().info(
            "rendering over %d samples: %s",
            len(results),
            "  ".join(f"{k} {v:.4g}" for k, v in metrics.items()),
        )
        return metrics


def render_result(sample: dict) -> dict:
    """Sums of one predicted sample: fields of `RenderingPretrainer.predict`."""
    valid, target = sample["valid"], sample["target_depth"]
    measured = valid & (target > 0)
    result: dict = {"depth": depth_errors(sample["depth"], target, measured)}
    if bool(measured.any()):
        result["guess_depth"] = depth_errors(torch.full_like(target, target[measured].median()), target, measured)
    if "rgb" in sample and bool(valid.any()):
        colors = sample["target_rgb"][valid]
        result["mse"] = float((sample["rgb"][valid] - colors).square().mean())
        result["guess_mse"] = float((colors - colors.mean(dim=0)).square().mean())
    if "image" in sample:
        pairs = list(zip(sample["image"], sample["target_image"], strict=True))
        result["image_psnr"] = [psnr(float((a - b).square().mean())) for a, b in pairs]
        result["ssim"] = [ssim(a, b) for a, b in pairs]
    return result


def summarise(results: Sequence[dict]) -> dict[str, float]:
    """Metrics of many `render_result`s."""
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
    for name in ("image_psnr", "ssim"):
        values = [v for r in results for v in r.get(name, [])]
        if values:
            metrics[name] = sum(values) / len(values)
    if not metrics:
        raise ValueError("RenderMetric: no ray of any sample was valid")
    return metrics
