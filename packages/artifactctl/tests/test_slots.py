"""Files to a flat table and back."""

from artifact_contract.codec import dump_yaml, read_json, read_yaml
from artifact_contract.config_files import FUNCTIONS_FILE, IMAGE_IMPORT_FILE, RESOURCES_FILE, ROUTING_FILE
from artifact_contract.nodes import Scalar, from_python
from artifactctl.slots import label, slot_file, to_files, to_slots
from hypothesis import given
from hypothesis import strategies as st

FILES = {
    FUNCTIONS_FILE: read_yaml(
        b"""\
extra: 1
defaults:
  environment:
    LEVEL: "yes"
  scaling:
    max_capacity: 0o14
  timeout: 1e3
functions:
  a:
    image: x
""",
        "f",
    ),
    ROUTING_FILE: read_yaml(
        b"routes:\n- path: /a\n  function: a\n- path: /a\n  method: post\n  function: a\n- function: b\n", "r"
    ),
    RESOURCES_FILE: read_yaml(
        b"resources:\n  dynamodb:\n  - TableName: t\n  s3:\n  - BucketName: 010\n  queues:\n  - x\n", "s"
    ),
    IMAGE_IMPORT_FILE: read_json(
        b'{"version": "1", "push_target": "r:5010", "images": '
        b'[{"function_name": "z"}, {"image_source": "s", "image_ref": "r"}]}',
        "i",
    ),
}


def test_everything_that_can_be_owned_has_a_slot():
    assert list(to_slots(FILES).slots) == [
        ("settings", "functions.yml", "extra"),
        ("defaults", "environment", "LEVEL"),
        ("defaults", "scaling", "max_capacity"),
        ("defaults", "timeout"),
        ("functions", "a"),
        ("routes", "GET", "/a"),
        ("routes", "POST", "/a"),
        ("resources", "dynamodb", "t"),
        ("resources", "s3", "010"),
        ("lists", "queues"),
        ("settings", "image-import.json", "push_target"),
        ("images", "z"),
        ("images", "s|r"),
    ]


def test_texts_come_out_as_they_went_in():
    slots = to_slots(FILES).slots
    assert slots["defaults", "environment", "LEVEL"] == Scalar("yes", plain=False)
    assert slots["defaults", "scaling", "max_capacity"] == Scalar("0o14")
    text = dump_yaml(to_files(slots)[FUNCTIONS_FILE])
    assert 'LEVEL: "yes"\n' in text
    assert "max_capacity: 0o14\n" in text
    assert "timeout: 1e3\n" in text


def test_images_are_sorted_by_their_key():
    images = to_files(to_slots(FILES).slots)[IMAGE_IMPORT_FILE].items["images"]
    assert [list(image.items) for image in images.items] == [["image_source", "image_ref"], ["function_name"]]


def test_a_route_without_a_path_is_only_kept_where_it_was():
    kept = to_slots(FILES, keep_keyless=True).slots
    assert ("routes", "", "2") in kept
    assert len(to_files(kept)[ROUTING_FILE].items["routes"].items) == 3


def test_what_is_given_twice_is_told_and_the_last_counts():
    routing = read_yaml(b"routes:\n- path: /a\n  function: a\n- path: /a\n  function: b\n", "r")
    table = to_slots({ROUTING_FILE: routing})
    assert table.repeated == (("routes", "GET", "/a"),)
    assert table.slots["routes", "GET", "/a"].items["function"].text == "b"


def test_no_files_give_empty_ones():
    texts = {name: dump_yaml(root) for name, root in to_files({}).items()}
    assert texts[FUNCTIONS_FILE] == "functions: {}\n"
    assert texts[ROUTING_FILE] == "routes: []\n"
    assert texts[RESOURCES_FILE] == "resources: {}\n"


def test_labels_are_what_a_person_would_say():
    assert [label(slot) for slot in to_slots(FILES).slots][5:8] == ["GET /a", "POST /a", "dynamodb/t"]
    assert label(("defaults", "environment", "LEVEL")) == "environment/LEVEL"
    assert slot_file(("images", "x")) == IMAGE_IMPORT_FILE
    assert slot_file(("settings", "routing.yml", "x")) == ROUTING_FILE


NAMES = st.text("ab/ é", min_size=1, max_size=3)
BODIES = st.dictionaries(NAMES, st.text(max_size=3), min_size=1, max_size=2).map(from_python)


def slots_of(*kinds):
    return st.tuples(*(st.just(kind) if isinstance(kind, str) else kind for kind in kinds))


SLOTS = st.dictionaries(
    slots_of("functions", NAMES)
    | slots_of("defaults", st.sampled_from(["environment", "scaling"]), NAMES)
    | slots_of("defaults", st.sampled_from(["timeout", "other"]))
    | slots_of("lists", st.sampled_from(["queues", "topics"]))
    | slots_of("settings", st.just("functions.yml"), st.sampled_from(["x", "y"])),
    BODIES,
    max_size=8,
)


@given(SLOTS)
def test_a_table_survives_being_written_as_files(slots):
    assert to_slots(to_files(slots)).slots == slots
    again = to_files(to_slots(to_files(slots)).slots)
    assert {name: dump_yaml(root) for name, root in again.items()} == {
        name: dump_yaml(root) for name, root in to_files(slots).items()
    }
