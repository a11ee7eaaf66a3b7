"""`python -m tools.openapi`: writes docs/openapi.json anew."""

from pathlib import Path

from tools.openapi import document_text

PATH = Path(__file__).parents[2] / "docs" / "openapi.json"


def main() -> None:
    """Writes the file, and says where it is."""
    PATH.write_text(document_text(), encoding="utf-8")
    print(f"Wrote {PATH}")


if __name__ == "__main__":
    main()
