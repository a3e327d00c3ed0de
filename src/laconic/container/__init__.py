"""Words and configuration <-> bytes of a `.lac` file (`write` / `read`); `spec/format.md` is the document.

`fields.py` declares the header once; `chunks.py` frames every part with a tag, a length and a checksum; `segments.py`
holds the coded streams of one resolution group; `metadata.py` the profiles a photo carries; `layout.py` the geometry
that says how many of them there are; `filter_bits.py` the filter that a picture may have; `writer.py` and `reader.py`
put them together, and `spool.py` and `mapped.py` help them with files that are too large for memory. Only the standard
library is used here.
"""

from __future__ import annotations

from laconic.container.chunks import Chunk, Tag
from laconic.container.fields import Header
from laconic.container.metadata import Metadata
from laconic.container.reader import Container, Loss, read
from laconic.container.spool import Spool
from laconic.container.writer import write

__all__ = ["Chunk", "Container", "Header", "Loss", "Metadata", "Spool", "Tag", "read", "write"]
