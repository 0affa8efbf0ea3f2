from pathlib import Path

import pytest
from esb_gateway.auth.credentials import AccessKey
from esb_gateway.config import ConfigError, environment_key, read_config, with_functions_key

NEEDED = {
    "ESB_CONFIG_DIR": "/config",
    "ESB_AGENT_ADDRESS": "unix:/agent.sock",
    "ESB_GATEWAY_STATE_DIR": "/state",
}


def test_three_variables_are_enough():
    config = read_config(NEEDED)
    assert (config.state_dir, config.credentials_file) == (Path("/state"), Path("/state/credentials.yml"))
    assert config.sigv4
    assert (config.config_dir, config.agent_address) == (Path("/config"), "unix:/agent.sock")
    assert config.state_dir == Path("/state")
    assert (config.host, config.port, config.owner_id, config.stage) == (
        "127.0.0.1",
        8080,
        "esb-gateway",
        "Prod",
    )
    assert config.access_log
    assert config.box.limits.max == 10


def test_every_setting_can_be_given():
    config = read_config(
        {
            **NEEDED,
            "ESB_GATEWAY_HOST": "::1",
            "ESB_GATEWAY_PORT": "9000",
            "ESB_OWNER_ID": "box-1",
            "ESB_GATEWAY_STAGE": "test",
            "ESB_GATEWAY_ACCESS_LOG": "off",
            "ESB_GATEWAY_LOG_LEVEL": "warning",
            "ESB_GATEWAY_EVENT_QUEUE": "5",
            "ESB_GATEWAY_EVENT_RETRY_SECONDS": "0.5",
            "ESB_GATEWAY_DEAD_LETTERS": "6",
            "ESB_GATEWAY_SCHEDULE_GRACE": "7",
            "ESB_GATEWAY_DRAIN_TIMEOUT": "1.5",
            "ESB_GATEWAY_CLIENT_TIMEOUT": "7",
            "ESB_GATEWAY_MAX_WORKERS": "3",
            "ESB_GATEWAY_QUEUE": "4",
            "ESB_GATEWAY_IDLE_TIMEOUT": "60",
            "ESB_GATEWAY_ACQUIRE_TIMEOUT": "2",
            "ESB_GATEWAY_CREDENTIALS": "/secrets/keys.yml",
            "ESB_GATEWAY_SIGV4": "off",
            "ESB_GATEWAY_AUTH_PATH": "/login",
            "AWS_REGION": "eu-west-1",
        }
    )
    limits = config.box.limits
    assert (config.host, config.port, config.owner_id, config.stage) == ("::1", 9000, "box-1", "test")
    assert (config.access_log, config.log_level, config.event_queue_limit) == (False, "warning", 5)
    assert (config.event_retry_seconds, config.dead_letter_limit, config.schedule_grace) == (0.5, 6, 7)
    assert (config.drain_timeout, config.client_timeout) == (1.5, 7)
    assert (config.credentials_file, config.sigv4) == (Path("/secrets/keys.yml"), False)
    assert config.box.login_path == "/login"
    assert (limits.max, limits.queue, limits.idle_timeout, limits.acquire_timeout) == (3, 4, 60, 2)
    assert config.box.arn("f") == "arn:aws:lambda:eu-west-1:000000000000:function:f"


def test_all_that_is_wrong_is_told_at_once():
    with pytest.raises(ConfigError) as caught:
        read_config(
            {
                "ESB_CONFIG_DIR": "",
                "ESB_GATEWAY_PORT": "70000",
                "ESB_GATEWAY_ACCESS_LOG": "yes",
                "ESB_GATEWAY_LOG_LEVEL": "loud",
                "ESB_GATEWAY_MAX_WORKERS": "0",
                "ESB_GATEWAY_IDLE_TIMEOUT": "inf",
                "ESB_GATEWAY_SIGV4": "on",
            }
        )
    assert str(caught.value).splitlines() == [
        "ESB_GATEWAY_PORT: expected a port from 1 to 65535, found '70000'",
        "ESB_CONFIG_DIR: expected a value, found nothing",
        "ESB_AGENT_ADDRESS: expected a value, found nothing",
        "ESB_GATEWAY_STATE_DIR: expected a value, found nothing",
        "ESB_GATEWAY_ACCESS_LOG: expected on or off, found 'yes'",
        "ESB_GATEWAY_LOG_LEVEL: expected debug or info or warning or error, found 'loud'",
        "ESB_GATEWAY_SIGV4: expected required or off, found 'on'",
        "ESB_GATEWAY_MAX_WORKERS: expected a whole number from 1, found '0'",
        "ESB_GATEWAY_IDLE_TIMEOUT: expected seconds from 0, found 'inf'",
    ]


