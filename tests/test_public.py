"""The public surface: it works as the documents say, says what it does, and costs nothing to import."""

from __future__ import annotations

import builtins
import importlib.resources
import inspect
import multiprocessing
import os
import pickle
import pydoc
import re
import subprocess
import sys
import typing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import laconic as lac

ROOT = Path(__file__).parents[1]
PHOTO = ROOT / "examples" / "kitten.jpg"
PUBLIC = [name for name in lac.__all__ if name not in ("__version__", "errors")]
FUNCTIONS = [name for name in PUBLIC if inspect.isfunction(getattr(lac, name))]
METHODS = ["encode", "decode", "latents"]


def python(code: str, **environment: str) -> str:
    """Run code in a fresh interpreter, warnings as errors, and return what it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.asarray(Image.open(PHOTO))[:120, :170].copy()


# It works as written in the design


def test_an_array_a_path_and_a_pil_image_are_one_picture():
    picture = Image.open(PHOTO)
    from_path = lac.compress(PHOTO, quality=60)
    assert lac.compress(str(PHOTO), quality=60) == from_path
    assert lac.compress(picture, quality=60) == from_path
    info = lac.inspect(lac.compress(np.asarray(picture), quality=60))
    assert (info.width, info.height, info.channels) == (*picture.size, 3)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [None, 2, 3, 4])
@pytest.mark.parametrize("lossless", [False, True])
def test_shape_and_type_come_back(pixels: np.ndarray, dtype: type, channels: int | None, lossless: bool):
    wide = np.concatenate([pixels, pixels[..., ::-1]], axis=2).astype(dtype) * (257 if dtype == np.uint16 else 1)
    picture = wide[..., 0] if channels is None else wide[..., :channels]
    restored = lac.decompress(lac.compress(picture, lossless=lossless))
    assert (restored.shape, restored.dtype) == (picture.shape, picture.dtype)
    if lossless:
        assert (restored == picture).all()
    else:
        error = restored.astype(float) - picture
        assert np.sqrt(np.mean(error**2)) < 0.05 * np.iinfo(dtype).max
        if channels in (2, 4):
            assert not error[..., -1].any()


def test_files(tmp_path: Path):
    packed, back = tmp_path / "photo.lac", tmp_path / "photo.png"
    info = lac.compress_file(PHOTO, packed, bpp=0.5)
    assert info == lac.inspect(packed) == lac.inspect(str(packed)) == lac.inspect(packed.read_bytes())
    assert 0.45 < info.bpp <= 0.5
    assert info.bytes_total == packed.stat().st_size == sum(size for _, size in info.parts)
    restored = lac.decompress_file(packed, back)
    assert isinstance(restored, lac.Restored)
    assert restored.missing == ()
    assert (np.asarray(Image.open(back)) == lac.decompress(packed.read_bytes())).all()
    assert lac.verify(packed) == info
    with pytest.raises(lac.errors.OutputExists):
        lac.compress_file(PHOTO, packed)
    with pytest.raises(lac.errors.OutputExists):
        lac.decompress_file(packed, back)


@pytest.mark.parametrize(
    "settings", [{"bpp": 1.0}, {"psnr": 30.0}, {"size": 3000}, {"quality": 50}, {"lossless": True}], ids=str
)
def test_exactly_one_target(pixels: np.ndarray, settings: dict[str, Any]):
    lac.compress(pixels, **settings)
    other = {"quality": 60} if "quality" not in settings else {"size": 10_000}
    with pytest.raises(lac.errors.UsageError):
        lac.compress(pixels, **settings, **other)


def test_a_codec_is_its_configuration(pixels: np.ndarray):
    codec = lac.ImageCodec(quality=60, effort=3)
    assert eval(repr(codec), {"ImageCodec": lac.ImageCodec}) == codec
    assert pickle.loads(pickle.dumps(codec)) == codec
    assert hash(codec) == hash(lac.ImageCodec(effort=3, quality=60))
    assert codec != lac.ImageCodec(quality=61, effort=3)
    with pytest.raises(AttributeError):
        codec.quality = 61  # pyright: ignore[reportAttributeAccessIssue]
    data = codec.encode(pixels)
    assert data == lac.compress(pixels, quality=60, effort=3)
    assert (codec.decode(data) == lac.decompress(data)).all()


def test_latents_lie_on_a_grid(pixels: np.ndarray):
    latents = lac.ImageCodec(quality=60).latents(pixels)
    assert isinstance(latents, lac.Latents)
    assert latents.symbols.shape == (3, *pixels.shape[:2])
    assert latents.symbols.any()
    assert latents.band(1, 2).shape == (3, 60, 85)


def test_inputs_are_left_alone(pixels: np.ndarray):
    frozen = pixels.copy()
    frozen.setflags(write=False)
    data = lac.compress(frozen)
    assert (frozen == pixels).all()
    assert lac.compress(np.asfortranarray(pixels)) == data
    assert lac.compress(np.repeat(pixels, 2, axis=1)[:, ::2]) == data
    for view in (bytearray(data), memoryview(data)):
        assert (lac.decompress(view) == lac.decompress(data)).all()  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((4, 4), np.float32),
        np.zeros((4, 4, 3), np.int32),
        np.zeros((4, 4, 5), np.uint8),
        np.zeros((0, 4, 3), np.uint8),
        np.zeros(4, np.uint8),
        np.zeros((1, 65536), np.uint8),
        np.zeros((4, 4), bool),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_what_is_no_picture_is_refused(wrong: np.ndarray):
    with pytest.raises(lac.errors.UnsupportedInput):
        lac.compress(wrong)


@pytest.mark.parametrize("wrong", [b"", b"\x89", b"GIF89a", b"\x89lac", b"\x89lac\x01", b"\x89lac\x02"], ids=repr)
def test_what_is_no_file_is_refused(wrong: bytes):
    for read in (lac.decompress, lac.inspect, lac.verify, lac.restore):
        with pytest.raises(lac.errors.FormatError):
            read(wrong)


def _round_trip(picture: np.ndarray) -> bytes:
    return lac.compress(lac.decompress(lac.compress(picture, lossless=True)), quality=60)


def test_it_works_after_a_fork(pixels: np.ndarray):
    """As in a data loader: the parent has used threads, the children use theirs."""
    expected = _round_trip(pixels)
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("fork")) as pool:
        assert list(pool.map(_round_trip, [pixels, pixels])) == [expected, expected]


# It says what it does


def described(name: str) -> Any:
    owner, _, method = name.partition(".")
    return getattr(getattr(lac, owner), method) if method else getattr(lac, owner)


@pytest.mark.parametrize("name", [*PUBLIC, *(f"ImageCodec.{method}" for method in METHODS)])
def test_everything_public_has_a_docstring(name: str):
    text = inspect.getdoc(described(name))
    assert text
    first = text.splitlines()[0]
    assert first.endswith("."), first
    assert len(first) < 120


@pytest.mark.parametrize("name", [*FUNCTIONS, "ImageCodec", "ImageCodec.encode", "ImageCodec.latents"])
def test_docstrings_name_their_errors(name: str):
    section = sections(inspect.getdoc(described(name)) or "").get("Raises")
    assert section, f"{name} has no section Raises"
    raised = [word for line in re.findall(r"^(\w.*)$", section, re.MULTILINE) for word in line.split(", ")]
    assert raised
    for word in raised:
        kind = getattr(lac.errors, word, None) or getattr(builtins, word)
        assert issubclass(kind, Exception)


def sections(text: str) -> dict[str, str]:
    """Return the numpydoc sections of a docstring."""
    parts = re.split(r"^(\w+)\n-{3,}\n", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def parameters_described(text: str) -> set[str]:
    """Return the names in the section Parameters, and in those of the docstrings it refers to."""
    section = sections(text).get("Parameters", "")
    entries = re.findall(r"^([*\w].*?)(?: :.*)?$", section, re.MULTILINE)
    names = {name.strip("* ") for entry in entries for name in entry.split(",")}
    for other in re.findall(r"(?:[Aa]s for|[Ss]ee) `(\w+)`", section):
        names |= parameters_described(inspect.getdoc(described(other)) or "")
    return names


@pytest.mark.parametrize("name", [*FUNCTIONS, "ImageCodec"])
def test_docstrings_describe_every_parameter(name: str):
    """A parameter is described where it is taken, or the docstring says where else."""
    thing = described(name)
    text = inspect.getdoc(thing) or ""
    icc = {"icc", "exif", "xmp"} if "`icc`, `exif`, `xmp`" in text else set[str]()
    assert set(inspect.signature(thing).parameters) - parameters_described(text) - icc - {"settings"} == set()


@pytest.mark.parametrize("name", [*FUNCTIONS, *(f"ImageCodec.{method}" for method in METHODS)])
def test_everything_public_is_typed(name: str):
    signature = inspect.signature(described(name))
    untyped = [
        parameter.name
        for parameter in signature.parameters.values()
        if parameter.name != "self" and parameter.annotation is inspect.Parameter.empty
    ]
    assert untyped == []
    assert signature.return_annotation is not inspect.Signature.empty


def test_the_package_is_marked_as_typed():
    assert importlib.resources.files("laconic").joinpath("py.typed").is_file()


def test_type_checkers_see_every_public_name():
    """The lazy names are real imports to a type checker: with TYPE_CHECKING set, the module holds all of them."""
    code = (
        "import torch\n"  # which lac.learn needs, and which means something else by the next line
        "import typing; typing.TYPE_CHECKING = True\n"
        "import laconic\n"
        "print(sorted(set(laconic.__all__) - set(vars(laconic)) - {'errors'}))"
    )
    assert python(code).strip() == "[]"
    assert typing.get_type_hints(lac.ImageCodec)["quality"] == int | None


def test_names_are_sorted_and_all_there():
    assert list(lac.__all__) == sorted(lac.__all__)
    assert set(lac.__all__) <= set(dir(lac))
    for name in lac.__all__:
        assert getattr(lac, name) is not None
    with pytest.raises(AttributeError, match="no_such_name"):
        lac.no_such_name  # noqa: B018
    assert "compress" in pydoc.render_doc(lac)


# It costs nothing to import


def test_importing_has_no_side_effects(tmp_path: Path):
    code = """
