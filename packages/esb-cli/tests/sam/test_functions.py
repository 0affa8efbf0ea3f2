from pathlib import Path

import pytest
from esb_cli.spec_model import ImageSource, Inline, LocalDir, Where

HEAD = "Resources:\n  F:\n    Type: AWS::Serverless::Function\n    Properties:\n"


def function(*properties, head=HEAD, runtime="python3.12", handler="app.handler"):
    lines = [f"Runtime: {runtime}", f"Handler: {handler}", *properties]
    return head + "".join(f"      {line}\n" for line in lines)


@pytest.fixture
def site(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "app.py").write_text("def handler(e, c): return e")
    return tmp_path


def test_a_function_has_what_the_template_says(build, site):
    template = function(
        "CodeUri: src/",
        "FunctionName: !Sub '${AWS::StackName}-f'",
        "Timeout: 30",
        "MemorySize: '256'",
        "Architectures: [arm64]",
        "ReservedConcurrentExecutions: 5",
        "ProvisionedConcurrencyConfig: {ProvisionedConcurrentExecutions: 2}",
        "Environment: {Variables: {A: 1, B: 'yes', C: !Ref AWS::Region}}",
    )
    (spec,) = build(template, directory=site).functions
    assert (spec.logical_id, spec.name, spec.runtime, spec.handler) == (
        "F",
        "shop-dev-f",
        "python3.12",
        "app.handler",
    )
    assert spec.code == LocalDir(site / "src")
    assert (spec.timeout, spec.memory_size, spec.architectures) == (30, 256, ("arm64",))
    assert (spec.min_capacity, spec.max_capacity) == (2, 5)
    assert spec.environment == {"A": "1", "B": "yes", "C": "us-east-1"}
    assert spec.where == Where("t.yaml", 3)


def test_a_function_that_says_little_has_the_defaults_of_lambda(build, site):
    (spec,) = build(function(), directory=site).functions
    assert (spec.name, spec.timeout, spec.memory_size, spec.architectures) == ("F", 3, 128, ("x86_64",))
    assert (spec.min_capacity, spec.max_capacity, spec.requirements) == (None, None, None)
    assert spec.code == LocalDir(site)


def test_a_reservation_of_none_stays_none_at_all(build, site):
    assert build(function("ReservedConcurrentExecutions: 0"), directory=site).functions[0].max_capacity == 0


def test_requirements_beside_the_code_are_found(build, site):
    requirements = site / "src" / "requirements.txt"
    requirements.write_text("requests\n")
    assert build(function("CodeUri: src"), directory=site).functions[0].requirements == requirements
    skipping = function("CodeUri: src") + "    Metadata: {SkipBuild: true}\n"
    assert build(skipping, directory=site).functions[0].requirements is None
    python = function("CodeUri: src") + "    Metadata: {BuildMethod: python3.12}\n"
    assert build(python, directory=site).functions[0].requirements == requirements


def test_another_build_method_is_a_finding_and_the_directory_is_taken_as_it_is(build, site):
    (site / "src" / "requirements.txt").write_text("requests\n")
    spec = build(function("CodeUri: src") + "    Metadata: {BuildMethod: makefile}\n", directory=site)
    assert spec.functions[0].requirements is None
    assert [it.lost for it in spec.findings] == ["its build method makefile: the directory is taken as it is"]


@pytest.mark.parametrize(
    ("handler", "filename"),
    [("index.handler", "index.py"), ("app/main.run", "app/main.py"), ("a.b.run", "a/b.py")],
)
def test_code_in_the_template_goes_into_the_file_of_its_handler(build, handler, filename):
    (spec,) = build(function("InlineCode: !Sub 'R = \"${AWS::Region}\"'", handler=handler)).functions
    assert spec.code == Inline('R = "us-east-1"', filename)


def test_a_plain_lambda_function_may_have_its_code_in_the_template_or_a_directory(build, site):
    head = HEAD.replace("Serverless", "Lambda")
    (spec,) = build(function("Code: {ZipFile: 'x = 1'}", "Role: arn:x", head=head)).functions
    assert spec.code == Inline("x = 1", "app.py")
    (spec,) = build(function("Code: src", head=head), directory=site).functions
    assert spec.code == LocalDir(site / "src")


