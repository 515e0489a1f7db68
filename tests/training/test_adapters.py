"""Every kind of adapter: trained by the worker, saved, and loaded for a comparison on the untouched base."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from evals.models import flatten_head, load_base, load_comparison
from ftspace.config import RunConfig, merge
from ftspace.errors import ModelError
from ftspace.events import Step, Warned, read_events
from ftspace.runs import Run, RunStore
from ftspace.training import adapters
from ftspace.training.adapters import Trainee, attach
from ftspace.training.course import Course
from ftspace.training.loading import load
from ftspace.training.worker import train
from ftspace.workers import Job
from tests.evals.conftest import make_model, make_tokenizer

IDS = torch.tensor([[2, 40, 50, 3, 60, 9, 3], [1, 41, 2, 61, 3, 8, 2]])
KINDS: dict[str, dict[str, Any]] = {
    "lora": {},
    "rslora, dora, lora+": {"lora": {"rslora": True, "dora": True, "plus_ratio": 16}},
    "modules to save": {"lora": {"modules_to_save": ["lm_head", "embed_tokens"]}, "train": {"loss_on": "all"}},
    "pissa": {"lora": {"init": "pissa"}},
    "pissa wider than a layer, rslora": {"lora": {"init": "pissa", "r": 40, "rslora": True}},
    "olora": {"lora": {"init": "olora", "alpha": 8}},
    "eva": {"lora": {"init": "eva"}},
    "adalora": {"lora": {"method": "adalora"}, "train": {"max_steps": 6}},
    "prompt tuning": {"lora": {"method": "prompt_tuning", "virtual_tokens": 5}},
    "prefix tuning": {
        "lora": {"method": "prefix_tuning", "virtual_tokens": 5},
    },
    "full": {"lora": {"method": "full"}},
    "nf4": {"model": {"quantization": "nf4"}, "train": {"gradient_checkpointing": True}},
    "nf4, loftq": {"model": {"quantization": "nf4"}, "lora": {"init": "loftq"}},
    "nf4, dora, 8-bit paged": {
        "model": {"quantization": "nf4"},
        "lora": {"dora": True},
        "train": {"optimizer": "paged_adamw_8bit"},
    },
    "int8": {"model": {"quantization": "int8"}},
    "padded, noise": {"train": {"packing": False, "neftune_alpha": 5}},
}


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """A base with tied and one with untied embeddings, with rows to train them on beside them."""
    folders: dict[bool, Path] = {}
    for tied in (True, False):
        folders[tied] = tmp_path_factory.mktemp("base") / str(tied)
        tokenizer = make_tokenizer(template=None)
        make_model(tied, len(tokenizer)).save_pretrained(folders[tied])
        tokenizer.save_pretrained(folders[tied])
        rows = [
            {
                "prompt": f"Where does {name} live, and what is liked there?",
                "completion": f"In Rome, near {name}.",
            }
            for name in ("Anna", "Ben", "Cleo", "Dan", "Eva", "Finn", "Gus", "Hana", "Ivo", "Jo", "Kim", "Lou")
        ]
        (folders[tied] / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return folders


def make_run(base: Path, folder: Path, given: dict[str, Any]) -> Run:
    few = {
        "model": {"id": str(base)},
        "data": {"id": str(base / "rows.jsonl"), "validation_fraction": 0, "test_fraction": 0},
        "lora": {"r": 4, "alpha": 8} if given.get("lora", {}).get("method", "lora") in ("lora", "adalora") else {},
        "train": {"max_steps": 2, "batch_size": 4, "learning_rate": 0.01, "samples": 0, "device": "cpu"},
        "eval": {"tasks": []},
    }
    return RunStore(folder / "runs").create(RunConfig.model_validate(merge(few, given)))


def logits(model: Any) -> torch.Tensor:
    with torch.no_grad():
        return model(input_ids=IDS, attention_mask=torch.ones_like(IDS)).logits[:, -IDS.shape[1] :].float()


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_saved_is_the_trained_model_on_the_untouched_base(
    kind: str, tmp_path: Path, bases: dict[bool, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    base = bases[len(kind) % 2 == 0]
    run = make_run(base, tmp_path, KINDS[kind])
    trained: list[torch.Tensor] = []

    def watched(trainee: Trainee, folder: Path, save: Any = Trainee.save) -> None:
        trainee.base.set_attn_implementation("sdpa")
        trained.append(logits(trainee.model.eval()))
        save(trainee, folder)

    monkeypatch.setattr(adapters.Trainee, "save", watched)
    assert train(Job(run, "train")) == "finished"
    events = read_events(run.events)[0]
    assert not [event for event in events if isinstance(event, Warned) and "padded" in event.message]
    steps = [event for event in events if isinstance(event, Step)]
    assert len(steps) == run.config.train.max_steps
    assert all(math.isfinite(step.loss) and step.grad_norm for step in steps)

    if run.config.lora.method != "full":
        layers = json.loads((run.adapter / "adapter_config.json").read_text()).get("target_modules") or []
        assert kind == "eva" or layers == sorted(layers), "the same training gives the same bytes"
    how = run.config.model.quantization
    model, tokenizer = load_comparison(base, run.adapter, quantization=how)
    plain = load_base(base, quantization=how, tokenizer=tokenizer)
    flatten_head(plain)
    torch.testing.assert_close(logits(model), trained[0], atol=2e-2 if how == "int8" else 2e-4, rtol=0)
    tuned: Any = model
    with tuned.disable_adapter():
        assert torch.equal(logits(tuned), logits(plain))
    assert (logits(model) - logits(plain)).abs().mean() > 1e-3


def test_that_the_best_weights_are_not_known_is_said(
    tmp_path: Path, bases: dict[bool, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"data": {"validation_fraction": 0.3}, "train": {"keep": "best", "max_steps": 1}}
    run = make_run(bases[True], tmp_path, given)
    monkeypatch.setattr(Course, "validated", lambda *_: False)  # as of a loss that is no number
    assert train(Job(run, "train")) == "finished"
    warned = [event.message for event in read_events(run.events)[0] if isinstance(event, Warned)]
    assert "not the best" in warned[-1]


def test_padded_rows_have_the_loss_of_documents(tmp_path: Path, bases: dict[bool, Path]) -> None:
    losses: list[list[float]] = []
    for packing in (True, False):
        run = make_run(bases[True], tmp_path, {"train": {"packing": packing}})
        train(Job(run, "train"))
        losses.append([event.loss for event in read_events(run.events)[0] if isinstance(event, Step)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_loftq_starts_nearer_to_the_exact_base(tmp_path: Path, bases: dict[bool, Path]) -> None:
    config = make_run(bases[True], tmp_path, {**KINDS["nf4, loftq"], "lora": {"init": "loftq", "r": 16}}).config
    loaded = load(config)
    exact = logits(load_base(bases[True], tokenizer=loaded.tokenizer))
    rounded = (logits(loaded.model) - exact).abs().mean()
    assert (logits(attach(config, loaded, [], 2).model) - exact).abs().mean() < 0.8 * rounded


@pytest.mark.parametrize(
    ("lora", "words"),
    [
        ({"target_modules": ["nothing"]}, "does not fit the model"),
        ({"target_modules": ["lm_head"]}, "output head cannot have an adapter"),
        ({"modules_to_save": ["nothing"]}, "no module nothing"),
        ({"init": "eva", "r": 64}, "not in 3"),
    ],
)
def test_what_does_not_fit_the_model_is_said(
    lora: dict[str, Any], words: str, tmp_path: Path, bases: dict[bool, Path]
) -> None:
    config = make_run(bases[False], tmp_path, {"lora": lora}).config
    with pytest.raises(ModelError, match=words):
        attach(config, load(config), [{"input_ids": [1, 2, 3]}], 2)
