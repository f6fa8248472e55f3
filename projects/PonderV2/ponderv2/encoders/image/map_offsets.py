"""On which pixels the first cells of a neck's maps are centered, given those of the backbone."""

from collections.abc import Sequence

from ponderv2.errors import UserError


def neck_map_offsets(
    strides: Sequence[int], backbone_strides: Sequence[int], backbone_offsets: Sequence[float]
) -> tuple[float, ...]:
    """Find the offsets of a feature pyramid's maps, in pixels along both axes.

    A map of a stride that the backbone has keeps the cells of the backbone's. A coarser one is an extra level: it is
    made by convolutions or poolings with stride 2 whose cell k is centered on cell 2k of the level before, so that all
    of them begin on the first cell of the backbone's coarsest map, not in the middle of their own first tile.

    Args:
        strides: width of a cell of each map of the neck, pixels.
        backbone_strides: width of a cell of each map of the backbone, ascending.
        backbone_offsets: offset of each map of the backbone.

    Raises:
        UserError: when a map is neither of the backbone's strides nor an extra level, so that nothing says where its
            cells are.
    """
    known = dict(zip(backbone_strides, backbone_offsets, strict=True))
    coarsest = max(known)
    offsets = []
    for stride in strides:
        if stride not in known and (stride < coarsest or stride % coarsest):
            raise UserError(
                f"neck_strides: {stride} is no stride of the backbone, {tuple(known)}, and no multiple of its last; "
                "give neck_offsets, the pixel on which the first cell of each map of the neck is centered"
            )
        offsets.append(float(known.get(stride, known[coarsest])))
    return tuple(offsets)
