"""Asking a base and its tuned self, against two runs of LightEval 0.13 as it comes, on one model and the same tasks.

`python -m benchmarks.evaluation [--rounds 3] [--questions 48] [--json]`. A Llama of 58 million parameters with random
weights and an adapter on it; LightEval gets the adapter merged, which is not timed. Two tasks: questions with four
choices of several words behind solved examples, and answers of up to 64 tokens to prompts of varied lengths, some of
which end sooner. All in float32, each way in processes of its own that take turns.

    ours             `evals.run.evaluate`: both sides, one process
    lighteval        TransformersModel with its defaults, base and tuned in two processes; it looks for its batch by
                     trying 512 rows and halving that until they fit into the memory that there is: --memory while it
                     looks, twice that afterwards, for a batch that just fits leaves nothing for what it then does
    lighteval_tuned  the same with the batch size that --batch names, and our settings of allocator and threads

First all answers and log-probabilities are compared. Times are of whole processes and of the asking alone, on the wall
and of the processor, which counts on a busy machine; memory is the peak of the largest process, and that over what its
imports took. Medians of the rounds.
"""

import argparse
import json
import math
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
WORDS, EXAMPLES, NEW_TOKENS = 32_000, 96, 64
SAME_LOGPROB = 1e-4
SECONDS = {
    "seconds": "time_ratio",
    "asking": "time_ratio_asking",
    "cpu_seconds": "cpu_ratio",
    "cpu_asking": "cpu_ratio_asking",
}
BYTES = {"peak": "memory_ratio", "over_imports": "memory_ratio_over_imports"}
LOOKS = "_get_batch_size"
"""LightEval's method that looks for a batch."""
WAYS = ("ours", "lighteval", "lighteval_tuned")


def main() -> int:
    """Runs the benchmark, or one process of it (`--way`)."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--default-rounds", type=int, default=1, help="rounds of LightEval with its own batch size")
    parser.add_argument("--questions", type=int, default=48, help="samples of each task")
    parser.add_argument("--batch", type=int, default=16, help="the batch size of lighteval_tuned")
    parser.add_argument("--memory", type=float, default=4.0, help="GiB in which lighteval looks for its batch")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--side", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.way:
        asked = _ours(given) if given.way == "ours" else _lighteval(given)
        sys.stdout.write(json.dumps(asked) + "\n")
        return 0
    with tempfile.TemporaryDirectory() as folder:
        _make(Path(folder))
        rounds: dict[str, list[dict[str, Any]]] = {way: [] for way in WAYS}
        for number in range(max(given.rounds, given.default_rounds)):
            for way in WAYS:
                if number < (given.default_rounds if way == "lighteval" else given.rounds):
                    rounds[way].append(_round(way, given, Path(folder)))
    peers = [one for way in WAYS[1:] for one in rounds[way]]
    differences = [_difference(rounds["ours"][0]["answers"], peer["answers"]) for peer in peers]
    found: dict[str, Any] = {}
    for way, suffix in (("lighteval", ""), ("lighteval_tuned", "_tuned_by_hand")):
        if rounds[way]:
            for what, name in (SECONDS | BYTES).items():
                found[name + suffix] = round(_median(rounds["ours"], what) / _median(rounds[way], what), 3)
    found["answers_equal"] = True
    found["max_logprob_difference"] = max(differences)
    for what in SECONDS | BYTES:
        found[what] = {way: round(_median(rounds[way], what), 2) for way in WAYS if rounds[way]}
    lines = [json.dumps(found)] if given.json else [f"{name}: {value}" for name, value in found.items()]
    sys.stdout.write("\n".join(lines) + "\n")
    return 0


def _median(rounds: list[dict[str, Any]], what: str) -> float:
    return statistics.median(one[what] for one in rounds)


def _difference(ours: dict[str, Any], theirs: dict[str, Any]) -> float:
    """The largest relative difference of two log-probabilities; ends the benchmark if answers or these differ."""
    most = 0.0
    for side in ("base", "tuned"):
        if ours[side]["texts"] != theirs[side]["texts"]:
            odd = [pair for pair in zip(ours[side]["texts"], theirs[side]["texts"], strict=True) if pair[0] != pair[1]]
            raise SystemExit(f"{len(odd)} answers of the {side} model differ, such as {odd[0]}")
        for mine, other in zip(ours[side]["logprobs"], theirs[side]["logprobs"], strict=True):
            most = max(most, *(abs(a - b) / abs(b) for a, b in zip(mine, other, strict=True)))
    if not most <= SAME_LOGPROB:
        raise SystemExit(f"log-probabilities differ by {most}")
    return most


def _round(way: str, given: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """One way's processes, one after the other."""
    sides = ["both"] if way == "ours" else ["base", "tuned"]
    done = [_process(way, given, folder, side) for side in sides]
    answers = done[0]["answers"] if way == "ours" else dict(zip(sides, (one["answers"] for one in done), strict=True))
    return {
        "answers": answers,
        **{what: sum(one[what] for one in done) for what in SECONDS},
        "peak": max(one["peak"] for one in done),
        "over_imports": max(one["peak"] - one["imports"] for one in done),
    }


