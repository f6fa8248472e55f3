"""Repairs of the pinned stack: one file a fault, each with its upstream thread and a test that shows it.

`install()` applies them all; `ponderv2.registry` calls it before it imports anything of mmdet3d.
"""

from importlib.util import find_spec

__all__ = ["install"]


def install() -> None:
    """Check the installed versions, then apply every repair; safe to call any number of times.

    Raises:
        UnsupportedVersionError: the stack is not one that this package supports.
    """
    # Imported here, not above: `import ponderv2` must work where neither mmengine nor spconv is installed.
    from ponderv2.compat.versions import check_versions

    check_versions()

    from ponderv2.compat.cpu_distributed import install_cpu_distributed
    from ponderv2.compat.safe_checkpoint import install_checkpoint_loader

    install_checkpoint_loader()
    install_cpu_distributed()
    if find_spec("spconv") is not None:
        from ponderv2.compat.spconv_cpu import install_spconv_cpu

        install_spconv_cpu()
