"""From `module:attribute` to the app it names."""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from comanda import ConfigurationError
from comanda.loading import load_app

Write = Callable[[str, str], None]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write modules into a fresh working directory; none stays imported."""
    monkeypatch.chdir(tmp_path)
    before, search = set(sys.modules), list(sys.path)

    def write_module(name: str, text: str) -> None:
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(textwrap.dedent(text))

    yield write_module
    sys.path[:] = search
    for name in set(sys.modules) - before:
        del sys.modules[name]


SHOP = """
    from comanda import Comanda
    app = Comanda("memory://")
    number = 5
    def make():
        return app
    class Parts:
        queue = app
"""


@pytest.mark.parametrize("path", ["shop:app", "shop", "shop:make()", "shop:Parts.queue"])
def test_an_app_is_found_by_attribute_by_factory_or_as_the_only_one(write: Write, path: str) -> None:
    write("shop.py", SHOP)
    app = load_app(path)
    assert app is sys.modules["shop"].app


def test_an_app_in_a_package_is_found(write: Write) -> None:
    write("market/__init__.py", "")
    write("market/tasks.py", SHOP)
    assert load_app("market.tasks:app").url == "memory://"


def test_one_app_under_two_names_is_the_only_one(write: Write) -> None:
    write("shop.py", SHOP + "    queue = app\n")
    assert load_app("shop").url == "memory://"


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("", "names no app: write module:attribute"),
        (":app", "names no app"),
        (".shop:app", "names no app"),
        ("shop.py", "there is no module 'shop.py'"),
        ("shop/tasks:app", "names no app"),
        ("nowhere:app", "there is no module 'nowhere'.*run the command in the directory with it"),
        ("market.nowhere:app", r"there is no module 'market\.nowhere'"),
        ("shop:queue", "shop has no attribute 'queue'"),
        ("shop:Parts.nothing", "shop has no attribute 'nothing'"),
        ("shop:number", "shop:number is a int, not a Comanda app"),
        ("shop:number()", "'number' is a int, not a factory"),
        ("shop:make", "is a function, not a Comanda app"),
        ("two", r"must say which app: two:attribute \(Comanda objects found: one, other\)"),
        ("none", r"must say which app.*found: none\)"),
    ],
)
def test_a_path_that_names_no_app_is_refused_with_a_sentence(write: Write, path: str, sentence: str) -> None:
    write("shop.py", SHOP)
    write("market/__init__.py", "")
    write("two.py", "from comanda import Comanda\none = Comanda()\nother = Comanda()\n")
    write("none.py", "")
    with pytest.raises(ConfigurationError, match=sentence):
        load_app(path)


def test_errors_inside_the_module_pass_through(write: Write) -> None:
    write("shop.py", "1 / 0\n")
    with pytest.raises(ZeroDivisionError):
        load_app("shop:app")
    write("market.py", "import no_such_dependency\n")
    with pytest.raises(ModuleNotFoundError, match="no_such_dependency"):
        load_app("market:app")
