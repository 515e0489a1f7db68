"""Whether a push ends as it must, whatever goes wrong: every request of one fails in every way, one case at a time.

`python -m benchmarks.hub_faults [--every N] [--json]`. A finished run is pushed to a Hub on this machine, once to a
new repository and once over an earlier push, and each request is written down. Then each is made to fail: refused with
every status that the Hub has, late, cut off before and after it was done, torn, reset; once, and from then on always.
Those that fill a new repository fail again where that cannot be removed. It ends with status 1 when `unexplained` is
not 0.

    requests     that the two pushes made
    faults       pushes that were made to meet one
    verified     of them, those that got over it: pushed, downloaded, compared
    named        those that ended in an error that names the cause, and whose Retry, the fault gone, was verified
    unexplained  all others; also those that made a second commit, or left an empty repository unsaid

Most pushes are made in this process, which waits little; `processes` of them by the worker that the app starts.
"""

import argparse
import itertools
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ftspace.errors import HubCause, HubError
from ftspace.hub.bundle.files import build_bundle
from ftspace.hub.push.line import Ears, Patience
from ftspace.hub.push.process import Teller, deliver, learn
from ftspace.hub.push.pushing import follow_push, start_push
from ftspace.hub.push.records import PushFolder, PushRecord, PushRequest
from ftspace.runs import RunStore
from tests.finished_run import finished_run
from tests.loopback_hub import WRITER_TOKEN, Fault, LoopbackHub, serve
from tests.loopback_hub.faults import Kind

REQUEST = PushRequest(repo_id="me/tuned")
QUICK = Patience(tries=3, pause=0.001, longest=1.0, silence=0.5, word=0.2)
GIVEN = {".gitattributes", ".private"}
REFUSALS: tuple[tuple[int, str, set[HubCause]], ...] = (
    (400, "", {"refused"}),
    (401, "", {"token"}),
    (401, "RepoNotFound", {"token"}),
    (403, "", {"rights"}),
    (403, "GatedRepo", {"rights"}),
    (404, "", {"missing"}),
    (404, "RepoNotFound", {"missing", "taken", "content"}),
    (404, "RevisionNotFound", {"missing"}),
    (404, "EntryNotFound", {"missing"}),
    (409, "", {"conflict", "taken"}),
    (412, "", {"changed"}),
    (413, "", {"too_large"}),
    (429, "", {"rate"}),
    (500, "", {"server"}),
    (502, "", {"server"}),
    (503, "", {"server"}),
    (507, "", {"quota"}),
)
"""Statuses with the Hub's own words for them, and the causes that name them."""
LEARNT = "/towns/"
"""In the requests that learn of base and dataset; what they are refused with may have no word of its own."""
STUCK = Fault("status", "DELETE", "/repos/delete", status=503, times=None)
"""In the scenario `stuck` a repository that was made cannot be removed again."""
BROKEN: tuple[Kind, ...] = ("cut", "lost", "short", "torn", "reset")


@dataclass(frozen=True)
class Case:
    """One push that meets one fault."""

    scenario: str
    key: str
    """The request, as the Hub knows it."""
    fault: Fault
    causes: frozenset[HubCause]
    """The words that name it."""

    def __str__(self) -> str:
        status = f"status {self.fault.status} {self.fault.code}".rstrip()
        how = status if self.fault.kind == "status" else self.fault.kind
        return f"{self.scenario}: {self.key}: {how}, {'always' if self.fault.times is None else 'once'}"


@dataclass
class Found:
    """What came of all cases."""

    requests: int = 0
    faults: int = 0
    verified: int = 0
    named: int = 0
    processes: int = 0
    seconds: float = 0.0
    unexplained: list[str] = field(default_factory=list[str])

    def model(self) -> dict[str, Any]:
        """As JSON."""
        counts = {name: value for name, value in vars(self).items() if name != "unexplained"}
        return {**counts, "unexplained": len(self.unexplained), "examples": self.unexplained[:20]}


