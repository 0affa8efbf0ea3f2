import pytest
from esb_node.function_logs import readable


def test_a_line_of_the_agent_is_time_request_and_line():
    text = '{"time": "t", "worker": "w", "stream": "stdout", "request_id": "r", "line": "a  b"}'
    assert readable(text) == f"t  r{' ' * 35}  a  b"


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", '{"line": "x"}', "plain words"])
def test_what_is_no_line_of_the_agent_is_shown_as_it_is(text):
    assert readable(text) == text


def test_a_report_is_one_line():
    line = "REPORT RequestId: r\\tDuration: 1.91 ms\\t\\nXRAY TraceId: 1-2\\t"
    text = f'{{"time": "t", "stream": "platform", "request_id": "r", "line": "{line}"}}'
    assert readable(text) == f"t  r{' ' * 35}  REPORT RequestId: r  Duration: 1.91 ms  XRAY TraceId: 1-2"
