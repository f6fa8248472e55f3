"""Peak rates of graphics cards as their makers publish them, from which a lower bound of a step's time is computed."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Card:
    """What a card can do at best.

    Attributes:
        name: name of the card.
        tensor_tflops: TFLOP/s of dense matrix products in bfloat16 that are summed in float32, without sparsity.
        tf32_tflops: TFLOP/s of dense matrix products of TF32.
        float32_tflops: TFLOP/s in float32 outside of the tensor cores.
        memory_gb: memory, GB.
        bandwidth: GB/s of the memory.
        source: where the maker publishes this.
    """

    name: str
    tensor_tflops: float
    tf32_tflops: float
    float32_tflops: float
    memory_gb: float
    bandwidth: float
    source: str


_A100 = "NVIDIA A100 datasheet (nvidia-a100-datasheet-us-nvidia-1758950-r4)"
_H100 = "NVIDIA H100 datasheet; half of its figures with sparsity"
_GA102 = "NVIDIA Ampere GA102 architecture whitepaper"
_AD102 = "NVIDIA Ada GPU architecture whitepaper"

CARDS = {
    "a100-40gb": Card("A100 40 GB SXM4", 312.0, 156.0, 19.5, 40.0, 1555.0, _A100),
    "a100-80gb": Card("A100 80 GB SXM4", 312.0, 156.0, 19.5, 80.0, 2039.0, _A100),
    "h100": Card("H100 80 GB SXM5", 989.5, 494.5, 67.0, 80.0, 3350.0, _H100),
    "rtx3090": Card("GeForce RTX 3090", 71.0, 35.6, 35.6, 24.0, 936.0, _GA102),
    "rtx4090": Card("GeForce RTX 4090", 165.2, 82.6, 82.6, 24.0, 1008.0, _AD102),
}
