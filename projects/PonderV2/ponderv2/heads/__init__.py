"""What reads a feature volume."""

from .render import RenderHead

__all__ = ["RenderHead"]