import locale, os, signal, sys, threading, warnings
heavy = ("numpy", "PIL", "torch", "rich", "argparse", "safetensors", "logging")
def state():
    signals = [signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)]
    place = [os.getcwd(), os.listdir(), list(sys.path), dict(os.environ), locale.setlocale(locale.LC_ALL)]
    return signals, place, threading.active_count(), len(warnings.filters)
before, loaded = state(), set(sys.modules)
import laconic
assert state() == before
print(sorted(name for name in set(sys.modules) - loaded if name.split(".")[0] in heavy or name == "laconic._native"))
"""
    assert python(f"import os; os.chdir({str(tmp_path)!r})\n{code}").strip() == "[]"


BLOCKED = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in %r:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Refuse())
"""


def test_all_but_training_runs_without_torch(tmp_path: Path):
    """Every module outside `train/` and `learn/` can be imported, and a photo goes there and back."""
    code = f"""
import importlib, pkgutil, sys
import laconic
failed = []
for module in pkgutil.walk_packages(laconic.__path__, "laconic."):
    if module.name.split(".")[1] not in ("train", "learn", "__main__"):
        importlib.import_module(module.name)
from laconic.__main__ import main
photo, folder = {str(PHOTO)!r}, {str(tmp_path)!r}
assert main(["compress", photo, "-o", f"{{folder}}/a.lac", "--quiet"]) == 0
assert main(["decompress", f"{{folder}}/a.lac", "-o", f"{{folder}}/a.png", "--quiet"]) == 0
assert main(["verify", f"{{folder}}/a.lac", "--quiet"]) == 0
assert not any(name.split(".")[0] == "torch" for name in sys.modules)
"""
    python(BLOCKED % (("torch",),) + code)


def test_the_codec_needs_nothing_but_numpy_pillow_and_safetensors(tmp_path: Path):
    """What `pip install laconic` brings is enough: none of the extras is needed to compress and restore."""
    extras = ("torch", "bjontegaard", "constriction", "imagecodecs", "matplotlib", "scipy", "pytorch_msssim", "rich")
    code = f"""
import laconic
laconic.compress_file({str(PHOTO)!r}, {str(tmp_path / "a.lac")!r})
laconic.decompress_file({str(tmp_path / "a.lac")!r}, {str(tmp_path / "a.png")!r})
"""
    python(BLOCKED % (extras,) + code)


def test_training_without_torch_says_what_to_install(tmp_path: Path):
    code = BLOCKED % (("torch",),) + (
        "from laconic.__main__ import main\n"
        f"raise SystemExit(main(['train', 'image', '--data', {str(tmp_path)!r}, '--minutes', '1']))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode in (1, 2)
    assert "laconic[train]" in done.stderr
    assert "Traceback" not in done.stderr
