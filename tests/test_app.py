import subprocess
import sys
from pathlib import Path

import pytest

from ftspace.settings import ROOT, worker_env


@pytest.mark.parametrize(
    ("words", "environ"),
    [
        (["--share"], {}),
        (["--share"], {"FTSPACE_PASSWORD": ""}),
        ([], {"FTSPACE_HOST": "0.0.0.0"}),
        ([], {"SPACE_ID": "towns/ftspace"}),
    ],
)
def test_no_app_is_open_to_others_without_a_password(tmp_path: Path, words: list[str], environ: dict[str, str]) -> None:
    command = [sys.executable, "app.py", "--data-dir", str(tmp_path), *words]
    plain = worker_env(offline=True) | {"FTSPACE_HOST": "127.0.0.1"} | environ
    refused = subprocess.run(command, cwd=ROOT, env=plain, capture_output=True, text=True, timeout=60, check=False)
    assert refused.returncode == 2 and "set FTSPACE_PASSWORD" in refused.stderr and not refused.stdout
    assert "Traceback" not in refused.stderr and not list(tmp_path.iterdir())
