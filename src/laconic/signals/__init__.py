"""Files and arrays with their meaning: `load` and `save`.

`image` is the door, and `row_files` the one for pictures that are too large to be held (`rows` says what passes through
it). The other files of this folder hold one idea each: `formats` (what each file format can carry), `locations` (paths,
URLs and open files), `atomic` (no partial outputs), `damage` (errors that name the file), `exif` (orientation),
`profiles` (colors to RGB), `pillow` (what Pillow can decode), and what it cannot, 16-bit samples or rows: `netpbm`,
`netpbm_rows`, `npy`, `png_rows`, `png_writer`, `tiff` (writing) and `tiff_rows` (reading).
"""

from __future__ import annotations
