"""What every test may count on: ``tests`` is importable, and an installed lairchat wins."""

import sys
from pathlib import Path

# At the end, so that under tox the wheel in site-packages is tested and not the checkout beside it.
sys.path.append(str(Path(__file__).resolve().parents[1]))
