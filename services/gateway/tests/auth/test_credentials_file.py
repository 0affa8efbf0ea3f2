import re
import stat
from concurrent.futures import ThreadPoolExecutor

import pytest
from esb_gateway.auth.credential_store import CredentialStore
from esb_gateway.auth.credentials import AccessKey
from esb_gateway.auth.credentials_file import CredentialsError, load, load_or_create
from esb_gateway.auth.passwords import hash_password

COMPLETE = """\
# mine
access_keys:
- {name: operator, access_key_id: ESBOP, secret_access_key: operator-secret}
- {name: functions, access_key_id: ESBFN, secret_access_key: functions-secret}
api_keys:
- {name: default, value: the-api-key}
admin_keys:
- {name: operator, value: the-admin-key}
jwt: {secret: 0123456789abcdef0123456789abcdef, ttl: 60}
users:
- {name: admin, password: a pass word}
"""


def write(path, text, mode=0o600):
    path.write_text(text)
    path.chmod(mode)
    return path


def test_a_missing_file_is_made_private_with_secrets_of_its_own(tmp_path):
    path = tmp_path / "state" / "credentials.yml"
    credentials, made = load_or_create(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert [key.name for key in credentials.access_keys] == ["operator", "functions"]
    assert re.fullmatch(r"ESB[0-9A-F]{16}", credentials.functions_key.access_key_id)
    secrets = [credentials.jwt.secret, credentials.api_keys[0].value, credentials.users[0].password]
    secrets += [credentials.admin_keys[0].value]
    secrets += [key.secret_access_key for key in credentials.access_keys]
    assert len(set(secrets)) == 6
    assert all(len(secret) >= 24 and secret in made.yaml for secret in secrets)
    assert not any(secret in repr(credentials) + repr(made) for secret in secrets)
    assert list(path.parent.iterdir()) == [path]
    other, _ = load_or_create(tmp_path / "other.yml")
    assert other.jwt.secret != credentials.jwt.secret


def test_a_second_start_reads_what_the_first_made(tmp_path):
    path = tmp_path / "credentials.yml"
    first, _ = load_or_create(path)
    second, made = load_or_create(path)
    assert first == second == load(path)
    assert not made


def test_missing_sections_are_made_and_what_was_written_stays(tmp_path):
    kept = COMPLETE[: COMPLETE.index("jwt:")] + "jwt:   # later\n"
    path = write(tmp_path / "credentials.yml", kept)
    credentials, made = load_or_create(path)
    assert [line for line in made.yaml.splitlines() if not line.startswith((" ", "-"))] == ["jwt:", "users:"]
    assert path.read_text().startswith("# mine\naccess_keys:\n")
    assert credentials.api_keys[0].value == "the-api-key"
    assert credentials.jwt.secret in made.yaml
    assert "the-api-key" not in made.yaml
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_an_empty_list_means_nobody(tmp_path):
    text = COMPLETE.replace("\n- {name: admin, password: a pass word}", " []")
    credentials, made = load_or_create(write(tmp_path / "credentials.yml", text))
    assert (credentials.users, bool(made)) == ((), False)


def test_a_file_in_flow_style_that_lacks_a_section_says_what_to_do(tmp_path):
    path = write(tmp_path / "credentials.yml", "{users: []}\n")
    with pytest.raises(
        CredentialsError, match="access_keys, api_keys, admin_keys, jwt: expected a section, found nothing"
    ):
        load_or_create(path)
    assert path.read_text() == "{users: []}\n"


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_file_that_others_may_read_is_refused(tmp_path, mode):
    path = write(tmp_path / "credentials.yml", COMPLETE, mode)
    with pytest.raises(CredentialsError, match=f"mode: expected 0600, found {mode:04o}"):
        load_or_create(path)


def test_the_environments_pair_is_the_functions_pair_and_the_files_still_counts(tmp_path):
    path = write(tmp_path / "credentials.yml", COMPLETE)
    pair = AccessKey("functions", "AKIAENV", "environment", "token")
    credentials, _ = load_or_create(path, pair)
    assert credentials.functions_key == pair
    assert [key.access_key_id for key in credentials.access_keys] == ["ESBOP", "ESBFN", "AKIAENV"]
    without = COMPLETE.replace(
        "- {name: functions, access_key_id: ESBFN, secret_access_key: functions-secret}\n", ""
    )
    write(path, without)
    assert load_or_create(path, pair)[0].functions_key == pair
    with pytest.raises(CredentialsError, match="an entry named functions, which workers get, found none"):
        load_or_create(path)


def test_the_environments_pair_wins_over_the_same_id_in_the_file(tmp_path):
    path = write(tmp_path / "credentials.yml", COMPLETE)
    pair = AccessKey("functions", "ESBFN", "another-secret")
    credentials, _ = load_or_create(path, pair)
    assert [key for key in credentials.access_keys if key.access_key_id == "ESBFN"] == [pair]


WRONG = {
    "access_keys: x": "2:14: access_keys: expected a list, found a text",
    "- {name: operator, access_key_id: ESBOP}": (
        "3:3: access_keys[0].secret_access_key: expected a text, found nothing"
    ),
    "- {name: a, access_key_id: a/b, secret_access_key: operator-secret}": (
        "3:28: access_keys[0].access_key_id: expected 3 to 128 letters, digits, - or _, found something else"
    ),
    "- {name: a, access_key_id: ESBFN, secret_access_key: operator-secret}": (
        "access_keys: expected every access_key_id once, found ESBFN twice"
    ),
    "- {name: a, access_key_id: ESBOP, secret_access_key: short}": "expected at least 8 characters, found 5",
    "- {name: a, access_key_id: ESBOP, secret_access_key: operator-secret, sekret: 1}": (
        "access_keys[0].sekret: expected one of name, access_key_id, secret_access_key, found an unknown key"
    ),
    "- just text": "access_keys[0]: expected a mapping, found a text",
}


@pytest.mark.parametrize(("line", "message"), WRONG.items())
def test_mistakes_are_told_with_file_line_and_field_and_without_secrets(tmp_path, line, message):
    lines = COMPLETE.splitlines()
    if line.startswith("access_keys"):
        lines[1:4] = [line]
    else:
        lines[2] = line
    path = write(tmp_path / "credentials.yml", "\n".join(lines))
    with pytest.raises(CredentialsError) as caught:
        load_or_create(path)
    assert message in str(caught.value)
    assert str(path) in str(caught.value)
    assert "secret-" not in str(caught.value)
    assert "-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0123456789abcdef0123456789abcdef", "short", "jwt.secret: expected at least 32 characters, found 5"),
        ("ttl: 60", "ttl: 0", "jwt.ttl: expected seconds from 1 to 604800"),
        (
            "ttl: 60",
            "issuers: [{issuer: https://a}]",
            "expected one of jwks_file, jwks_url, secret, found none",
        ),
        ("ttl: 60", "issuers: [{issuer: a, jwks_url: 'ftp://b'}]", "jwks_url: expected an http or https URL"),
        ("ttl: 60", "issuers: [{issuer: a, secret: b}]", "secret: expected at least 32 characters, found 1"),
        ("password: a pass word", "password_hash: md5", "users[0].password_hash: expected scrypt:N:r:p:salt"),
        ("password: a pass word", "pass: a", "users[0]: expected one of password, password_hash, found none"),
        (
            "the-admin-key",
            "the-api-key",
            "admin_keys: expected values of their own, found one that api_keys has",
        ),
        ("value: the-api-key", "value: the api key", "expected printable ASCII without spaces"),
    ],
)
def test_wrong_values_are_load_errors(tmp_path, old, new, message):
    path = write(tmp_path / "credentials.yml", COMPLETE.replace(old, new))
    with pytest.raises(CredentialsError, match=re.escape(message)):
        load_or_create(path)


