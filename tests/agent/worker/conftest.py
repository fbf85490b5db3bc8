"""Puts this folder's helpers, and the fake chain beside it, on the path."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent / "chain")]
