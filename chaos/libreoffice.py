"""What LibreOffice makes of a workbook."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

from chaos.scene import Scene

SECONDS = 900
ALL_SHEETS = "csv:Text - txt - csv (StarCalc):44,34,76,1,,0,false,true,false,false,false,-1"


def converted(path: Path, scene: Scene) -> str:
    """Have it write every sheet as CSV, and look at the ids; a sentence on what came of it."""
    program = shutil.which("soffice")
    if program is None:
        return "LibreOffice: not installed"
    folder = path.parent / f"{path.stem}-libreoffice"
    words = [program, f"-env:UserInstallation=file://{folder}/profile", "--headless", "--convert-to", ALL_SHEETS]
    began = time.monotonic()
    try:
        subprocess.run([*words, "--outdir", str(folder), str(path)], check=True, capture_output=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return f"LibreOffice: not done in {SECONDS} s"
    lines = [line for each in folder.glob("*.csv") for line in each.read_bytes().splitlines()[1:]]
    ids = sorted(int(line.partition(b",")[0]) for line in lines)
    scene.expect(ids == list(range(1, len(ids) + 1)), "LibreOffice: other ids")
    scene.expect(len(ids) == scene.site.rows, f"LibreOffice: {len(ids)} rows")
    return f"LibreOffice: {len(ids):,} rows in {time.monotonic() - began:.0f} s"
