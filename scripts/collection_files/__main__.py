"""`make collections`: write the files of `collections/` anew."""

import json
from pathlib import Path
from typing import Any

from scripts.collection_files import insomnia, postman
from scripts.collection_files.document import merged
from scripts.collection_files.plan import plan
from scripts.collection_files.story import ABOUT, CHAPTERS

FOLDER = Path(__file__).resolve().parents[2] / "collections"
TITLE = "Alicerce"
BASE_URL = "http://localhost:8080"


def files(document: dict[str, Any]) -> dict[str, str]:
    """The text of each file by its name; the same text for the same document and story."""
    folders = plan(document, CHAPTERS)
    written = {
        "alicerce.postman_collection.json": postman.collection(TITLE, ABOUT, folders),
        "alicerce.postman_environment.json": postman.environment(TITLE, BASE_URL, folders),
        "alicerce.insomnia.json": insomnia.export(TITLE, ABOUT, BASE_URL, folders),
    }
    return {name: json.dumps(content, ensure_ascii=False, indent=1) + "\n" for name, content in written.items()}


def main() -> None:
    """Write every file, and say so."""
    for name, text in files(merged()).items():
        (FOLDER / name).write_text(text, "utf-8")
        print(f"collections/{name}: {len(text.encode()) // 1024} KiB")


if __name__ == "__main__":
    main()
