"""Whatever a client sends, the loopback Hub answers it and is no worse for it."""

import re
from collections import Counter

import httpx2
from huggingface_hub import HfApi

from tests.loopback.conftest import BY_WRITER
from tests.loopback_hub import LoopbackHub

BODIES = (b"", b"[]", b'{"key": 1}', b'{"files": [1], "objects": [{"oid": 1}], "volumes": [{}]}', b"\xff\xfe")
LIKELY = {"owner": "me", "name": "model", "revision": "main", "user": "me", "state": "pending", "which": "run"}


def test_nothing_that_is_sent_breaks_it(hub: LoopbackHub) -> None:
    api = HfApi()
    for kind in ("model", "space"):
        api.create_repo("me/model", repo_type=kind, space_sdk="gradio" if kind == "space" else None)
    answers: Counter[int] = Counter()
    with httpx2.Client(base_url=str(api.endpoint), headers=BY_WRITER) as client:
        for route in hub.routes:
            likely = re.sub(r"{(\w+)(:path)?}", lambda found: LIKELY.get(found[1], "a%20b"), route.path)
            unlikely = re.sub(r"{(\w+)(:path)?}", "..%2F", route.path)
            asked = [("GET", path, b"") for path in (unlikely, f"{likely}?limit=x&cursor=-1&user=%00&num_parameters=x")]
            changing = {*(route.methods or ())} - {"GET", "HEAD", "DELETE"}
            asked += [(method, likely, body) for method in sorted(changing) for body in BODIES]
            for method, path, body in asked if "datasets" not in route.path else []:
                status = client.request(method, path, content=body).status_code
                answers[status] += 1
                assert status < 500, f"{method} {path} {body!r}: {status}"
        for path in ("/nowhere", "/api/x/y/z", "/a/b/c/d/e", "/api/models/a/b/c/d/e", "/%00", "/" + "x" * 3000):
            assert client.get(path).status_code == 404, path
    assert api.model_info("me/model").id == "me/model" and answers.total() > 150 and {200, 400, 404} <= answers.keys()
