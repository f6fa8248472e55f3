"""Loading of image backbones' weights from a local path or the Hugging Face hub: tensors only, never pickles."""

import re
import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from mmengine.logging import print_log
from torch import Tensor, nn

from ponderv2.compat.safe_checkpoint import UnsafeCheckpointError, load_checkpoint_file
from ponderv2.errors import UserError

_FILE_NAMES = ("model.safetensors", "pytorch_model.bin")
_FILE_SUFFIXES = (".safetensors", ".bin", ".pth", ".pt")
_NESTED_IN = ("state_dict", "model", "module")
"""Keys under which files keep their tensors: mmengine's, those of the original ConvNeXt, and SparK's."""

_WHAT_TO_DO = (
    "docs/model_zoo.md says where to get initial weights; --cfg-options with the backbone's weights=FILE names others, "
    "and weights=None trains from random ones"
)
_PROBE_SECONDS = 3.0


def load_pretrained(
    module: nn.Module, weights: str, rename: Callable[[str], str], optional: tuple[str, ...] = ()
) -> None:
    """Fill `module` with `weights` and log one line of coverage.

    Args:
        module: backbone that is filled, in place.
        weights: folder with `model.safetensors` or `pytorch_model.bin`, one file of weights, or a hub id.
        rename: function from a name in the file to the name in `module`.
        optional: prefixes of names of `module` that the file may lack.

    Raises:
        FileNotFoundError: when a local path does not exist or holds no weights.
        UserError: when the hub cannot be reached, has no such repository or no weights in it; when the file holds more
            than tensors, has a tensor of another shape, or lacks a tensor of `module` that is not optional.
    """
    name = type(module).__name__
    path = locate_weights(weights)
    found = {rename(key): value for key, value in read_tensors(path).items()}
    own = module.state_dict()
    matched = [key for key in own if key in found]
    # Old files lack BatchNorm's step counters; nothing here reads them.
    missing = [key for key in own if key not in found and not key.endswith("num_batches_tracked")]
    unexpected = [key for key in found if key not in own]
    print_log(
        f"{name}: {len(matched)} of {len(own)} tensors from {path}; "
        f"missing: {_short(missing)}; unexpected: {_short(unexpected)}",
        logger="current",
    )
    shapes = {key: (tuple(found[key].shape), tuple(own[key].shape)) for key in matched}
    wrong = [f"{key} {theirs} -> {ours}" for key, (theirs, ours) in shapes.items() if theirs != ours]
    if wrong:
        raise UserError(f"{weights!r} is of another size than this {name}: {_short(wrong)}")
    lacking = [key for key in missing if not key.startswith(optional)]
    if lacking:
        raise UserError(f"{weights!r} does not hold all of this {name}; missing: {_short(lacking)}")
    module.load_state_dict({key: found[key] for key in matched}, strict=False)


def locate_weights(weights: str) -> Path:
    """Find the file behind a local path or a hub id.

    Raises:
        FileNotFoundError: when a local path does not exist or holds no weights.
        UserError: when the hub cannot be reached and its cache has no such weights, when it has no such repository, or
            when the repository has no weights.
    """
    path = Path(weights).expanduser()
    if path.is_file():
        return path
    if path.is_dir():
        for name in _FILE_NAMES:
            if (path / name).is_file():
                return path / name
        raise FileNotFoundError(f"the folder {path} holds neither {' nor '.join(_FILE_NAMES)}")
    if _is_hub_id(weights):
        return _from_hub(weights)
    raise FileNotFoundError(
        f"weights {weights!r}: no such file or folder, and not a hub id (owner/name); {_WHAT_TO_DO}"
    )


def read_tensors(path: Path) -> dict[str, Tensor]:
    """Read the tensors of a safetensors file, or of a checkpoint that the safe loader reads.

    Raises:
        FileNotFoundError: there is no such file.
        UserError: the file is cut short, damaged, or holds anything but tensors.
    """
    try:
        content = load_checkpoint_file(path)
    except UnsafeCheckpointError as error:
        raise UserError(
            f"{path} is not a plain file of tensors, it asks for `{error.refused}`, and other pickles are not read "
            "here because they can run code: convert it to safetensors"
        ) from error
    content = next((content[key] for key in _NESTED_IN if isinstance(content.get(key), dict)), content)
    if not all(isinstance(value, Tensor) for value in content.values()):
        raise UserError(f"{path} holds something else than a dict of tensors")
    return content


def _is_hub_id(weights: str) -> bool:
    owner, _, name = weights.partition("/")
    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", weights) or name.endswith(_FILE_SUFFIXES):
        return False
    # "checkpoints/convnext" next to a folder "checkpoints" is a path with a typing error, not a repository.
    return not Path(owner).is_dir()


def _from_hub(repository: str) -> Path:
    from huggingface_hub import constants, hf_hub_download
    from huggingface_hub.errors import EntryNotFoundError, LocalEntryNotFoundError, RepositoryNotFoundError

    # The client retries an unknown host for half a minute, so it is asked only when the hub answers.
    offline = constants.HF_HUB_OFFLINE or not _answers(constants.ENDPOINT)
    try:
        for name in _FILE_NAMES:
            try:
                return Path(hf_hub_download(repository, name, local_files_only=offline))
            except LocalEntryNotFoundError:
                # Not in the cache. Online too, when the connection is lost on the way.
                if not offline:
                    raise UserError(_out_of_reach(repository)) from None
            except EntryNotFoundError:
                continue
    except RepositoryNotFoundError as error:
        raise UserError(f"the hub has no repository {repository!r}, or it is private") from error
    if offline:
        raise UserError(_out_of_reach(repository))
    raise UserError(f"the repository {repository!r} of the hub holds neither {' nor '.join(_FILE_NAMES)}")


def _out_of_reach(repository: str) -> str:
    return (
        f"the hub cannot be reached and {repository!r} is neither in its cache nor a local path, so the backbone has "
        f"nothing to start from; {_WHAT_TO_DO}"
    )


def _answers(url: str) -> bool:
    """Tell whether anything answers at `url` within a few seconds; it honours the proxy variables."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=_PROBE_SECONDS):
            return True
    except urllib.error.HTTPError:
        return True  # an error page is an answer
    except urllib.error.URLError as error:
        # A certificate that Python alone does not know: let the hub's own client judge it.
        return isinstance(error.reason, ssl.SSLError)
    except OSError:
        return False


def _short(names: list[str], shown: int = 4) -> str:
    if not names:
        return "none"
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return f"{len(names)} ({', '.join(names[:shown])}{more})"
