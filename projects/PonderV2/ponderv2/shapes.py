"""Array shapes as types: `Float[Tensor, "b c z y x"]`.

They are checked in the tests, where jaxtyping's import hook is on. On a machine with torch alone they
fall back to the bare array type, so that `structures`, `geometry` and `rendering` need nothing more.
"""

try:
    from jaxtyping import Bool, Float, Int, UInt8
except ImportError:

    class _Unchecked:
        def __class_getitem__(cls, item: tuple) -> type:
            return item[0]

    Bool = Float = Int = UInt8 = _Unchecked

__all__ = ["Bool", "Float", "Int", "UInt8"]