def _process(way: str, given: argparse.Namespace, folder: Path, side: str) -> dict[str, Any]:
    from ftspace.settings import worker_env

    options: dict[str, Any] = {
        "way": way,
        "folder": folder,
        "side": side,
        "questions": given.questions,
        "batch": given.batch,
        "memory": given.memory,
    }
    command = [sys.executable, "-m", "benchmarks.evaluation"]
    env = worker_env(offline=True)
    if way == "lighteval":  # what a trial takes must be free again for the next
        env = {name: value for name, value in env.items() if not name.startswith("MALLOC_")}
    with tempfile.TemporaryDirectory() as work:
        began = time.perf_counter()
        done = subprocess.run(
            command + [f"--{name}={value}" for name, value in options.items()],
            cwd=ROOT,
            env={**env, "TMPDIR": work},
            stdout=subprocess.PIPE,
            stderr=None if os.environ.get("BENCHMARK_LOUD") else subprocess.DEVNULL,
            text=True,
            check=True,
        )
        return {"seconds": time.perf_counter() - began, **json.loads(done.stdout.splitlines()[-1])}


def _make(folder: Path) -> None:
    """A base, an adapter on it, and the two merged."""
    code = "import sys; from pathlib import Path; from benchmarks.evaluation import make; make(Path(sys.argv[1]))"
    subprocess.run([sys.executable, "-c", code, str(folder)], cwd=ROOT, check=True)


def make(folder: Path) -> None:
    """Write `base`, `adapter` and `tuned` (base with the adapter merged) into a folder."""
    import torch
    from peft import LoraConfig, get_peft_model
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = Tokenizer(models.WordLevel({"<end>": 0, **{f"w{n}": n for n in range(1, WORDS)}}, unk_token="w1"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer: Any = PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<end>", pad_token="<end>")
    torch.manual_seed(0)
    model: Any = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=WORDS,
            hidden_size=512,
            intermediate_size=1536,
            num_hidden_layers=8,
            num_attention_heads=8,
            num_key_value_heads=4,
            max_position_embeddings=2048,
            initializer_range=0.1,
            bos_token_id=None,
            eos_token_id=0,
            pad_token_id=0,
        )
    )
    with torch.no_grad():
        model.lm_head.weight[0] *= 2  # so that some answers end before they are cut off
    model.save_pretrained(folder / "base")
    config = LoraConfig(task_type="CAUSAL_LM", r=16, target_modules="all-linear", init_lora_weights=False)
    tuned: Any = get_peft_model(model, config)
    tuned.save_pretrained(folder / "adapter")
    tuned.merge_and_unload().save_pretrained(folder / "tuned")
    for name in ("base", "adapter", "tuned"):
        tokenizer.save_pretrained(folder / name)


def make_questions(count: int) -> tuple[list[dict[str, Any]], list[str]]:
    """Choice questions behind solved examples that all have in common, and prompts to write on from."""
    chance = random.Random(0)

    def said(least: int, most: int) -> str:
        return " ".join(f"w{chance.randrange(1, WORDS)}" for _ in range(chance.randint(least, most)))

    examples = said(EXAMPLES, EXAMPLES)
    choice = [
        {"query": f"{examples} {said(30, 80)}", "choices": [f" {said(2, 6)}" for _ in range(4)]} for _ in range(count)
    ]
    return choice, [said(20, 120) for _ in range(count)]


def _ours(given: argparse.Namespace) -> dict[str, Any]:
    import evals.executor  # pyright: ignore[reportUnusedImport]
    import evals.lighteval.pipeline  # noqa: F401 # pyright: ignore[reportUnusedImport]
    from evals.log import read_log
    from evals.plan import Plan
    from evals.run import evaluate
    from evals.tasks import Message, Task, TaskSample

    imports = _status("VmRSS")
    choice, prompts = make_questions(given.questions)

    def sample(text: str, **more: Any) -> TaskSample:
        return TaskSample(messages=(Message(role="user", content=text),), raw=True, **more)

    tasks = (
        Task(
            name="choice",
            kind="choice",
            samples=tuple(
                sample(row["query"], choices=tuple(row["choices"]), answers=(row["choices"][0],), gold=0)
                for row in choice
            ),
        ),
        Task(name="writing", kind="generation", samples=tuple(sample(text, answers=("w1",)) for text in prompts)),
    )
    folder, clocks = Path(tempfile.mkdtemp()), list[tuple[float, float]]()
    evaluate(
        Plan(base=given.folder / "base", adapter=given.folder / "adapter", tasks=tasks, max_new_tokens=NEW_TOKENS),
        folder,
        progress=lambda *_: clocks.append(_clocks()),  # the first call comes when all is loaded
    )
    answers: dict[str, Any] = {}
    for side in ("base", "tuned"):
        chosen, written = (read_log(folder / task.name / f"{side}.json") for task in tasks)
        answers[side] = {
            "texts": [one.output for one in written.samples],
            "logprobs": [one.logprobs for one in chosen.samples],
        }
    return {"answers": answers, "imports": imports, **_spent(clocks[0])}


