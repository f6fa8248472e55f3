"""A resumed training goes on as if it had not been interrupted."""

from collections.abc import Sequence

from mmengine.dist import all_gather_object, get_rank
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase

from ponderv2.engine.seeded_samples import ITERATION, PlacedSampler, seed_all
from ponderv2.engine.unwrapping import unwrapped
from ponderv2.registry import HOOKS


@HOOKS.register_module()
class ExactResumeHook(Hook):
    """Makes all that an iteration draws depend on the seed and its number alone, and keeps what mmengine forgets.

    Masks, jitter of samples along rays, noise of denoising queries, dropout and dropped paths come from generators that
    are seeded before each iteration, by the seed of the process and the number of the iteration; so no state of theirs
    is in a checkpoint. A checkpoint has, beside what mmengine keeps, the position in the order of the samples, and of
    each process the running statistics of its norms and the gradients that are not yet applied.
    """

    # After hooks that change the model, and before the one that writes checkpoints.
    priority = "LOW"

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Sequence | dict | None = None) -> None:
        seed_all(ITERATION, runner.seed, runner.iter)

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Sequence | dict | None = None, outputs: dict | None = None
    ) -> None:
        if sampler := _placed_sampler(runner):
            sampler.position += runner.train_dataloader.batch_size

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        if "optimizer" not in checkpoint:
            return
        checkpoint["ranks"] = runner.rank_states
        if sampler := _placed_sampler(runner):
            checkpoint["sampler"] = sampler.state()

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        if not runner._resume:
            return
        sampler, ranks = _placed_sampler(runner), checkpoint.get("ranks", [])
        if sampler is None or "sampler" not in checkpoint:
            runner.logger.warning("the order of the samples is not kept: it begins anew, and is not that of one run")
        else:
            sampler.go_on(checkpoint["sampler"])
        if len(ranks) != runner.world_size:
            if ranks:
                waiting = any(rank["gradients"] for rank in ranks)
                runner.logger.warning(
                    f"the checkpoint is of {len(ranks)} processes, this training has {runner.world_size}: running "
                    "statistics are those of its first process"
                    + (", gradients that wait for their step are left out" if waiting else "")
                )
            return
        state = ranks[get_rank()]
        # mmengine loads these after the hooks.
        checkpoint["state_dict"].update(state["statistics"])
        parameters = dict(unwrapped(runner.model).named_parameters())
        for name, gradient in state["gradients"].items():
            parameters[name].grad = gradient.to(parameters[name].device)


def gather_rank_states(model: nn.Module) -> list[dict[str, dict[str, Tensor]]]:
    """Return what differs between the processes of a training, of each; all processes call it together.

    Args:
        model: the model, wrapped or not.

    Returns:
        `statistics`, the buffers of batch norms, and `gradients`, which there are between the iterations of one step
        (`accumulative_counts`); both by name, on the CPU.
    """
    model = unwrapped(model)
    norms = [(name, module) for name, module in model.named_modules() if isinstance(module, _NormBase)]
    state = {
        "statistics": {f"{name}.{key}": value.cpu() for name, norm in norms for key, value in norm.named_buffers()},
        "gradients": {name: p.grad.cpu() for name, p in model.named_parameters() if p.grad is not None},
    }
    return all_gather_object(state)


def _placed_sampler(runner: Runner) -> PlacedSampler | None:
    """Return the sampler of the training; None where the recipe has a loop or loader of another kind."""
    sampler = runner.train_dataloader.sampler
    return sampler if isinstance(sampler, PlacedSampler) else None