class Bench:
    """A Hub, a finished run, and what the Hub holds before each push."""

    def __init__(self, folder: Path, hub: LoopbackHub) -> None:
        """`folder` holds the Hub's root."""
        self.hub, self._kept = hub, folder / "kept"
        for kind, name in (("models", "towns/base"), ("datasets", "towns/rows")):
            place = hub.root / kind / name
            place.mkdir(parents=True)
            (place / "README.md").write_text("---\nlicense: mit\n---\n")
        sections = {"model": {"id": "towns/base"}, "data": {"id": "towns/rows"}}
        self.run = finished_run(RunStore(folder / "data" / "runs"), **sections)
        self.push = PushFolder(self.run.path)
        self.push.path.mkdir(parents=True)
        self._places = ((hub.root, "hub"), (self.push.path.parent, "push"))
        self._keep("new")
        record = self.here().model_dump(mode="json")
        (hub.root / "models" / REQUEST.repo_id / "old.json").write_text("{}")
        (self.run.adapter / "adapter_model.safetensors").write_bytes(b"other weights" * 100_000)
        record["files"]["old.json"] = ""
        self.push.record.write_text(json.dumps(record))
        self._keep("update")

    def keys(self, scenario: str) -> list[str]:
        """The requests of a push that nothing befalls."""
        self.restore(scenario)
        self.here()
        keys = [asked.key for asked in self.hub.requests]
        if scenario != "stuck":
            return keys
        made, done = (next(at for at, key in enumerate(keys) if word in key) for word in ("/repos/create", "/commit/"))
        return keys[made : done + 1]

    def restore(self, scenario: str) -> None:
        """Hub and push as they were before."""
        self.hub.forget()
        for place, name in self._places:
            shutil.rmtree(place)
            shutil.copytree(self._kept / ("new" if scenario == "stuck" else scenario) / name, place)

    def try_one(self, case: Case, found: Found, push: Callable[[], PushRecord]) -> None:
        """Makes the push meet the fault, and again without it where it did not get over it."""
        self.restore(case.scenario)
        self.hub.faults = [replace(case.fault, fitted=0, befell=0)]
        if case.scenario == "stuck":
            self.hub.faults.append(replace(STUCK))
        found.faults += 1
        error = None
        try:
            push()
        except HubError as caught:
            error = caught
        except Exception as caught:  # noqa: BLE001  (that there is none is what is measured)
            found.unexplained.append(f"{case}: {type(caught).__name__}: {caught}")
            return
        self.hub.faults = []
        wrong = self._wrong_end(case, error)
        if error is not None and not wrong:
            try:
                self.here()
            except HubError as caught:
                wrong = f"Retry: {caught}"
        wrong = wrong or self._wrong_content()
        if wrong:
            found.unexplained.append(f"{case}: {wrong}")
        elif error is None:
            found.verified += 1
        else:
            found.named += 1

    def in_a_process(self) -> PushRecord:
        """A push by the worker. Raises HubError as it told it."""
        start_push(self.run, REQUEST, WRITER_TOKEN)
        *_, state = follow_push(self.run, poll_seconds=0.1)
        if state.verified is None:
            if state.reason != "hub":
                raise RuntimeError(f"{state.status}, {state.reason}: {state.message}")
            raise HubError(state.message, "rights" if "may not write" in state.message else "refused")
        return state.verified

    def here(self) -> PushRecord:
        """A push by this process."""
        teller = Teller(self.push)
        ears = Ears(warn=teller.warn)
        learn(self.run, ears, QUICK)
        build_bundle(self.run, REQUEST, self.push.bundle)
        return deliver(REQUEST, self.push, teller, ears, QUICK)

    def _keep(self, scenario: str) -> None:
        for place, name in self._places:
            shutil.copytree(place, self._kept / scenario / name)

    def _there(self) -> set[str] | None:
        place = self.hub.root / "models" / REQUEST.repo_id
        if not place.is_dir():
            return None
        return {str(path.relative_to(place)) for path in place.rglob("*") if path.is_file()} - GIVEN

    def _wrong_end(self, case: Case, error: HubError | None) -> str:
        """What is wrong with how a push ended; "" for nothing."""
        if error is None:
            return ""
        if error.cause not in case.causes:
            return f"named {error.cause}: {error}"
        if "\n" in str(error) or not any(
            word in str(error) for word in ("push again", "choose", "make a new", "needs")
        ):
            return f"it does not say what to do: {error}"
        if self._there() == set() and "still empty" not in str(error):
            return f"an empty repository is left and not told of: {error}"
        return ""

    def _wrong_content(self) -> str:
        """What is wrong with what the Hub holds after a verified push."""
        place, bundle = self.hub.root / "models" / REQUEST.repo_id, self.push.bundle
        files = {str(path.relative_to(bundle)): path.read_bytes() for path in bundle.rglob("*") if path.is_file()}
        there = self._there()
        if there != set(files) or any((place / name).read_bytes() != content for name, content in files.items()):
            return "the Hub does not hold what was pushed"
        commits = sum(asked.status == 200 and "/commit/" in asked.path for asked in self.hub.requests)
        return "" if commits <= 1 else f"{commits} commits were made"