def _lighteval(given: argparse.Namespace) -> dict[str, Any]:
    import datasets
    from lighteval.logging.evaluation_tracker import EvaluationTracker
    from lighteval.metrics.metrics_sample import ExactMatches, LoglikelihoodAcc
    from lighteval.metrics.utils.metric_utils import SampleLevelMetric
    from lighteval.models.transformers.transformers_model import TransformersModel, TransformersModelConfig
    from lighteval.pipeline import ParallelismManager, Pipeline, PipelineParameters
    from lighteval.tasks.lighteval_task import LightevalTask, LightevalTaskConfig
    from lighteval.tasks.requests import Doc, SamplingMethod

    imports = _status("VmRSS")
    choice, prompts = make_questions(given.questions)
    rows: dict[str, list[dict[str, Any]]] = {
        "choice": choice,
        "writing": [{"query": text, "choices": ["w1"]} for text in prompts],
    }
    tasks: dict[str, LightevalTask] = {}
    for name, own in rows.items():
        metric = SampleLevelMetric(
            metric_name=name,
            higher_is_better=True,
            category=SamplingMethod.LOGPROBS if name == "choice" else SamplingMethod.GENERATIVE,
            sample_level_fn=LoglikelihoodAcc() if name == "choice" else ExactMatches(),
            corpus_level_fn=statistics.fmean,
        )
        config = LightevalTaskConfig(
            name=name,
            prompt_function=lambda row, task: Doc(
                query=row["query"], choices=row["choices"], gold_index=0, task_name=task
            ),
            hf_repo="in memory",
            hf_subset="default",
            hf_avail_splits=["test"],
            evaluation_splits=["test"],
            few_shots_split="test",
            metrics=[metric],
            generation_size=NEW_TOKENS,
            stop_sequence=[],
        )
        tasks[name] = LightevalTask(config)
        tasks[name].dataset = datasets.DatasetDict({"test": datasets.Dataset.from_list(own)})

    class Given(Pipeline):
        """LightEval's pipeline with its tasks given: its registry goes to the network."""

        def _init_tasks_and_requests(self, tasks: str) -> None:
            self.registry = None
            self.tasks_dict = {task.full_name: task for task in given_tasks}
            self.documents_dict = {task.full_name: task.get_docs() for task in given_tasks}
            self.sampling_docs = {}
            for docs in self.documents_dict.values():
                for doc in docs:
                    for method in doc.sampling_methods:
                        self.sampling_docs.setdefault(method, []).append(doc)
            self.evaluation_tracker.task_config_logger.log(self.tasks_dict)

    given_tasks = list(tasks.values())
    work = Path(tempfile.mkdtemp())
    os.chdir(given.folder)  # its cache's path is made of the model's
    model = TransformersModel(
        TransformersModelConfig(
            model_name=given.side,
            dtype="float32",
            batch_size=None if given.way == "lighteval" else given.batch,
            cache_dir=str(work / "cache"),
        )
    )
    searched = getattr(model, LOOKS)

    def search(*args: Any, **options: Any) -> int:
        """LightEval's own search, with a bound to what it may take."""
        _hold(given.memory)
        try:
            return searched(*args, **options)
        finally:
            _hold(2 * given.memory)

    setattr(model, LOOKS, search)
    pipeline = Given(
        tasks="",
        pipeline_parameters=PipelineParameters(launcher_type=ParallelismManager.NONE, bootstrap_iters=0),
        evaluation_tracker=EvaluationTracker(output_dir=str(work / "results")),
        model=model,
    )
    began = _clocks()
    pipeline.evaluate()
    spent = _spent(began)
    answers: dict[str, Any] = {}
    for name, details in pipeline.get_details().items():
        ordered = sorted(details, key=lambda detail: int(detail.doc.id))
        if name.startswith("choice"):
            answers["logprobs"] = [list(map(float, detail.model_response.logprobs)) for detail in ordered]
        else:
            answers["texts"] = [detail.model_response.text[0] for detail in ordered]
    if not all(math.isfinite(value) for row in answers["logprobs"] for value in row):
        raise SystemExit("LightEval's log-probabilities are not numbers")
    return {"answers": answers, "imports": imports, **spent}


def _hold(memory: float) -> None:
    """Let this process take so many GiB."""
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (int(memory * 2**30), most))


def _clocks() -> tuple[float, float]:
    """Seconds on the wall, and of the processor in all threads."""
    return time.perf_counter(), time.process_time()


def _spent(began: tuple[float, float]) -> dict[str, float]:
    wall, processor = _clocks()
    return {
        "asking": wall - began[0],
        "cpu_asking": processor - began[1],
        "cpu_seconds": processor,
        "peak": _status("VmHWM"),
    }


def _status(name: str) -> int:
    for line in Path(f"/proc/{os.getpid()}/status").read_text().splitlines():
        if line.startswith(name):
            return int(line.split()[1]) * 1024
    return 0


if __name__ == "__main__":
    sys.exit(main())
