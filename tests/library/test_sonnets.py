"""The text that comes with the package."""

from pathlib import Path

import overbar as ob

HERE = Path(ob.data.__file__).parent


def test_the_numbers_are_the_text():
    numbers, characters = ob.data.sonnets()
    text = "".join(characters[i] for i in numbers)
    assert text == (HERE / "sonnets.txt").read_text(encoding="ascii")
    assert list(characters) == sorted(set(text))


def test_a_sonnet_has_fourteen_lines():
    numbers, characters = ob.data.sonnets()
    poems = "".join(characters[i] for i in numbers).strip().split("\n\n")
    assert [len(poem.splitlines()) for poem in poems] == [14] * 8


def test_where_it_is_from_is_said_beside_it():
    said = (HERE / "SONNETS-LICENCE.md").read_text(encoding="utf-8")
    assert "public domain" in said
    assert "1609" in said
