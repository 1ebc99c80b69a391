"""Chromium, which shows what a page is to a person: the tests that need it are skipped where there is none."""

import shutil
import subprocess

CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)


def dumped(path, *options):
    """The document that a browser makes of the page at `path`, when its scripts have run."""
    command = [
        CHROMIUM,
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-background-networking",
        f"--user-data-dir={path.parent.parent / 'chromium'}",
        *options,
        "--dump-dom",
        path.as_uri(),
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
