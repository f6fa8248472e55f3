"""PonderV2: pre-train camera, LiDAR and fusion encoders by rendering, then hand them to detectors.

Importing this package imports nothing else: `structures`, `geometry` and `rendering` run with torch and
numpy alone; every other part needs the whole stack of requirements.txt.
"""

__version__ = "0.1.0"
