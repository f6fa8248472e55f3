"""The result of the check as Markdown, for docs/memory_and_speed.md."""

from collections.abc import Callable, Iterable, Sequence


def markdown(result: dict) -> str:
    """Return the result of `check.run` as a section of Markdown with a table for each kind of part."""
    device = result["device"]
    packages = ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    if device is None:
        return f"## GPU check\n\nno device. Python {result['python']}, {packages}.\n"
    about = [device["name"]]
    if "memory_bytes" in device:
        about.append(f"{device['memory_bytes'] / 2**30:.0f} GiB, capability {device['capability']}")
        about.append(f"CUDA {device['cuda']}, cuDNN {device['cudnn']}")
    lines = ["## GPU check", "", f"`make gpu-check` on {'; '.join(about)}. Python {result['python']}, {packages}."]
    for level, names in result["missing"].items():
        lines.append(f"Level {level} was skipped; not installed: {', '.join(names)}.")
    for kind, (title, header, rows_of) in _TABLES.items():
        parts = [part for part in result["parts"] if part["kind"] == kind]
        if parts:
            lines += ["", f"### {title}", "", *_table(header, [row for part in parts for row in _rows(part, rows_of)])]
    return "\n".join(lines) + "\n"


def _rows(part: dict, rows_of: Callable[[str, dict], Iterable[Sequence[str]]]) -> list[list[str]]:
    """Return the rows of a part, with its state at the end of each."""
    state = part["state"] if "reason" not in part else f"{part['state']}: {part['reason']}"
    if "found" not in part:
        return [[part["subject"], state]]
    return [[*row, state] for row in rows_of(part["subject"], part["found"])]


def _agreement(subject: str, found: dict) -> Iterable[list[str]]:
    for row in found["rows"]:
        yield [
            f"{row['name']}" + ("" if row["passed"] else " (**beyond tolerance**)"),
            f"{row['output_error']:.1e} (≤ {row['tolerance']:g})",
            f"{row['gradient_error']:.1e} (≤ {row['gradient_tolerance']:g})",
        ]


def _tests(subject: str, found: dict) -> Iterable[list[str]]:
    failures = ", ".join(found.get("failures", ()))
    yield [subject, str(found["tests"]), str(found.get("skipped", 0)), failures or "–"]


def _precision(subject: str, found: dict) -> Iterable[list[str]]:
    for precision, losses in found["losses"].items():
        at = [losses[min(step, len(losses)) - 1] for step in (1, 10, 25, 50)]
        yield [f"{subject}, {precision}", *(f"{loss:.4g}" for loss in at), f"{100 * found['difference']:.1f} %"]


def _step(subject: str, found: dict) -> Iterable[list[str]]:
    yield [
        f"`{subject}`",
        str(found["batch_size"]),
        f"{found['seconds']:.3f}",
        f"{found['peak_bytes'] / 2**30:.1f}",
        str(len(found["host_syncs"])),
    ]


def _benchmark(subject: str, found: dict) -> Iterable[list[str]]:
    if "peak_bytes" in found:
        for way, seconds in found["seconds"].items():
            yield [f"{subject}: {way}", f"{seconds:.4f}", f"{found['peak_bytes'][way] / 1e6:.0f}"]
    else:
        yield [f"{subject}: whole", f"{found['seconds_whole']:.4f}", "–"]
        yield [f"{subject}: {found['ratio']:.0%} hidden", f"{found['seconds_masked']:.4f}", "–"]


_TABLES: dict[str, tuple[str, tuple[str, ...], Callable[[str, dict], Iterable[Sequence[str]]]]] = {
    "agreement": (
        "CPU against GPU, relative errors",
        ("module", "outputs", "gradients", "state"),
        _agreement,
    ),
    "tests": ("Tests that are marked `gpu`", ("level", "tests", "skipped", "failures", "state"), _tests),
    "precision": (
        "bfloat16 against float32, losses by step",
        ("training", "1", "10", "25", "50", "difference at the end", "state"),
        _precision,
    ),
    "step": (
        "One training step on a random batch",
        ("recipe", "batch", "seconds", "peak GiB", "host waits", "state"),
        _step,
    ),
    "benchmark": ("Benchmarks, forward and backward", ("what", "seconds", "peak MB", "state"), _benchmark),
}


def _table(header: Sequence[str], rows: list[list[str]]) -> list[str]:
    """Lay out rows; one that is shorter than the header keeps its first cell, and its last one goes to the end."""
    filled = [[*row[:-1], *("" for _ in range(len(header) - len(row))), row[-1]] for row in rows]
    return ["| " + " | ".join(row) + " |" for row in (header, ["---"] * len(header), *filled)]
