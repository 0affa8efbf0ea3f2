import pytest
from esb_gateway.errors import InvalidNameError, InvalidParameterError
from esb_gateway.lambda_api.function_names import FunctionName, parse_function_name, with_qualifier
from hypothesis import given, settings
from hypothesis import strategies as st


@pytest.mark.parametrize(
    ("text", "name", "qualifier"),
    [
        ("resize", "resize", None),
        ("resize:live", "resize", "live"),
        ("resize:$LATEST", "resize", "$LATEST"),
        ("resize:$LATEST.PUBLISHED", "resize", "$LATEST.PUBLISHED"),
        ("function:resize", "resize", None),
        ("123456789012:resize", "resize", None),
        ("123456789012:resize:7", "resize", "7"),
        ("123456789012", "123456789012", None),
        ("123456789012:function:resize", "resize", None),
        ("123456789012:function:resize:7", "resize", "7"),
        ("arn:aws:lambda:eu-west-1:123456789012:function:resize", "resize", None),
        ("arn:aws-us-gov:lambda:us-gov-west-1:123456789012:function:my_fn-2:prod", "my_fn-2", "prod"),
    ],
)
def test_every_form_of_a_name_is_understood(text, name, qualifier):
    assert parse_function_name(text) == FunctionName(name, qualifier)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a b",
        "a/b",
        "a:b:c:d",
        "arn:aws:s3:::bucket",
        "arn:aws:lambda:eu-west-1:12:function:x",
        "arn:aws:lambda:eu-west-1:123456789012:function:x:$LATEST.SECRET",
        "x" * 257,
        "a:",
    ],
)
def test_what_is_no_name_is_refused_as_aws_does(text):
    with pytest.raises(InvalidNameError, match="at 'functionName' failed to satisfy constraint"):
        parse_function_name(text)


def test_a_qualifier_parameter_joins_the_name_or_must_agree_with_it():
    assert with_qualifier(FunctionName("f", None), "live") == FunctionName("f", "live")
    assert with_qualifier(FunctionName("f", "live"), "live") == FunctionName("f", "live")
    assert with_qualifier(FunctionName("f", None), "$LATEST.PUBLISHED").qualifier == "$LATEST.PUBLISHED"
    assert with_qualifier(FunctionName("f", "live"), None) == FunctionName("f", "live")
    with pytest.raises(InvalidParameterError, match="does not match the specified qualifier"):
        with_qualifier(FunctionName("f", "live"), "test")
    with pytest.raises(InvalidParameterError, match="no version or alias"):
        with_qualifier(FunctionName("f", None), "a b")


@given(st.text(max_size=60))
@settings(deadline=None)
def test_any_text_is_either_a_name_or_refused(text):
    try:
        named = parse_function_name(text)
    except InvalidNameError:
        return
    assert named.name in text
