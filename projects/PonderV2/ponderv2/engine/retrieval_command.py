"""What tools/build_retrieval_index.py, fit_retrieval_projection.py and retrieve.py do."""

import argparse
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from ponderv2.atomic_files import write_atomically
from ponderv2.datasets.data_files import read_image, read_point_file
from ponderv2.errors import UserError
from ponderv2.retrieval import (
    PlaceIndex,
    PlaceRecord,
    Projection,
    evaluate_retrieval,
    fit_centering,
    fit_common_space,
    hashes_of,
    load_vocabulary,
    place_descriptor,
    relation,
    score_lines,
    sentence_vector,
    sweep_hash,
    vocabulary_fingerprint,
)
from ponderv2.visualization import ShownPlace, color_of_distance, draw_retrieval_panel, save_png

from .describe_places import CHANNELS, load_describer


def fit_projection(given: argparse.Namespace) -> Projection:
    """Fit a projection as the command line of tools/fit_retrieval_projection.py says, and write it."""
    if given.out.suffix != ".safetensors":
        raise UserError(f"--out {given.out}: expected a file *.safetensors")
    found = {name: PlaceIndex.load(path) for name in ("lidar", "image") if (path := getattr(given, name)) is not None}
    if not found:
        raise UserError("expected --lidar, --image or both")
    for name, index in found.items():
        if index.modality != name:
            raise UserError(f"--{name} {getattr(given, name)}: it is an index by {index.modality}")
    first = next(iter(found.values()))
    made_by = first.describer
    if len(found) == 2:
        found["lidar"].check_comparable(found["image"], f"--image {given.image}")
    tokens = sorted({record.token for index in found.values() for record in index.records})
    if given.method == "center":
        vectors = {name: index.vectors for name, index in found.items()}
        projection = fit_centering(vectors, made_by, tokens)
    else:
        image, lidar = _pairs(given, found)
        projection = fit_common_space(image, lidar, made_by, tokens, given.channels, given.ridge)
    projection.save(given.out)
    return projection


def _pairs(given: argparse.Namespace, found: dict[str, PlaceIndex]) -> tuple[np.ndarray, np.ndarray]:
    """Return the descriptors by pictures and by LiDAR of the key frames that both indices have."""
    if len(found) < 2:
        raise UserError("--method correlations: expected both --lidar and --image")
    rows = {record.token: k for k, record in enumerate(found["image"].records)}
    pairs = [(k, rows[r.token]) for k, r in enumerate(found["lidar"].records) if r.token in rows]
    if len(pairs) < 2:
        raise UserError(f"--lidar {given.lidar} and --image {given.image} share {len(pairs)} key frames")
    own, other = (list(side) for side in zip(*pairs))
    return found["image"].vectors[other], found["lidar"].vectors[own]


def list_places(given: argparse.Namespace) -> list[str]:
    """Return a line for each key frame of --queries, or of the index: token, map, log, seconds and position."""
    index = PlaceIndex.load(given.index if given.queries is None else given.queries)
    return [f"{r.token}  {r.location}  {r.log}  {r.time:.1f} s  {r.x:.1f} {r.y:.1f} m" for r in index.records]


def evaluate(given: argparse.Namespace) -> list[str]:
    """Score the queries of an index, and write the scores with what they are of; returns a table.

    Raises:
        UserError: an index cannot be used, the projection was fitted to a key frame of them, or no query has a right
            answer.
    """
    index, queries, projection = _indices(given)
    if projection is not None:
        tokens = [record.token for part in (index, queries) for record in part.records]
        fitted = np.isin(hashes_of(tokens), projection.frames)
        if fitted.any():
            raise UserError(
                f"--projection {given.projection}: it was fitted to {int(fitted.sum())} of the key frames to score, "
                f"first {tokens[int(fitted.argmax())]}; fit it to other drives"
            )
    scores = evaluate_retrieval(index, queries)
    if not any(of_radius["queries"] for of_radius in scores.values()):
        raise UserError(
            f"no query of {len(queries.records)} has a right answer: none passes a place of the index within "
            f"{' or '.join(scores)} at another time; give --queries of the other pass"
        )
    found = {
        "index": {"modality": index.modality, "places": len(index.records)},
        "queries": {"modality": queries.modality, "places": len(queries.records)},
        "settings": index.describer.settings.to_json(),
        "channels": index.describer.channels,
        "projection": index.describer.projection,
        "scores": scores,
    }
    write_atomically(given.evaluate, (json.dumps(found, indent=2, allow_nan=False) + "\n").encode())
    return [*score_lines(scores), f"written: {given.evaluate}"]


