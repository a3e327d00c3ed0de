"""Files and arrays with their meaning: `load` and `save`.

`image` is the door; the other files of this folder hold one idea each: `formats` (what each file format can carry),
`locations` (paths, URLs and open files), `atomic` (no partial outputs), `exif` (orientation), `profiles` (colors to
RGB), `pillow` (what Pillow can decode), `deep_png`, `deep_tiff` and `netpbm` (what it cannot: 16-bit samples).
"""

from __future__ import annotations
