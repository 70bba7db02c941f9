"""Lays out what the site is built of, under `.build/site`: python -m tests.contract.site.

The pages stay where the repository has them, and so do the files that they link to: they are copied as they lie, so
that every link leads where it leads in the repository. A folder that is linked to gets a page with its files. The
reference of the code is made here as well: a page with a directive for each module, which mkdocstrings fills in.
"""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = ROOT / ".build" / "site" / "pages"
_LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]*)?\)")
_STARTS = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")
_CODE_PAGE = "docs/code.md"
_MODULES = (
    "components.messaging.queue",
    "components.messaging.consumer",
    "components.messaging.bus",
    "components.messaging.queue_rule",
    "components.compute.function",
    "components.storage.state_table",
    "components.control.breaker",
    "components.control.redrive",
    "components.api.http_api",
    "components.observability.pack",
    "components.pipelines.base",
    "components.pipelines.worker_spec",
    "handlers.worker.worker",
    "handlers.worker.messages",
    "handlers.idempotency.claims",
    "handlers.errors",
    "handlers.faults",
)
_CODE_HEAD = """# Code

The components and the parts of the Lambda library that a program or a pipeline of your own builds on, by their
docstrings. How to use them is in [your own pipeline](own-pipeline.md).
"""


def lay_out(root: Path = ROOT, pages: Path = PAGES) -> None:
    """Copy every page, and every file that one of them links to."""
    shutil.rmtree(pages, ignore_errors=True)
    waiting = [root / name for name in _STARTS]
    waiting += sorted([*(root / "docs").glob("*.md"), *(root / "ops" / "runbooks").glob("*.md")])
    done: set[Path] = set()
    while waiting:
        path = waiting.pop()
        if path in done:
            continue
        done.add(path)
        target = pages / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            (target / "index.md").parent.mkdir(parents=True, exist_ok=True)
            (target / "index.md").write_text(_listing(path), encoding="utf-8")
            waiting += [one for one in path.iterdir() if one.is_file()]
        else:
            shutil.copyfile(path, target)
            if path.suffix == ".md":
                waiting += list(_linked(path))
    code = "".join(f"\n## {module}\n\n::: {module}\n" for module in _MODULES)
    (pages / _CODE_PAGE).write_text(_CODE_HEAD + code, encoding="utf-8")
    (pages / "index.md").write_text('<meta http-equiv="refresh" content="0; url=docs/">\n', encoding="utf-8")


def _linked(path: Path) -> Iterator[Path]:
    for link, _ in _LINK.findall(path.read_text(encoding="utf-8")):
        if "://" not in link and not link.startswith("mailto:"):
            yield (path.parent / link).resolve()


def _listing(folder: Path) -> str:
    files = sorted(one.name for one in folder.iterdir() if one.is_file() and not one.name.startswith("."))
    return f"# {folder.name}\n\n" + "".join(f"- [{name}]({name})\n" for name in files)


if __name__ == "__main__":
    lay_out()
