"""The table of pre-trainings with features of images: linear probe, retrieval and key points.

docs/results/condense.json is an object; scores are from 0 to 1, and what is null or absent was not run:

| key | content |
|---|---|
| `linear_probe` | for each pre-training by its name, as `rendering`, `distil` and `consensus`, the mIoU of its linear probe: `mean`, `std`, and `values` by seed |
| `retrieval` | recall of the first answer within 5 m, `image_to_lidar_recall1_5m` and `lidar_to_lidar_recall1_5m`, and `chance`, what a random order is expected to reach; `lidar_to_lidar_recall1_5m_heights`, of the heights of cells with points, without a network |
| `keypoint_repeatability_0.5m` | share of key points that the neighboring key frame has within 0.5 m |
| `keypoint_repeatability_0.5m_random`, `..._highest`, `..._nearest` | the same of what needs no network: random returns, candidates that are highest or nearest to the car |
"""  # noqa: E501

from collections.abc import Mapping

from .measured_values import entries, listed, markdown_table, name, percent, score

_KEYPOINTS = "keypoint_repeatability_0.5m"
_WITHOUT_NETWORK = {
    f"{_KEYPOINTS}_random": "random returns",
    f"{_KEYPOINTS}_highest": "highest candidates",
    f"{_KEYPOINTS}_nearest": "nearest candidates",
}
_HEIGHTS = "lidar_to_lidar_recall1_5m_heights"
_RECALLS = {"image_to_lidar_recall1_5m": "image → LiDAR", "lidar_to_lidar_recall1_5m": "LiDAR → LiDAR"}


def table_of(content: Mapping, place: str) -> str:
    """Return the table in Markdown, scores in per cent.

    Args:
        content: what the file holds.
        place: name of the file, for errors.

    Raises:
        ResultsError: a key is unknown, or a value is not of its kind.
    """
    entries(content, place, ("linear_probe", "retrieval", _KEYPOINTS, *_WITHOUT_NETWORK))
    rows = []
    for arm, found in entries(content.get("linear_probe", {}), f"{place}: linear_probe").items():
        at = f"{place}: linear_probe.{arm}"
        rows.append((f"linear probe, mIoU: {name(arm, at)}", *_side(found, at), "–"))
    recalls = entries(content.get("retrieval", {}), f"{place}: retrieval", (*_RECALLS, _HEIGHTS, "chance"))
    chance = percent(score(recalls.get("chance"), f"{place}: retrieval.chance"))
    for key, title in _RECALLS.items():
        recall = percent(score(recalls.get(key), f"{place}: retrieval.{key}"))
        blind = f"{chance}, a random order"
        if key == "lidar_to_lidar_recall1_5m":
            blind += f"; {percent(score(recalls.get(_HEIGHTS), f'{place}: retrieval.{_HEIGHTS}'))}, heights alone"
        rows.append((f"retrieval {title}, recall@1 at 5 m", recall, "–", blind))
    repeated = percent(score(content.get(_KEYPOINTS), f"{place}: {_KEYPOINTS}"))
    blind = (f"{percent(score(content.get(key), f'{place}: {key}'))}, {how}" for key, how in _WITHOUT_NETWORK.items())
    rows.append(("key points, repeatability within 0.5 m", repeated, "–", "; ".join(blind)))
    return markdown_table(("what", "score (0–100)", "by seed", "knowing nothing"), rows)


def _side(found: object, place: str) -> tuple[str, str]:
    if found is None:
        return percent(None), "–"
    entries(found, place, ("mean", "std", "values"))
    mean, std = (score(found.get(key), f"{place}.{key}") for key in ("mean", "std"))
    values = [score(v, f"{place}.values[{k}]") for k, v in enumerate(listed(found.get("values"), f"{place}.values"))]
    deviation = "" if mean is None or std is None else f" ± {percent(std, 2)}"
    return percent(mean, 2) + deviation, ", ".join("failed" if v is None else percent(v, 2) for v in values)
