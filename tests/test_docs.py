"""Nothing said in prose can drift: examples run, links lead somewhere, figures are those of `bench/results/`."""

from __future__ import annotations

import doctest
import importlib
import importlib.util
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import laconic
from laconic.cli.app import COMMANDS
from laconic.cli.options import CommandParser

ROOT = Path(__file__).parents[1]
README = ROOT / "README.md"
GUIDES = [README, *sorted((ROOT / "docs").glob("*.md"))]
OTHERS = ["CONTRIBUTING.md", "CHANGELOG.md", "examples/README.md"]
PAGES = [*GUIDES, *(ROOT / name for name in OTHERS), *sorted((ROOT / "spec").glob("*.md"))]


def named(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


class Block(NamedTuple):
    line: int
    text: str


def blocks(text: str, language: str) -> list[Block]:
    """Return the fenced blocks of one language, each with the number of its first line."""
    return [
        Block(text.count("\n", 0, match.start()) + 2, match[2])
        for match in re.finditer(r"^```(\w*)\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
        if match[1] == language
    ]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder with `examples/`, as the documents ask for."""
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    monkeypatch.chdir(tmp_path)
    return tmp_path


# Examples in Python


def run_python(name: str, text: str) -> int:
    """Run the blocks of a document one after the other in one namespace; return how many statements were run."""
    namespace: dict[str, Any] = {"__name__": name}
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    count = 0
    for line, source in blocks(text, "python"):
        if source.startswith(">>>"):
            example = doctest.DocTestParser().get_doctest(source, namespace, name, name, line - 1)
            result = runner.run(example, clear_globs=False)
            assert not result.failed, f"{name}:{line}"
            namespace = example.globs
            count += result.attempted
        else:
            exec(compile("\n" * (line - 1) + source, name, "exec"), namespace)
            count += 1
    return count


@pytest.mark.parametrize("page", GUIDES, ids=named)
@pytest.mark.usefixtures("folder")
def test_python_examples_run(page: Path):
    text = page.read_text("utf-8")
    assert bool(run_python(named(page), text)) == ("```python" in text)


def test_a_wrong_python_example_would_be_seen():
    assert run_python("right", "```python\n>>> 1 + 1\n2\n```\n") == 1
    with pytest.raises(AssertionError):
        run_python("wrong", "```python\n>>> 1 + 1\n3\n```\n")
    with pytest.raises(NameError):
        run_python("wrong", "```python\nno_such_name\n```\n")


# Examples on the command line


def commands(text: str) -> list[tuple[int, list[str], str]]:
    """Return (line, words, output shown) of each command in the console blocks of a document."""
    found: list[tuple[int, list[str], str]] = []
    for line, source in blocks(text, "console"):
        for number, row in enumerate(source.splitlines(), line):
            if row.startswith("$ "):
                found.append((number, shlex.split(row[2:], comments=True), ""))
            else:
                found[-1] = (*found[-1][:2], f"{found[-1][2]}{row}\n")
    return found


NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")


def alike(shown: str, found: str) -> bool:
    """Tell whether two outputs say the same: numbers may differ by a fifth, speeds and fingerprints altogether."""
    shown, found = (re.sub(r"[\d.]+ MP/s|\b[0-9a-f]{16}\b|  +", "~", text.strip()) for text in (shown, found))
    if NUMBER.sub("#", shown) != NUMBER.sub("#", found):
        return False
    pairs = zip(NUMBER.findall(shown), NUMBER.findall(found), strict=True)
    numbers = [(float(a.replace(",", "")), float(b.replace(",", ""))) for a, b in pairs]
    return all(abs(a - b) <= 0.2 * max(a, b) for a, b in numbers)


@pytest.mark.parametrize("page", [page for page in GUIDES if commands(page.read_text("utf-8"))], ids=named)
def test_console_examples_run(page: Path, folder: Path):
    for line, words, shown in commands(page.read_text("utf-8")):
        assert words[0] == "laconic", f"{named(page)}:{line}"
        done = subprocess.run(
            [sys.executable, "-m", *words], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert done.returncode == 0, f"{named(page)}:{line}: {done.stdout}"
        assert not shown or alike(shown, done.stdout), f"{named(page)}:{line}: it prints\n{done.stdout}"


def test_outputs_that_differ_would_be_seen():
    assert alike("a.lac  30.1 kB  8 MP/s", "a.lac  28.0 kB  900.5 MP/s")
    assert not alike("a.lac  30.1 kB", "a.lac  20.0 kB")
    assert not alike("a.lac  30.1 kB", "a.lac  30.1 MB")


def spoken_commands(text: str) -> list[list[str]]:
    """Return the words of each `laconic` command that a document shows but nobody runs: shell and indented blocks."""
    shell = "".join(block.text for block in blocks(text, "sh"))
    indented = "".join(f"{row}\n" for row in re.findall(r"^    (laconic .*)$", text, re.MULTILINE))
    inline = "".join(f"{row}\n" for row in re.findall(r"`(laconic -[^`]*|laconic [a-z]+ [^`]*)`", text))
    rows = (shell + indented + inline).splitlines()
    return [shlex.split(row, comments=True)[1:] for row in rows if row.startswith("laconic ")]


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_commands_that_are_only_shown_can_be_parsed(page: Path):
    for name, *words in spoken_commands(page.read_text("utf-8")):
        if name in ("-h", "--help", "-V", "--version"):
            continue
        parser = CommandParser(f"laconic {name}")
        importlib.import_module(f"laconic.cli.{name}").configure(parser)
        if not {"-h", "--help"} & set(words):
            parser.parse_intermixed_args(words)


# Completeness


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_is_documented(name: str):
    assert re.search(rf"laconic {name} ", README.read_text("utf-8"))


@pytest.mark.parametrize("name", laconic.__all__)
def test_each_public_name_is_documented(name: str):
    assert any(re.search(rf"\blac\.{name}\b", page.read_text("utf-8")) for page in GUIDES)


def test_the_map_in_the_readme_is_the_folder():
    text = README.read_text("utf-8").split("## Where things are")[1].split("\n## ")[0]
    shown = {match[1] for match in re.finditer(r"^    ([\w/]+)/ ", text, re.MULTILINE)}
    assert shown
    assert [name for name in shown if not (ROOT / name).is_dir()] == []
    kept = {path.name for path in ROOT.iterdir() if path.is_dir() and not path.name.startswith((".", "_"))}
    made = set(re.findall(r"^/?(\w+)/$", (ROOT / ".gitignore").read_text("utf-8"), re.MULTILINE))
    assert kept - made == {name.split("/")[0] for name in shown}


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_the_make_targets_exist(page: Path):
    made = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    assert set(re.findall(r"(?:^    |`)make (\w+)", page.read_text("utf-8"), re.MULTILINE)) <= made


def test_the_tour_goes_where_the_package_says():
    assert laconic.__doc__ is not None
    steps = re.findall(r"`([a-z]+/\w+\.py)`", laconic.__doc__)
    assert len(steps) == 10
    assert [step for step in steps if not (ROOT / "src" / "laconic" / step).exists()] == []
    tour = (ROOT / "docs" / "tour.md").read_text("utf-8")
    titles = "\n".join(re.findall(r"^## .*$", tour, re.MULTILINE))
    places = [titles.index(f"(../src/laconic/{step})") for step in steps]
    assert places == sorted(places)


# Links


def anchors(page: Path) -> set[str]:
    """Return the anchors that headings make."""
    titles = re.findall(r"^#+ (.*)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def dead_links(page: Path, text: str) -> list[str]:
    """Return the links of a document to files or headings that do not exist."""
    dead: list[str] = []
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or not file.is_relative_to(ROOT) or (anchor and anchor not in anchors(file)):
            dead.append(target)
    return dead


@pytest.mark.parametrize("page", PAGES, ids=named)
def test_links_lead_somewhere(page: Path):
    assert dead_links(page, page.read_text("utf-8")) == []


def test_a_dead_link_would_be_seen():
    assert dead_links(README, "[a](docs/tour.md) [b](https://example.org) [c](#limits)") == []
    assert dead_links(README, "[a](docs/no.md) [b](#nowhere) [c](../up.md)") == ["docs/no.md", "#nowhere", "../up.md"]


@pytest.mark.parametrize("page", GUIDES, ids=named)
def test_files_named_in_passing_exist(page: Path):
    text = re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.MULTILINE | re.DOTALL)
    places = [ROOT, ROOT / "docs", ROOT / "src" / "laconic"]
    names = re.findall(r"`((?:\w+/)+\w+\.(?:py|h|cpp|md|toml))`", text)
    # The guide to codecs names one that does not exist yet.
    assert [name for name in names if name != "codecs/audio.py" and not any((p / name).exists() for p in places)] == []


# Figures


def figures() -> Any:
    path = ROOT / "bench" / "readme_figures.py"
    spec = importlib.util.spec_from_file_location("readme_figures", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_figures_are_those_of_the_results():
    script = figures()
    texts = [page.read_text("utf-8") for page in script.PAGES]
    assert {name for text in texts for name in script.names(text)} == set(script.TABLES)
    for text in texts:
        assert script.filled(text) == text, "run: python bench/readme_figures.py"


def test_a_stale_figure_would_be_seen(tmp_path: Path):
    script = figures()
    name = "kodak_rd"
    text = f"before\n<!-- figures: {name} -->\n| old | 1 % |\n<!-- end -->\nafter\n"
    assert "Not measured yet." in script.filled(text, tmp_path)
    source = ROOT / "bench" / "results" / f"{name}.json"
    if source.exists():
        (tmp_path / source.name).write_text(json.dumps(json.loads(source.read_text("utf-8"))), "utf-8")
        new = script.filled(text, tmp_path)
        assert new != text
        assert script.filled(new, tmp_path) == new


CLAIM = re.compile(r"\d\s?(?:%|dB|MP/s|bpp|megapixels per second|times (?:faster|smaller))")


@pytest.mark.parametrize("page", GUIDES, ids=named)
def test_figures_stand_only_where_they_are_checked(page: Path):
    text = page.read_text("utf-8")
    text = re.sub(r"<!-- figures: .*?<!-- end -->|^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    assert [line for line in text.splitlines() if CLAIM.search(line)] == []


def test_the_limits_in_the_readme_are_the_program():
    from laconic.codecs.image import DEFAULT_QUALITY
    from laconic.codecs.image_decoder import MAX_DECODED_PIXELS
    from laconic.container.fields import header_fields
    from laconic.signals.row_files import STREAMED_PIXELS

    text = README.read_text("utf-8")
    assert f"1 to {header_fields()['width'].high:,} pixels a side" in text
    assert f"above {MAX_DECODED_PIXELS >> 20} megapixels" in text
    assert f"above {STREAMED_PIXELS >> 20} megapixels" in text
    assert f"takes `-q {DEFAULT_QUALITY}`" in text