def retrieve(given: argparse.Namespace) -> list[str]:
    """Search for a query; returns a line for each place that was found, and draws them where that is asked for."""
    if (given.query is None) == (given.text is None):
        raise UserError("expected a QUERY or --text, one of them")
    if given.out is not None and given.data_root is None:
        raise UserError("--out: drawing needs --data-root, the folder of the data")
    index, queries, _ = _indices(given)
    vector, record, shown = _sentence(given, index) if given.text else _query(given, index, queries)
    others = 0 if record is None else sum(relation(record, place).same_pass for place in index.records)
    cosine, found = index.search(vector[None], given.count + others)
    lines, places = [], [shown]
    for score, number in zip(cosine[0].tolist(), found[0].tolist()):
        place = index.records[number]
        between = None if record is None else relation(record, place)
        if between is not None and between.same_pass:
            continue
        if len(places) > given.count:
            break
        away = "" if between is None else f"{between.distance:.1f} m" if between.same_map else "another map"
        lines.append(f"{len(places)}  {score:6.3f}  {place.token}  {place.location}  {place.log}  {away}".rstrip())
        title = f"{len(places)}: {score:.3f}  {away}\n{place.location}\n{place.log}"
        distance = None if between is None else between.distance
        places.append(_shown(given, place, title, color_of_distance(distance)))
    if given.out is not None:
        save_png(draw_retrieval_panel(places, f"query by {queries.modality}, places by {index.modality}"), given.out)
        lines.append(f"drawn: {given.out}")
    return lines


def _indices(given: argparse.Namespace) -> tuple[PlaceIndex, PlaceIndex, Projection | None]:
    """Return the index and that of the queries, both projected where that is asked for, and the projection."""
    index = PlaceIndex.load(given.index)
    queries = index if given.queries is None else PlaceIndex.load(given.queries)
    index.check_comparable(queries, f"--queries {given.queries}")
    if given.projection is None:
        return index, queries, None
    projection = Projection.load(given.projection)
    own, wanted = projection.made_by.told(), index.describer.told()
    other = next((name for name in own if own[name] != wanted[name]), None)
    if other is not None:
        raise UserError(
            f"--projection {given.projection}: it was fitted to other descriptors than those of the index: {other} is "
            f"{own[other]} instead of {wanted[other]}"
        )
    return index.projected(projection), queries.projected(projection), projection


def _sentence(given: argparse.Namespace, index: PlaceIndex) -> tuple[np.ndarray, None, ShownPlace]:
    """Return the vector of a sentence, and what is drawn of it."""
    if given.text_model is None:
        raise UserError("--text: expected --text-model, the folder of a CLIP or SigLIP model")
    if index.describer.channels != "text" or given.projection is not None:
        raise UserError(
            "--text: expected an index of --channels text (tools/build_retrieval_index.py) and no --projection, the "
            f"index has {index.describer.channels}"
        )
    vector = sentence_vector(given.text_model, given.text).numpy()
    if len(vector) != index.vectors.shape[1]:
        raise UserError(f"--text-model {given.text_model}: is not the model that the index was made with")
    return vector, None, ShownPlace(f"“{given.text}”", color="#202020")


