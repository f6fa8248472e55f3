"""Command lines of studies with named starts: what they say of all, of one recipe, or of one start."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from .encoder_study import EncoderStudy
from .recipe_parts import steps_of
from .runs import StudyError


def paths_by_name(option: str, pairs: Sequence[tuple[str, Path]]) -> dict[str, Path]:
    """Return the paths of an option `NAME=PATH` by name.

    Raises:
        StudyError: there are two for one name.
    """
    named = [name for name, _ in pairs]
    twice = next((name for name in named if named.count(name) > 1), None)
    if twice is not None:
        raise StudyError(f"{option}: expected one path for {twice}, got {named.count(twice)}")
    return dict(pairs)


def paths_of_names(option: str, where: str, pairs: Sequence[tuple[str, Path]], names: Sequence[str]) -> dict[str, Path]:
    """Return the paths of an option `NAME=PATH`, or `NAME:START=PATH`, by what stands before the path.

    Args:
        option: the option.
        where: the option that says which names are compared.
        pairs: what was given.
        names: the names that are compared.

    Raises:
        StudyError: there is a path for a name that is not compared, or two for one that is.
    """
    for key, path in pairs:
        name = key.partition(":")[0]
        if name not in names:
            raise StudyError(
                f"{option} {key}={path}: the study does not compare {name}; add it to {where} ({' '.join(names)}), or "
                "leave the option out"
            )
    return paths_by_name(option, pairs)


def one_source(pretrained: Mapping[str, Path], recipes: Mapping[str, Path]) -> None:
    """Check that nothing is both given and made.

    Raises:
        StudyError: a name is in both.
    """
    both = sorted(set(pretrained) & set(recipes))
    if both:
        raise StudyError(f"--pretrained and --pretrain-config both name {both[0]}; expected one of them")


def options_by_name(
    option: str, given: Sequence[str], names: Sequence[str]
) -> tuple[tuple[str, ...], dict[str, tuple[str, ...]]]:
    """Split changes to recipes into those of all and those of one name, `name:key=value`.

    Raises:
        StudyError: there is no such name in the study.
    """
    of_all, of_one = [], {}
    for text in given:
        key, _, value = text.partition("=")
        name, colon, key = key.rpartition(":")
        if colon and name not in names:
            raise StudyError(f"{option} {text}: expected one of {', '.join(names)} before the colon, got {name!r}")
        if colon:
            of_one[name] = (*of_one.get(name, ()), f"{key}={value}")
        else:
            of_all.append(text)
    return tuple(of_all), of_one


def cells_by_start(given: Sequence[tuple[str, str, float]]) -> dict[str, tuple[tuple[str, float], ...]]:
    """Return the recipes and shares of each start that is named."""
    found: dict[str, tuple[tuple[str, float], ...]] = {}
    for start, recipe, fraction in given:
        found[start] = (*found.get(start, ()), (recipe, fraction))
    return found


def describe_pretrainings(study: EncoderStudy) -> dict[str, dict]:
    """Say of each encoder where it is from: recipe, steps, and minutes, or the file that was given."""
    found, given = {}, study.given()
    for name in study.encoder_names():
        if name in given:
            found[name] = {"file": str(given[name])}
            continue
        path, _ = study.pretraining_recipe(name)
        done = study.pretraining(name).finished()
        made = {"minutes": done["minutes"], **done["result"], "made_with": done.get("made_with")} if done else {}
        found[name] = {"recipe": path.name, "steps": steps_of(study.pretraining_config(name)), **made}
    return found