@pytest.mark.parametrize("text", ["- a\n", "a: [\n", "a: 1\na: 2\n", "\x00"])
def test_what_is_no_mapping_is_refused(tmp_path, text):
    with pytest.raises(CredentialsError, match=r"credentials\.yml"):
        load_or_create(write(tmp_path / "credentials.yml", text))


def test_a_hash_and_other_issuers_are_read(tmp_path):
    text = COMPLETE.replace("password: a pass word", f"password_hash: '{hash_password('p')}'")
    text = text.replace("ttl: 60", "issuers: [{issuer: 'https://a', jwks_file: keys.json}]")
    credentials = load(write(tmp_path / "credentials.yml", text))
    assert credentials.users[0].password_hash.startswith("scrypt:16384:8:1:")
    assert (credentials.jwt.issuers[0].jwks_file, credentials.jwt.ttl) == (f"{tmp_path}/keys.json", 3600)


def test_a_changed_file_is_taken_over_and_a_wrong_one_is_not(tmp_path, log):
    path = write(tmp_path / "credentials.yml", COMPLETE)
    store = CredentialStore(load(path), path)
    before = store.current
    store.reload(log)
    assert store.current is before
    write(path, COMPLETE.replace("the-api-key", "another-api-key"))
    store.reload(log)
    assert store.current.api_keys[0].value == "another-api-key"
    write(path, "users: x\n")
    store.reload(log)
    store.reload(log)
    path.unlink()
    store.reload(log)
    assert store.current.api_keys[0].value == "another-api-key"
    assert log.events() == ["credentials reloaded", "credentials refused, the ones before stay"]


def test_two_that_start_at_once_end_with_the_same_credentials(tmp_path):
    path = tmp_path / "credentials.yml"
    with ThreadPoolExecutor(8) as pool:
        started = [pool.submit(load_or_create, path) for _ in range(8)]
        found = [each.result() for each in started]
    assert len({credentials for credentials, _ in found}) == 1
    assert sum(bool(made) for _, made in found) == 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_system_without_links_will_do(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(type(tmp_path), "hardlink_to", refuse)
    credentials, made = load_or_create(tmp_path / "credentials.yml")
    assert made
    assert load(tmp_path / "credentials.yml") == credentials
