import pytest
from esb_gateway.auth.passwords import hash_password, parse_hash


def test_a_hash_is_read_as_it_was_written_and_knows_its_password():
    made = hash_password("pässword")
    assert parse_hash(str(made)) == made
    assert made.matches("pässword")
    assert not made.matches("password")
    assert str(hash_password("pässword")) != str(made)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "scrypt",
        "scrypt:16384:8:1:AAAA",
        "md5:16384:8:1:AAAAAAAAAAAA:AAAA",
        "scrypt:x:8:1:AAAAAAAAAAAA:AAAA",
    ]
    + [
        f"scrypt:{costs}:AAAAAAAAAAAAAAAA:{'A' * 44}"
        for costs in ("15:8:1", "0:8:1", "1048576:32:1", "2:8:0")
    ]
    + ["scrypt:16384:8:1:AA:" + "A" * 44, "scrypt:16384:8:1:AAAAAAAAAAAAAAAA:AA", "scrypt:2:1:1:?:?"],
)
def test_what_is_no_hash_or_too_dear_is_refused(text):
    assert parse_hash(text) is None
