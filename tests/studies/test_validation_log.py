"""What is read of the log of a training that was killed."""

import pytest

from studies.runs import StudyError
from studies.validation_log import validations


@pytest.fixture
def logs(tmp_path):
    """Writes the log of a start of the training."""

    def write(start: str, text: bytes) -> None:
        folder = tmp_path / start / "vis_data"
        folder.mkdir(parents=True)
        (folder / "scalars.json").write_bytes(text)

    return write


def test_a_last_line_that_is_cut_says_nothing(tmp_path, logs):
    logs("20260101", b'{"loss": 1.0, "iter": 50}\n{"loss": 0.9, "it')
    logs("20260102", b'{"loss": 0.5, "iter": 300}\n{"lidarseg/mIoU": 0.4, "step": 0}\n{"time": "\xe2')
    assert validations(tmp_path, "lidarseg/", ("mIoU",)) == {"mIoU": 0.4}


def test_a_damaged_line_in_the_middle_is_named(tmp_path, logs):
    logs("20260101", b'{"loss": 1.0, "it\n{"lidarseg/mIoU": 0.4, "step": 0}\n')
    with pytest.raises(StudyError, match=r"scalars\.json, line 1: expected JSON, got '{.loss"):
        validations(tmp_path, "lidarseg/", ("mIoU",))
