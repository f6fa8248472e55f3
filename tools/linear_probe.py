"""Score encoders by a linear classifier that recognises objects from single cells of their volumes.

python tools/linear_probe.py RECIPE --data-root DIR --encoders scratch WORK/encoder.safetensors

RECIPE is the recipe of a detector. The classifier is fitted to its training frames and scored on its validation frames;
no encoder is trained, so it takes about a minute. It does not replace tools/transfer_study.py: a detector also uses
neighbouring cells and trains the encoder, which this score leaves out.

Exit code: 0 done, 2 the input cannot be used.
"""

import sys
from pathlib import Path

# Studies lie beside the package, not in it.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from studies.linear_probe import main

if __name__ == "__main__":
    sys.exit(main(__doc__))
