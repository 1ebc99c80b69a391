"""What setup.cfg cannot say: the addresses that follow from its one `url`, and a README whose links hold on a package index."""

import configparser
import re
from pathlib import Path

from setuptools import setup

HERE = Path(__file__).parent
LINK = re.compile(
    r"```.*?```|`[^`\n]*`"  # code stays as it is
    r"|(?P<picture>!\[[^\]]*)?\]\((?!#|[a-z]+:)(?P<path>[^)\s]+)\)",
    re.DOTALL,
)


def home() -> str:
    """Where the project lives: `url` of setup.cfg."""
    settings = configparser.RawConfigParser()
    settings.read(HERE / "setup.cfg", encoding="utf-8")
    return settings["metadata"]["url"]


def absolute(text: str, url: str) -> str:
    """Markdown `text` with its links and pictures within the repository as addresses under `url`, on the branch `main`.

    Pictures point to the file itself, other links to its page. Code, anchors and full addresses stay.
    """

    def full(match: re.Match[str]) -> str:
        if match["path"] is None:
            return match[0]
        kind = "raw" if match["picture"] else "blob"
        return f"{match['picture'] or ''}]({url}/{kind}/main/{match['path']})"

    return LINK.sub(full, text)


if __name__ == "__main__":
    setup(
        long_description=absolute((HERE / "README.md").read_text(encoding="utf-8"), home()),
        long_description_content_type="text/markdown",
        project_urls={
            "Source": home(),
            "Issues": f"{home()}/issues",
            "Changelog": f"{home()}/blob/main/CHANGELOG.md",
        },
    )
