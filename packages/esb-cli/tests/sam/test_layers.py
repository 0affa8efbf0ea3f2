import pytest
from esb_cli.spec_model import LayerSpec, Where

USING = """\
  F:
    Type: AWS::Serverless::Function
    Properties: {Runtime: python3.12, Handler: index.handler, InlineCode: x, Layers: %s}
"""


def layers(properties, *, using="[!Ref L]", type_="AWS::Serverless::LayerVersion", metadata=""):
    return f"Resources:\n  L:\n    Type: {type_}\n{metadata}    Properties: {properties}\n{USING % using}"


@pytest.fixture
def site(tmp_path):
    for name in ("ready/python", "sources", "plain"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "sources" / "requirements.txt").write_text("requests\n")
    (tmp_path / "sources" / "util.py").write_text("")
    return tmp_path


def test_a_layer_with_a_python_directory_is_copied_as_it_is(build, site):
    spec = build(layers("{LayerName: common, ContentUri: ready}"), directory=site)
    expected = LayerSpec("common", site / "ready", "", None, "L", Where("t.yaml", 3))
    assert spec.layers == (expected,)
    assert spec.functions[0].layers == (expected,)


def test_a_layer_of_sources_goes_below_python_with_its_requirements(build, site):
    (layer,) = build(layers("{ContentUri: sources}"), directory=site).layers
    assert (layer.name, layer.content_root, layer.requirements) == (
        "L",
        "python",
        site / "sources" / "requirements.txt",
    )


def test_a_layer_that_is_built_goes_below_python(build, site):
    metadata = "    Metadata: {BuildMethod: python3.12}\n"
    (layer,) = build(layers("{ContentUri: plain}", metadata=metadata), directory=site).layers
    assert (layer.content_root, layer.requirements) == ("python", None)


def test_a_layer_of_anything_else_is_copied_as_it_is(build, site):
    (layer,) = build(layers("{ContentUri: plain}"), directory=site).layers
    assert (layer.content_root, layer.requirements) == ("", None)


def test_a_plain_layer_version_may_name_a_directory(build, site):
    (layer,) = build(layers("{Content: ready}", type_="AWS::Lambda::LayerVersion"), directory=site).layers
    assert layer.source == site / "ready"


def test_layers_keep_the_order_of_the_template_globals_first(build, site):
    template = """
    Globals: {Function: {Layers: [!Ref B]}}
    Resources:
      A: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: ready}}
      B: {Type: AWS::Serverless::LayerVersion, Properties: {ContentUri: plain}}
      F:
        Type: AWS::Serverless::Function
        Properties: {Runtime: python3.12, Handler: a.b, InlineCode: x, Layers: [!Ref A, !Ref B]}
    """
    spec = build(template, directory=site)
    assert [layer.name for layer in spec.functions[0].layers] == ["B", "A"]
    assert [layer.name for layer in spec.layers] == ["A", "B"]


def test_a_layer_by_its_arn_is_a_finding(build):
    template = "Resources:\n" + USING % "['arn:aws:lambda:us-east-1:1:layer:Powertools:3']"
    spec = build(template)
    assert spec.functions[0].layers == ()
    assert [it.lost for it in spec.findings] == [
        "the layer arn:aws:lambda:us-east-1:1:layer:Powertools:3: only layers of the "
        "template are carried along"
    ]


@pytest.mark.parametrize(
    ("properties", "metadata", "lost"),
    [
        ("{ContentUri: s3://a/b}", "", "the layer is left out: its content is no local directory"),
        ("{ContentUri: {Bucket: a, Key: b}}", "", "the layer is left out: its content is no local directory"),
        ("{ContentUri: layer.zip}", "", "the layer is left out: its content is no local directory"),
        (
            "{ContentUri: nowhere}",
            "    Metadata: {BuildMethod: nodejs22.x}\n",
            "the layer is left out: its build method nodejs22.x isn't supported in this version",
        ),
    ],
)
def test_a_layer_that_cannot_come_along_is_left_out_also_where_it_is_used(losses, properties, metadata, lost):
    first, second = losses(layers(properties, metadata=metadata))
    assert first == f"L: {lost}"
    assert second.startswith("F: the layer arn:aws:lambda:us-east-1:000000000000:layer:L:1")


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        (
            "{}",
            "Resources.L.Properties.ContentUri: expected a directory, relative to the "
            "template, found nothing",
        ),
        ("{ContentUri: nowhere}", "found 'nowhere', which does not exist"),
        (
            "{ContentUri: ready, LayerName: a/b}",
            "LayerName: expected 1 to 140 letters, digits, - and _, found 'a/b'",
        ),
    ],
)
def test_a_wrong_layer_is_refused(problems, site, properties, message):
    assert any(message in problem for problem in problems(layers(properties), directory=site))


def test_two_layers_of_one_name_are_refused(problems, site):
    template = """
    Resources:
      A: {Type: AWS::Serverless::LayerVersion, Properties: {LayerName: x, ContentUri: ready}}
      B: {Type: AWS::Serverless::LayerVersion, Properties: {LayerName: x, ContentUri: plain}}
    """
    assert (
        "LayerName: expected a name that no other layer has, found 'x'"
        in problems(template, directory=site)[0]
    )


def test_harmless_properties_of_a_layer_are_passed_over_and_others_named(losses, site):
    assert (
        losses(
            layers("{ContentUri: ready, Description: d, CompatibleRuntimes: [python3.12]}"), directory=site
        )
        == []
    )
    assert losses(layers("{ContentUri: ready, X: y}"), directory=site) == [
        "L: the property X, which isn't supported"
    ]
