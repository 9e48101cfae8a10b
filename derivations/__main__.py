"""``python -m derivations``: hold the documents' formulas against autograd, and write the page."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from derivations.page import page

PAGE = Path(__file__).parent.parent / "docs" / "derivations.md"


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m derivations", description=__doc__)
    parser.add_argument("--output", type=Path, default=PAGE, metavar="FILE", help="default: docs/derivations.md")
    write(parser.parse_args(arguments).output, page())


def write(path: Path, text: str) -> None:
    """Write a file that appears under its name only when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


if __name__ == "__main__":
    main()
