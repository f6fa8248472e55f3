"""The constant predictors of a study: one for each choice of labels, kept until what it depends on changes."""

import pytest

from studies.study_run import Run
from studies.transfer_constants import constant_scores
from tests.factories.training_runs import DETECTOR

SCORED = DETECTOR + 'val_evaluator = dict(type="PonderNuScenesMetric", data_root="somewhere")\n'


class Scoring:
    """Stands in for `score_constant`: mAP is the fraction plus a hundredth a seed."""

    def __init__(self) -> None:
        self.calls: list[tuple[float, int]] = []

    def __call__(self, config, key: str) -> dict[str, float]:
        assert key == "train_dataloader.dataset.dataset"
        dataset = config.train_dataloader.dataset.dataset
        self.calls.append((dataset.fraction, dataset.fraction_seed))
        return {"mAP": dataset.fraction + dataset.fraction_seed / 100, "NDS": 0.3}


@pytest.fixture
def make_scored_study(make_study, tmp_path):
    (tmp_path / "scored.py").write_text(SCORED)
    recipes = dict.fromkeys(("lidar", "camera"), tmp_path / "scored.py")
    return lambda **changes: make_study(**{"configs": recipes, "fractions": (0.1, 0.5)} | changes)


def test_each_share_and_seed_has_a_predictor_and_equal_data_share_it(make_scored_study):
    scoring = Scoring()
    found = constant_scores(make_scored_study(models=("lidar", "camera")), scoring)
    assert scoring.calls == [(0.1, 0), (0.1, 1), (0.5, 0), (0.5, 1)]
    assert len(found) == 8
    for modality in ("lidar", "camera"):
        assert found[Run(modality, 0.5, "constant", 1)]["mAP"] == pytest.approx(0.51)


def test_scores_are_kept_until_the_data_or_their_choice_change(make_scored_study):
    study = make_scored_study()
    first = constant_scores(study, Scoring())
    again = Scoring()
    assert constant_scores(study, again) == first
    assert again.calls == []
    constant_scores(make_scored_study(seeds=(0, 1, 2)), again)
    assert again.calls == [(0.1, 2), (0.5, 2)]
    constant_scores(make_scored_study(options=("train_dataloader.dataset.dataset.load_interval=2",)), again)
    assert len(again.calls) == 6
    (study.data_root / "val.pkl").write_text("other")
    constant_scores(study, again)
    assert len(again.calls) == 10


def test_scores_are_made_anew_for_other_true_boxes_or_another_fit(make_scored_study, monkeypatch):
    study, scoring = make_scored_study(fractions=(0.1,), seeds=(0,)), Scoring()
    (study.data_root / "v1.0-mini").mkdir()
    for k, table in enumerate(("sample_annotation", "sample_annotation", "category", "log"), start=1):
        (study.data_root / "v1.0-mini" / f"{table}.json").write_text(f"[{k}]")
        constant_scores(study, scoring)
        constant_scores(study, scoring)
        assert len(scoring.calls) == min(k, 3), table
    monkeypatch.setattr("studies.transfer_constants.FIT", 99)
    constant_scores(study, scoring)
    assert len(scoring.calls) == 4


@pytest.mark.parametrize("text", ["{", "[1]", "", '{"settings": {}}'])
def test_a_damaged_file_is_made_anew_and_named(make_scored_study, capsys, text):
    study, scoring = make_scored_study(fractions=(0.1,), seeds=(0,)), Scoring()
    first = constant_scores(study, scoring)
    path = study.out / "constant" / "lidar_0.1_constant_seed0.json"
    path.write_text(text)
    capsys.readouterr()
    assert constant_scores(study, scoring) == first
    assert capsys.readouterr().out == f"{path} is damaged; it is made anew\n"
    assert len(scoring.calls) == 2
    constant_scores(study, scoring)
    assert len(scoring.calls) == 2
