"""Command lines of the tools: arguments, and what a user sees of an error.

Nothing here imports more than the standard library, so that `--help` and errors in arguments answer at once. A tool
imports what it runs inside its own `run`.
"""

from .output_paths import output_folder, writable_checkpoint, writable_file, writable_folder
from .run_tool import run_tool
from .shared_arguments import (
    add_device_argument,
    add_launch_arguments,
    add_recipe_arguments,
    add_scratch_argument,
    key_value,
)
from .values import existing_file, existing_folder, existing_path, non_negative, positive, positive_number, share

__all__ = [
    "add_device_argument",
    "add_launch_arguments",
    "add_recipe_arguments",
    "add_scratch_argument",
    "existing_file",
    "existing_folder",
    "existing_path",
    "key_value",
    "non_negative",
    "output_folder",
    "positive",
    "positive_number",
    "run_tool",
    "share",
    "writable_checkpoint",
    "writable_file",
    "writable_folder",
]
