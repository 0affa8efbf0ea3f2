import pytest
from esb_gateway import errors

LEAVES = [
    kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.CallError)
]


@pytest.mark.parametrize("kind", LEAVES)
def test_every_error_has_an_answer_at_both_doors(kind):
    made = kind("x", challenge="Bearer") if issubclass(kind, errors.UnauthorizedError) else kind("x")
    assert 400 <= errors.lambda_error(made).status < 600
    assert 400 <= errors.route_error(made).status < 600


def test_an_error_without_row_is_answered_as_its_base():
    assert errors.route_error(errors.ReservedLimitError("x")).status == 429
    assert errors.lambda_error(errors.CallError("x")).code == "ServiceException"
