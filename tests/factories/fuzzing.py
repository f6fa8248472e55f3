"""Files that were honest once, changed at random, and a watch over what reading them does."""

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

ATTACKS = (
    b"cos\nsystem\n(S'touch it_ran'\ntR.",
    b"cposix\nmkdir\n(S'it_ran'\ntR",
    b'c__builtin__\neval\n(S\'open("it_ran", "w")\'\ntR.',
    b"\x8c\x05posix\x8c\x06system\x93\x8c\x0ctouch it_ran\x85R",
    b"\x8c\x08builtins\x8c\x07getattr\x93",
    b"\x82\x01",
    b"\x92",
    b"\x81",
    b"b",
    b"R",
    b"\x8e\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\x95\xff\xff\xff\xff\xff\xff\xff\x7f",
    b"\x8a\xff",
    b"I" + b"9" * 400 + b"\n",
    b"{" * 2000,
    b"[" * 2000,
)
"""Pickles that call something, instructions out of place, sizes without measure, depths without end."""

_EVENTS = {
    *(
        "os.system",
        "os.exec",
        "os.posix_spawn",
        "os.spawn",
        "os.fork",
        "os.forkpty",
        "os.mkdir",
        "os.remove",
        "os.rename",
    ),
    *("subprocess.Popen", "pty.spawn", "shutil.rmtree", "shutil.move", "socket.connect", "ctypes.dlopen"),
    *("webbrowser.open", "os.putenv", "os.chmod", "os.kill"),
}
_seen: list[str] | None = None


def _audit(event: str, arguments: tuple) -> None:
    if _seen is not None and event in _EVENTS:
        _seen.append(f"{event} {arguments!r:.100}")


sys.addaudithook(_audit)


@contextmanager
def nothing_happens(seconds: float = 20.0) -> Iterator[None]:
    """Check that the block starts no process, changes no folder, and does not take that much processor time.

    Raises:
        AssertionError: it does.
    """
    global _seen

    def too_long(number: int, frame: object) -> None:
        raise AssertionError(f"reading took {seconds} s of processor time")

    before = signal.signal(signal.SIGVTALRM, too_long)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    _seen = []
    try:
        yield
    finally:
        seen, _seen = _seen, None
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    assert not seen, f"reading a file did {seen}"


def fuzz(examples: int) -> settings:
    """Return settings of hypothesis for so many cases, the same at every run."""
    return settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )


@st.composite
def changed(draw: st.DrawFn, honest: bytes) -> bytes:
    """Draw a file: some bytes of an honest one are replaced, left out, repeated, or make place for an attack."""
    content = bytearray(honest)
    for _ in range(draw(st.integers(1, 4))):
        # The beginning and the end say the most of a file.
        place = draw(st.one_of(st.integers(0, len(content)), st.integers(0, 64), st.integers(-64, -1)))
        kind = draw(st.sampled_from(("replace", "flip", "insert", "delete", "repeat", "attack", "cut")))
        length = draw(st.integers(1, 16))
        part = content[place:][:length]
        start = place if place >= 0 else max(len(content) + place, 0)
        if kind == "replace":
            content[start : start + length] = draw(st.binary(min_size=length, max_size=length))
        elif kind == "flip" and start < len(content):
            content[start] ^= 1 << draw(st.integers(0, 7))
        elif kind == "insert":
            content[start:start] = draw(st.binary(max_size=length))
        elif kind == "delete":
            del content[start : start + length]
        elif kind == "repeat":
            content[start:start] = part * draw(st.integers(1, 50))
        elif kind == "attack":
            content[start:start] = draw(st.sampled_from(ATTACKS))
        elif kind == "cut":
            del content[start:]
    return bytes(content)
