import pytest


def declared(text, name="P"):
    return f"Parameters:\n  {name}: {text}\n"


@pytest.mark.parametrize(
    ("declaration", "given", "value"),
    [
        ("{Type: String, Default: 010}", None, "010"),
        ("{Type: String, Default: 'yes'}", None, "yes"),
        ("{Type: String, Default: yes}", None, "true"),  # an environment has what AWS makes of a boolean
        ("{Type: String, Default: no}", "yes", "yes"),
        ("{Type: String, Default: ''}", None, ""),
        ("{Type: String}", "1.0", "1.0"),
        ("{Type: String, Default: a}", "", ""),
        ("{Type: Number}", "007", "007"),
        ("{Type: Number, MinValue: 1, MaxValue: 5}", "5", "5"),
        ("{Type: String, AllowedValues: [a, 1]}", "1", "1"),
        ("{Type: String, AllowedPattern: '[a-z]+'}", "abc", "abc"),
        ("{Type: String, MinLength: 2, MaxLength: 3}", "abc", "abc"),
        ("{Type: 'AWS::EC2::VPC::Id'}", "vpc-1", "vpc-1"),
        ("{Type: 'AWS::SSM::Parameter::Value<String>', Default: /a/b}", "v", "v"),
    ],
)
def test_a_parameter_keeps_the_text_of_its_value(evaluate, declaration, given, value):
    parameters = {} if given is None else {"P": given}
    assert evaluate("!Ref P", head=declared(declaration), parameters=parameters) == value


@pytest.mark.parametrize(
    "type_",
    [
        "CommaDelimitedList",
        "List<String>",
        "List<AWS::EC2::Subnet::Id>",
        "AWS::SSM::Parameter::Value<List<String>>",
    ],
)
def test_a_list_parameter_is_a_list_of_trimmed_texts(evaluate, problems, type_):
    head = declared(f"{{Type: '{type_}'}}")
    if type_ == "List<String>":  # CloudFormation has no such type
        assert "a parameter type such as" in problems(head + "Resources: {B: {Type: 'AWS::S3::Bucket'}}")[0]
    else:
        assert evaluate("!Join ['|', !Ref P]", head=head, parameters={"P": "a, b ,c"}) == "a|b|c"


@pytest.mark.parametrize(
    ("declaration", "given", "message"),
    [
        ("{Type: Number}", "five", "t.yaml:3:13: Parameters.P: expected a number, found 'five'"),
        ("{Type: List<Number>}", "1,x", "expected a number, found 'x'"),
        ("{Type: Number, MinValue: 3}", "2", "expected at least 3, found '2'"),
        ("{Type: Number, MaxValue: 3}", "3.5", "expected at most 3, found '3.5'"),
        ("{Type: String, MinLength: 3}", "ab", "expected at least 3 characters, found 'ab'"),
        ("{Type: String, MaxLength: 1}", "ab", "expected at most 1 characters, found 'ab'"),
        ("{Type: String, AllowedValues: [a, b]}", "c", "expected one of a, b, found 'c'"),
        (
            "{Type: String, AllowedPattern: '[a-z]+'}",
            "A1",
            "expected a value that [a-z]+ describes, found 'A1'",
        ),
        ("{Type: String, AllowedPattern: a, ConstraintDescription: only a}", "b", "found 'b' (only a)"),
        ("{Type: String, NoEcho: true, MinLength: 9}", "hunter2", "found a secret value"),
        (
            "{Type: String}",
            None,
            "Parameters.P: expected a value, found none (give it with --parameter P=VALUE)",
        ),
        (
            "{Type: 'AWS::SSM::Parameter::Value<String>', Default: /a}",
            None,
            "found only a name in AWS's parameter store (give it with --parameter P=VALUE)",
        ),
        (
            "{Type: Text}",
            "x",
            "Parameters.P.Type: expected a parameter type such as String or Number, found 'Text'",
        ),
        (
            "{Default: x}",
            None,
            "Parameters.P.Type: expected a parameter type such as String or Number, found nothing",
        ),
        ("{Type: String, Defautl: x}", "x", "Parameters.P.Defautl: expected one of Type, Default"),
        ("{Type: String, Default: [a]}", None, "Parameters.P.Default: expected text, found a list"),
        ("{Type: String, AllowedValues: a}", "a", "Parameters.P.AllowedValues: expected a list, found 'a'"),
        ("{Type: String, MinLength: a}", "a", "Parameters.P.MinLength: expected a number, found 'a'"),
        ("text", None, "Parameters.P: expected a mapping with a Type, found 'text'"),
    ],
)
def test_a_wrong_parameter_is_refused_with_its_place(problems, declaration, given, message):
    template = declared(declaration) + "Resources: {B: {Type: 'AWS::S3::Bucket'}}\n"
    (problem,) = problems(template, parameters={} if given is None else {"P": given})
    assert message in problem


