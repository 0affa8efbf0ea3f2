from base64 import b64decode

from esb_gateway.routes.proxy_request import domain, event_body, request_time, resource_id
from hypothesis import given
from hypothesis import strategies as st


def test_a_time_is_written_as_apache_writes_it():
    assert request_time(1583349317) == "04/Mar/2020:19:15:17 +0000"
    assert request_time(0) == "01/Jan/1970:00:00:00 +0000"


def test_a_resource_has_the_same_id_every_time():
    assert resource_id("/a/{b}") == resource_id("/a/{b}") != resource_id("/a")
    assert len(resource_id("/")) == 6


def test_a_host_is_cut_into_domain_and_prefix():
    assert domain("box.example.com:8080") == ("box.example.com", "box")
    assert domain("localhost") == ("localhost", "localhost")
    assert domain("[::1]:80") == ("[::1]", "[::1]")
    assert domain("") == ("", "")
    assert domain("a." + "b" * 500) == ("a." + "b" * 500, "a")


@given(st.binary(max_size=50), st.sampled_from(["", "text/plain", "application/json", "image/png", "x"]))
def test_no_body_loses_a_byte(body, content_type):
    text, is_base64 = event_body(body, content_type, forms_are_text=True)
    assert (b64decode(text) if is_base64 else text.encode()) == body
