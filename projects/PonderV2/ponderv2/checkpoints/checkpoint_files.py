"""Finding, checking and loading checkpoints."""

import os
import zipfile
import zlib
from contextlib import suppress
from pathlib import Path

from torch import Tensor, nn

from ponderv2.compat.safe_checkpoint import load_checkpoint_file
from ponderv2.errors import UserError

from .coverage import compare

INTERRUPTED = "interrupted.pth"
"""Name of the checkpoint that a training writes when a signal ends it; the next regular one takes its place."""

EARLIER = "last_checkpoint.earlier"
"""What becomes of `last_checkpoint` when a training starts anew in its folder; its time is that of the start."""


def resolve_checkpoint(path: Path) -> Path:
    """Return the checkpoint itself, where `path` is mmengine's `last_checkpoint` file or a work dir that has one.

    Raises:
        FileNotFoundError: there is none.
    """
    given = path
    if path.is_dir():
        path = path / "last_checkpoint"
        if not path.is_file():
            raise FileNotFoundError(f"{given} has no last_checkpoint; expected a checkpoint, or a work dir with one")
    if path.name == "last_checkpoint" and path.is_file():
        named = Path(path.read_text().strip())
        # The file holds the path as it was at training; the folder may have moved since.
        named = named if named.is_file() else path.parent / named.name
        if not named.is_file():
            raise FileNotFoundError(f"{path} names the checkpoint {named.name}, which does not exist")
        return named
    if not path.is_file():
        raise FileNotFoundError(f"checkpoint {path} does not exist")
    return path


def checkpoint_to_resume(work_dir: Path) -> Path | None:
    """Return the checkpoint that an interrupted training goes on from, None where it left none.

    It is the one that `last_checkpoint` names, or the newest whole one where that is torn or does not exist, but none
    of a run before the training was started anew. Every byte of it is read.
    """
    if not (work_dir / "last_checkpoint").is_file():
        return None
    found = [path for name in ("iter_*.pth", "epoch_*.pth", INTERRUPTED) for path in work_dir.glob(name)]
    found = [path for path in found if path.is_file()]
    with suppress(FileNotFoundError):
        started = (work_dir / EARLIER).stat().st_mtime_ns
        found = [path for path in found if path.stat().st_mtime_ns >= started]
    found.sort(key=lambda path: path.stat().st_mtime_ns, reverse=True)
    with suppress(FileNotFoundError):
        found.insert(0, resolve_checkpoint(work_dir))
    return next(filter(is_whole, found), None)


def set_earlier_run_aside(work_dir: Path) -> None:
    """Note that a training starts anew in a folder, so that nothing goes on from a run that was there before."""
    with suppress(FileNotFoundError):
        (work_dir / "last_checkpoint").replace(work_dir / EARLIER)
    with suppress(FileNotFoundError):
        os.utime(work_dir / EARLIER)


def is_whole(path: Path) -> bool:
    """Whether a file is an archive of `torch.save` with all its bytes as they were written, by its checksums.

    Raises:
        OSError: the file cannot be opened.
    """
    with path.open("rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                # `torch.save` neither compresses nor encrypts.
                plain = all(e.compress_type == zipfile.ZIP_STORED and not e.flag_bits & 1 for e in archive.infolist())
                return plain and archive.testzip() is None
        # What a changed byte in the list of entries leads to.
        except (zipfile.BadZipFile, EOFError, OSError, RuntimeError, ValueError, zlib.error):
            return False


def load_weights(model: nn.Module, path: Path) -> None:
    """Load all weights of a model of the same recipe.

    Raises:
        FileNotFoundError: there is no such file.
        UserError: as `check_covering` does.
    """
    model.load_state_dict(check_covering(model, load_checkpoint_file(path), path))


def check_covering(model: nn.Module, checkpoint: dict, path: Path) -> dict[str, Tensor]:
    """Return the weights of a checkpoint that was read, of the model's own recipe.

    They may lack what a module of the model names in `may_be_missing`: buffers that earlier versions did not have.

    Args:
        model: what the weights are for.
        checkpoint: content of the file.
        path: the file, for messages.

    Raises:
        UserError: the checkpoint lacks weights of the model, or has others; the first keys are named.
    """
    weights = checkpoint.get("state_dict")
    if not isinstance(weights, dict):
        raise UserError(f"{path}: expected a checkpoint with the key 'state_dict', found {sorted(checkpoint)[:5]}")
    newer = {
        f"{prefix}.{name}" if prefix else name
        for prefix, module in model.named_modules()
        for name in getattr(module, "may_be_missing", ())
    }
    own = {key: value for key, value in model.state_dict().items() if key in weights or key not in newer}
    found = compare(own, weights)
    if found.problems() and path.suffix == ".safetensors":
        raise UserError(
            f"{path} is an exported encoder, without the rest of the model; expected a checkpoint of this recipe "
            "(iter_*.pth, epoch_*.pth or the work dir); training starts from encoders by model.init_cfg.checkpoint"
        )
    if found.problems():
        raise UserError(
            f"checkpoint {path} is not of this recipe, it covers {len(found.matched)} of {len(own)} weights: "
            f"{found.problems()}"
        )
    return weights
