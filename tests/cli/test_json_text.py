"""JSON in bpftool's two styles."""

from __future__ import annotations

import json

import pytest

from bpfemu.cli.json_text import json_text

VALUE = {"a": [], "b": [{"c": 1}, {"d": "x"}], "e": {}, "f": [1, 2], "g": "é\n"}


def test_plain_json_stands_on_one_line_without_blanks() -> None:
    assert json_text(VALUE, False) == (
        '{"a":[],"b":[{"c":1},{"d":"x"}],"e":{},"f":[1,2],"g":"é\\n"}'
    )


def test_pretty_json_opens_objects_of_an_array_on_its_line() -> None:
    assert json_text({"types": [{"id": 1, "of": []}, {"id": 2}]}, True) == (
        "{\n"
        '    "types": [{\n'
        '            "id": 1,\n'
        '            "of": []\n'
        "        },{\n"
        '            "id": 2\n'
        "        }\n"
        "    ]\n"
        "}"
    )


@pytest.mark.parametrize("pretty", [False, True])
def test_both_styles_say_the_same(pretty: bool) -> None:
    assert json.loads(json_text(VALUE, pretty)) == VALUE
