"""Who a function runs as."""

import pytest
from esb_agent.drivers.containerd.users import User, needs_files, parse_user, read_in_layers
from esb_agent.errors import ImageBrokenError

PASSWD = "root:x:0:0:root:/root:/bin/sh\napp:x:500:600::/:/bin/sh\nbroken\n"
GROUP = "root:x:0:\nstaff:x:700:app,other\nadm:x:800:\n"


@pytest.mark.parametrize(
    ("text", "user"),
    [
        ("", User(993, 990)),
        ("12:13", User(12, 13)),
        ("12", User(12, 0)),
        ("500", User(500, 600, (700,))),
        ("app", User(500, 600, (700,))),
        ("app:adm", User(500, 800)),
        ("root", User(0, 0)),
    ],
)
def test_names_and_numbers_are_understood_as_engines_do(text, user):
    assert parse_user(text, PASSWD, GROUP) == user


@pytest.mark.parametrize("text", ["nobody", "app:nogroup"])
def test_a_name_the_image_does_not_know_is_its_fault(text):
    with pytest.raises(ImageBrokenError, match=text):
        parse_user(text, PASSWD, GROUP)


def test_files_are_read_only_where_a_name_is_to_be_looked_up():
    assert [needs_files(text) for text in ("", "1:2", "1", "app", "app:3")] == [
        False,
        False,
        True,
        True,
        True,
    ]


def test_the_topmost_layer_that_has_the_file_wins(tmp_path):
    for name, text in (("top", None), ("middle", "new"), ("bottom", "old")):
        (tmp_path / name / "etc").mkdir(parents=True)
        if text:
            (tmp_path / name / "etc" / "passwd").write_text(text)
    layers = [tmp_path / name for name in ("top", "middle", "bottom", "missing")]
    assert read_in_layers(layers, "etc/passwd") == "new"
    assert read_in_layers(layers, "etc/group") == ""


def test_an_images_link_to_a_file_of_the_host_is_not_followed(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("root:x:0:0")
    layer = tmp_path / "layer"
    (layer / "etc").mkdir(parents=True)
    (layer / "etc" / "passwd").symlink_to(secret)
    assert read_in_layers([layer], "etc/passwd") == ""