def test_all_missing_values_are_named_together(problems):
    template = """
    Parameters:
      A: {Type: String}
      B: {Type: Number}
      C: {Type: String, Default: x}
    Resources: {R: {Type: 'AWS::S3::Bucket'}}
    """
    hints = [problem.rpartition("(")[2] for problem in problems(template)]
    assert hints == ["give it with --parameter A=VALUE)", "give it with --parameter B=VALUE)"]


def test_an_unknown_parameter_names_the_known_ones(problems):
    template = "Parameters:\n  Stage: {Type: String, Default: a}\nResources: {R: {Type: 'AWS::S3::Bucket'}}\n"
    (problem,) = problems(template, parameters={"Stgae": "b"})
    assert "--parameter Stgae: expected one of the template's parameters (Stage), found 'Stgae'" in problem
    assert "did you mean Stage?" in problem
    (problem,) = problems("Resources: {R: {Type: 'AWS::S3::Bucket'}}", parameters={"A": "b"})
    assert "the template has none" in problem


def test_a_pattern_that_only_java_knows_is_a_finding(losses):
    template = (
        declared("{Type: String, AllowedPattern: '\\p{Alnum}+'}")
        + "Resources: {B: {Type: 'AWS::S3::Bucket'}}\n"
    )
    (lost,) = losses(template, parameters={"P": "x"})
    assert lost.startswith("P: the pattern \\p{Alnum}+ isn't checked")


class TestSecrets:
    HEAD = declared("{Type: String, NoEcho: true}", "Password")

    @pytest.mark.parametrize("given", [{}, {"Password": "hunter2"}])
    def test_a_secret_is_named_in_the_environment_and_never_written(self, build, with_value, given):
        spec = build(with_value("!Sub 'db://me:${Password}@host'", head=self.HEAD), parameters=given)
        assert spec.functions[0].environment == {"X": "db://me:${Password}@host"}
        assert spec.secrets == ("Password",)
        assert spec.findings == ()
        assert "hunter2" not in repr(spec)

    def test_a_secret_that_no_variable_uses_is_not_asked_for(self, build, with_value):
        assert build(with_value("a", head=self.HEAD)).secrets == ()

    def test_a_default_that_stands_in_the_template_is_no_secret(self, evaluate):
        head = declared("{Type: String, NoEcho: true, Default: guest}")
        assert evaluate("!Ref P", head=head) == "guest"
        assert evaluate("!Ref P", head=head, parameters={"P": "other"}) == "${P}"

    @pytest.mark.parametrize(
        "expression", ["!Base64 {Ref: Password}", "!Select [0, !Split [':', !Sub 'a:${Password}']]"]
    )
    def test_what_cannot_be_computed_from_a_secret_is_a_finding(self, build, with_value, expression):
        spec = build(with_value(expression, head=self.HEAD), parameters={"Password": "hunter2"})
        assert spec.functions[0].environment == {}
        assert "of a secret can't be computed before the box has it" in spec.findings[0].lost

    def test_a_condition_sees_the_secret_itself(self, evaluate):
        head = self.HEAD + "Conditions: {Has: !Not [!Equals [!Ref Password, '']]}\n"
        assert evaluate("!If [Has, a, b]", head=head, parameters={"Password": "hunter2"}) == "a"

    @pytest.mark.parametrize("given", [{}, {"Password": "hunter2"}])
    @pytest.mark.parametrize(
        "resource",
        [
            "{Type: AWS::S3::Bucket, Properties: {BucketName: !Ref Password}}",
            "{Type: AWS::DynamoDB::Table, Properties: {KeySchema: [{AttributeName: !Ref Password}]}}",
            "{Type: AWS::Lambda::Function, Properties: {Runtime: python3.12, Handler: a.b,"
            " Code: {ZipFile: !Sub 'P = ${Password}'}}}",
        ],
    )
    def test_a_secret_cannot_stand_anywhere_else(self, problems, given, resource):
        template = self.HEAD + f"Resources: {{R: {resource}}}"
        found = "\n".join(problems(template, parameters=given))
        assert "found Password, which is NoEcho and may stand in environments only" in found
        assert "hunter2" not in found

    def test_a_condition_on_a_secret_needs_its_value(self, problems):
        template = (
            self.HEAD
            + """
Conditions: {Has: !Not [!Equals [!Ref Password, '']]}
Resources: {B: {Type: AWS::S3::Bucket, Condition: Has}}
"""
        )
        assert "Password is NoEcho and has no value here" in problems(template)[0]

    def test_every_secret_is_named_also_one_that_no_variable_uses(self, build, with_value):
        assert build(with_value("a", head=self.HEAD)).secret_parameters == ("Password",)
