"""The data sets of a recipe, at any depth of wrappers."""

from mmengine.config import Config, ConfigDict

from ponderv2.errors import UserError

STOCK_DATASET = "NuScenesDataset"
"""Name of mmdet3d's own data set of nuScenes, in its own configs."""


def set_data_root(config: object, root: str) -> None:
    """Replace every `data_root` at any depth of a recipe, which data sets, databases and metrics have.

    Args:
        config: a recipe, or a part of one; it is changed in place.
        root: the folder of the data.
    """
    if isinstance(config, list | tuple):
        for item in config:
            set_data_root(item, root)
        return
    if not isinstance(config, Config | dict):
        return
    for key in list(config.keys()):
        if key == "data_root":
            config[key] = root
        else:
            set_data_root(config[key], root)


def innermost_dataset(loader: ConfigDict) -> tuple[str, ConfigDict]:
    """Return the data set of a loader inside all wrappers, such as class-balanced sampling, and its key in the loader.

    Args:
        loader: config of a data loader; a wrapper has the data set that it wraps as `dataset`.
    """
    key, dataset = "dataset", loader.dataset
    while isinstance(dataset.get("dataset"), ConfigDict):
        key, dataset = f"{key}.dataset", dataset.dataset
    return key, dataset


def refuse_stock_dataset(loader: object, recipe: str) -> None:
    """Refuse a config of mmdet3d: its info files are called as those here are, and hold other things.

    Args:
        loader: config of a data loader; one without a data set is let through.
        recipe: the file, for the message.

    Raises:
        UserError: the data set is mmdet3d's own.
    """
    if not isinstance(loader, ConfigDict) or not isinstance(loader.get("dataset"), ConfigDict):
        return
    key, dataset = innermost_dataset(loader)
    if dataset.get("type") == STOCK_DATASET:
        raise UserError(
            f"{recipe}: {key} is mmdet3d's {STOCK_DATASET}, whose info files are others than those here; train and "
            'test it with mmdet3d\'s own tools (docs/running.md, "Use an encoder in stock mmdet3d")'
        )
