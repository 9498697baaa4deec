"""The house plan, read from the imports: who may know whom, who may write, and what the web process must not load."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("accounts", "diagnosis", "ml", "portal")
WEB_MEGABYTES = 200


@dataclass(frozen=True)
class Import:
    """One import: where, of what, and whether a function or a type checker alone does it."""

    file: str
    line: int
    module: str
    in_function: bool
    for_types: bool

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.module}"


def _files(*folders: str) -> list[Path]:
    found = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path for path in found if "migrations" not in path.parts]


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def _named(node: ast.AST, path: Path) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        base = node.module or ""
        if node.level:
            package = path.relative_to(ROOT).parts[: -node.level]
            base = ".".join((*package, base)).rstrip(".")
        yield base
        yield from (f"{base}.{alias.name}" for alias in node.names)


def _imports(path: Path) -> Iterator[Import]:
    def visit(node: ast.AST, in_function: bool, for_types: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            for module in _named(child, path):
                yield Import(
                    file=str(path.relative_to(ROOT)),
                    line=child.lineno,
                    module=module,
                    in_function=in_function,
                    for_types=for_types,
                )
            is_types = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            is_function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from visit(child, in_function or is_function, for_types or is_types)

    yield from visit(_tree(path), False, False)


def _all_imports(*folders: str) -> list[Import]:
    return [one for path in _files(*folders) for one in _imports(path)]


def _breaches(imports: list[Import], *forbidden: str) -> list[str]:
    return sorted(
        {
            str(one)
            for one in imports
            if any(one.module == name or one.module.startswith(f"{name}.") for name in forbidden)
        }
    )


def test_the_learning_library_knows_no_web():
    imports = _all_imports("ml")
    assert len(imports) > 20
    assert _breaches(imports, "django", "celery", "rest_framework", "accounts", "diagnosis", "portal") == []


def test_its_contract_needs_numpy_alone():
    allowed = {*sys.stdlib_module_names, "numpy", "__future__"}
    imports = list(_imports(ROOT / "ml" / "contract.py"))
    assert [str(one) for one in imports if one.module.split(".")[0] not in allowed] == []


def test_the_durable_job_and_the_environment_know_no_domain():
    imports = [*_imports(ROOT / "portal" / "jobs.py"), *_imports(ROOT / "portal" / "env.py")]
    assert _breaches(imports, "accounts", "diagnosis", "ml") == []


def test_people_know_nothing_of_images():
    assert _breaches(_all_imports("accounts"), "diagnosis", "ml") == []


def test_only_inference_knows_more_of_the_learning_library_than_its_contract():
    others = [one for one in _all_imports("accounts", "diagnosis") if one.file != "diagnosis/inference.py"]
    beyond = [one for one in others if one.module != "ml" and not one.module.startswith("ml.contract")]
    assert _breaches(beyond, "ml") == []


def test_inference_loads_the_library_inside_functions():
    imports = list(_imports(ROOT / "diagnosis" / "inference.py"))
    at_the_top = [one for one in imports if not one.in_function and not one.for_types]
    beyond = [one for one in at_the_top if one.module != "ml" and not one.module.startswith("ml.contract")]
    assert _breaches(beyond, "ml") == []


LATE = {
    "diagnosis/inference.py": "loads the learning library at first use (house plan)",
    "accounts/apps.py": "AppConfig.ready",
    "diagnosis/apps.py": "AppConfig.ready",
    "portal/apps.py": "AppConfig.ready",
    "portal/bench/__main__.py": "models can be imported only after django.setup()",
}
"""The files that may import inside a function, and why."""


def test_nothing_is_imported_inside_a_function_where_it_hides_a_circle():
    late = [one for one in _all_imports("accounts", "diagnosis", "portal") if one.in_function and not one.for_types]
    assert sorted({str(one) for one in late if one.file not in LATE}) == []


# Who may write

WRITERS = {
    "accounts/actions/rows.py",
    "accounts/actions/users.py",
    "accounts/actions/teams.py",
    "accounts/actions/emergency.py",
    "accounts/actions/invitations.py",
    "accounts/actions/people_imports.py",
    "accounts/actions/patients.py",
    "accounts/actions/patient_access.py",
    "accounts/actions/messages.py",
    "accounts/actions/appointments.py",
    "accounts/actions/consents.py",
    "accounts/actions/tokens.py",
    "accounts/actions/sign_in.py",
    "accounts/actions/second_factor.py",
    "accounts/actions/notifications.py",
    "accounts/actions/mail.py",
    "accounts/actions/field_keys.py",
    "accounts/actions/erasure.py",
    "accounts/actions/merging.py",
    "diagnosis/actions/privacy.py",
    "diagnosis/actions/erasure.py",
    "diagnosis/actions/transfers.py",
    "accounts/audit.py",
    "accounts/tokens.py",
    "diagnosis/actions/analyses.py",
    "diagnosis/actions/images.py",
    "diagnosis/actions/lists.py",
    "diagnosis/actions/proposals.py",
    "diagnosis/actions/registry.py",
    "diagnosis/actions/shadow.py",
    "diagnosis/actions/reports.py",
    "diagnosis/actions/reviews.py",
    "diagnosis/actions/steps.py",
    "diagnosis/actions/studies.py",
    "portal/jobs.py",
    "portal/bench/dashboard.py",
    "portal/bench/history_data.py",
    "portal/bench/ledger_data.py",
}
"""Verbs, ledger, use of a token, durable jobs; and the filling of an empty database to measure lists."""

MODELS = {
    "User",
    "Patient",
    "ApiToken",
    "AuditEvent",
    "Study",
    "Image",
    "Analysis",
    "Report",
    "ModelVersion",
    "ModalitySetting",
    "Team",
    "EmergencyAccess",
    "PatientInvitation",
    "PeopleImport",
    "Consent",
    "Message",
    "Appointment",
    "Notification",
    "NotificationPreference",
    "OutgoingMail",
    "Assessment",
    "KnownOutcome",
    "SecondOpinion",
    "ModelProposal",
    "ShadowReading",
    "DeidentifiedExport",
    "Erasure",
    "RecordTransfer",
}
WRITING = {
    "create",
    "update",
    "delete",
    "bulk_create",
    "bulk_update",
    "get_or_create",
    "update_or_create",
    "raw",
    "_raw_delete",
}


def _is_query(node: ast.expr) -> bool:
    """Whether an expression is a query: something of ``.objects``, a related manager or another query."""
    text = ast.unparse(node)
    return ".objects" in text or "_default_manager" in text or text.endswith((".all()", "queryset"))


def _writes(path: Path) -> Iterator[str]:
    instances = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            made = ast.unparse(node.value.func)
            if made in MODELS or ".objects.get" in made or made == "get_object_or_404":
                instances |= {ast.unparse(target) for target in node.targets}
    for node in ast.walk(_tree(path)):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        owner, verb = node.func.value, node.func.attr
        is_instance = ast.unparse(owner) in instances and verb in ("save", "delete", "refresh_and_save")
        if is_instance or (verb in WRITING and _is_query(owner)):
            yield f"{path.relative_to(ROOT)}:{node.lineno} {ast.unparse(node.func)}"


def test_rows_are_written_by_the_verbs_alone():
    files = [path for path in _files("accounts", "diagnosis", "portal") if str(path.relative_to(ROOT)) not in WRITERS]
    assert [write for path in files for write in _writes(path)] == []


def test_the_check_for_writes_sees_them():
    assert list(_writes(ROOT / "diagnosis" / "actions" / "images.py"))
    assert list(_writes(ROOT / "portal" / "jobs.py"))


# Size and names


def test_no_module_is_a_drawer_for_everything():
    drawers = {"utils", "util", "helpers", "helper", "misc", "common", "manager2", "data2"}
    assert [str(path.relative_to(ROOT)) for path in _files(*ROOMS, "tests") if path.stem in drawers] == []


# What the web process loads


@pytest.mark.slow
def test_the_web_process_loads_no_learning_framework_and_stays_small(tmp_path):
    script = (
        "import sys, portal.wsgi, django.urls\n"
        "django.urls.get_resolver().url_patterns\n"
        "heavy = {'tensorflow', 'keras', 'ai_edge_litert', 'sklearn', 'matplotlib', 'scipy', 'torch'}\n"
        "print(','.join(sorted(heavy & set(sys.modules))) or 'none')\n"
        "status = open('/proc/self/status').read()\n"
        "print(int(status.split('VmRSS:')[1].split()[0]) // 1024)\n"
    )
    environment = {**os.environ, "DEMO": "1", "DATA_DIR": str(tmp_path), "DJANGO_SETTINGS_MODULE": "portal.settings"}
    finished = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert finished.returncode == 0, finished.stderr
    loaded, megabytes = finished.stdout.split()[-2:]
    print(f"resident memory of the web process after its first import: {megabytes} MB")
    assert loaded == "none"
    assert int(megabytes) < WEB_MEGABYTES
