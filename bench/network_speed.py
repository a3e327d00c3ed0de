"""How fast pictures decode through the networks, and how little of the work a region takes.

    LACONIC_DATA=... python bench/network_speed.py

The 24-megapixel mosaic of codec_speed.py at quality 75, in files that ask for each network, from bytes to pixels, best
of a few runs, of a region, which takes so much less time, of more.
"""

from __future__ import annotations

import codec_speed
import record

import laconic
from laconic import _native
from laconic.measure.machine import usable_cores
from laconic.models import default_model

ASKED = {"best": 8.0, "fast": 20.0}
REGION = (2900, 1900, 512, 512)

megapixels = codec_speed.HEIGHT * codec_speed.WIDTH / 1e6
pixels = codec_speed.mosaic()
claims = []
seconds: dict[str, dict[str, float]] = {}
for network in ("off", *(name for name in ("fast", "best") if name in default_model().networks)):
    data = laconic.compress(pixels, quality=codec_speed.QUALITY, network=network)
    times = {jobs: codec_speed.best(lambda d=data, j=jobs: laconic.decompress(d, jobs=j)) for jobs in (1, 2)}
    region = min(codec_speed.best(lambda d=data: laconic.decompress(d, region=REGION, jobs=2)) for _ in range(8))
    seconds[network] = {"one thread": times[1], "two threads": times[2], "region, two threads": region}
    print(f"{network}: {megapixels / times[1]:.1f} and {megapixels / times[2]:.1f} MP/s on one and two threads")
    if network in ASKED:
        speed = megapixels / times[2]
        claims.append(
            record.claim(f"decode through {network} on two cores, MP/s", speed, ASKED[network], at_most=False)
        )
    share = region / times[2]
    claims.append(record.claim(f"512 x 512 of 24 MP, network {network}, share of the whole", share, 0.06, at_most=True))
record.write(
    "network_speed",
    {
        "megapixels": megapixels,
        "cores": usable_cores(),
        "instruction_set": _native.instruction_set(),
        "region": REGION,
        "claims": claims,
        "seconds": seconds,
    },
)
