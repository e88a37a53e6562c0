"""The documents: every error class has a page that shows it, every link leads somewhere, the manual
states every line, and what is generated is what the package would generate now.

That the examples are true is tested in test_examples; here the messages of the error pages are
compared too, word for word.
"""

import ast
import doctest
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import overbar as ob
from docs import catalogue, generate, outputs, pages, pictures, stubs
from overbar import errors
from overbar.primitive import PRIMITIVES, PUBLIC

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
WORDS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
EVERY = [c for c in vars(errors).values() if isinstance(c, type)]
CLASSES = sorted((c for c in EVERY if issubclass(c, errors.OverbarError)), key=lambda c: c.__name__)
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
SENTENCES = 18


def text_of(page):
    """A page without the fences of its code, which would look like output."""
    lines = page.read_text(encoding="utf-8").splitlines()
    return "\n".join("" if line.lstrip().startswith("```") else line for line in lines)


def name_of(page):
    return page.relative_to(ROOT).as_posix()


# -- the error pages --------------------------------------------------------------------------


@pytest.mark.parametrize("kind", CLASSES, ids=lambda c: c.__name__)
def test_the_page_of_an_error_raises_it_word_for_word(kind):
    page = DOCS / "errors" / f"{kind.__name__}.md"
    assert page.exists(), f"{kind.__name__} has no page"
    text = text_of(page)
    said = re.findall(r"^overbar\.errors\.(\w+):", text.partition("## The repair")[0], re.MULTILINE)
    assert said, "the page shows no failure"
    assert all(issubclass(getattr(errors, name), kind) for name in said), said
    report = []
    test = doctest.DocTestParser().get_doctest(text, {"ob": ob, "np": np}, page.name, page.name, 0)
    doctest.DocTestRunner(optionflags=WORDS, verbose=False).run(test, out=report.append)
    assert not report, (
        f"{''.join(report)}\npython -m docs.outputs {name_of(page)} writes what is said now"
    )


def test_every_error_page_is_of_an_error():
    pages = {page.stem for page in (DOCS / "errors").glob("*.md")} - {"README"}
    assert pages == {c.__name__ for c in CLASSES}


# -- the manual -------------------------------------------------------------------------------


def test_the_manual_states_every_line_once():
    stated = []
    for page in sorted((DOCS / "manual").glob("*.md")):
        stated += [
            int(n)
            for n in re.findall(r"^### (\d+)\. ", page.read_text(encoding="utf-8"), re.MULTILINE)
        ]
    assert sorted(stated) == list(range(1, SENTENCES + 1))


# -- links ------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_to_a_file(page):
    linked = re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    inside = [link for link in linked if not re.match(r"[a-z]+:", link)]
    missing = [link for link in inside if not (page.parent / link).exists()]
    assert not missing


def test_every_page_is_linked_from_another():
    linked = {
        (page.parent / link).resolve()
        for page in PAGES
        for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text(encoding="utf-8"))
    }
    assert not [name_of(page) for page in PAGES[1:] if page.resolve() not in linked]


# -- pictures ---------------------------------------------------------------------------------


def test_a_page_shows_the_pictures_that_it_saves_and_no_picture_is_left_over():
    kept = {p for p in DOCS.rglob("*.svg") if p.parent.name == pictures.PLACE}
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        saved, shown = pictures.SAVED.findall(text), pictures.SHOWN.findall(text)
        assert sorted(saved) == sorted(shown), name_of(page)
        kept -= {page.parent / name for name in saved}
    assert not kept


def test_a_picture_that_is_not_what_its_page_makes_is_seen(tmp_path):
    page = tmp_path / "page.md"
    with pictures.workroom() as room:
        Path("pictures/sum.svg").write_text("<svg/>", encoding="utf-8")
        assert pictures.stale(page, room) == ["pictures/sum.svg"]
        pictures.keep(page, room)
        assert pictures.stale(page, room) == []
        (tmp_path / "pictures" / "sum.svg").write_text("<svg></svg>", encoding="utf-8")
        assert pictures.stale(page, room) == ["pictures/sum.svg"]


# -- what is generated ------------------------------------------------------------------------


def test_the_generated_files_are_up_to_date(tmp_path):
    # in a process of its own: `overbar.compat` gives Tensor more methods where it is imported
    code = "from docs import generate; from pathlib import Path; "
    code += f"generate.write(Path({str(tmp_path)!r}))"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)
    made = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*") if p.is_file()}
    stale = [
        path
        for path in sorted(made)
        if not (ROOT / path).exists()
        or (ROOT / path).read_text(encoding="utf-8")
        != (tmp_path / path).read_text(encoding="utf-8")
    ]
    assert not stale, "python tasks.py docs makes them again"


def test_nothing_generated_is_left_over():
    made = set(generate.faces())
    there = {name_of(p) for p in (DOCS / "reference").glob("*.md")}
    there |= {name_of(p) for p in (ROOT / "overbar").rglob("*.pyi")}
    assert there == made


def test_the_stub_knows_every_public_name():
    stub = ast.parse(stubs.stub())
    known = set()
    for node in stub.body:
        if isinstance(node, ast.FunctionDef):
            known.add(node.name)
        elif isinstance(node, ast.AnnAssign):
            known.add(node.target.id)
        elif isinstance(node, ast.ImportFrom):
            known |= {a.asname for a in node.names if a.asname}
    missing = set(catalogue.public_names()) - known
    assert not missing
    assert {"sin", "grad", "nn", "optim", "linalg", "Tensor", "random"} <= known


def test_the_reference_knows_every_primitive_and_every_operation():
    listed = pages.primitives()
    assert not [name for name in PRIMITIVES if f"| `{name}` |" not in listed]
    operations = pages.operations()
    ours = [
        n for n, f in PUBLIC[""].items() if callable(f) and getattr(ob, n) is f and n[:1] != "_"
    ]
    assert not [name for name in ours if f"`ob.{name}(" not in operations]


# -- filling in outputs -----------------------------------------------------------------------


def test_an_output_is_filled_in_as_it_is():
    page = "# Sums\n\n```python\n>>> x = 1\n>>> x + 1\n3\n>>> x / 0\n```\n"
    end = "Traceback (most recent call last):\n    ...\nZeroDivisionError: division by zero\n```\n"
    wanted = f"# Sums\n\n```python\n>>> x = 1\n>>> x + 1\n2\n>>> x / 0\n{end}"
    assert outputs.filled(page, "sums.md") == wanted
    assert outputs.filled(wanted, "sums.md") == wanted


def test_an_output_that_fits_stays():
    page = ">>> list(range(100))\n[0, 1, ..., 99]\n>>> print('a\\n\\nb')\na\n<BLANKLINE>\nb\n"
    assert outputs.filled(page, "numbers.md") == page
