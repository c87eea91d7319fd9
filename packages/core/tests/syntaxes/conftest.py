"""The three syntaxes, with YAML read by each of PyYAML's two parsers."""

import pytest
import yaml

from penstock.errors import ConfigError
from penstock.syntaxes._yaml_text import PlainLoader
from penstock.syntaxes.json import JsonSyntax
from penstock.syntaxes.toml import TomlSyntax
from penstock.syntaxes.yaml import YamlSyntax

LOADERS = {"plain": PlainLoader}
if hasattr(yaml, "CSafeLoader"):
    LOADERS["fast"] = yaml.CSafeLoader


@pytest.fixture(params=sorted(LOADERS))
def yaml_syntax(request):
    return YamlSyntax(LOADERS[request.param])


@pytest.fixture(params=["yaml", "toml", "json"])
def syntax(request):
    return {"yaml": YamlSyntax, "toml": TomlSyntax, "json": JsonSyntax}[request.param]()


@pytest.fixture
def refusal():
    """What a syntax says about a text it refuses."""

    def ask(syntax, text):
        with pytest.raises(ConfigError) as caught:
            syntax.parse(text, "p")
        assert all(problem.place and problem.hint for problem in caught.value.problems)
        return str(caught.value)

    return ask