def test_workers_get_the_boxs_endpoints_and_credentials_and_nothing_else():
    config = read_config(
        {
            **NEEDED,
            "AWS_ENDPOINT_URL": "http://data:5000",
            "AWS_ENDPOINT_URL_S3": "http://s3:9000",
            "AWS_ACCESS_KEY_ID": "id",
            "AWS_SECRET_ACCESS_KEY": "key",
            "AWS_PROFILE": "mine",
            "HOME": "/root",
        }
    )
    assert config.box.worker_environment == {
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": "http://data:5000",
        "AWS_ENDPOINT_URL_S3": "http://s3:9000",
        "AWS_ENDPOINT_URL_LAMBDA": "http://127.0.0.1:8080",
        "AWS_ACCESS_KEY_ID": "id",
        "AWS_SECRET_ACCESS_KEY": "key",
    }
    given = read_config({**NEEDED, "AWS_ENDPOINT_URL_LAMBDA": "http://gw:1"})
    assert given.box.worker_environment["AWS_ENDPOINT_URL_LAMBDA"] == "http://gw:1"
    assert config.box.variables["HOME"] == "/root"
    on_ipv6 = read_config({**NEEDED, "ESB_GATEWAY_HOST": "::1"})
    assert on_ipv6.box.worker_environment["AWS_ENDPOINT_URL_LAMBDA"] == "http://[::1]:8080"


def test_workers_get_the_functions_pair_and_a_session_token_only_with_its_own_pair():
    pair = {"AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "key"}
    with_token = {**NEEDED, **pair, "AWS_SESSION_TOKEN": "token"}
    key = environment_key(with_token)
    assert (key.name, key.access_key_id, key.secret_access_key) == ("functions", "id", "key")
    environment = with_functions_key(read_config(with_token), key).box.worker_environment
    assert with_token.items() >= {name: environment[name] for name in (*pair, "AWS_SESSION_TOKEN")}.items()

    without_pair = {**NEEDED, "AWS_SESSION_TOKEN": "token"}
    assert environment_key(without_pair) is None
    made = AccessKey("functions", "ESB1", "secret")
    environment = with_functions_key(read_config(without_pair), made).box.worker_environment
    assert (environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"]) == ("ESB1", "secret")
    assert "AWS_SESSION_TOKEN" not in environment


TLS_NAMES = ("ESB_AGENT_TLS_CERT", "ESB_AGENT_TLS_KEY", "ESB_AGENT_TLS_CA")


def test_an_agent_on_tcp_comes_with_certificates(tmp_path):
    files = {name: tmp_path / name for name in TLS_NAMES}
    for path in files.values():
        path.touch()
    given = {name: str(path) for name, path in files.items()}
    config = read_config({**NEEDED, **given, "ESB_AGENT_ADDRESS": "tcp:agent.box:7443"})
    assert config.agent_address == "tcp:agent.box:7443"
    assert config.agent_tls is not None
    assert config.agent_tls.files == tuple(files.values())


def test_without_them_it_is_refused_unless_they_are_switched_off_by_name(tmp_path):
    tcp = {**NEEDED, "ESB_AGENT_ADDRESS": "tcp:127.0.0.1:7443"}
    with pytest.raises(ConfigError) as caught:
        read_config({**tcp, "ESB_AGENT_TLS_CERT": "/nowhere/a.crt"})
    assert str(caught.value).splitlines() == [
        "ESB_AGENT_TLS_CERT: expected a PEM file, or ESB_AGENT_TLS=off-trusted-network, "
        "found '/nowhere/a.crt'",
        "ESB_AGENT_TLS_KEY: expected a value, found nothing",
        "ESB_AGENT_TLS_CA: expected a value, found nothing",
    ]
    with pytest.raises(ConfigError, match="ESB_AGENT_TLS: expected off-trusted-network, found 'off'"):
        read_config({**tcp, "ESB_AGENT_TLS": "off"})
    assert read_config({**tcp, "ESB_AGENT_TLS": "off-trusted-network"}).agent_tls is None


@pytest.mark.parametrize("address", ["localhost:7443", "tcp:7443", "tcp:host:0", "tcp:host:x", "unix:"])
def test_an_address_of_another_form_is_refused(address):
    with pytest.raises(ConfigError, match="ESB_AGENT_ADDRESS: expected unix:/path or tcp:host:port"):
        read_config({**NEEDED, "ESB_AGENT_ADDRESS": address})


@pytest.mark.parametrize("path", ["login", "/", "/a/{b}", "/health", "/a b", "//a"])
def test_the_login_has_a_path_of_its_own(path):
    with pytest.raises(ConfigError, match="ESB_GATEWAY_AUTH_PATH: expected a path like /user/auth/v1"):
        read_config({**NEEDED, "ESB_GATEWAY_AUTH_PATH": path})