def cases(scenario: str, keys: list[str]) -> Iterator[Case]:
    """Every fault of every request, once and always."""
    network: frozenset[HubCause] = frozenset({"network"})
    for key, times in itertools.product(keys, (1, None)):
        for status, code, causes in REFUSALS:
            headers = {"Retry-After": "0" if times else "999"} if status == 429 else {}
            fault = Fault.at(key, "status", status=status, code=code, headers=headers, times=times)
            yield Case(scenario, key, fault, frozenset({"refused", *causes} if LEARNT in key else causes))
        yield Case(scenario, key, Fault.at(key, "delay", seconds=3.0, times=times), frozenset({"timeout"}))
        for kind in BROKEN:
            yield Case(scenario, key, Fault.at(key, kind, after=5, times=times), network)


def measure(folder: Path, every: int = 1, processes: int = 6) -> Found:
    """Tries every `every`th case in this process, and some in processes of their own."""
    hub, found, began = LoopbackHub(folder / "hub"), Found(), time.monotonic()
    hub.root.mkdir(parents=True)
    with serve(hub) as address, _Asking(address, folder):
        bench = Bench(folder, hub)
        for scenario in ("new", "update", "stuck"):
            keys = bench.keys(scenario)
            found.requests += len(keys) if scenario != "stuck" else 0
            for number, case in enumerate(cases(scenario, keys)):
                if number % every == 0:
                    bench.try_one(case, found, bench.here)
            if scenario == "stuck":
                continue
            commit = next(key for key in keys if "/commit/" in key)
            picked = [case for case in cases(scenario, [commit]) if _quick(case)]
            for case in picked[: processes // 2]:
                found.processes += 1
                bench.try_one(case, found, bench.in_a_process)
    found.seconds = round(time.monotonic() - began, 1)
    return found


def _quick(case: Case) -> bool:
    """Whether a worker, which has more patience than this process, is soon done with it."""
    return (case.fault.kind, case.fault.status, case.fault.times) in (
        ("status", 403, None),
        ("status", 503, 1),
        ("lost", 503, 1),
    )


class _Asking:
    """This process, and those that it starts, ask the Hub at an address, with the writer's token."""

    def __init__(self, address: str, folder: Path) -> None:
        self._wanted = {"HF_ENDPOINT": address, "HF_HOME": str(folder / "hf"), "HF_TOKEN": WRITER_TOKEN}
        self._address = address
        self._before: dict[str, str | None] = {}

    def __enter__(self) -> None:
        from huggingface_hub import constants

        self._endpoint, constants.ENDPOINT = constants.ENDPOINT, self._address
        self._before = {name: os.environ.get(name) for name in self._wanted}
        os.environ.update(self._wanted)

    def __exit__(self, *_: object) -> None:
        from huggingface_hub import constants

        constants.ENDPOINT = self._endpoint
        for name, value in self._before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


def main() -> int:
    """Runs the benchmark."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--every", type=int, default=1, metavar="N", help="try every Nth case only")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = measure(Path(folder), given.every)
    lines = [json.dumps(found.model())] if given.json else [f"{name}: {value}" for name, value in found.model().items()]
    sys.stdout.write("\n".join(lines) + "\n")
    return 1 if found.unexplained else 0


if __name__ == "__main__":
    sys.exit(main())
