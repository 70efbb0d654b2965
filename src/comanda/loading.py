"""From `module:attribute` on a command line to the app it names."""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

from .errors import ConfigurationError
from .settings import working_directory

if TYPE_CHECKING:
    from .app import Comanda


def load_app(path: str) -> Comanda:
    """Import the app named by `module:attribute`, `module:factory()` or `module` (whose only Comanda it is).

    The working directory comes first on the import path, as for `python -m`. Raises ConfigurationError with a sentence
    when the module, the attribute or a Comanda is missing; errors inside the module pass through.
    """
    from .app import Comanda

    directory = str(working_directory())
    if directory not in sys.path:
        sys.path.insert(0, directory)
    module_name, _, attribute = path.partition(":")
    module = _import(module_name, path)
    found = _attribute(module, attribute, path) if attribute else _only_app(module, path)
    if not isinstance(found, Comanda):
        raise ConfigurationError(f"{path} is a {type(found).__name__}, not a Comanda app")
    return found


def _import(name: str, path: str) -> Any:
    if not name or name.startswith(".") or not all(part.isidentifier() for part in name.split(".")):
        raise ConfigurationError(f"{path!r} names no app: write module:attribute, such as shop.tasks:app")
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and (name == error.name or name.startswith(error.name + ".")):
            raise ConfigurationError(
                f"there is no module {error.name!r} (wanted for {path!r}); run the command in the directory with it"
            ) from None
        raise


def _attribute(module: Any, attribute: str, path: str) -> Any:
    found = module
    for part in attribute.removesuffix("()").split("."):
        if not hasattr(found, part):
            raise ConfigurationError(f"{path!r}: {module.__name__} has no attribute {part!r}")
        found = getattr(found, part)
    if not attribute.endswith("()"):
        return found
    if not callable(found):
        raise ConfigurationError(
            f"{path!r}: {attribute.removesuffix('()')!r} is a {type(found).__name__}, not a factory"
        )
    return found()


def _only_app(module: Any, path: str) -> Any:
    from .app import Comanda

    apps = [(name, value) for name, value in vars(module).items() if isinstance(value, Comanda)]
    if len({id(app) for _, app in apps}) != 1:
        names = ", ".join(name for name, _ in apps) or "none"
        raise ConfigurationError(f"{path!r} must say which app: {path}:attribute (Comanda objects found: {names})")
    return apps[0][1]
