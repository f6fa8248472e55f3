"""What a study is going to train, before it does: `--plan`."""

from .encoder_study import EncoderStudy
from .measured_values import markdown_table
from .recipe_parts import steps_of
from .runs import RESULT


def planned_runs(study: EncoderStudy) -> str:
    """Return a table of all trainings of a study, with their steps and what is finished, and the sums below."""
    given = study.given()
    steps = {
        f"pretrain/{name}": steps_of(study.pretraining_config(name))
        for name in study.encoder_names()
        if name not in given
    }
    steps |= {f"runs/{run.name}": steps_of(study.config_of(run)[0]) for run in study.runs()}
    finished = {name for name in steps if (study.out / name / RESULT).is_file()}
    table = [
        (name, "epochs" if number is None else f"{number:,}", "finished" if name in finished else "to do")
        for name, number in steps.items()
    ]
    left = sum(number or 0 for name, number in steps.items() if name not in finished)
    sums = f"{len(steps)} trainings, {len(finished)} finished; {left:,} steps to do"
    return f"{markdown_table(('training', 'steps', 'state'), table)}\n\n{sums}"
