"""No partial outputs, whatever happens while they are written."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from laconic.errors import OutputExists
from laconic.signals.atomic import replacing


def test_the_file_appears_complete_and_nothing_else_stays(tmp_path: Path):
    target = tmp_path / "x.lac"
    with replacing(target) as stream:
        stream.write(b"abc")
        stream.flush()
        assert not target.exists()
    assert target.read_bytes() == b"abc"
    assert list(tmp_path.iterdir()) == [target]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit, MemoryError])
@pytest.mark.parametrize("before", [None, b"old"])
def test_an_interruption_leaves_everything_as_it_was(tmp_path: Path, error: type[BaseException], before: bytes | None):
    target = tmp_path / "x.lac"
    if before:
        target.write_bytes(before)
    with pytest.raises(error), replacing(target, force=True) as stream:  # noqa: PT012
        stream.write(b"half")
        raise error
    assert [path.read_bytes() for path in tmp_path.iterdir()] == ([before] if before else [])


def test_an_existing_file_is_kept_unless_forced(tmp_path: Path):
    target = tmp_path / "x.lac"
    target.write_bytes(b"old")
    target.chmod(0o640)
    with pytest.raises(OutputExists), replacing(target):
        pytest.fail("the block must not run")
    with replacing(target, force=True) as stream:
        stream.write(b"new")
    assert target.read_bytes() == b"new"
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path):
    target = tmp_path / "x.lac"
    with pytest.raises(OutputExists), replacing(target) as stream:  # noqa: PT012
        stream.write(b"late")
        target.write_bytes(b"first")
    assert target.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [target]


def test_file_systems_without_links_work_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise PermissionError(1, "no links here")

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    target = tmp_path / "x.lac"
    with replacing(target) as stream:
        stream.write(b"abc")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"abc"]
    target.unlink()
    with pytest.raises(OutputExists), replacing(target):
        target.write_bytes(b"first")
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [b"first"]


def test_links_are_followed_and_devices_written_to(tmp_path: Path):
    real = tmp_path / "real"
    real.write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to(real)
    with replacing(link, force=True) as stream:
        stream.write(b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"
    with replacing(os.devnull) as stream:
        stream.write(b"gone")
    assert stat.S_ISCHR(Path(os.devnull).stat().st_mode)
    with pytest.raises(IsADirectoryError), replacing(tmp_path, force=True):
        pytest.fail("the block must not run")


def test_the_umask_decides_the_permissions(tmp_path: Path):
    previous = os.umask(0o027)
    try:
        with replacing(tmp_path / "x"):
            pass
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o640


def test_long_names_work(tmp_path: Path):
    target = tmp_path / ("x" * 255)
    with replacing(target) as stream:
        stream.write(b"abc")
    assert list(tmp_path.iterdir()) == [target]


def test_a_full_disk_leaves_nothing(tmp_path: Path):
    script = (
        "import resource, sys\n"
        "from laconic.signals.atomic import replacing\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try:\n"
        "    with replacing(sys.argv[1]) as stream: stream.write(bytes(100_000))\n"
        "except OSError as error: print(error.errno is not None)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, tmp_path / "x"], capture_output=True, timeout=60, check=True)
    assert done.stdout == b"True\n", done.stderr
    assert list(tmp_path.iterdir()) == []
