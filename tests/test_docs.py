"""The docs say what the code does: settings, errors, metrics, keys, commands and links are compared with it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from pal_backend import errors
from pal_backend.cli import EXIT_CODES, app
from pal_backend.core.recipes import RECIPES
from pal_backend.metrics import Metrics
from pal_backend.settings import VARIABLES, Settings

ROOT = Path(__file__).resolve().parent.parent
OPERATIONS = (ROOT / "docs/operations.md").read_text()
ARCHITECTURE = (ROOT / "docs/architecture.md").read_text()
COMMAND_LINE = (ROOT / "docs/command-line.md").read_text()
FAQ = (ROOT / "docs/faq.md").read_text()
METHODS = (ROOT / "docs/methods.md").read_text()
CHANGELOG = (ROOT / "CHANGELOG.md").read_text()
PAGES = [*sorted((ROOT / "docs").rglob("*.md")), ROOT / "CHANGELOG.md", ROOT / "README.md"]


def rows(page: str, heading: str) -> list[list[str]]:
    """The cells of the first table after a heading, without its head."""
    after = page.partition(f"## {heading}\n")[2]
    table = re.search(r"(?:^\|.*\n)+", after, re.MULTILINE)
    assert table is not None, heading
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[0].splitlines()[2:]]


def leaves() -> Iterator[type[errors.PalError]]:
    """Every error class below the base."""
    yield from errors.PalError.__subclasses__()


def test_every_setting_is_described_with_its_default() -> None:
    """The table of settings has a row for each variable that is read, no other, and states the default."""
    described = {name.strip("`"): default.strip("`") for name, default, _ in rows(OPERATIONS, "Settings")}
    assert list(described) == [variable for variable, _ in VARIABLES.values()]
    defaults = Settings()
    for field, (variable, _) in VARIABLES.items():
        value = str(getattr(defaults, field))
        if value:
            assert described[variable] == value, variable


def test_every_error_is_described() -> None:
    """The table of errors has each of them, with its HTTP status and exit code."""
    described = {name.strip("`"): (int(status), int(code)) for name, _, status, code in rows(OPERATIONS, "Errors")}
    assert described == {leaf.__name__: (leaf.status, leaf.exit_code) for leaf in leaves()}


def test_every_exit_code_is_described() -> None:
    """The command line's table has each code that its help tells, in the same words."""
    described = [(code, means) for code, means, _ in rows(COMMAND_LINE, "Exit codes")]
    told = dict(re.match(r"(\d+) (.*)", part).groups() for part in EXIT_CODES.partition(": ")[2].split(" · "))  # type: ignore[union-attr]
    assert [code for code, _ in described] == list(told)
    assert [code for code, means in described if not means.startswith(told[code])] == []


def test_what_the_faq_points_to_is_there() -> None:
    """Fifteen complaints, each with a way to look; checks of `pal doctor`, rows of `pal status` and tests exist."""
    complaints = re.split(r"^### ", FAQ.partition("## Also asked")[0], flags=re.MULTILINE)[1:]
    assert len(complaints) == 15
    assert [each.splitlines()[0] for each in complaints if "*Held by*" not in each] == []
    for check in re.findall(r"`([a-z-]+)`", " ".join(re.findall(r"`pal doctor` \(([^)]*)\)", FAQ))):
        assert any(f'Check("{check}"' in path.read_text() for path in (ROOT / "pal_backend").glob("doctor*.py")), check
    for row in re.findall(r'"([a-z ]+)"', " ".join(re.findall(r"\*Check\*: .*`pal status`.*", FAQ))):
        assert f'("{row}", ' in (ROOT / "pal_backend/cli_report.py").read_text(), row
    tests = "\n".join(path.read_text() for path in (ROOT / "tests").rglob("test_*.py"))
    assert [name for name in re.findall(r"`(test_\w+)`", FAQ) if f"def {name}(" not in tests] == []


def test_every_metric_is_described() -> None:
    """The table of metrics has each that the web process gives, and no other."""
    described = {name.strip("`").removesuffix("_total") for name, _, _ in rows(OPERATIONS, "Looking at it")}
    source = (ROOT / "pal_backend/metrics.py").read_text()
    assert described == set(re.findall(r'"(pal_[a-z_]+)"', source))


def test_the_requests_counter_is_spelt_as_prometheus_spells_it() -> None:
    """Prometheus adds _total to a counter; the docs name what is scraped."""
    metrics = Metrics(list)
    metrics.observe("/health", 200, 0.001)
    names = {
        sample.name for family in text_string_to_metric_families(metrics.render().decode()) for sample in family.samples
    }
    assert "pal_requests_total" in names
    assert "`pal_requests_total`" in OPERATIONS


