"""Fill the tables of README.md and docs/*.md from bench/results/*.json: python bench/readme_figures.py [--check].

A block between ``<!-- figures: NAME -->`` and ``<!-- end -->`` shows bench/results/NAME.json. A test compares the two,
so that no figure is typed by hand.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "bench" / "results"
PAGES = (ROOT / "README.md", *(ROOT / "docs" / f"{name}.md" for name in ("weights", "effort", "learning")))
BLOCK = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def kodak_rd(result: dict[str, Any]) -> str:
    """BD-rates against each peer: of the default, of effort 9, and of what is tuned for MS-SSIM."""
    codecs = {codec["name"]: codec for codec in result["codecs"]}
    rows: list[list[str]] = []
    for name, delta in result["bd_rate"].items():
        if not name.startswith("laconic against "):
            continue
        peer = name.removeprefix("laconic against ")
        best = result["bd_rate"].get(f"laconic-e9 against {peer}")  # takes long, and may be left out
        tuned = result["bd_rate"][f"laconic-ssim against {peer}"]
        spread = [percent(delta["psnr-rgb"], f"{kind}_of_pictures_percent") for kind in ("median", "worst")]
        figures = [percent(delta["psnr-rgb"]), *spread, percent(tuned["ms-ssim-rgb"])]
        if best:
            figures.append(percent(best["psnr-rgb"]))
        rows.append([codecs[peer]["description"], *figures])
    head = ["against", "PSNR", "median photo", "worst photo", "MS-SSIM, `--tune ssim`", "PSNR, effort 9"]
    return table(head[: len(rows[0])], rows) + made(result)


def lossless(result: dict[str, Any]) -> str:
    """Bits per pixel and speed of each lossless codec, the smallest first."""
    codecs = sorted(result["codecs"].values(), key=lambda codec: codec["bits_per_pixel"])
    rows = [
        [
            codec["description"],
            f"{codec['bits_per_pixel']:.2f}",
            f"{codec['encode_MP_per_s']:.2f}",
            f"{codec['decode_MP_per_s']:.2f}",
        ]
        for codec in codecs
    ]
    return table(["lossless, one thread", "bits per pixel", "encode, MP/s", "decode, MP/s"], rows) + made(result)


def codec_speed(result: dict[str, Any]) -> str:
    """What a 24-megapixel picture and a small photo cost in time and memory."""
    speed, peak = result["speed_by_jobs"]["2"], result["process_peak_bytes"]
    seconds = result["process_seconds_768x512"]
    rows = [
        [
            "24 megapixels in memory, two cores",
            f"{speed['encode_MP_per_s']:.1f} MP/s",
            f"{speed['decode_MP_per_s']:.1f} MP/s",
        ],
        [
            "the command on a photo of 768 x 512",
            f"{seconds['compress']['fastest']:.2f} s",
            f"{seconds['decompress']['fastest']:.2f} s",
        ],
        [
            "memory of the command on 24 megapixels",
            f"{peak['compress'] / 1e6:.0f} MB",
            f"{peak['decompress'] / 1e6:.0f} MB",
        ],
    ]
    return table(["speed and memory", "compress", "decompress"], rows) + made(result)


def network_rd(result: dict[str, Any]) -> str:
    """What the decoder-side networks are worth against AVIF in the same run."""
    codecs = {codec["name"]: codec["description"] for codec in result["codecs"]}
    rows: list[list[str]] = []
    for name, delta in result["bd_rate"].items():
        first, peer = name.split(" against ")
        rows.append([codecs[first], codecs[peer], *(percent(delta[figure]) for figure in ("psnr-rgb", "ms-ssim-rgb"))])
    return table(["", "against", "BD-rate, PSNR", "BD-rate, MS-SSIM"], rows) + made(result)


def network_speed(result: dict[str, Any]) -> str:
    """How fast pictures decode through each network."""
    rows = [
        [
            f"network {name}",
            f"{result['megapixels'] / seconds['two threads']:.0f} MP/s",
            f"{100 * seconds['region, two threads'] / seconds['two threads']:.1f} %",
        ]
        for name, seconds in result["seconds"].items()
    ]
    head = ["24 megapixels, two cores", "decode", "time for a region of 512 x 512"]
    return table(head, rows) + made(result)


def streaming(result: dict[str, Any]) -> str:
    """What a picture that passes by in rows costs in memory and time."""
    rows = [
        [
            f"{name} {kind.upper()}",
            f"{figures['peak_bytes'] / 1e6:.0f} MB",
            f"{figures['MP_per_s']:.0f} MP/s",
        ]
        for kind, both in result["formats"].items()
        for name, figures in both.items()
        if name != "bytes"
    ]
    return table(["400 megapixels, the whole command", "memory", "speed"], rows) + made(result)


def learning(result: dict[str, Any]) -> str:
    """What each form of a data set costs, and what the same trunk learns from it."""
    rows: list[list[str]] = []
    for row in result["arms"].values():
        even = row["break_even_epochs"]
        spread = row["accuracy_deviation"]
        rows.append(
            [
                row["description"],
                f"{row['bytes_per_sample'] / 1000:.1f} kB",
                "-" if row["load_per_cpu_s"] is None else f"{row['load_per_cpu_s']:,.0f}",
                f"{row['train_per_cpu_s']:,.0f}",
                f"{100 * row['accuracy_mean']:.1f}"
                + (f" ± {100 * spread:.1f}" if spread is not None else "")
                + f" % ({len(row['seeds'])})",
                "-" if even is None else f"{even:.1f}",
            ]
        )
    setup = result["setup"]
    head = ["a data set as", "a picture", "load, 1/s", "train, 1/s", "accuracy", "pays after epochs"]
    data = setup["data"]
    words = (
        f"\n{data['train']:,} + {data['val']:,} pictures of {data['classes']} classes, 224 x 224; the same trunk, "
        f"{setup['epochs']} epochs, mean and deviation over seeds, their number in brackets; "
        "speeds are per second of one core.\n"
    )
    return table(head, rows) + words + made(result)


def learning_costs(result: dict[str, Any]) -> str:
    """Everything that was measured of each form of a data set."""

    def figure(row: dict[str, Any], key: str, scale: float = 1, digits: int = 0) -> str:
        return "-" if row[key] is None else f"{row[key] / scale:,.{digits}f}"

    rows = [
        [
            f"`{name}`",
            figure(row, "values_per_sample"),
            *(figure(row, key) for key in ("load_cold_per_s", "load_warm_per_s")),
            *(figure(row, key) for key in ("load_cold_per_cpu_s", "load_per_cpu_s", "train_per_cpu_s")),
            figure(row, "cpu_s_per_epoch", digits=2),
            figure(row, "peak_bytes", 1e6),
            figure(row, "pack_cpu_s", digits=1),
        ]
        for name, row in result["arms"].items()
    ]
    head = ["arm", "values", "cold, 1/s", "warm, 1/s", "cold, of a core", "warm, of a core", "training, of a core"]
    claims = [
        [
            claim["claim"],
            *(f"{claim[key]:.4g}" if key in claim else "" for key in ("value", "at_least", "at_most")),
            "holds" if claim["holds"] else "falls short",
        ]
        for claim in result["claims"]
    ]
    costs = table([*head, "s of an epoch", "peak, MB", "packing, s"], rows)
    return costs + "\n" + table(["asked", "found", "at least", "at most", ""], claims) + made(result)


def percent(delta: dict[str, Any], which: str = "of_averaged_curves_percent") -> str:
    """Show a BD-rate; of averaged curves if nothing else is said."""
    value = delta.get(which)
    return "-" if value is None else f"{value:+.1f} %"


def table(head: list[str], rows: list[list[str]]) -> str:
    """Lay out a table of Markdown."""
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in lines)


def made(result: dict[str, Any]) -> str:
    """Say by which command and on which machine a result was made."""
    machine = result["machine"]
    instructions = f", {result['instruction_set']}" if "instruction_set" in result else ""
    about = f"{machine['processor']}, {machine['cores']} cores{instructions}"
    return f"\n`{result['command']}`, {result['date'][:10]}, {about}\n"


def weights_networks(result: dict[str, Any]) -> str:
    """How many percent fewer bytes at equal divergence, each network and way."""
    ways = ("weights alone", "data-free", "calibrated")
    rows: list[list[str]] = []
    notes = ""
    for name, network in result["networks"].items():
        rows.append([name])
        for way in ways:
            if way not in network:
                rows[-1].append("-")
                continue
            ours, theirs = network[f"{way}, points of laconic and of NNCodec"]
            some = "" if ours == theirs else f" ({ours} of {theirs} sizes)"
            rows[-1].append(f"{network[f'{way}, BD-rate against NNCodec in percent']:.1f}{some}")
            if some:
                low, high = (f"{one:.3f}" for one in network[f"{way}, compared at divergences"])
                where = low if low == high else f"{low} to {high}"
                most = [f"{f(one['divergence'] for one in network['nncodec']):.3f}" for f in (min, max)]
                notes += f"\n{name}, {way}: compared at a divergence of {where}; NNCodec's are {' to '.join(most)}.\n"
    return table(["BD-rate against NNCodec in percent", *ways], rows) + notes + made(result)


def weights_sentences(result: dict[str, Any]) -> str:
    """How many of their neighbors sentences keep."""
    rows = [
        [f"GGUF {mix}, blocks packed by us", f"{one['bits_per_weight']:.2f}", f"{100 * one['agreement']:.1f} %"]
        for mix, one in result["peers"].items()
    ]
    rows += [
        [f"laconic, {way}", f"{one['bits_per_weight']:.2f}", f"{100 * one['agreement']:.1f} %"]
        for way, files in result["laconic"].items()
        for one in files.values()
    ]
    return table(["all-MiniLM-L6-v2", "bits per weight", "neighbors kept"], rows) + made(result)


def weights_bound(result: dict[str, Any]) -> str:
    """Bits above the rate-distortion bound, and speed."""
    speeds = result["million_weights_per_s"]
    rows: list[list[str]] = []
    for preset, states in (("default", "64"), ("slow", "256")):
        gaps = {
            source: max(row["gap"] for row in result["files"] if (row["preset"], row["source"]) == (preset, source))
            for source in ("gauss", "laplace")
        }
        speed = f"{speeds[f'encode, {preset}, {states} states']:.1f} M/s"
        rows.append([preset, *(f"{gap:.3f}" for gap in gaps.values()), speed, f"{speeds['decode']:.0f} M/s"])
    return table(["most bits above the bound", "Gaussian", "Laplace", "encode", "decode"], rows) + made(result)


def weights_lossless(result: dict[str, Any]) -> str:
    """Sizes beside ZipNN, and speed."""
    rows = [
        [row["what"], f"{row['ratio']:.3f}", f"{row['to_zipnn']:.4f}", f"{row['decode_MB_per_s']:.0f} MB/s"]
        for row in result["files"]
    ]
    return table(["without loss", "of its bytes", "of ZipNN's", "decode"], rows) + made(result)


def weights_series(result: dict[str, Any]) -> str:
    """How many times smaller a network after more training is as a difference, and its checkpoints as a series."""
    rows = [
        [run["what"], *(f"{run[key]:.4g}" for key in ("ratio_1", "ratio_20", "series_ratio"))] for run in result["runs"]
    ]
    head = ["trained on, lossless", "difference after 1 epoch", "after 20 epochs", "series of 20 epochs"]
    return table(head, rows) + made(result)


def efforts(result: dict[str, Any]) -> str:
    """What each effort saves and costs."""
    rows = [
        [
            str(row["effort"]),
            "-" if "bd_rate_against_effort_3" not in row else f"{row['bd_rate_against_effort_3']:+.1f} %",
            "-" if "worst_photo" not in row else f"{row['bd_rate_against_the_effort_below']:+.1f} %",
            "-" if "worst_photo" not in row else f"{row['worst_photo']['bd_rate']:+.1f} %",
            f"{row['processor_seconds_per_MP']:.2f}",
        ]
        for row in result["efforts"]
    ]
    head = ["effort", "BD-rate against effort 3", "against the row above", "worst photo", "seconds per megapixel"]
    about = f"\n{result['count']} photos of {result['photos']}, the middle {result['crop']} of each, one thread.\n"
    return table(head, rows) + about.replace("the middle none of each", "whole") + made(result)


def entropy_speed(result: dict[str, Any]) -> str:
    """How fast coefficients become streams and come back at a few efforts."""
    rows = [
        [effort, f"{speeds['encode_MP_per_s']:.1f} MP/s", f"{speeds['decode_MP_per_s']:.1f} MP/s"]
        for effort, speeds in result["by_effort"].items()
    ]
    about = f"\nQuality {result['quality']}, {result['pictures']} Kodak photos.\n"
    head = ["effort", "coefficients to streams, one core", "and back"]
    return table(head, rows) + about + made(result)


def targets(result: dict[str, Any]) -> str:
    """How near to their targets files land."""
    rows = [
        [
            f"{row['photos']}, effort {row['effort']}, {'rate' if row['target'] == 'bpp' else 'PSNR'}",
            f"{row['met']} of {row['of']}",
            f"{row['error_median']:.2f} {'%' if row['target'] == 'bpp' else 'dB'}",
            f"{row['error_worst']:.2f} {'%' if row['target'] == 'bpp' else 'dB'}",
            f"{row['encodes_mean']:.1f}",
            str(row["encodes_most"]),
        ]
        for row in result["landings"]
    ]
    return table(["targets", "met", "median miss", "worst miss", "encodes, mean", "most"], rows) + made(result)


def weights_repairs(result: dict[str, Any]) -> str:
    """What each repair leaves of the divergence, and what the whole comes to beside NNCodec."""
    rows = [
        [
            f"{name}, {way}",
            f"{found['divergence_over_none']:.3f}" if "divergence_over_none" in found else "-",
            f"{found['bd_rate']:.1f}",
        ]
        for name, network in result["networks"].items()
        for way, found in network["ways"].items()
    ]
    head = ["curvature of, repaired", "divergence, times that without repairs", "BD-rate against NNCodec in percent"]
    return table(head, rows) + made(result)


def weights_choices(result: dict[str, Any]) -> str:
    """Bits per weight that other quantizers take more, by kind of source, and what choices within a tensor save."""
    kinds = {"Gaussian": "gauss", "Laplace": "laplace", "MiniLM": "MiniLM", "ResNets": "ResNet", "silero-vad": "silero"}
    groups = {
        kind: [one for name, one in result["sources"].items() if name.startswith(prefix)]
        for kind, prefix in kinds.items()
    }

    def mean(values: list[float]) -> float:
        return sum(values) / max(len(values), 1)

    rows = [
        [way, *(f"{mean([bits for one in group for bits in one['ways'][way]]):+.3f}" for group in groups.values())]
        for way in result["mean_bits_more"]
    ]
    for choice in result["choices"]:
        saved = [
            f"{-mean([case['bits_saved'] for one in group for case in one[choice]]):+.3f}" for group in groups.values()
        ]
        rows.append([f"trellis, {choice} where it pays", *saved])
    return table(["bits per weight, beside the trellis of 64 states", *kinds], rows) + made(result)


def weights_structure(result: dict[str, Any]) -> str:
    """What corrections of low rank, and rows and columns left out, save."""
    rows: list[list[str]] = []
    for name, ways in result["networks"].items():
        for way, one in ways.items():
            matrices = one["matrices"].values()
            rows.append(
                [
                    f"{name}, {way}",
                    f"{100 * one['share_saved']:.2f} %",
                    f"{sum(row['rank'] > 0 for row in matrices)} of {len(matrices)}",
                    str(sum(row["rows_left_out"] for row in matrices)),
                    str(sum(row["columns_left_out"] for row in matrices)),
                ]
            )
    head = ["at 2 bits per weight", "of all bits saved", "matrices corrected", "rows left out", "columns left out"]
    found = table(head, rows)
    trained = [[name, f"{one['bd_rate']:+.1f} %"] for name, one in result["trained"].items()]
    found += "\n" + table(["ResNet-20, trained on", "bytes at equal divergence, with structure"], trained)
    cost = result["bits_of_a_zero"]
    found += (
        f"\nA zero takes {cost['with structure']['rows']:.3f} bit where whole rows are zero, "
        f"{cost['with structure']['columns']:.3f} where columns are; without gaps, {cost['without']['rows']:.3f} and "
        f"{cost['without']['columns']:.3f}.\n"
    )
    return found + made(result)


TABLES = {
    "efforts": efforts,
    "entropy_speed": entropy_speed,
    "targets": targets,
    "kodak_rd": kodak_rd,
    "rd_photos_test": kodak_rd,
    "lossless": lossless,
    "lossless_photos_test": lossless,
    "codec_speed": codec_speed,
    "network_rd": network_rd,
    "network_speed": network_speed,
    "streaming": streaming,
    "weights_bound": weights_bound,
    "weights_choices": weights_choices,
    "weights_lossless": weights_lossless,
    "weights_networks": weights_networks,
    "weights_repairs": weights_repairs,
    "weights_sentences": weights_sentences,
    "weights_series": weights_series,
    "weights_structure": weights_structure,
    "learning": learning,
    "learning_costs": learning_costs,
}
FILES = {"learning_costs": "learning"}
"""Whose results lie under another name."""


def names(text: str) -> list[str]:
    """Return the names of the blocks in a text."""
    return [match[2] for match in BLOCK.finditer(text)]


def filled(text: str, results: Path = RESULTS) -> str:
    """Return the text with every block filled anew."""

    def block(match: re.Match[str]) -> str:
        path = results / f"{FILES.get(match[2], match[2])}.json"
        content = "Not measured yet.\n"
        if path.exists():
            content = TABLES[match[2]](json.loads(path.read_text("utf-8")))
        return f"{match[1]}{content}{match[3]}"

    return BLOCK.sub(block, text)


def main() -> int:
    """Rewrite the pages, or with --check only say whether they are up to date."""
    stale = False
    for page in PAGES:
        text = page.read_text("utf-8")
        new = filled(text)
        stale |= new != text
        if "--check" not in sys.argv[1:]:
            page.write_text(new, "utf-8")
    return int(stale and "--check" in sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
