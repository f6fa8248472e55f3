"""Retrieval by the tools, from a checkpoint to places that are found, drawn and scored."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from ponderv2.checkpoints import export_encoder
from ponderv2.datasets.history import lidar_pose
from ponderv2.datasets.info_file import load_info_file
from ponderv2.engine import load_config, parse_options
from ponderv2.evaluation.keypoint_files import SampleKeypoints, write_keypoints
from ponderv2.registry import MODELS
from ponderv2.retrieval import PlaceIndex
from tests.factories.image_teachers import random_street_teacher
from tests.factories.tool_scripts import load_tool


def _run(repository: Path, tool: str, arguments: list) -> int:
    return load_tool(repository, tool).main([str(argument) for argument in arguments])


BOTH = ["--info-files", "nuscenes_infos_train.pkl", "nuscenes_infos_val.pkl"]


@pytest.fixture(scope="module")
def made(tmp_path_factory, streets):
    """A model with random weights, and indices by both modalities of the four key frames of two drives."""
    repository, folder = Path(__file__).parents[2], tmp_path_factory.mktemp("retrieval")
    options = ["model.encoder.grid.size=(36,36,4)", "model.encoder.voxel_size=(0.5,0.5,0.5)"]
    options += ["model.image_branch.channels=8", "model.head.feature.channels=8", "model.image_branch.cache=None"]
    options += [f"model.image_branch.teacher.path={random_street_teacher(folder)}"]
    recipe = repository / "configs/tiny/ponderv2_lidar_unet_distil_synthetic.py"
    config = load_config(recipe, options=parse_options(options))
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    model.image_branch.fit_reduction(torch.rand(2, 3, 64, 64))
    torch.save({"state_dict": model.state_dict(), "meta": {}}, folder / "model.pth")
    export_encoder(model.encoder, folder / "encoder.safetensors", config.model.encoder, config.model.data_preprocessor)
    words = [recipe, folder / "model.pth", "--data-root", streets, "--cfg-options", *options, *BOTH, "--layout"]
    return folder, words, repository


@pytest.fixture(scope="module")
def indices(made):
    folder, words, repository = made
    for modality in ("lidar", "image"):
        line = [*words, "panorama", "--modality", modality, "--out", folder / modality]
        assert _run(repository, "build_retrieval_index", line) == 0
    return folder / "lidar", folder / "image"


def test_both_modalities_are_described_in_comparable_numbers(indices):
    lidar, image = (PlaceIndex.load(path) for path in indices)
    lidar.check_comparable(image, "image")
    assert [r.token for r in lidar.records] == [r.token for r in image.records]
    assert len(lidar.records) == 4
    assert len({r.location for r in lidar.records}) == len({r.log for r in lidar.records}) == 2
    np.testing.assert_allclose(np.linalg.norm(lidar.vectors, axis=1), 1.0, rtol=1e-5)
    assert np.abs(lidar.vectors - image.vectors).max() > 0.01


def test_a_place_is_found_printed_and_drawn_without_a_model(indices, made, streets, tmp_path, capsys):
    lidar, image = indices
    record = PlaceIndex.load(image).records[0]
    line = [record.token, "--index", lidar, "--queries", image, "--data-root", streets, "--out", tmp_path / "f.png"]
    assert _run(made[2], "retrieve", line) == 0
    said = capsys.readouterr().out
    answers = [text.split() for text in said.splitlines()]
    # The two key frames of its own drive, half a second apart, are of the same pass.
    assert [words[0] for words in answers] == ["1", "2", "drawn:"]
    assert all(words[3] != record.location and words[-2:] == ["another", "map"] for words in answers[:2])
    assert np.asarray(Image.open(tmp_path / "f.png").convert("RGB")).std() > 20


def test_files_are_described_by_the_model_and_find_their_own_key_frame(made, streets, capsys):
    folder, words, repository = made
    line = [*words, "whole", "--modality", "image", "--out", folder / "whole"]
    assert _run(repository, "build_retrieval_index", line) == 0
    index = PlaceIndex.load(folder / "whole")
    model = ["--index", folder / "whole", "--recipe", words[0], "--checkpoint", words[1]]
    model += ["--cfg-options", *words[5 : words.index("--info-files")]]
    capsys.readouterr()
    assert _run(repository, "retrieve", [streets / index.records[1].image_path, *model]) == 0
    said = capsys.readouterr().out
    assert len(said.splitlines()) == 4
    line = [*words, "whole", "--out", folder / "whole_lidar"]
    assert _run(repository, "build_retrieval_index", line) == 0
    model[1] = folder / "whole_lidar"
    capsys.readouterr()
    assert _run(repository, "retrieve", [streets / index.records[1].lidar_path, *model]) == 0
    said = capsys.readouterr().out
    assert said.split()[:3] == ["1", "1.000", index.records[1].token]


@pytest.mark.parametrize(("layout", "channels"), [("vlad", "image"), ("polar", "height")])
def test_files_find_their_own_key_frame_in_whatever_layout_and_channels(
    layout, channels, made, streets, tmp_path, capsys
):
    _, words, repository = made
    vocabulary = ["--vocabulary", tmp_path / "words.safetensors"] if layout == "vlad" else []
    line = [*words, layout, "--channels", channels, "--words", 4, *vocabulary, "--out", tmp_path / "index"]
    assert _run(repository, "build_retrieval_index", line) == 0
    record = PlaceIndex.load(tmp_path / "index").records[1]
    model = ["--index", tmp_path / "index", "--recipe", words[0], "--checkpoint", words[1]]
    model += ["--cfg-options", *words[5 : words.index("--info-files")]]
    capsys.readouterr()
    assert _run(repository, "retrieve", [streets / record.lidar_path, *model, *vocabulary]) == 0
    assert capsys.readouterr().out.split()[:3] == ["1", "1.000", record.token]
    if layout == "vlad":
        assert _run(repository, "retrieve", [streets / record.lidar_path, *model]) == 2
        assert "the index has the layout vlad; give its --vocabulary" in capsys.readouterr().err
    if channels == "height":
        assert _run(repository, "retrieve", [streets / record.image_path, *model, *vocabulary]) == 2
        assert "pictures have no heights" in capsys.readouterr().err


def test_files_for_indices_of_texts_and_key_points_are_told_what_is_missing(indices, made, streets, tmp_path, capsys):
    record = PlaceIndex.load(indices[0]).records[0]
    model = ["--recipe", made[1][0], "--checkpoint", made[1][1]]
    for channels, line in (
        ("text", "the index has the channels text; give its --text-model"),
        ("8 channels of key points", "the index is of 8 channels of key points, which files do not have"),
    ):
        index = _some(indices[0], [0], tmp_path / channels[:4], channels=channels)
        assert _run(made[2], "retrieve", [streets / record.lidar_path, "--index", index, *model]) == 2
        assert line in capsys.readouterr().err


def test_scores_are_a_table_and_a_file(indices, made, tmp_path, capsys):
    queries = _some(indices[1], [0, 1, 2, 3], tmp_path / "queries", log="another pass")
    line = ["--index", indices[0], "--queries", queries, "--evaluate", tmp_path / "scores.json"]
    assert _run(made[2], "retrieve", line) == 0
    lines = capsys.readouterr().out.splitlines()
    scores = json.loads((tmp_path / "scores.json").read_text())["scores"]
    titles, near, far, *duplicates, written = lines
    assert titles.split() == ["within", "queries", *(f"{k}@{n}" for k in ("recall", "chance") for n in (1, 5, 10))]
    assert near.split()[:4] == ["5m", "4", "of", "4"]
    assert [float(value) for value in far.split()[4:]] == pytest.approx(
        [scores["25m"][name] for name in titles.split()[2:]], abs=1e-3
    )
    assert [text.split(":")[0] for text in duplicates] == ["duplicates within 5m", "duplicates within 25m"]
    assert written == f"written: {tmp_path / 'scores.json'}"


def test_without_a_right_answer_nothing_is_scored(indices, made, tmp_path, capsys):
    # Two drives, each in a town of its own.
    line = ["--index", indices[0], "--queries", indices[1], "--evaluate", tmp_path / "scores.json"]
    assert _run(made[2], "retrieve", line) == 2
    assert "no query of 4 has a right answer" in (said := capsys.readouterr().err)
    assert said.strip().endswith("give --queries of the other pass")
    assert not (tmp_path / "scores.json").exists()


def test_the_key_frames_of_an_index_are_listed(indices, made, capsys):
    capsys.readouterr()
    assert _run(made[2], "retrieve", ["--index", indices[0], "--list"]) == 0
    records = PlaceIndex.load(indices[0]).records
    assert [line.split()[:3] for line in capsys.readouterr().out.splitlines()] == [
        [r.token, r.location, r.log] for r in records
    ]
    assert _run(made[2], "retrieve", ["nothing", "--index", indices[0]]) == 2
    assert "--list has them" in capsys.readouterr().err


def test_nothing_is_drawn_of_another_data_set_whose_files_have_the_same_names(indices, made, streets, tmp_path, capsys):
    record = PlaceIndex.load(indices[0]).records[0]
    copy = tmp_path / "other"
    (copy / record.lidar_path).parent.mkdir(parents=True)
    (copy / record.lidar_path).write_bytes((streets / record.lidar_path).read_bytes()[:-20])
    line = [record.token, "--index", indices[0], "--data-root", copy, "--out", tmp_path / "f.png"]
    assert _run(made[2], "retrieve", line) == 2
    assert f"{record.lidar_path} is not the sweep that the index was made of" in capsys.readouterr().err
    assert not (tmp_path / "f.png").exists()


def _some(path: Path, rows: list[int], out: Path, log: str | None = None, **changes) -> Path:
    """Write an index of some of the places of another, of another log where that is given."""
    index = PlaceIndex.load(path)
    replace(
        index,
        vectors=index.vectors[rows],
        records=[replace(index.records[row], log=log or index.records[row].log) for row in rows],
        describer=replace(index.describer, **changes),
    ).save(out)
    return out


def test_a_projection_is_not_scored_on_what_it_was_fitted_to_nor_used_for_other_channels(
    indices, made, tmp_path, capsys
):
    first = PlaceIndex.load(indices[0]).records[0].token
    fitted, others = (_some(indices[0], rows, tmp_path / f"{rows}") for rows in ([0, 1], [2, 3]))
    fit = ["--lidar", fitted, "--out", tmp_path / "p.safetensors"]
    assert _run(made[2], "fit_retrieval_projection", fit) == 0
    line = ["--projection", tmp_path / "p.safetensors", "--evaluate", tmp_path / "scores.json"]
    for index, queries in ((fitted, others), (others, fitted)):
        capsys.readouterr()
        assert _run(made[2], "retrieve", ["--index", index, "--queries", queries, *line]) == 2
        assert f"it was fitted to 2 of the key frames to score, first {first}" in capsys.readouterr().err
    assert _run(made[2], "retrieve", ["--index", others, "--queries", others, *line]) == 2
    assert "all are of the same pass" in capsys.readouterr().err
    volume = _some(indices[0], [2, 3], tmp_path / "volume", channels="volume")
    assert _run(made[2], "retrieve", ["--index", volume, *line]) == 2
    assert "channels is image instead of volume" in capsys.readouterr().err


def test_a_fitted_common_space_is_used_for_both(indices, made, tmp_path, capsys):
    lidar, image = indices
    fitted = [_some(path, [0, 1], tmp_path / f"{path.name}_fit") for path in indices]
    lidar = _some(lidar, [2], tmp_path / "lidar")
    image = _some(image, [2, 3], tmp_path / "image", log="another pass")
    fit = ["--lidar", fitted[0], "--image", fitted[1], "--out", tmp_path / "p.safetensors"]
    assert _run(made[2], "fit_retrieval_projection", fit) == 0
    more = ["--method", "correlations", "--channels", 2]
    assert _run(made[2], "fit_retrieval_projection", [*fit[:-1], tmp_path / "c.safetensors", *more]) == 0
    line = ["--index", lidar, "--queries", image, "--projection", tmp_path / "p.safetensors", "--evaluate"]
    assert _run(made[2], "retrieve", [*line, tmp_path / "scores.json"]) == 0
    content = json.loads((tmp_path / "scores.json").read_text())
    assert (len(content["projection"]), content["scores"]["25m"]["recall@1"]) == (64, 1.0)


def test_heights_alone_are_a_baseline_without_any_network(made, capsys):
    folder, words, repository = made
    line = [*words, "polar", "--channels", "height", "--out", folder / "height"]
    assert _run(repository, "build_retrieval_index", line) == 0
    index = PlaceIndex.load(folder / "height")
    # Ten rings of thirty sectors: four layers above zero and below it, and whether there is anything.
    assert index.vectors.shape == (4, 10 * 30 * (2 * 4 + 1))
    below = index.vectors.reshape(4, 300, 9)[:, :, 4:8]
    assert not below.any()
    # Of any checkpoint, and without one: only the grid counts.
    alone = [words[0], *line[2:-1], folder / "alone"]
    assert _run(repository, "build_retrieval_index", alone) == 0
    index.check_comparable(PlaceIndex.load(folder / "alone"), "alone")
    assert _run(repository, "build_retrieval_index", [*line, "--modality", "image"]) == 2
    assert "pictures have no heights" in capsys.readouterr().err


def test_pictures_are_not_described_by_distances(made, capsys):
    folder, words, repository = made
    line = [*words, "polar", "--modality", "image", "--out", folder / "distances"]
    assert _run(repository, "build_retrieval_index", line) == 2
    assert "pictures know no distances; give --layout panorama, whole or vlad" in capsys.readouterr().err
    assert not (folder / "distances").exists()


def test_an_exported_encoder_describes_by_the_channels_of_its_volume(made, capsys):
    folder, words, repository = made
    # It needs no file of the teacher.
    branch = [word for word in words[2:] if "teacher.path" not in str(word)]
    line = [words[0], folder / "encoder.safetensors", *branch, "polar", "--out", folder / "volume"]
    assert _run(repository, "build_retrieval_index", line) == 0
    assert PlaceIndex.load(folder / "volume").describer.channels == "volume"
    assert _run(repository, "build_retrieval_index", [*line, "--modality", "image", "--layout", "panorama"]) == 2
    assert "has no features of images" in capsys.readouterr().err


def test_places_are_described_by_key_points_as_well(made, streets, tmp_path, capsys):
    folder, words, repository = made
    rng = np.random.default_rng(0)
    frames = load_info_file(streets / "nuscenes_infos_train.pkl")["data_list"]
    poses = {frame["token"]: lidar_pose(frame) for frame in frames}
    tokens = list(poses)
    for token, pose in poses.items():
        places, descriptors = ((rng.normal(size=(40, n)) * k).astype(np.float32) for n, k in ((3, 15), (6, 1)))
        scores, box = np.ones(40, np.float32), np.array([-50, -50, -5, 50, 50, 3], np.float32)
        points = SampleKeypoints(places, descriptors, scores, token, "lidar", "ab" * 32, pose, box)
        write_keypoints(tmp_path / f"{token}.npz", points)
    common = [words[0], *words[2 : words.index("--layout")], "--keypoints", tmp_path, "--out", folder / "keypoints"]
    for layout in (["polar"], ["vlad", "--words", 4, "--vocabulary", tmp_path / "words.safetensors"]):
        capsys.readouterr()
        assert _run(repository, "build_retrieval_index", [*common, "--layout", *layout]) == 0
        assert f"2 of 4 key frames are described; 2 have no file in {tmp_path}" in capsys.readouterr().out
        index = PlaceIndex.load(folder / "keypoints")
        assert [record.token for record in index.records] == tokens
    assert index.vectors.shape == (2, 4 * 6)
    assert index.describer.encoder == "ab" * 32
    moved = pose.copy()
    moved[0, 3] += 3.0
    write_keypoints(tmp_path / f"{token}.npz", replace(points, lidar2global=moved))
    other = [*common[:-1], folder / "of_other_data", "--layout", "polar"]
    assert _run(repository, "build_retrieval_index", other) == 2
    assert f"the pose of key frame {token} is not that of the info file" in capsys.readouterr().err
    assert not (folder / "of_other_data").exists()
    write_keypoints(tmp_path / f"{token}.npz", replace(points, model="cd" * 32))
    assert _run(repository, "build_retrieval_index", [*common, "--layout", "polar"]) == 2
    assert "is of the model cdcdcdcdcdcd, and others are of abababababab" in capsys.readouterr().err
