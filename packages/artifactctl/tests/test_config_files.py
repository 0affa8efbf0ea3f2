"""Config files: valid nodes from bytes, bytes from slots."""

from pathlib import Path

import pytest
from artifact_contract.errors import SchemaError
from artifactctl.block_yaml import block_reader
from artifactctl.config_files import dump_files, parse_files
from artifactctl.slots import to_slots


def parse(**texts):
    names = {
        name.replace("_", "-").replace("-yml", ".yml").replace("-json", ".json"): texts[name]
        for name in texts
    }
    return parse_files({name: text.encode() for name, text in names.items()}, Path("dir"), block_reader())


def test_the_problems_of_all_files_come_together_with_their_places():
    with pytest.raises(SchemaError) as caught:
        parse(
            functions_yml="functions:\n  a: {}\n",
            routing_yml="routes:\n- path: /\n",
            resources_yml="resources:\n  s3: x\n",
            image_import_json='{"images": {}}',
        )
    assert [str(problem) for problem in caught.value.problems] == [
        "dir/functions.yml:2:6: functions.a.image: expected an image reference, found nothing",
        "dir/routing.yml:2:3: routes[0].function: expected the name of a function, found nothing",
        "dir/resources.yml:2:7: resources.s3: expected a list, found 'x'",
        "dir/image-import.json:1:12: images: expected a list, found a mapping",
    ]


def test_warnings_have_their_place_too():
    (warning,) = parse(routing_yml="routes:\n- function: a\n").warnings
    assert str(warning).startswith("dir/routing.yml:2:3: routes[0].path: expected a path")


def test_texts_come_out_as_they_went_in():
    values = ['A: "yes"', "B: 010", "C: 1e3", 'D: "1.0"', "E: 0x10"]
    lines = [
        "functions:",
        "  a:",
        "    image: x",
        "    environment:",
        *(f"      {value}" for value in values),
    ]
    text = "\n".join(lines) + "\n"
    nodes = parse(functions_yml=text).value
    assert dump_files(to_slots(nodes).slots)["functions.yml"].decode() == text


def test_numbers_in_json_keep_their_text():
    text = '{\n  "version": 1.0,\n  "push_target": "r",\n  "images": []\n}\n'
    nodes = parse(image_import_json=text).value
    assert dump_files(to_slots(nodes).slots)["image-import.json"].decode() == text
