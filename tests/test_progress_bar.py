"""A bar that is printed anew while nothing is finished."""

import threading
import time

import pytest

from ponderv2.progress_bar import progress_bar


def test_the_bar_is_printed_again_while_a_piece_of_work_takes_long(capsys):
    with progress_bar(3, "work", "piece", initial=1, seconds=0.05) as bar:
        before = capsys.readouterr().err
        deadline = time.monotonic() + 5
        printed = ""
        while printed.count("1/3") < 3 and time.monotonic() < deadline:
            time.sleep(0.05)
            printed += capsys.readouterr().err
        bar.update(2)
    assert "1/3" in before
    assert printed.count("1/3") >= 3
    assert "3/3" in capsys.readouterr().err


def test_nothing_goes_on_when_the_work_fails():
    running = threading.active_count()
    with pytest.raises(RuntimeError, match="the work"), progress_bar(3, "work", "piece"):
        raise RuntimeError("the work")
    assert threading.active_count() == running