def test_every_redis_key_has_its_owner() -> None:
    """Each key that a module's docstring declares stands in the table of keys with that module."""
    described = {
        key: owner for keys, owner in rows(ARCHITECTURE, "State") for key in re.findall(r"`(pal:[^`]+)`", keys)
    }
    for module in [*sorted((ROOT / "pal_backend/store").glob("*.py")), ROOT / "pal_backend/queues.py"]:
        docstring = re.match(r'"""(.*?)"""', module.read_text(), re.DOTALL)
        declared = re.findall(r"``(pal:[^`]+)``", docstring[1]) if docstring else []
        for key in declared:
            owner = next((owner for name, owner in described.items() if key == name or key.startswith(f"{name}:")), "")
            assert module.name in owner, f"{key} of {module.name}"


def anchors(page: Path) -> set[str]:
    """What a page's headings are called in links, as GitHub and mkdocs spell it."""
    text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    return {
        re.sub(r"[^\w -]", "", heading).strip().lower().replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    }


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every link to a file of the repository leads to one that is there, and to a heading that it has."""
    links = re.findall(r"\]\((?!https?://)([^)#]*)(?:#([^)]*))?\)", page.read_text())
    assert [link for link, _ in links if not (page.parent / link).exists()] == []
    places = [(page.parent / link if link else page, anchor) for link, anchor in links if anchor]
    assert [f"{place}#{anchor}" for place, anchor in places if anchor not in anchors(place)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_named_exist(page: Path) -> None:
    """Every `pal …` in code is a command that there is."""
    known = {command.name for command in app.registered_commands}
    named = re.findall(r"(?:`|worker-learn |bin/)pal ([a-z][a-z-]*)", page.read_text())
    assert set(named) <= known


def test_options_named_exist() -> None:
    """Options of `pal sync` and `pal init` that the docs name are known to them."""
    source = (ROOT / "pal_backend/cli_project.py").read_text()
    for option in set(re.findall(r"`pal (?:sync|init)[^`]*--([a-z-]+)", OPERATIONS + ARCHITECTURE)):
        assert option in source or option.replace("-", "_") in source, option


def test_modules_named_in_code_spans_exist() -> None:
    """Every file that the plan of the house names in the table of decisions is there."""
    for _, _, places in rows(ARCHITECTURE, "Where each decision stands"):
        for place in re.findall(r"`([a-z_/*]+(?:\.py|/))`", places):
            assert any(ROOT.glob(f"**/{place.rstrip('/')}")), place


def methods_cells() -> Iterator[tuple[str, str]]:
    """The code spans in the columns of functions, tests and benchmarks of the page about methods, with the column."""
    for table in re.findall(r"(?:^\|.*\n)+", METHODS, re.MULTILINE):
        head, _, *body = [re.split(r"(?<!\\)\|", line.strip().strip("|")) for line in table.splitlines()]
        for row in body:
            for column, cell in zip(head, row, strict=True):
                yield from ((column.strip(), span) for span in re.findall(r"`([^`]+)`", cell))


def defined(name: str, sources: Sequence[str]) -> bool:
    """Whether a function, class, value or name in quotes is spelt so; … stands for anything, a dot for what lies inside."""
    spelt = [re.escape(part).replace("…", "\\w*") for part in name.partition("(")[0].split(".")]
    patterns = [rf'\b(?:def|class) {part}\b|^\s*{part}\b\s*[:=]|"{part}"' for part in spelt]
    return all(any(re.search(pattern, source, re.MULTILINE) for source in sources) for pattern in patterns)


def test_functions_tests_and_benchmarks_of_the_methods_exist() -> None:
    """What a table of the page about methods names in these columns is there: files, modules, functions, tests."""
    ours = [path.read_text() for folder in ("pal_backend", "benchmarks") for path in (ROOT / folder).rglob("*.py")]
    tests = [path.read_text() for path in (ROOT / "tests").rglob("*.py")]
    checked = 0
    for column, span in methods_cells():
        if column not in ("function", "test", "tests", "benchmark"):
            continue
        checked += 1
        if span.endswith(".py"):
            assert any(ROOT.glob(f"**/{span}")), span
        elif span.startswith("benchmarks."):
            assert (ROOT / f"{span.replace('.', '/')}.py").exists(), span
        elif column == "function" or span.startswith("test_"):
            assert defined(span, tests if span.startswith("test_") else ours), span
    assert checked > 20


def test_every_recipe_is_in_the_methods() -> None:
    """The page about methods has a row for each, in their order."""
    table = re.search(r"^\| recipe .*\n(?:^\|.*\n)+", METHODS, re.MULTILINE)
    assert table is not None
    assert re.findall(r"^\| `([a-z0-9-]+)`", table[0], re.MULTILINE) == list(RECIPES)


def test_the_changelog_names_our_version() -> None:
    """The version of pyproject.toml has an entry."""
    version = re.search(r'^version = "([^"]+)"', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert version is not None
    assert f"## [{version[1]}]" in CHANGELOG


def test_the_licence_is_the_one_declared() -> None:
    """LICENSE is the full text of Apache-2.0, which pyproject.toml declares."""
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text
    assert 'license = "Apache-2.0"' in (ROOT / "pyproject.toml").read_text()
