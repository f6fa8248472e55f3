"""PonderV2: pre-train camera, LiDAR and fusion encoders by rendering, then hand them to detectors.

`ponderv2.load_encoder(path)` makes a trained encoder of one file. Importing this package imports nothing else:
`structures`, `geometry` and `rendering` run with torch and numpy alone; every other part needs the whole stack of
requirements.txt.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ponderv2.checkpoints import load_encoder

__version__ = "0.1.0"
__all__ = ["load_encoder"]


def __getattr__(name: str) -> object:
    """Import `load_encoder`, and the stack behind it, when it is first asked for."""
    if name == "load_encoder":
        from ponderv2.checkpoints import load_encoder

        return load_encoder
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