@pytest.mark.parametrize(
    ("properties", "lost"),
    [
        (["CodeUri: s3://bucket/key"], "the function is left out: its code is at s3://bucket/key"),
        (["CodeUri: {Bucket: b, Key: k}"], "the function is left out: its code is in S3"),
        (["CodeUri: build/app.zip"], "the function is left out: its code is an archive, build/app.zip"),
        (
            ["PackageType: Image"],
            "the function is left out: it has no ImageUri; build and push its image first",
        ),
    ],
)
def test_a_function_whose_code_is_elsewhere_is_left_out(build, properties, lost):
    spec = build(function(*properties))
    assert spec.functions == ()
    assert [it.lost for it in spec.findings] == [lost]


def test_a_function_may_be_a_container_image(build):
    config = "ImageConfig: {Command: [app.run], EntryPoint: [/entry, --on], WorkingDirectory: /work}"
    image = "ImageUri: !Sub '${AWS::AccountId}.dkr.ecr.${AWS::Region}.amazonaws.com/greeter:1'"
    spec = build(function("PackageType: Image", image, config, "Timeout: 7"))
    (found,) = spec.functions
    uri = "000000000000.dkr.ecr.us-east-1.amazonaws.com/greeter:1"
    assert found.code == ImageSource(uri, ("app.run",), ("/entry", "--on"), "/work")
    assert (found.runtime, found.handler, found.timeout, found.layers) == ("", "", 7, ())
    assert spec.findings == ()


def test_a_plain_lambda_function_may_be_a_container_image(build):
    head = HEAD.replace("Serverless", "Lambda")
    spec = build(function("PackageType: Image", "Code: {ImageUri: 'host:1/a/b@sha256:0'}", head=head))
    assert [found.code for found in spec.functions] == [ImageSource("host:1/a/b@sha256:0")]
    assert spec.findings == ()


@pytest.mark.parametrize(
    ("properties", "field"),
    [
        (["ImageUri: 'a b'"], "ImageUri"),
        (["ImageUri: a", "ImageConfig: {Command: app.run}"], "Command"),
        (["ImageUri: a", "ImageConfig: {EntryPoint: [{a: b}]}"], "EntryPoint"),
        (["ImageUri: a", 'ImageConfig: {WorkingDirectory: "/a\\nRUN b"}'], "WorkingDirectory"),
    ],
)
def test_a_container_image_that_is_wrong_is_refused(problems, properties, field):
    assert any(field in problem for problem in problems(function("PackageType: Image", *properties)))


def test_a_plain_lambda_function_with_code_in_s3_is_left_out(build):
    spec = build(function("Code: {S3Bucket: a, S3Key: b}", head=HEAD.replace("Serverless", "Lambda")))
    assert [it.lost for it in spec.findings] == ["the function is left out: its code is in S3 or a registry"]
    assert spec.functions == ()


