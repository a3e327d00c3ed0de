"""Pictures before eyes: turns a list of results into one self-contained page.

`report.py` says what a page shows and fills `report.html` with it, `charts.py` draws its plots. Style sheet and scripts
go into the page too, and so does every picture: opened from a disk without a network, it is complete.
"""

from __future__ import annotations
