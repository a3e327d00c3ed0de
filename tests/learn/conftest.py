"""A small data set of pictures in two classes, and what is packed from it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from laconic.learn.packing import pack
from laconic.learn.planning import make_plan
from laconic.signals.image import Image, load, save

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def crops() -> Callable[[int, int, int], NDArray[np.uint8]]:
    """Return (number, height, width) -> a piece of a photo."""
    photos = [load(ROOT / "examples" / f"{name}.jpg").pixels for name in ("kitten", "tea-garden")]

    def cut(number: int, height: int, width: int) -> NDArray[np.uint8]:
        photo = photos[number % 2]
        random = np.random.default_rng(number)
        y = int(random.integers(0, photo.shape[0] - height + 1))
        x = int(random.integers(0, photo.shape[1] - width + 1))
        return np.ascontiguousarray(photo[y : y + height, x : x + width])

    return cut


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory, crops: Callable[[int, int, int], NDArray[np.uint8]]) -> Path:
    """A folder of two classes with 12 and 11 pictures of 64 x 64."""
    root = tmp_path_factory.mktemp("pictures")
    for number in range(23):
        folder = root / ("kitten", "tea-garden")[number % 2]
        folder.mkdir(exist_ok=True)
        save(folder / f"{number:02d}.png", Image(crops(number, 64, 64)))
    return root


@pytest.fixture(scope="module")
def packed(pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Those pictures, packed as they are; modules that want them otherwise have a fixture of this name."""
    folder = tmp_path_factory.mktemp("packed")
    assert pack(make_plan(str(pictures), store="fast"), str(folder))
    return folder


@pytest.fixture
def one_thread() -> Iterator[None]:
    """Keeps torch to one thread: small layers wait for each other on more."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def tree(folder: Path) -> dict[str, bytes]:
    """Every file of a folder with its bytes."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
