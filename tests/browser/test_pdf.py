import re
import subprocess
import sys

from built import ENVIRONMENT, PAGES, ROOT


def test_the_whole_book_is_printed():
    words = [sys.executable, str(ROOT / "book" / "paper.py"), "pdf"]
    environment = ENVIRONMENT | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    pdf = (ROOT / "book" / "_build" / "pdf" / "gendiff.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    assert len(PAGES) <= len(re.findall(rb"/Type /Page\b", pdf)) < 120
    assert b"/Outlines" in pdf
