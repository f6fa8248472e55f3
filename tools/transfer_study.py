"""Compare detectors that start from pre-trained encoders with baselines from scratch.

python tools/transfer_study.py --data-root DIR --out OUT --fractions 0.1 --seeds 0 1 2

Every run is a training of its own in OUT/runs or OUT/pretrain. A study that was interrupted resumes when it is started
again. Finished runs are not repeated; the study ends with an error when their settings have changed. The tool prints a
table and writes OUT/study.json and OUT/study.png.

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
