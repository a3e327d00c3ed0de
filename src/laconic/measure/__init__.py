"""How good is it? Metrics, Bjontegaard deltas, other codecs, and the runs and reports made of them.

Everything counts real bytes of whole files, headers included, never an estimate. Reading order: `metrics.py`
(one picture), `deltas.py` and `curves.py` (one curve against another), `peers.py` and `roster.py` (who is measured),
`comparison.py` (a whole run), `plot.py` (its picture), `results.py` and `results_page.py` (its page), `demo.py` (the
page a newcomer sees first).

Metrics need numpy alone; the peers beyond Pillow's, the deltas and the plots need ``pip install "laconic[bench]"``.
"""

from __future__ import annotations
