"""PSNR, SSIM and depth errors of what `RenderingPretrainer.predict` returns."""

from collections.abc import Sequence

from mmengine.evaluator import BaseMetric
from mmengine.logging import MMLogger

from ponderv2.registry import METRICS

from .functional import DepthErrors, depth_errors, psnr, ssim


@METRICS.register_module()
class RenderMetric(BaseMetric):
    """Rendering quality over the rays of the pipeline, and over whole images where they were rendered.

    `psnr` is that of the mean squared error over all valid rays of a sample, averaged over samples; `abs_rel`,
    `rmse`, `delta1` are over all rays with a LiDAR return. With `image_stride` set in the model, `image_psnr`
    and `ssim` are means over images.

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
    valid = sample["valid"]
    result: dict = {
        "depth": depth_errors(sample["depth"], sample["target_depth"], valid & (sample["target_depth"] > 0))
    }
    if "rgb" in sample and bool(valid.any()):
        result["mse"] = float((sample["rgb"] - sample["target_rgb"])[valid].square().mean())
    if "image" in sample:
        pairs = list(zip(sample["image"], sample["target_image"], strict=True))
        result["image_psnr"] = [psnr(float((a - b).square().mean())) for a, b in pairs]
        result["ssim"] = [ssim(a, b) for a, b in pairs]
    return result


def summarise(results: Sequence[dict]) -> dict[str, float]:
    """Metrics of many `render_result`s."""
    depth = sum((r["depth"] for r in results), DepthErrors(0.0, 0.0, 0.0, 0))
    metrics = {}
    mses = [r["mse"] for r in results if "mse" in r]
    if mses:
        metrics["psnr"] = sum(map(psnr, mses)) / len(mses)
    if depth.count:
        metrics |= depth.metrics()
    for name in ("image_psnr", "ssim"):
        values = [v for r in results for v in r.get(name, [])]
        if values:
            metrics[name] = sum(values) / len(values)
    if not metrics:
        raise ValueError("RenderMetric: no ray of any sample was valid")
    return metrics
