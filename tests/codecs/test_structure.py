"""Corrections of low rank, and rows and columns left out: what they are for a decoder, and when lambda chooses them."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from laconic.codecs import weights
from laconic.codecs.array_base import check_of
from laconic.codecs.array_blocks import Block
from laconic.codecs.array_gaps import Gaps, read_gaps, write_gaps
from laconic.codecs.array_low_rank import STRIPE, LowRank, encode_low_rank, read_low_rank
from laconic.codecs.array_reader import arrays_of
from laconic.codecs.array_reference import decode
from laconic.codecs.array_trellis import encode_trellis
from laconic.codecs.curvature import curvatures_of
from laconic.codecs.loss import Loss
from laconic.codecs.shrink import prepare
from laconic.codecs.structure import Coder, Structure, code, structured
from laconic.container import arrays as container
from laconic.container.arrays import Coding, Entry
from laconic.container.cursor import Cursor
from laconic.errors import CorruptStream, FormatError
from laconic.quantize.feedback import Feedback
from laconic.quantize.scales import Scales
from laconic.signals.tensors import KINDS, Tensor, narrowed

FLOATS = [kind for kind in KINDS if kind.name in {"float16", "bfloat16", "float32", "float64"}]


def gauss(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def low_rank(rows: int, columns: int, rank: int, noise: float, seed: int = 0) -> np.ndarray:
    return gauss(rows, rank, seed=seed) @ gauss(rank, columns, seed=seed + 1) + noise * gauss(rows, columns, seed=7)


def moments(size: int, seed: int) -> np.ndarray:
    mixing = gauss(size, 2 * size, seed=seed) * np.exp(gauss(size, 1, seed=seed + 1))
    return mixing @ mixing.T / size


def gaps_of(draw: st.DataObject, rows: int, columns: int, run: int) -> Gaps | None:
    """Any, or none."""
    count = columns // run
    out = [np.array(draw.draw(st.lists(st.booleans(), min_size=n, max_size=n)), np.bool_) for n in (rows, count)]
    for one in out:
        one[:1] = False  # something is left
    return Gaps(out[0], out[1], run) if out[0].any() or out[1].any() else None


@given(st.data())
def test_both_decoders_agree_on_every_structure(data: st.DataObject):
    kind = data.draw(st.sampled_from(FLOATS))
    run = data.draw(st.sampled_from([1, 1, 3]))
    rows, columns = data.draw(st.integers(1, 9)), run * data.draw(st.integers(1, 5))
    gaps = gaps_of(data, rows, columns, run)
    inner = (rows, columns) if gaps is None else gaps.inner
    rank = data.draw(st.integers(0, min(inner)))
    matrix = gauss(*inner, seed=data.draw(st.integers(0, 99))) * np.float32(10) ** data.draw(st.integers(-5, 3))
    tensor = Tensor("w", kind, (rows, columns), narrowed(gauss(rows * columns), kind))
    base = data.draw(st.sampled_from([None, narrowed(gauss(rows * columns, seed=5), kind)]))
    feedback = None
    if data.draw(st.booleans()):
        own = [data.draw(st.integers(-9, 9)) for _ in range(inner[0] + inner[1] // run)]
        scales = Scales(np.array(own[: inner[0]], np.int8), np.array(own[inner[0] :], np.int8), run)
        nothing = np.zeros((0, 0), np.float32)
        down, along = (np.ones(n, np.float32) for n in inner)
        feedback = Feedback(scales, nothing, nothing, down, along, 1.0)
    step = float(np.abs(matrix).mean()) / data.draw(st.sampled_from([0.3, 1, 20]))
    spelled = None
    if rank:
        down, along = (gauss(rank, n, seed=rank) * np.sqrt(np.abs(matrix).mean()) for n in inner)
        text, _ = encode_low_rank(down, along, float(np.sqrt(step)) / data.draw(st.sampled_from([1, 30])))
        spelled = rank, text
    found = encode_trellis(
        Block((tensor,)), matrix.ravel(), step, base=base, feedback=feedback, gaps=gaps, low_rank=spelled
    )
    coding = {
        (False, False): Coding.TRELLIS,
        (False, True): Coding.LOW_RANK,
        (True, False): Coding.TRELLIS_DIFFERENCE,
        (True, True): Coding.LOW_RANK_DIFFERENCE,
    }[base is not None, rank > 0]
    entry = Entry("w", KINDS.index(kind), (rows, columns), coding, len(found.payload), check_of(found.words), 0)
    known = None
    if base is not None:
        known = weights.shrink(replace(arrays_of({}), tensors=(replace(tensor, words=base),)), lossless=True)
    name = b"" if known is None else weights.open(known).fingerprint
    file = container.write_arrays(2, [replace(entry, rank=rank)], [found.payload], base=name)
    decoded = weights.expand(file, base=known).tensors[0]
    assert np.array_equal(decoded.words, found.words)
    assert decode(file, None if base is None else {"w": base.tolist()})["w"] == found.words.tolist()
    assert weights.inspect(file).tensors[0].rank == rank


def test_sums_are_exact_at_the_bounds():
    """255 products of the largest points there are, and in stripes."""
    most = 64 * 65535 + 48
    assert 255 * most**2 < 2**52
    down = np.full((255, 3), most, np.int32)
    along = np.full((255, 5), -most, np.int32)
    along[100] = most - 1
    found = LowRank(down, along, np.float32(4096)).added(np.zeros((3, 5), np.float32), None)
    wanted = sum(int(a) * int(b) for a, b in zip(down[:, 0], along[:, 0], strict=True))
    assert (found == np.float32(wanted)).all()
    rows, columns = 1500, STRIPE // 1000
    points = np.random.default_rng(0).integers(-(2**20), 2**20, (2, rows + columns)).astype(np.int32)
    one = LowRank(points[:, :rows], points[:, rows:], np.float32(1e-6))
    scales = Scales(np.arange(rows).astype(np.int8) // 2, np.zeros(0, np.int8))
    sums = points[:, :rows].astype(np.int64).T @ points[:, rows:].astype(np.int64)
    wanted = sums.astype(np.float32) * (scales.steps(np.float32(1e-6), rows, columns) / np.float32(4096))
    values = gauss(rows, columns)
    assert np.array_equal(one.added(values, scales), values + wanted)


@given(st.data())
def test_gaps_come_back(data: st.DataObject):
    run = data.draw(st.integers(1, 9))
    rows, columns = data.draw(st.integers(1, 20)), run * data.draw(st.integers(1, 20))
    gaps = gaps_of(data, rows, columns, run)
    if gaps is None:
        return
    cursor = Cursor(memoryview(write_gaps(gaps)))
    found = read_gaps(cursor, rows, columns)
    assert cursor.left == 0
    assert all(np.array_equal(a, b) for a, b in zip(found.kept, gaps.kept, strict=True))
    matrix = gauss(rows, columns)
    back = found.within(found.without(matrix))
    down, along = gaps.kept
    assert np.array_equal(back[np.ix_(down, along)], matrix[np.ix_(down, along)])
    assert np.count_nonzero(back) == len(down) * len(along)


@given(st.binary(max_size=60), st.integers(0, 300), st.integers(1, 40), st.integers(1, 40))
def test_no_bytes_break_the_readers(spelled: bytes, rank: int, rows: int, columns: int):
    for read in (
        lambda: read_low_rank(Cursor(memoryview(spelled)), rank, rows, columns),
        lambda: read_gaps(Cursor(memoryview(spelled)), rows, columns),
    ):
        try:
            read()
        except CorruptStream:
            continue


def model() -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], dict[str, np.ndarray]]:
    """A fine-tuned model, the one it was made from, and curvature: deltas of low rank, channels that do nothing."""
    base = {"conv.weight": gauss(32, 16, 3, 3, seed=1), "head.weight": gauss(50, 64, seed=2), "bias": gauss(50)}
    tuned = dict(base)
    tuned["head.weight"] = base["head.weight"] + 0.1 * low_rank(50, 64, 2, 0.01)
    tuned["conv.weight"] = base["conv.weight"] + 0.01 * gauss(32, 16, 3, 3, seed=3)
    tuned["conv.weight"][::4] *= np.float32(1e-4)
    tuned["conv.weight"][:, 5:8] *= np.float32(1e-4)
    known = {"conv.weight.rows": moments(32, 1), "conv.weight.columns": moments(144, 2)}
    known |= {"head.weight.rows": moments(50, 3), "head.weight.columns": moments(64, 4)}
    return tuned, base, known


TUNED, BASE, KNOWN = model()
FILES = [
    (weights.shrink(TUNED, bpw=2.0, base=BASE), BASE),
    (weights.shrink(TUNED, bpw=2.0, calibration=KNOWN), None),
    (weights.shrink({"w": low_rank(60, 80, 3, 0.02)}, bpw=1.5), None),
]


def test_the_files_have_what_they_are_to_have():
    ranks = [{one.name: one.rank for one in weights.inspect(file).tensors} for file, _ in FILES]
    assert ranks[0]["head.weight"] == 2
    assert ranks[2]["w"] == 3
    index = container.read_index(FILES[1][0], file_size=len(FILES[1][0]))
    assert FILES[1][0][index.offsets[0] + 2] & 128  # gaps
    decoded = weights.load(FILES[1][0])["conv.weight"]
    assert not decoded[::4].any()
    assert not decoded[:, 5:8].any()


@given(st.sampled_from(FILES), st.data())
def test_any_changed_byte_is_a_named_error(file: tuple[bytes, dict[str, np.ndarray] | None], data: st.DataObject):
    content, base = file
    changed = bytearray(content)
    for _ in range(data.draw(st.integers(1, 3))):
        changed[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
    if bytes(changed) == content:
        return
    with pytest.raises(FormatError):
        weights.load(bytes(changed), base=base)


def test_a_fine_tuned_model_is_a_difference_of_low_rank():
    plain = weights.shrink(TUNED, size=len(FILES[0][0]), base=BASE, structure=False)
    errors = [
        np.square(weights.load(file, base=BASE)["head.weight"] - TUNED["head.weight"]).mean()
        for file in (FILES[0][0], plain)
    ]
    assert errors[0] < 0.3 * errors[1]
    assert weights.inspect(FILES[0][0]).tensors[1].coding == "low_rank_difference"


@pytest.mark.parametrize("bpw", [0.5, 1.0, 1.5, 2.5, 4.0])
def test_files_land_and_lose_no_more(bpw: float):
    arrays = {f"w{i}": low_rank(100, 120, 1 + i, 0.1 + 0.1 * i, seed=i) for i in range(4)}
    size = int(bpw * 4 * 100 * 120 / 8)
    files = [weights.shrink(arrays, bpw=bpw, structure=way) for way in (True, False)]
    for data in files:
        assert 0.995 * size <= len(data) <= size
    assert weights.shrink(arrays, bpw=bpw, jobs=1) == files[0]
    found, plain = (
        sum(np.square(one - arrays[name]).sum() for name, one in weights.load(data).items()) for data in files
    )
    assert found < 0.7 * plain
    with weights.open(io.BytesIO(files[0])) as reader:
        head, whole = reader.bytes_read, weights.load(files[0])
        assert np.array_equal(reader["w2"], whole["w2"])
        assert reader.bytes_read - head == reader.info().tensors[2].bytes
    assert all(np.array_equal(one, whole[name]) for name, one in weights.stream(files[0]))


def test_more_bytes_are_less_error():
    arrays = {"w": low_rank(100, 120, 4, 0.3)}
    errors = [
        np.square(weights.load(weights.shrink(arrays, bpw=bpw))["w"] - arrays["w"]).mean()
        for bpw in (0.3, 0.6, 1, 1.5, 2, 3, 5)
    ]
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize("calibrated", [False, True])
def test_the_structure_never_costs_more(calibrated: bool):
    known = KNOWN if calibrated else None
    for arrays in (TUNED, {"head.weight": low_rank(50, 64, 3, 0.5)}, {"head.weight": gauss(50, 64)}):
        file = arrays_of(arrays)
        work = prepare(file, curvatures=None if known is None else curvatures_of(known, file.tensors), jobs=1)
        for part in work.parts:
            one = part.members[0]
            if len(one.tensor.shape) < 2:
                continue
            for price in (1e-4, 1e-2, 0.3, 3):
                coder = Coder(part.block, one, price * one.weight, 3, 0)
                loss, costs = coder.loss(), list[float]()
                for found in (coder.code(), structured(coder)[0]):
                    costs.append(loss.of_error(coder.values - coder.decoded(found)) + coder.bits(found))
                assert costs[1] <= costs[0]


def test_what_has_no_negative_numbers_gets_none():
    matrix = np.abs(gauss(60, 2)) @ np.abs(gauss(2, 70)) + np.float32(1e-3) * np.abs(gauss(60, 70))
    matrix[::3] *= np.float32(1e-3)
    for sign in (1, -1):
        file = weights.shrink({"w": sign * matrix}, bpw=1)
        assert weights.inspect(file).tensors[0].rank == 0
        assert (sign * weights.load(file)["w"]).min() >= 0


def test_what_has_no_structure_is_coded_as_before():
    arrays = {"w": gauss(128, 200), "v": gauss(40, 8, 3, 3, seed=1)}
    assert weights.shrink(arrays, bpw=2) == weights.shrink(arrays, bpw=2, structure=False)


def test_zeros_of_columns_cost_nothing():
    matrix = gauss(64, 128)
    matrix[:, ::2] = 0
    kept = np.ascontiguousarray(matrix[:, 1::2])
    sizes = [
        prepare(arrays_of({"w": one}), structure=way, jobs=1).at(0.1).blocks[0].size
        for one, way in ((matrix, True), (kept, True), (matrix, False))
    ]
    assert sizes[0] < sizes[1] + 30 < sizes[2]


def test_what_is_left_makes_up_for_what_is_not():
    """Two columns that always act alike: leaving out one costs nothing but its share of the other."""
    inputs = gauss(4000, 24)
    inputs[:, 1] = inputs[:, 0] + 0.1 * gauss(4000, seed=1)
    file = arrays_of({"w": gauss(40, 24)})
    known = {"w.rows": np.ones(40, np.float32), "w.columns": (inputs.T @ inputs / 4000).astype(np.float32)}
    [part] = prepare(file, curvatures=curvatures_of(known, file.tensors), jobs=1).parts
    coder = Coder(part.block, part.members[0], 1e-6, 6, 0)
    gaps = Gaps(np.zeros(40, np.bool_), np.arange(24) == 1)
    words = code(coder, Structure(gaps=gaps)).words
    weight = file.tensors[0].array()
    plain, found = weight.copy(), words.view(np.float32).reshape(40, 24)
    plain[:, 1] = 0
    assert not found[:, 1].any()
    errors = [np.square((one - weight) @ inputs.T).mean() for one in (found, plain)]
    assert errors[0] < 0.1 * errors[1]


def test_the_nearest_matrix_is_nearest_in_its_metric():
    feedback = Feedback.of(moments(30, 1), moments(44, 2))
    loss, matrix = Loss.of(feedback, 1.0), low_rank(30, 44, 5, 1.0)
    s, down, along = loss.nearest(matrix, 3)
    rest = loss.of_error(matrix - down.T @ along)
    whole = np.linalg.svd(loss.whitened(matrix), compute_uv=False)
    assert np.allclose(s, whole[:3])
    assert rest == pytest.approx(loss.weight * float(np.square(whole[3:]).sum()))
    others = [loss.of_error(matrix - (down + 0.01 * gauss(*down.shape, seed=i)).T @ along) for i in range(5)]
    assert min(others) > rest


def test_large_matrices_have_about_the_same_leading_directions():
    matrix = low_rank(700, 900, 6, 0.5)
    s, down, along = Loss(1.0).nearest(matrix, 6)
    assert np.allclose(s, np.linalg.svd(matrix, compute_uv=False)[:6], rtol=1e-3)
    assert np.square(matrix - down.T @ along).mean() < 0.26


def test_an_error_of_a_matrix_costs_what_its_moments_say():
    rows, columns = moments(12, 1), moments(20, 2)
    feedback, error = Feedback.of(rows, columns), gauss(12, 20)
    damped = [one + share * np.trace(one) / len(one) * np.eye(len(one)) for one, share in ((rows, 0.5), (columns, 0.1))]
    wanted = 0.5 * np.einsum("ij,ij->", damped[0] @ error @ damped[1], error)
    assert Loss.of(feedback, 1.0).of_error(error / feedback.factors()) == pytest.approx(wanted, rel=1e-4)
