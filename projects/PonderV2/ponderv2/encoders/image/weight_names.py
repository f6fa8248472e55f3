"""Names of weights in the files of others, and what they are called in the image backbones here."""

import re

# Of the original ConvNeXt, which the files of its authors and of SparK have ("official style").
_OFFICIAL_LAYER = {
    "gamma": "layer_scale_parameter",
    "dwconv": "dwconv",
    "norm": "layernorm",
    "pwconv1": "pwconv1",
    "pwconv2": "pwconv2",
}


def convnext_name(key: str) -> str:
    """Turn a name of a ConvNeXt into one of `PonderConvNeXt`; a name that belongs to neither comes back as it is.

    Args:
        key: name in transformers' ConvNeXt, with or without classifier, or in the original code's, also with its norms
            `norm0` to `norm3` of returned maps.
    """
    official = re.fullmatch(r"stages\.(\d+)\.(\d+)\.(\w+)(\..+)?", key)
    if official and official[3] in _OFFICIAL_LAYER:
        stage, layer, name, rest = official.groups()
        return f"stages.{stage}.layers.{layer}.{_OFFICIAL_LAYER[name]}{rest or ''}"
    downsampling = re.fullmatch(r"downsample_layers\.(\d+)\.(\d+)\.(.+)", key)
    if downsampling:
        stage, place, rest = downsampling.groups()
        if stage == "0":
            return f"stem.{'patch_embeddings' if place == '0' else 'layernorm'}.{rest}"
        return f"stages.{stage}.downsampling_layer.{place}.{rest}"
    returned = re.fullmatch(r"norm(\d)\.(.+)", key)
    if returned:
        return f"norms.{returned[1]}.{returned[2]}"
    key = key.removeprefix("convnext.").removeprefix("encoder.")
    if key.startswith("hidden_states_norms.stage"):
        number, _, rest = key.removeprefix("hidden_states_norms.stage").partition(".")
        return f"norms.{int(number) - 1}.{rest}"
    return key.replace("embeddings.", "stem.", 1) if key.startswith("embeddings.") else key


def resnet_name(key: str) -> str:
    """Turn a name of transformers' ResNet, with or without classifier, into one of `PonderResNet`."""
    key = key.removeprefix("resnet.").removeprefix("encoder.")
    return key.replace("embedder.", "stem.", 1) if key.startswith("embedder.") else key
