"""The pages in other languages: complete, compiled, and shown."""

from __future__ import annotations

import ast
import gettext
import re
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client

import comanda
from comanda.django import app

from .kitchen import cook
from .sites import JOBS, text_of

PACKAGE = Path(comanda.__file__).parent / "django"
LANGUAGES = ("de", "pt")

_TEXT = r'((?:\s*"(?:[^"\\]|\\.)*")+)'
_ENTRY = re.compile(rf"(?:msgctxt{_TEXT}\n)?msgid{_TEXT}\n(?:msgid_plural{_TEXT}\nmsgstr\[0\]{_TEXT}|msgstr{_TEXT})")


def unquoted(text: str) -> str:
    return "".join(ast.literal_eval(part) for part in re.findall(r'"(?:[^"\\]|\\.)*"', text))


def catalogue(language: str) -> dict[str, str]:
    """Return what the .po file says, by context and message as compiled catalogues key them."""
    source = (PACKAGE / "locale" / language / "LC_MESSAGES" / "django.po").read_text()
    found = {}
    for context, message, _, singular, plain in _ENTRY.findall(source):
        key = f"{unquoted(context)}\x04{unquoted(message)}" if context else unquoted(message)
        found[key] = unquoted(singular or plain)
    found.pop("")
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_string_of_the_pages_is_translated_and_compiled(language: str) -> None:
    """`django-admin makemessages` and `msgfmt` bring both files up to date."""
    said = catalogue(language)
    assert [message for message, translation in said.items() if not translation] == []
    with (PACKAGE / "locale" / language / "LC_MESSAGES" / "django.mo").open("rb") as file:
        compiled = gettext.GNUTranslations(file)
    for key, translation in said.items():
        context, _, message = key.rpartition("\x04")
        got = compiled.pgettext(context, message) if context else compiled.ngettext(message, message, 1)
        assert translation in (got, compiled.gettext(message)), message
    code = "".join(path.read_text() for path in PACKAGE.rglob("*.html"))
    marked = re.findall(r'{% translate "([^"]+)"', code)
    assert [message for message in marked if message not in said] == []


@pytest.mark.parametrize(("language", "words"), [("de", "bereit (1)"), ("pt", "pronto (1)")])
def test_the_pages_speak_the_language_of_the_user(language: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.utils import translation

    cook.enqueue("soup")
    root = Client()
    root.force_login(User.objects.create_superuser(f"root-{app.namespace}"))
    with translation.override(language):
        assert words in text_of(root.get(JOBS).content.decode())
