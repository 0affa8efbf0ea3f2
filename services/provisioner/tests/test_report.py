import json

import pytest
from esb_provisioner.provision import Outcome, Result
from esb_provisioner.report import as_json, as_text, exit_code

DONE = Result("table", "orders", Outcome.CREATED, warnings=("Tags: whatever",))
FAILED = Result("bucket", "files", Outcome.FAILED, errors=("no",))
REJECTED = Result("bucket", "wrong", Outcome.REJECTED, errors=("bad",))


@pytest.mark.parametrize(
    ("results", "code"),
    [((), 0), ((DONE,), 0), ((DONE, REJECTED), 3), ((REJECTED, FAILED), 4)],
)
def test_the_exit_code_tells_what_to_do_about_it(results, code):
    assert exit_code(results) == code


def test_the_text_has_a_line_for_each_resource_and_totals():
    assert as_text((DONE, FAILED)).splitlines() == [
        "created   table orders",
        "          warning: Tags: whatever",
        "failed    bucket files",
        "          error: no",
        "1 created, 1 failed",
    ]
    assert as_text(()) == "nothing to provision"


def test_the_json_counts_every_outcome():
    document = json.loads(as_json((DONE, FAILED), "000001"))
    assert document["generation"] == "000001"
    assert document["summary"] == {"created": 1, "updated": 0, "existing": 0, "rejected": 0, "failed": 1}
    assert document["resources"][0]["name"] == "orders"
