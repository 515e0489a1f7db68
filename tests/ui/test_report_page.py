"""The address of a report, without Gradio's page: what it says of a run whose results cannot be read."""

from typing import Any

from fastapi import FastAPI
from starlette.testclient import TestClient

from ftspace.config import default_config
from ftspace.runs import RunStore
from ftspace.settings import Settings
from ftspace.ui.report_page import ReportPage


def test_a_damaged_run_tells_nobody_where_it_lies(store: RunStore) -> None:
    run = store.create(default_config())
    run.results.write_text("{")
    settings = Settings(store.runs_dir.parent, "127.0.0.1", 7860, None, hub_token=False, space_id=None)
    app: Any = FastAPI(routes=[ReportPage(settings).route])
    app.auth = app.auth_dependency = None
    answer = TestClient(app).get(f"/report/{run.id}")
    assert answer.status_code == 500 and "cannot be read" in answer.text
    assert str(store.runs_dir) not in answer.text and run.id not in answer.text
