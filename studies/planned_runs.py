"""What a study is going to train, before it does: `--plan`."""

from .encoder_study import EncoderStudy
from .measured_values import markdown_table
from .recipe_parts import steps_of
from .runs import RESULT


def planned_runs(study: EncoderStudy) -> str:
    """Return a table of all trainings of a study, with their steps and what is finished, and the sums below."""
    given = study.given()
    rows = [
        (f"pretrain/{name}", steps_of(study.pretraining_config(name)))
        for name in study.encoder_names()
        if name not in given
    ]
    rows += [(f"runs/{run.name}", steps_of(study.config_of(run)[0])) for run in study.runs()]
    finished = [(study.out / name / RESULT).is_file() for name, _ in rows]
    table = [
        (name, "epochs" if steps is None else f"{steps:,}", "finished" if there else "to do")
        for (name, steps), there in zip(rows, finished, strict=True)
    ]
    left = sum(steps or 0 for (_, steps), there in zip(rows, finished, strict=True) if not there)
    sums = f"{len(rows)} trainings, {sum(finished)} finished; {left:,} steps to do"
    return f"{markdown_table(('training', 'steps', 'state'), table)}\n\n{sums}"