@pytest.mark.parametrize("runtime", ["nodejs22.x", "java21", "provided.al2023", "python2.7", "ruby3.3"])
def test_a_function_with_another_runtime_is_left_out(build, runtime):
    spec = build(function("CodeUri: nowhere", runtime=runtime))
    assert spec.functions == ()
    (finding,) = spec.findings
    assert finding.lost == f"the function is left out: runtime {runtime} isn't supported in this version"
    assert (finding.logical_id, finding.line) == ("F", 6)


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        (
            ["CodeUri: missing"],
            "t.yaml:8:16: Resources.F.Properties.CodeUri: expected a directory, relative "
            "to the template, found 'missing', which does not exist",
        ),
        (["CodeUri: src/app.py"], "found 'src/app.py', a file"),
        (
            ["CodeUri: !ImportValue x"],
            "CodeUri: expected a directory, relative to the template, known when "
            "rendering, found a box has no other stacks",
        ),
        (["CodeUri: [a]"], "CodeUri: expected a directory, relative to the template, found a list"),
        (['CodeUri: "a\\0b"'], "CodeUri: expected a directory"),
        ([f"CodeUri: {'x' * 5000}"], "CodeUri: expected a directory"),
        (["CodeUri: src", "InlineCode: x"], "InlineCode: expected either InlineCode or CodeUri, found both"),
        (["FunctionName: 'a/b'"], "FunctionName: expected 1 to 64 letters, digits, - and _, found 'a/b'"),
        (["FunctionName: ''"], "FunctionName: expected 1 to 64 letters"),
        (["FunctionName:"], "FunctionName: expected text, found nothing"),
        (["FunctionName: !ImportValue x"], "FunctionName: expected text, known when rendering"),
        (["Timeout: 901"], "Timeout: expected a whole number from 1 to 900 seconds, found '901'"),
        (["Timeout: 3s"], "Timeout: expected a whole number from 1 to 900 seconds, found '3s'"),
        (["Timeout: {a: b}"], "Timeout: expected a whole number from 1 to 900 seconds, found a mapping"),
        (["MemorySize: 64"], "MemorySize: expected a whole number from 128 to 10240 MB, found '64'"),
        (["Architectures: [mips]"], "Architectures: expected [x86_64] or [arm64], found 'mips'"),
        (["Architectures: [arm64, x86_64]"], "Architectures: expected [x86_64] or [arm64]"),
        (["Architectures: arm64"], "Architectures: expected a list, found 'arm64'"),
        (["Environment: [a]"], "Environment: expected a mapping, found a list"),
        (
            ["Environment: {Variables: {A-B: c}}"],
            "expected letters, digits and _ in the name of a variable, found 'A-B'",
        ),
        (
            [
                "ReservedConcurrentExecutions: 1",
                "ProvisionedConcurrencyConfig: {ProvisionedConcurrentExecutions: 2}",
            ],
            "ProvisionedConcurrencyConfig: expected at most 1, the ReservedConcurrentExecutions, found 2",
        ),
        (["Layers: {a: b}"], "Layers: expected a list, found a mapping"),
    ],
)
def test_a_property_with_a_wrong_value_is_refused_with_its_place(problems, site, properties, message):
    assert any(message in problem for problem in problems(function(*properties), directory=site))


@pytest.mark.parametrize(
    ("handler", "found"),
    [("handler", "'handler'"), ("''", "''"), ("app.", "'app.'"), ("../x.y/", "'../x.y/'")],
)
def test_a_handler_names_a_module_and_a_function(problems, site, handler, found):
    (problem,) = problems(function(handler=handler), directory=site)
    assert f"Handler: expected module.function, found {found}" in problem


def test_inline_code_cannot_leave_the_functions_directory(problems):
    assert "for the name of the file" in problems(function("InlineCode: x", handler="a/../../x.y"))[0]


def test_runtime_and_handler_have_to_be_there(problems):
    assert (
        "Runtime: expected a runtime such as python3.12, found nothing"
        in problems(HEAD + "      InlineCode: x\n")[0]
    )
    template = HEAD + "      InlineCode: x\n      Runtime: python3.12\n"
    assert "Handler: expected module.function, found nothing" in problems(template)[0]


def test_all_faults_of_all_functions_come_together_in_the_order_of_their_lines(problems):
    template = function("CodeUri: a") + function(
        "CodeUri: b", "Timeout: x", head=HEAD.replace("Resources:\n", "").replace("F:", "G:")
    )
    fields = [problem.split(": ")[1] for problem in problems(template)]
    assert fields == [
        f"Resources.{name}"
        for name in ("F.Properties.CodeUri", "G.Properties.CodeUri", "G.Properties.Timeout")
    ]


def test_code_may_lie_above_the_template_but_not_above_the_root(build, problems, site):
    (site / "infra").mkdir()
    template = function("CodeUri: ../src")
    assert build(template, directory=site / "infra", root=site).functions[0].code == LocalDir(site / "src")
    (problem,) = problems(template, directory=site / "infra", root=site / "infra")
    assert "expected a directory below" in problem


