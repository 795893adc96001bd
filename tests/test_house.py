"""What holds for the whole repository, whatever is in it."""

import ast
import os
import re
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("engine", "actors")
GENERATED = {"build", "captures", "dist", "htmlcov", "tapes", "__pycache__"}


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a command at the root, without the coverage settings of the process that runs the tests."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COV")}
    return subprocess.run(
        [str(word) for word in command],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )


def script(name: str) -> Path:
    """The path of a console script of the environment the tests run in."""
    return Path(sysconfig.get_path("scripts"), name)


def modules() -> list[Path]:
    """Every module that must have a test file, relative to the root."""
    found = (path.relative_to(ROOT) for package in PACKAGES for path in ROOT.joinpath(package).rglob("*.py"))
    return sorted(path for path in found if path.stem not in {"__init__", "__main__"})


def repository_files() -> Iterator[Path]:
    """What belongs to the repository: git's word for it, or everything not generated where there is no git."""
    listing = (
        run("git", "ls-files", "--cached", "--others", "--exclude-standard", "-z") if (ROOT / ".git").exists() else None
    )
    if listing is not None and listing.returncode == 0:
        candidates = [ROOT / name for name in listing.stdout.split("\0") if name]
    else:
        candidates = [
            path
            for path in ROOT.rglob("*")
            if not any(part in GENERATED or part.startswith(".") for part in path.relative_to(ROOT).parts)
        ]
    return (path for path in candidates if path.is_file())


# ------------------------------------------------------------------------------------------------------- architecture


def test_engine_imports_nothing_that_touches_the_world() -> None:
    program = "import sys; before = set(sys.modules); import engine; print(*sorted(set(sys.modules) - before))"
    result = run(sys.executable, "-c", program)
    assert result.returncode == 0, result.stderr
    roots = {name.partition(".")[0] for name in result.stdout.split()}
    assert "engine" in roots
    assert not roots & {"actors", "anyio", "asyncio", "httpx", "logging", "socket", "ssl", "structlog", "trio"}


@pytest.mark.parametrize("path", [path for path in modules() if path.parts[0] == "engine"], ids=str)
def test_engine_calls_nothing_impure(path: Path) -> None:
    impure = {"open", "print", "input", "breakpoint"}
    clocks = {"now", "utcnow", "today"}
    for node in ast.walk(ast.parse((ROOT / path).read_text(encoding="utf-8"))):
        match node:
            case ast.Call(func=ast.Name(id=name)):
                assert name not in impure, f"{path}:{node.lineno} calls {name}()"
            case ast.Call(func=ast.Attribute(value=ast.Name(id="datetime" | "date"), attr=name)):
                assert name not in clocks, f"{path}:{node.lineno} reads the clock"
            case _:
                pass


def test_import_contracts_hold() -> None:
    linter = script("lint-imports")
    if not linter.exists():
        pytest.skip("import-linter is not installed")
    result = run(linter, "--no-cache")
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("path", modules(), ids=str)
def test_every_module_has_its_test_file(path: Path) -> None:
    assert (ROOT / "tests" / path.with_name(f"test_{path.name}")).is_file()


def test_config_holds_data_only() -> None:
    assert [path for path in repository_files() if path.suffix == ".py" and path.is_relative_to(ROOT / "config")] == []


@pytest.mark.parametrize("package", PACKAGES)
def test_packages_are_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()


# --------------------------------------------------------------------------------------------------------- portability

# Spelt in pieces, or this file would be the first to break its own rule.
REGISTRIES = re.compile(
    r"(?i)\b(?:pypi|pythonhosted|anaconda|npmjs|crates|docker|ghcr|quay|gcr)\.(?:" + r"org|io|com)\b|arti" + "factory|"
    r"--(?:extra-)?index" + r"-url[ =]|--find" + r"-links[ =]"
)
MACHINE_PATHS = re.compile(
    r"(?<![\w.~$})-])/(?:work|root|Users|home|mnt|media|workspace|opt/(?:pypi|wheels))" + r"/\w|file:" + "//"
)


def test_no_file_names_a_registry_or_a_path_of_one_machine() -> None:
    offences = []
    for path in repository_files():
        text = path.read_bytes().decode("utf-8", errors="replace")
        for pattern in (REGISTRIES, MACHINE_PATHS):
            offences += [f"{path.relative_to(ROOT)}: {found.group()}" for found in pattern.finditer(text)]
    assert offences == []


def test_the_patterns_recognise_what_they_forbid() -> None:
    assert REGISTRIES.search("https://" + "pypi." + "org/simple")
    assert MACHINE_PATHS.search("see /home" + "/someone/updown")
    assert MACHINE_PATHS.search("file:" + "///wheels")
    assert not MACHINE_PATHS.search("the working/root/directory, GET /markets/root and https://example.invalid/home")


# ----------------------------------------------------------------------------------------------------------- packaging


def test_lock_pins_and_hashes_everything_and_names_no_address() -> None:
    text = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    entries = [entry for entry in re.sub(r" \\\n\s+", " ", text).splitlines() if not re.match(r"\s*(#|$)", entry)]
    assert entries
    for entry in entries:
        assert re.match(r"[a-z0-9-]+==[^\s;]+( ; [^#]+?)?( --hash=sha256:[0-9a-f]{64})+$", entry), entry
    assert "://" not in text


def test_lock_has_every_direct_requirement() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    pinned = set(re.findall(r"^([a-z0-9-]+)==", lock, flags=re.MULTILINE))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    groups = project["dependency-groups"]
    wanted = [
        *project["project"]["dependencies"],
        *project["build-system"]["requires"],
        *groups["build"],
        *groups["dev"],
    ]
    names = {re.split(r"[^A-Za-z0-9-]", line)[0].lower() for line in wanted if isinstance(line, str)}
    assert names <= pinned


def test_readme_is_the_long_description() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project.get("readme") == ("README.md" if (ROOT / "README.md").exists() else None)


def test_command_prints_its_help() -> None:
    result = run(script("updown"), "--help")
    assert result.returncode == 0, result.stderr
    assert "usage" in result.stdout.lower()
    assert "demo" in result.stdout
