"""Convention 20: folders, globs, and an output folder that mirrors the tree."""

# ruff: noqa: ARG001 - fixtures are asked for by naming them.
from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from laconic.cli.plan import Naming, make_plan
from laconic.errors import UsageError
from laconic.signals.image import Image, save

from .conftest import photo_pixels, process

IMAGES = Naming(frozenset({".png", ".jpg"}), ".lac")


@pytest.fixture
def tree(folder: Path) -> Path:
    """`photos/` with two pictures, one of them in a folder, and things that are none."""
    for name in ("photos/a.png", "photos/trip/day 1/b.PNG", "photos/.hidden/c.png", "photos/.d.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        save(name, Image(photo_pixels(8, 9)))
    Path("photos/notes.txt").write_text("no picture")
    return folder


def files(folder: str) -> set[str]:
    return {str(path.relative_to(folder)) for path in Path(folder).rglob("*") if path.is_file()}


def test_convention_20_a_folder_is_mirrored_and_comes_back(run: Any, tree: Path):
    assert run("compress", "photos").code == 2
    assert "-r" in run("compress", "photos").said
    assert run("compress", "-r", "photos", "-o", "out").code == 0
    assert files("out") == {"a.lac", "trip/day 1/b.lac"}
    assert run("verify", "-r", "out").code == 0
    assert run("info", "-r", "out").text.count("picture") == 2
    assert run("decompress", "-r", "out", "-o", "back", "--output-format", "tiff").code == 0
    assert files("back") == {"a.tiff", "trip/day 1/b.tiff"}
    again = run("compress", "-r", "photos", "-o", "out", "-n", "--json")
    assert [record["skipped"] for record in again.records] == [True, True]


def test_convention_20_other_files_of_a_folder_are_counted(run: Any, tree: Path):
    for name in ("photos/b.avif", "photos/trip/bare", "photos/old.lac"):
        Path(name).write_bytes(b"")
    said = run("compress", "-r", "photos", "-o", "out").said
    assert said.endswith("\n3 other files left alone: no picture by the name\n")
    more = run("compress", "-r", "photos", "-o", "out", "-v", "-f").said
    assert all(f"  photos/{name}\n" in more for name in ("b.avif", "notes.txt", "trip/bare"))
    assert "left alone" not in run("compress", "-r", "photos/trip/day 1", "-o", "out2").said
    assert "left alone" not in run("compress", "photos/*.png", "-o", "out3").said
    assert "left alone" not in run("decompress", "-r", "photos", "-f", "-o", "out4").said
    Path("photos/old.lac").unlink()
    assert "left alone" not in run("compress", "-r", "photos", "-o", "out", "-f", "--quiet").said


def test_convention_20_without_output_files_stand_beside_their_inputs(run: Any, tree: Path):
    assert run("compress", "-r", "photos").code == 0
    assert {"a.lac", "trip/day 1/b.lac"} <= files("photos")


def test_convention_20_several_folders_keep_their_names(run: Any, tree: Path):
    Path("more").mkdir()
    save("more/a.png", Image(photo_pixels(8, 9)))
    assert run("compress", "-r", "photos", "more", "-o", "out").code == 0
    assert files("out") == {"photos/a.lac", "photos/trip/day 1/b.lac", "more/a.lac"}


def test_convention_20_quoted_globs_are_expanded(run: Any, tree: Path):
    assert run("compress", "photos/*.png", "-o", "flat").code == 0
    assert files("flat") == {"a.lac"}
    assert run("compress", "photos/**/*.[pP][nN][gG]", "-o", "deep").code == 0
    assert files("deep") == {"a.lac", "trip/day 1/b.lac"}
    nothing = run("compress", "photos/*.webp")
    assert nothing.code == 1
    assert "no file matches" in nothing.said


def test_a_name_that_looks_like_a_glob_is_a_name(run: Any, folder: Path):
    save("a[1].png", Image(photo_pixels(8, 9)))
    assert run("compress", "a[1].png").code == 0
    assert Path("a[1].lac").exists()


def test_names_that_are_no_text_are_carried_through(folder: Path):
    save("x.png", Image(photo_pixels(8, 9)))
    name = b"caf\xe9.png"
    try:
        os.rename("x.png", name)  # noqa: PTH104  # pathlib takes no bytes
    except OSError:
        pytest.skip("names must be text here")
    done = process("compress", os.fsdecode(name))
    assert done.returncode == 0, done.stderr
    assert process("verify", os.fsdecode(b"caf\xe9.lac")).stdout == b"caf\xe9.lac: intact\n"


def test_an_output_that_is_a_folder_takes_the_file(run: Any, tree: Path):
    assert run("compress", "photos/a.png", "-o", "new/").code == 0
    assert files("new") == {"a.lac"}
    Path("old").mkdir()
    assert run("compress", "photos/a.png", "-o", "old").code == 0
    assert files("old") == {"a.lac"}
    assert run("compress", "photos/a.png", "photos/a.png", "-o", "old", "-f").code == 0
    assert run("compress", "-r", "photos", "-o", "photos/a.png").code == 2


def test_an_empty_folder_is_a_failure(run: Any, folder: Path):
    Path("empty").mkdir()
    result = run("compress", "-r", "empty")
    assert result.code == 1
    assert "empty contains no file" in result.said


def test_names_without_a_picture_ending_get_one_more(folder: Path):
    for name, target in {"a.b.png": "a.b.lac", "x.2024": "x.2024.lac", "bare": "bare.lac", "UP.PNG": "UP.lac"}.items():
        Path(name).write_bytes(b"")
        assert make_plan([name], None, IMAGES, recursive=False).jobs[0].target == target


def test_one_file_cannot_take_several_outputs(folder: Path):
    for name in ("a.png", "b.png", "out"):
        Path(name).write_bytes(b"")
    with pytest.raises(UsageError, match="need a folder"):
        make_plan(["a.png", "b.png"], "out", IMAGES, recursive=False)


def test_urls_are_read_and_written(run: Any, folder: Path):
    pytest.importorskip("fsspec")
    save("memory://bucket/photo.png", Image(photo_pixels()))
    assert run("compress", "memory://bucket/photo.png", "-o", "memory://bucket/photo.lac").code == 0
    assert run("compress", "memory://bucket/photo.png", "-o", "memory://bucket/photo.lac").code == 1
    assert run("info", "memory://bucket/photo.lac").code == 0
    assert run("decompress", "memory://bucket/photo.lac", "-o", "memory://bucket/back.png").code == 0
    assert run("compress", "memory://bucket/back.png", "-o", "local.lac").code == 0
    missing = run("compress", "memory://bucket/none.png", "-o", "none.lac")
    assert (missing.code, missing.said) == (1, "error: memory://bucket/none.png: no such file\n")
    unknown = run("compress", "noprotocol://bucket/none.png", "-o", "none.lac")
    assert unknown.code == 2
    assert "Protocol not known" in unknown.said


def test_what_a_url_raises_names_the_url(run: Any, folder: Path, monkeypatch: pytest.MonkeyPatch):
    fsspec = pytest.importorskip("fsspec")

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("the server is out of order")

    monkeypatch.setattr(fsspec, "open", refuse)
    result = run("compress", "memory://bucket/photo.png", "-o", "x.lac")
    assert (result.code, result.said) == (1, "error: memory://bucket/photo.png: the server is out of order\n")