def _query(
    given: argparse.Namespace, index: PlaceIndex, queries: PlaceIndex
) -> tuple[np.ndarray, PlaceRecord | None, ShownPlace]:
    """Return the descriptor of the query, its record if it is a key frame, and what is drawn of it."""
    for among in (queries, index):
        row = among.row_of(given.query)
        if row is not None:
            record = among.records[row]
            title = f"query by {among.modality}\n{record.location}\n{record.log}"
            return among.vectors[row], record, _shown(given, record, title, "#202020")
    path = Path(given.query)
    if not path.is_file():
        raise UserError(
            f"query {given.query}: is neither the token of a key frame of the index or --queries (--list has them) "
            "nor a file"
        )
    if given.recipe is None or given.checkpoint is None:
        raise UserError(f"query {path}: a file is described by a model; give --recipe and --checkpoint")
    return _describe_file(given, path, index)


def _describe_file(given: argparse.Namespace, path: Path, index: PlaceIndex) -> tuple[np.ndarray, None, ShownPlace]:
    settings, words = index.describer.settings, None
    channels, *vocabulary = index.describer.channels.split(" ")
    if channels not in CHANNELS:
        raise UserError(
            f"query {path}: the index is of {index.describer.channels}, which files do not have; give the token of a "
            "key frame"
        )
    if settings.layout == "vlad":
        if given.vocabulary is None:
            raise UserError(f"query {path}: the index has the layout vlad; give its --vocabulary")
        words = load_vocabulary(given.vocabulary)
        if vocabulary != [vocabulary_fingerprint(words)]:
            raise UserError(f"--vocabulary {given.vocabulary}: is not that of the index")
    if channels == "text" and given.text_model is None:
        raise UserError(f"query {path}: the index has the channels text; give its --text-model")
    if channels == "height" and path.suffix != ".bin":
        raise UserError(f"query {path}: the index has the channels height, and pictures have no heights")
    text_model = given.text_model if channels == "text" else None
    changes = given.cfg_options
    describer = load_describer(given.recipe, given.checkpoint, None, changes, channels, given.device, text_model)
    points, picture = None, None
    if path.suffix == ".bin":
        points = read_point_file(path)
        modality, around = "lidar", describer.of_points(torch.from_numpy(points[:, :5].copy()))
    else:
        picture = read_image(path)
        if settings.layout not in ("whole", "vlad"):
            raise UserError(
                f"query {path}: one picture shows a part of the surroundings alone, and the layout {settings.layout} "
                "is of all of them; give the token of a key frame, or build the index with --layout whole"
            )
        modality, around = "image", describer.of_picture(torch.from_numpy(picture))
    vector = place_descriptor(around.places, around.features, settings, words).cpu().numpy()[None]
    made_by = replace(describer.describer(settings), channels=" ".join([channels, *vocabulary]))
    own = PlaceIndex(vector, [PlaceRecord(path.name, "", "", 0.0, 0.0, 0.0)], modality, made_by)
    if given.projection is not None:
        own = own.projected(Projection.load(given.projection))
    index.check_comparable(own, f"query {path}")
    return own.vectors[0], None, ShownPlace(f"query by {modality}\n{path.name}", picture, points, "#202020")


def _shown(given: argparse.Namespace, record: PlaceRecord, title: str, color: str) -> ShownPlace:
    if given.out is None:
        return ShownPlace(title)
    picture, sweep = given.data_root / record.image_path, given.data_root / record.lidar_path
    if record.lidar_path and sweep.is_file() and record.sweep_hash not in ("", sweep_hash(sweep)):
        raise UserError(
            f"--data-root {given.data_root}: {record.lidar_path} is not the sweep that the index was made of; give the "
            "folder of its data: synthetic data sets share the names of their files"
        )
    return ShownPlace(
        title,
        read_image(picture) if record.image_path and picture.is_file() else None,
        read_point_file(sweep) if record.lidar_path and sweep.is_file() else None,
        color,
    )
