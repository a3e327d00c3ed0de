"""Fitting the models that the package ships. `recipe.py` says what is fitted in which order; start there.

Only this package (and `learn/`) may import torch; what it exports is a file of integers (`modelfile.py`).
"""

from __future__ import annotations
