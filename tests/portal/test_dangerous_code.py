"""What the code of the site does without, as docs/security.md says: each is looked for in every file."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("accounts", "diagnosis", "portal")
"""What serves requests and does the work of jobs. ``ml`` also reads published data sets, before a model is released."""
SCRIPTS = sorted((ROOT / "static" / "js").glob("*.js"))
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
READERS_OF_DANGER = {"xml", "lxml", "html5lib", "pickle", "shelve", "marshal", "yaml", "dill", "joblib"}
STARTS_PROCESSES = {"diagnosis/dicom/isolated.py", "portal/supervisor.py", "portal/bench/site.py"}
SPEAKS_HTTP = {"portal/bench/site.py", "portal/management/commands/serve.py"}
"""Both ask the site that they started themselves. The identity provider is asked by the library alone."""
FORMATS = {"README_TEXT", "sentence", "more", "query"}
"""Variables that hold a format string; each is written in the same file."""


@lru_cache(maxsize=1)
def _files() -> dict[str, ast.Module]:
    found = sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))
    return {str(path.relative_to(ROOT)): ast.parse(path.read_text(encoding="utf-8")) for path in found}


def _calls() -> Iterator[tuple[str, str, ast.Call]]:
    """File, dotted name of what is called as far as it is plain, and the call."""
    for name, tree in _files().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                yield name, ast.unparse(node.func), node


def _imports() -> Iterator[tuple[str, str]]:
    for name, tree in _files().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                yield from ((name, each.name) for each in node.names)
            elif isinstance(node, ast.ImportFrom):
                yield from ((name, f"{node.module or ''}.{each.name}") for each in node.names)


def test_there_is_something_to_look_through():
    assert len(_files()) > 200
    assert len(SCRIPTS) > 10
    assert len(TEMPLATES) > 80


def test_no_text_is_run_as_code():
    assert [(file, name) for file, name, _ in _calls() if name in ("eval", "exec", "compile", "__import__")] == []


def test_processes_are_started_from_lists_in_few_places():
    asked = [(file, name, call) for file, name, call in _calls() if re.match(r"(subprocess|os)\.", name)]
    started = [one for one in asked if re.match(r"subprocess\.|os\.(system|popen|exec|spawn|posix_spawn)", one[1])]
    assert {file for file, _, _ in started} <= STARTS_PROCESSES
    for file, name, call in started:
        assert name in ("subprocess.run", "subprocess.Popen"), (file, name)
        assert isinstance(call.args[0], ast.List) or ast.unparse(call.args[0]) == "self.command", file
        assert "shell" not in {keyword.arg for keyword in call.keywords}, file


def test_no_xml_and_no_serialised_object_is_read():
    assert [(file, name) for file, name in _imports() if name.split(".")[0] in READERS_OF_DANGER] == []


def test_chance_comes_from_the_operating_system():
    """``random`` can be foretold; only the benchmark, which fills a site with invented rows, uses it."""
    assert {file for file, name in _imports() if name.split(".")[0] == "random" and "/bench/" not in file} == set()


def test_nothing_but_the_library_of_single_sign_on_asks_other_sites():
    clients = re.compile(
        r"requests$|requests\.(?!RequestException$)|urllib\.request|http\.client|httpx|aiohttp|urllib3"
    )
    assert {file for file, name in _imports() if clients.match(name)} <= SPEAKS_HTTP


def test_templates_and_format_strings_are_written_in_the_code():
    for file, name, call in _calls():
        if name.endswith(".from_string") or name in ("Template", "jinja2.Template"):
            raise AssertionError(f"{file} makes a template from text")
        if name.endswith(".format") and isinstance(call.func, ast.Attribute):
            written = isinstance(call.func.value, (ast.Constant, ast.JoinedStr))
            assert written or ast.unparse(call.func.value) in FORMATS, (file, name)


def test_words_of_people_are_escaped_in_regular_expressions():
    for file, name, call in _calls():
        if not re.fullmatch(r"re\.(compile|match|search|fullmatch|sub|subn|split|findall|finditer)", name):
            continue
        pattern = call.args[0]
        plain = isinstance(pattern, ast.Constant) or not isinstance(pattern, ast.JoinedStr)
        escaped = isinstance(pattern, ast.JoinedStr) and "re.escape" in (ROOT / file).read_text(encoding="utf-8")
        assert plain or escaped, (file, name)
    in_queries = [
        (file, keyword.arg, ast.unparse(keyword.value))
        for file, _, call in _calls()
        for keyword in call.keywords
        if keyword.arg and keyword.arg.endswith(("__regex", "__iregex"))
    ]
    for file, _, value in in_queries:
        source = (ROOT / file).read_text(encoding="utf-8")
        assert value.startswith(("'", '"')) or re.search(rf"{re.escape(value)} = .*re\.escape\(", source), (file, value)


def test_only_a_models_card_is_html_that_is_not_escaped():
    made_safe = [(file, call) for file, name, call in _calls() if re.fullmatch(r"(\w+\.)?(mark_safe|SafeString)", name)]
    assert {file for file, call in made_safe if not isinstance(call.args[0], ast.Constant)} == {
        "diagnosis/model_card.py"
    }
    for template in TEMPLATES:
        assert not re.search(r"\|\s*safe\b|autoescape\s+off", template.read_text(encoding="utf-8")), template


@pytest.mark.parametrize("script", SCRIPTS, ids=[script.name for script in SCRIPTS])
def test_a_script_writes_text_and_not_html_and_keeps_the_theme_alone(script):
    code = script.read_text(encoding="utf-8")
    writes_html = r"\.(innerHTML|outerHTML|srcdoc)\s*\+?=|insertAdjacentHTML|document\.write|createContextualFragment"
    assert not re.search(writes_html, code)
    assert not re.search(r"\beval\(|new Function\(|set(Timeout|Interval)\(\s*[\"'`]", code)
    # Messages between windows name no origin; between tabs of one origin a BroadcastChannel is used.
    assert not re.search(r"(window|parent|opener|top)\.postMessage|window\.addEventListener\(\"message\"", code)
    assert not re.search(r"sessionStorage|indexedDB|document\.cookie", code)
    assert "localStorage" not in code or script.name == "theme.js"
    # No key of an object comes from outside: nothing is merged, and nothing set under a computed name.
    assert not re.search(
        r"Object\.assign\(|__proto__|\.\.\.JSON\.parse|\b\w+\[(event|answer|data)\.[\w.]+\]\s*=[^=]", code
    )
