"""What an encoder's volume says about objects, to a linear classifier of single cells. A minute, no training.

python tools/linear_probe.py RECIPE --data-root DIR --encoders scratch WORK/encoder.safetensors

RECIPE is that of a detector. Its training frames fit the classifier, its validation frames score it. No substitute for
tools/transfer_study.py: what a detector makes of neighbouring cells, and of training the encoder, is not seen here.

Exit code: 0 done, 2 the input cannot be used.
"""

import sys
from pathlib import Path

# Studies lie beside the package, not in it.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from studies.linear_probe import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main(__doc__))
