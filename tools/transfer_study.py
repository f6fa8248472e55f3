"""Pre-trained against scratch: python tools/transfer_study.py --data-root DIR --out OUT --fractions 0.1 --seeds 0 1 2.

Every run is a training of its own in OUT/runs, or OUT/pretrain. An interrupted study goes on where it was when started
again; finished runs are left alone, and refused when the settings have changed. Prints a table and writes
OUT/study.json and OUT/study.png.

Exit code: 0 done, 1 some run failed, 2 the study cannot be run.
"""

import sys
from pathlib import Path

# Studies lie beside the package, not in it.
ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from studies.transfer_command import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main(__doc__, ROOT))
