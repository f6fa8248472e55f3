"""Scores of the classifier of points are taken from a folder only if they are of the same frames."""

from pathlib import Path

from studies.kept_points import kept_point_scores


def test_other_frames_of_the_same_share_and_seed_are_scored_anew(tmp_path, monkeypatch):
    scored = []

    def score(nuscenes, labelled, validated, seed):
        scored.append((labelled, validated))
        return {"mIoU": len(scored) / 10}

    monkeypatch.setattr("studies.kept_points._open", lambda data_root: None)
    monkeypatch.setattr("studies.kept_points.score_points", score)

    def scores(labelled, validated) -> float:
        frames = labelled.split(), validated.split()
        (found,) = kept_point_scores(tmp_path, Path("nowhere"), {"data": "1"}, 0.1, [0], lambda seed: frames)
        return found["mIoU"]

    by_frames, by_scenes, other_split = ("a b", "v"), ("c d", "v"), ("a b", "w")
    assert [scores(*frames) for frames in (by_frames, by_scenes, other_split)] == [0.1, 0.2, 0.3]
    # Two protocols of one study have theirs side by side.
    assert [scores(*frames) for frames in (by_frames, by_scenes, ("b a", "v"))] == [0.1, 0.2, 0.1]
    assert len(scored) == 3
