"""Key points by the tools: files of an untrained model, their scores, and what is refused."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from ponderv2.engine import load_config, parse_options
from ponderv2.engine.keypoint_export import BASELINES, file_name_of
from ponderv2.engine.keypoint_scoring import moved_distance, summary_of
from ponderv2.errors import UserError
from ponderv2.evaluation.keypoint_files import SampleKeypoints, read_keypoints, write_keypoints
from ponderv2.evaluation.keypoint_scores import KeypointCounts
from ponderv2.registry import MODELS
from tests.factories.image_teachers import random_street_teacher
from tests.factories.tool_scripts import call_tool, load_tool

SMALL = ["model.encoder.grid.size=(36,36,4)", "model.encoder.voxel_size=(0.5,0.5,0.5)"]
CHANNELS = ["model.image_branch.channels=8", "model.head.feature.channels=8", "model.image_branch.cache=None"]
POINTS = ["model.keypoints.max_points=60", "model.keypoints.descriptor_channels=8"]


@pytest.fixture(scope="module")
def untrained(repository_root, tmp_path_factory):
    """Recipe, changes and checkpoint of a model that has learned nothing."""
    folder = tmp_path_factory.mktemp("keypoints")
    recipe = repository_root / "configs" / "tiny" / "ponderv2_lidar_unet_keypoints_synthetic.py"
    options = [*SMALL, *CHANNELS, *POINTS, f"model.image_branch.teacher.path={random_street_teacher(folder)}"]
    model = MODELS.build(load_config(recipe, options=parse_options(options)).model)
    model.image_branch.fit_reduction(torch.rand(2, 3, 64, 64))
    torch.save({"state_dict": model.state_dict(), "meta": {"epoch": 0, "iter": 1}}, folder / "iter_1.pth")
    return recipe, options, folder / "iter_1.pth"


@pytest.fixture(scope="module")
def repository_root(request):
    return request.config.rootpath


@pytest.mark.parametrize("source", ["lidar", "image", "fusion"])
def test_key_points_are_written_and_scored_beside_what_needs_no_network(
    source, untrained, repository, streets, tmp_path, capsys
):
    recipe, options, checkpoint = untrained
    named = ["--data-root", streets, "--cfg-options", *options]
    arguments = [recipe, checkpoint, "--out", tmp_path / "points", "--source", source]
    code, said = call_tool(repository, "export_keypoints", arguments + named, capsys)
    assert code == 0, said
    files = sorted((tmp_path / "points").glob("*.npz"))
    assert len(files) == 2
    for path in files:
        points = read_keypoints(path)
        others = {name: read_keypoints(path.parent / name / path.name) for name in BASELINES}
        assert (points.token, points.source, len(points.model)) == (path.stem, source, 64)
        assert 5 < len(points.places) <= 60
        assert {len(other.places) for other in others.values()} == {len(points.places)}
        assert (np.diff(others["highest"].places[:, 2]) <= 0).all()
        assert (np.diff(np.linalg.norm(others["nearest"].places[:, :2], axis=1)) >= 0).all()
        assert (np.diff(points.scores) <= 0).all()
        np.testing.assert_allclose(np.linalg.norm(points.descriptors, axis=1), 1, rtol=1e-5)
        assert not np.allclose(points.lidar2global, np.eye(4))
    code, said = call_tool(
        repository, "score_keypoints", [recipe, tmp_path / "points", "--json", tmp_path / "scores.json", *named], capsys
    )
    assert code == 0, said
    scores = json.loads((tmp_path / "scores.json").read_text())
    assert (scores["pairs"], scores["source"]) == (1, source)
    for name in ("keypoints", *BASELINES):
        own, counts = scores[name], scores[name]["counts"]
        assert own["repeatability"] == counts["found"] / counts["counted"]
        assert own["repeatability_of_all"] == counts["found"] / counts["static"]
        assert (own["moving"]["counts"], own["standing"]["repeatability"]) == (counts, None)
    lines = {line[:31].strip(): line[31:].split() for line in load_tool(repository, "score_keypoints").table(scores)}
    assert lines[""] == ["keypoints", *BASELINES]
    for row in ("repeatability", "repeatability_of_all", "matching_accuracy"):
        assert lines[row] == [f"{scores[name][row]:.4g}" for name in ("keypoints", *BASELINES)]
    assert lines["repeatability, standing"] == ["-"] * 4
    assert scores["standing_pairs"] == 0
    assert len({tuple(scores[name]["counts"].values()) for name in ("keypoints", *BASELINES)}) == 4
    if source == "lidar":
        nearest = tmp_path / "points" / "nearest" / files[0].name
        _check_mixed_files_are_refused(repository, [recipe, tmp_path / "points", *named], nearest, arguments, capsys)


def _check_mixed_files_are_refused(repository, scoring, path, exporting, capsys):
    """Files of two models, sources or key frames are not scored together, and no export adds to another."""
    own = read_keypoints(path)
    for changes, line in (
        (dict(model="0" * 64), "is of the source lidar and the model 000000000000, and others are of lidar and"),
        (dict(source="image"), "is of the source image and the model"),
        (dict(token="another"), "is of the key frame 'another'"),
    ):
        write_keypoints(path, replace(own, **changes))
        code, said = call_tool(repository, "score_keypoints", scoring, capsys)
        assert (code, line in said) == (2, True), said
    code, said = call_tool(repository, "export_keypoints", [*exporting, *scoring[2:]], capsys)
    assert (code, "has 8 files of key points already" in said) == (2, True), said


@pytest.mark.parametrize("token", ["../a", "a/b", "", "a" * 300, "a\0"])
def test_a_token_that_leads_elsewhere_names_no_file(token):
    assert file_name_of("n015-2018_07.a") == "n015-2018_07.a.npz"
    with pytest.raises(UserError, match="expected a token of letters"):
        file_name_of(token)


def test_pairs_in_which_the_car_stands_are_told_apart():
    still, moved = KeypointCounts(20, 16, 10, 8, 4, 2), KeypointCounts(20, 10, 8, 2, 4, 0)
    found = summary_of([moved, still, moved], [False, True, False])
    assert (found["repeatability"], found["repeatability_of_all"], found["points"]) == (12 / 26, 12 / 36, 10)
    assert (found["standing"]["repeatability"], found["moving"]["repeatability"]) == (0.8, 0.25)
    assert (found["standing"]["matching_accuracy"], found["moving"]["counts"]["found"]) == (0.5, 4)
    nowhere = summary_of([moved], [False])["standing"]
    assert nowhere["repeatability"] is nowhere["points"] is None
    nothing, poses = np.zeros((0, 3), np.float32), (np.eye(4), np.eye(4))
    poses[1][:2, 3] = 0.3, 0.4
    samples = [SampleKeypoints(nothing, nothing, nothing[:, 0], "a", "lidar", "", pose, np.ones(6)) for pose in poses]
    assert moved_distance(*samples) == 0.5


def test_a_recipe_without_key_points_and_a_folder_without_files_are_refused(
    untrained, repository, streets, tmp_path, capsys
):
    recipe, options, checkpoint = untrained
    plain = recipe.with_name("ponderv2_lidar_unet_distil_synthetic.py")
    without = [option for option in options if not option.startswith("model.keypoints")]
    named = ["--data-root", streets, "--cfg-options", *without]
    code, said = call_tool(repository, "export_keypoints", [plain, checkpoint, "--out", tmp_path / "a", *named], capsys)
    assert code == 2
    assert "expected a recipe whose model has key points" in said
    code, said = call_tool(repository, "score_keypoints", [recipe, tmp_path, "--data-root", streets], capsys)
    assert code == 2
    assert "it has no neighboring key frames of the test data" in said
