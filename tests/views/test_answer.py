"""Answers in HTML: tables that read well in a notebook, and no table where there is nothing."""

import re

from overbar.views.answer import Answer


class Said(Answer):
    def __init__(self, *tables):
        self._tables = tables

    def tables(self):
        return list(self._tables)


def cells(html, column):
    rows = re.findall(r"<tr>(.*?)</tr>", html)
    return [re.findall(r'text-align:(\w+)[^>]*">(.*?)<', row)[column] for row in rows]


def test_numbers_stand_to_the_right_and_words_to_the_left():
    rows = [["a", "  7", "-1.5e-03"], ["b", "1,200", ""], ["c", "3 %", "inf"]]
    html = Said(("title", ["name", "count", "value"], rows))._repr_html_()
    assert cells(html, 0) == [("left", "name"), ("left", "a"), ("left", "b"), ("left", "c")]
    assert cells(html, 1) == [
        ("right", "count"),
        ("right", "7"),
        ("right", "1,200"),
        ("right", "3 %"),
    ]
    assert [side for side, _ in cells(html, 2)] == ["right"] * 4
    assert re.search(r'<caption style="text-align:left[^>]*>title</caption>', html)


def test_one_word_among_numbers_keeps_a_column_to_the_left():
    html = Said(("", ["x"], [["1"], ["5×8 ‖1.2‖"]]))._repr_html_()
    assert [side for side, _ in cells(html, 0)] == ["left"] * 3
    assert "<caption" not in html


def test_an_answer_without_rows_is_a_sentence():
    assert Said(("all is <well>", [], []))._repr_html_() == "<p>all is &lt;well&gt;</p>"
