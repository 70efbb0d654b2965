"""The offline extractor: what it finds, what it leaves alone, how long it takes."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple, TypedDict

import pytest

from comanda.demo.extract.catalogue import ambiguous, catalogue, spellings
from comanda.demo.extract.offline import extract_offline

LABELLED = Path(__file__).parent / "labelled"


class Log(TypedDict):
    language: str
    entry: str
    tags: list[str]


class Score(NamedTuple):
    precision: float
    recall: float


def labelled(name: str) -> list[Log]:
    logs: list[Log] = json.loads((LABELLED / f"{name}.json").read_text(encoding="utf-8"))
    return logs


def score(logs: list[Log]) -> Score:
    """Micro-averaged: every tag of every log counts once, by its exact canonical name."""
    found = Counter((number, tag) for number, log in enumerate(logs) for tag in extract_offline(log["entry"]))
    wanted = Counter((number, tag) for number, log in enumerate(logs) for tag in log["tags"])
    right = (found & wanted).total()
    return Score(right / found.total(), right / wanted.total())


def test_the_seed_sentence_gives_exactly_its_three_technologies() -> None:
    entry = (
        "Heute habe ich eine Anwendung mit Django geschrieben. Diese Anwendung schreibt Informationen nach "
        "Elasticsearch und ist auf ImaginaryNoneExistence Cloud deployed."
    )
    assert extract_offline(entry) == ["Django", "Elasticsearch", "ImaginaryNoneExistence Cloud"]


def test_logs_written_before_the_catalogue_are_read_well() -> None:
    logs = labelled("held_out")
    assert len(logs) == 20
    precision, recall = score(logs)
    assert precision >= 0.9, precision
    assert recall >= 0.8, recall


def test_logs_the_rules_were_developed_on_are_read_better() -> None:
    logs = labelled("development")
    assert len(logs) >= 45
    precision, recall = score(logs)
    assert precision >= 0.95, precision
    assert recall >= 0.9, recall


def test_the_labelled_logs_cover_three_languages_and_logs_without_technology() -> None:
    logs = labelled("held_out") + labelled("development")
    assert len(logs) >= 60
    languages = Counter(log["language"] for log in logs)
    assert min(languages[language] for language in ("de", "en", "pt")) >= 20
    assert sum(not log["tags"] for log in logs) >= 8


def test_tags_come_in_order_of_first_appearance_without_doubles() -> None:
    assert extract_offline("Redis, then Postgres, then redis again, PostgreSQL 16, Django.") == [
        "Redis",
        "PostgreSQL",
        "Django",
    ]


@pytest.mark.parametrize(
    ("entry", "tags"),
    [
        ("k8s und Postgres", ["Kubernetes", "PostgreSQL"]),
        ("some JS and TS", ["JavaScript", "TypeScript"]),
        ("Apache Kafka em produção", ["Kafka"]),
        ("python3, vue3 und HTML5", ["Python", "Vue.js", "HTML"]),
        ("scikit learn, Ruby-on-Rails, docker-compose", ["scikit-learn", "Ruby on Rails", "Docker Compose"]),
        ("Let’s Encrypt renewed", ["Let's Encrypt"]),  # noqa: RUF001 - the typographic apostrophe is the case
        ("C++20, C# und F#", ["C++", "C#", "F#"]),
    ],
)
def test_other_spellings_give_the_canonical_name(entry: str, tags: list[str]) -> None:
    assert extract_offline(entry) == tags


@pytest.mark.parametrize(
    ("entry", "tag"),
    [
        ("We use Spring Boot here", "Spring Boot"),
        ("We use React Native here", "React Native"),
        ("Running on Google Cloud since May", "Google Cloud"),
        ("Served by Amazon Simple Queue Service", "Amazon SQS"),
        ("The Play Framework upgrade", "Play Framework"),
    ],
)
def test_the_longest_name_wins(entry: str, tag: str) -> None:
    assert extract_offline(entry) == [tag]


@pytest.mark.parametrize(
    ("entry", "tag"),
    [
        ("Den Importer habe ich in Go neu geschrieben.", "Go"),
        ("The go 1.22 release fixed it.", "Go"),
        ("O serviço foi escrito em Go.", "Go"),
        ("Ausgewertet mit R, wie immer.", "R"),
        ("O driver em C ficou pronto.", "C"),
        ("Der C-Treiber ist fertig.", "C"),
        ("Wir nutzen Express seit Jahren.", "Express"),
        ("Chef recipes are gone.", "Chef"),
        ("o time prefere Node ao resto", "Node.js"),
        ("Rust is our choice.", "Rust"),
        ("the flask app leaks", "Flask"),
        ("`make` schlägt fehl", "Make"),
        ("Testei com Swift no iPad.", "Swift"),
        ("Wrote a spark job today.", "Spark"),
        ("REST is enough.", "REST"),
    ],
)
def test_an_ambiguous_word_with_a_cue_is_a_technology(entry: str, tag: str) -> None:
    assert extract_offline(entry) == [tag]


@pytest.mark.parametrize(
    "entry",
    [
        "Let's go, we have to make it before the rest.",
        "Am Donnerstag ist Go-Live, das Paket kam per Express.",
        "Plan C ist Punkt R der Liste, Klasse C reicht.",
        "Spent the day on rust, salt and a swift beam of light.",
        "Rust on the car, storm outside.",
        "Today:\n- Rust on the car\n- a walk\nSwift lunch afterwards",
        '("Rust in my knees", he said.) Unity of naming is a mess.',
        "Der Chef war da. Express-Lieferung kommt morgen.",
        "Falei com Julia sobre a nota C.",
        "O hotel fica na classe C e custa R$ 300.",
        "Our API needs a database, some cloud and a framework.",
        "Mail ann@django.example or see https://rust.example/docker",
        "Changed index.html, deploy.sh and main.go",
        "It was hard to express; make sure to react, then excel.",
        "",
        "   \n\n ",
    ],
)
def test_ordinary_words_are_no_technology(entry: str) -> None:
    assert extract_offline(entry) == []


def test_a_name_in_a_list_beside_a_certain_one_is_a_technology() -> None:
    assert extract_offline("Python und Go") == ["Python", "Go"]
    assert extract_offline("C/C++") == ["C", "C++"]
    assert extract_offline("Python, go home now") == ["Python"]


@pytest.mark.parametrize(
    ("entry", "tags"),
    [
        ("Läuft auf Moonlit Harbour Cloud.", ["Moonlit Harbour Cloud"]),
        ("Nosso banco é o Tamandua DB agora", ["Tamandua DB"]),
        ("Unsere Silberfuchs Cloud-Umgebung steht.", ["Silberfuchs Cloud"]),
        ("Built on the Kestrelite Framework.", ["Kestrelite Framework"]),
        ("MoonLit-Cloud is new.", ["MoonLit-Cloud"]),
        ("The Private Cloud, our Customer Database and a Test Framework", []),
        ("Neue Cloud, neue Kunden-Cloud.", []),
        ("Migrated Database yesterday.", []),
        ("Redis DB und Django Framework", ["Redis", "Django"]),
        (f"on {'Very' * 40} Cloud", []),
    ],
)
def test_an_unknown_proper_name_before_cloud_is_kept_whole(entry: str, tags: list[str]) -> None:
    assert extract_offline(entry) == tags


def test_no_spelling_stands_for_two_technologies() -> None:
    owners: dict[str, set[str]] = {}
    for spelling in spellings():
        if spelling.canonical:
            owners.setdefault(spelling.written, set()).add(spelling.canonical)
    assert {written: names for written, names in owners.items() if len(names) > 1} == {}
    assert len({spelling.canonical for spelling in spellings()}) > 500


def test_every_ambiguous_spelling_is_in_the_catalogue() -> None:
    known = {spelling.written for spelling in spellings()}
    words = ambiguous()
    groups = (words.cased, words.capital, words.cue, words.strong)
    assert [written for group in groups for written in group if written not in known] == []
    assert [written for written, times in Counter(w for group in groups for w in group).items() if times > 1] == []


def test_every_spelling_is_found_by_the_index() -> None:
    names = catalogue()
    lost = [s.written for s in spellings() if s.canonical and s.canonical not in names.canonical_names(s.written)]
    assert lost == []


def test_a_log_of_ten_thousand_characters_takes_milliseconds() -> None:
    entry = " ".join(log["entry"] for log in labelled("development"))[:10_000]
    extract_offline(entry)  # builds the index
    limit = 0.020 if sys.gettrace() is None else 0.200  # a coverage tracer makes Python seven times slower
    assert min(_seconds(entry) for _ in range(5)) < limit


@pytest.mark.parametrize(
    "piece", ["a", "(", "([{<", "@", "a@b ", "http://", "Go, ", "A Cloud ", "('", ". ", "` ", "\n- "]
)
def test_hostile_input_takes_linear_time(piece: str) -> None:
    """Ten times the input takes about ten times as long; a quadratic rule would take a hundred times."""
    short = min(_seconds(_repeat(piece, 10_000)) for _ in range(3))
    assert _seconds(_repeat(piece, 100_000)) < 40 * short + 0.05


def test_a_megabyte_of_one_letter_or_bracket_is_no_work() -> None:
    assert extract_offline("x" * 1_000_000) == []
    assert extract_offline("[" * 1_000_000) == []


def _repeat(piece: str, characters: int) -> str:
    return piece * (characters // len(piece))


def _seconds(entry: str) -> float:
    before = time.process_time()
    extract_offline(entry)
    return time.process_time() - before