def test_code_cannot_leave_the_root_through_a_link(problems, site):
    (site / "project").mkdir()
    (site / "project" / "code").symlink_to(site / "src")
    assert (
        "expected a directory below"
        in problems(function("CodeUri: code"), directory=site / "project", root=site / "project")[0]
    )


def test_a_link_that_leads_to_itself_is_no_directory(problems, site):
    (site / "loop").symlink_to("loop")
    assert "CodeUri: expected a directory" in problems(function("CodeUri: loop"), directory=site)[0]


def test_two_functions_may_share_their_code_but_not_their_name(build, problems, site):
    other = HEAD.replace("Resources:\n", "").replace("F:", "G:")
    first, second = build(
        function("CodeUri: src") + function("CodeUri: src", head=other), directory=site
    ).functions
    assert first.code == second.code
    same = function("FunctionName: x") + function("FunctionName: x", head=other)
    assert "FunctionName: expected a name of its own, found x, like F" in problems(same, directory=site)[0]


HARMLESS = """\
Policies: [AmazonDynamoDBFullAccess, {DynamoDBCrudPolicy: {TableName: !Ref Nowhere}}]
Role: !GetAtt Nowhere.Arn
Tracing: Active
Tags: {a: b}
Description: text
KmsKeyArn: !ImportValue x
SnapStart: {ApplyOn: None}
EphemeralStorage: {Size: 1024}
AutoPublishAlias: live
PermissionsBoundary: x
LoggingConfig: {LogGroup: !Ref AWS::StackName}
PropagateTags: true
RuntimeManagementConfig: {UpdateRuntimeOn: Auto}
""".splitlines()


def test_properties_without_effect_on_a_box_are_passed_over_whatever_they_hold(losses, site):
    assert losses(function(*HARMLESS), directory=site) == []


@pytest.mark.parametrize(
    ("line", "lost"),
    [
        ("VpcConfig: {SubnetIds: [a]}", "its place in a VPC: it runs in the box's network"),
        (
            "DeadLetterQueue: {Type: SQS, TargetArn: x}",
            "its dead letter queue: events given up go to the box's dead-letter store",
        ),
        ("FileSystemConfigs: []", "its file systems"),
        (
            "DeploymentPreference: {Type: AllAtOnce}",
            "its gradual deployment: a new version takes all calls at once",
        ),
        ("LoggingConfig: {LogFormat: JSON}", "its log format JSON"),
        ("Timout: 3", "the property Timout, which isn't supported"),
        (
            "ProvisionedConcurrencyConfig: {ProvisionedConcurrentExecutions: 1, X: y}",
            "the property X, which isn't supported",
        ),
        ("Environment: {Variable: {A: b}}", "the property Variable, which isn't supported"),
        ("Layers: [!ImportValue x]", "a layer: a box has no other stacks to import from (Fn::ImportValue)"),
        (
            "Environment: {Variables: {A: 'x${HOME}'}}",
            "environment variable A: the text ${HOME}, which the gateway replaces by its own HOME",
        ),
    ],
)
def test_a_property_that_a_person_would_miss_is_a_finding(build, site, line, lost):
    spec = build(function(line), directory=site)
    assert [(it.lost, it.line, it.type) for it in spec.findings] == [(lost, 8, "AWS::Serverless::Function")]
    assert len(spec.functions) == 1


def test_a_variable_with_a_literal_for_the_gateway_is_still_set(build, site):
    template = function("Environment: {Variables: {A: '${TOKEN}'}}")
    assert build(template, directory=site).functions[0].environment == {"A": "${TOKEN}"}


def test_paths_are_absolute(build, site, monkeypatch):
    monkeypatch.chdir(site)
    assert build(function("CodeUri: src"), directory=Path()).functions[0].code == LocalDir(site / "src")


def test_a_value_that_is_left_out_is_no_second_place_for_the_code(build):
    template = """
    Resources:
      F:
        Type: AWS::Serverless::Function
        Properties:
          Runtime: python3.12
          Handler: index.handler
          InlineCode: x
          CodeUri: !Ref AWS::NoValue
          ImageUri: !Ref AWS::NoValue
    """
    spec = build(template)
    assert (spec.functions[0].code, spec.findings) == (Inline("x", "index.py"), ())
