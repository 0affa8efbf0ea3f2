"""Where a function's code is: in a directory, in the template, or where a box can't reach it."""

import re
from pathlib import Path

from artifact_contract.nodes import quote
from attrs import evolve, frozen

from esb_cli.sam.properties import Properties, of_fields
from esb_cli.sam.template import Resource
from esb_cli.sam.values import Fields, Text, describe
from esb_cli.spec_model import CodeSource, ImageSource, Inline, LocalDir

__all__ = ["Site", "build_settings", "function_code", "image_code", "is_archive", "requirements_in"]

_ARCHIVES = (".zip", ".jar", ".war")
_REFERENCE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]*\Z")
_MODULE = re.compile(r"[A-Za-z_]\w*([./][A-Za-z_]\w*)*\Z")


@frozen
class Site:
    """Where a template lies; its code has to be below `root`, when there is one."""

    directory: Path
    root: Path | None = None

    def find(self, text: Text, name: str, props: Properties) -> Path | None:
        """The directory that a path of the template leads to; None when there is none, which is reported."""
        expected = "a directory, relative to the template"
        try:
            path = (self.directory / text.text).resolve()
            there, is_dir = path.exists(), path.is_dir()
        except (OSError, RuntimeError, ValueError) as error:  # too long, a circle of links, a NUL
            props.wrong(name, expected, f"{quote(text.text)}: {error}", at=text)
            return None
        if not is_dir:
            found = f"{quote(text.text)}, {'a file' if there else 'which does not exist'}"
            props.wrong(name, expected, found, at=text)
        elif self.root is not None and not path.is_relative_to(self.root.resolve()):
            props.wrong(name, f"a directory below {self.root}", quote(text.text), at=text)
        else:
            return path
        return None


def is_archive(site: Site, text: Text) -> bool:
    """Whether a path names an archive rather than a directory."""
    return text.text.lower().endswith(_ARCHIVES) and not (site.directory / text.text).is_dir()


def function_code(props: Properties, resource: Resource, handler: str, site: Site) -> CodeSource | None:
    """The code of a function; None when it is left out or wrong, which is reported either way."""
    if resource.type == "AWS::Lambda::Function":
        value = props.value("Code")
        if isinstance(value, Fields):
            return _zip_file(of_fields(value, props.where("Code"), props), handler)
        if value is None:
            props.wrong("Code", "a directory, or ZipFile with the code", "nothing")
            return None
        return _directory(props, "Code", site)
    inline = props.text("InlineCode")
    if inline is not None and props.value("CodeUri") is not None:
        props.wrong("InlineCode", "either InlineCode or CodeUri", "both", "Globals counts too")
    return _inline(props, inline, handler) if inline is not None else _directory(props, "CodeUri", site)


def image_code(props: Properties) -> ImageSource | None:
    """The image that is a function; None when it is left out or wrong, which is reported either way."""
    props.skip("Runtime", "Handler", "Layers", "CodeUri", "InlineCode")
    code = props.child("Code") if "Code" in props and "ImageUri" not in props else None
    uri = (props if code is None else code).text("ImageUri")
    if code is not None:
        code.finish("Code")
    config = props.child("ImageConfig")
    found = ImageSource(uri.text if uri else "")
    if config is not None:
        directory = config.text("WorkingDirectory")
        if directory is not None and not directory.text.isprintable():
            config.wrong("WorkingDirectory", "a path in one line", quote(directory.text), at=directory)
        found = evolve(
            found,
            command=_words(config, "Command"),
            entry_point=_words(config, "EntryPoint"),
            working_directory=directory.text if directory else "",
        )
        config.finish("ImageConfig")
    if uri is None:
        props.lose("the function is left out: it has no ImageUri; build and push its image first")
    elif not _REFERENCE.match(uri.text):
        props.wrong("ImageUri", "an image's reference", quote(uri.text), at=uri)
        return None
    return found if uri else None


def _words(config: Properties, name: str) -> tuple[str, ...]:
    items = config.items(name)
    texts = tuple(item.text for item in items if isinstance(item, Text))
    if len(texts) < len(items):
        config.wrong(name, "a list of texts", ", ".join(map(describe, items)))
    return texts


def _zip_file(code: Properties, handler: str) -> Inline | None:
    text = code.text("ZipFile")
    if text is not None:
        code.finish("Code")
        return _inline(code, text, handler)
    if "ZipFile" not in code:
        code.lose("the function is left out: its code is in S3 or a registry")
    return None


def _inline(props: Properties, code: Text, handler: str) -> Inline | None:
    module = handler.rpartition(".")[0]
    if _MODULE.match(module):
        return Inline(code.text, module.replace(".", "/") + ".py")
    props.wrong(
        "InlineCode", "a handler such as index.handler, for the name of the file", quote(handler), at=code
    )
    return None


def _directory(props: Properties, name: str, site: Site) -> LocalDir | None:
    """Without a path, the template's own directory."""
    value = props.value(name)
    if isinstance(value, Fields):
        props.lose("the function is left out: its code is in S3", props.at(name))
        return None
    text = props.text(name, "a directory, relative to the template") if value is not None else Text(".")
    if text is None:
        return None
    if text.text.startswith(("s3://", "https://", "http://")):
        props.lose(f"the function is left out: its code is at {text.text}", text)
        return None
    if is_archive(site, text):
        props.lose(f"the function is left out: its code is an archive, {text.text}", text)
        return None
    path = site.find(text, name, props)
    return None if path is None else LocalDir(path)


def requirements_in(directory: Path) -> Path | None:
    """The requirements.txt of a directory, when it has one."""
    path = directory / "requirements.txt"
    return path if path.is_file() else None


def build_settings(props: Properties, resource: Resource) -> tuple[str, bool]:
    """The build method in a resource's metadata (may be empty), and whether anything is built at all."""
    node = resource.attribute("Metadata")
    value = None if node is None else props.resolution.value(node)
    if not isinstance(value, Fields):
        return "", True
    metadata = of_fields(value, f"Resources.{resource.logical_id}.Metadata", props)
    method = metadata.text("BuildMethod")
    if "BuildProperties" in metadata:
        metadata.lose("its build properties", metadata.at("BuildProperties"))
    return ("" if method is None else method.text), not metadata.flag("SkipBuild", default=False)
