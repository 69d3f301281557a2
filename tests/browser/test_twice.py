"""The whole way from runs to pages, once more."""

import difflib
import filecmp
import itertools
import json
import shutil
import subprocess
import sys

from built import ENVIRONMENT, ROOT, SITE


def test_two_builds_of_the_same_runs_are_byte_identical(tmp_path):
    """The second is made in another folder, so no path of this machine is in the pages either."""
    note = json.loads((SITE.parent / "build.json").read_text())
    for entry in ROOT.iterdir():
        if entry.name != "book":
            (tmp_path / entry.name).symlink_to(entry)
    shutil.copytree(ROOT / "book", tmp_path / "book", ignore=shutil.ignore_patterns("_build", "executed"))
    words = [word for key, value in note.items() if value for word in (f"--{key}", str(value))]
    command = [sys.executable, str(tmp_path / "book" / "build.py"), *words]
    environment = ENVIRONMENT | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    ours, theirs = (
        {p.relative_to(site) for p in site.rglob("*") if p.is_file()} for site in (SITE, tmp_path / "book/_build/html")
    )
    assert ours == theirs
    site = tmp_path / "book" / "_build" / "html"
    _, unlike, lost = filecmp.cmpfiles(SITE, site, ours, shallow=False)
    assert sorted(map(str, unlike + lost)) == [], "\n".join(_changed(SITE / p, site / p) for p in unlike)


def _changed(one, other):
    """The first lines in which two files differ, cut to what a log can hold."""
    texts = [p.read_text(errors="replace").splitlines() for p in (one, other)]
    lines = difflib.unified_diff(*texts, one.name, other.name, lineterm="", n=0)
    return "\n".join(line[:400] for line in itertools.islice(lines, 12))
