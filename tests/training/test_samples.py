"""The answers to fixed questions while a model is trained: those of the comparison, and nothing else is changed."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset
from peft import LoraConfig
from trl.trainer.sft_config import SFTConfig

from evals.executor import Executor
from evals.models import load_comparison
from evals.scorers.overlap import word_f1
from ftspace.config import RunConfig, parse_config
from ftspace.errors import DatasetError
from ftspace.events import Sample, Warned, read_events
from ftspace.runs import RunStore
from ftspace.settings import ASSETS
from ftspace.training.callbacks import StoppedWhileMeasuring
from ftspace.training.documents import ATTENTION, adopt
from ftspace.training.loading import load
from ftspace.training.rows import training_rows
from ftspace.training.samples import Samples
from ftspace.training.trainer import DocumentTrainer
from ftspace.workers import Job

torch.set_num_threads(1)
TALKS = [
    [{"role": "user", "content": f"Where does {name} live?"}, {"role": "assistant", "content": town}]
    for name, town in zip(["Miri", "Tavo", "Fivis", "Mumum", "Lile", "Oro"], ["Lowick", "Asheby"] * 3, strict=True)
]
TALKS[3] = [*TALKS[3], {"role": "user", "content": "And Bo?"}, {"role": "assistant", "content": "In Wexley"}]
UNASKED: list[list[dict[str, Any]]] = [
    [{"role": "tool", "content": "7"}, *TALKS[0]],
    [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": " "}],
    [{"role": "assistant", "content": "Hello"}],
    [{"role": "user", "content": "so long " * 2000}, {"role": "assistant", "content": "yes"}],
]


@dataclass
class Made:
    """A job with its trainer, whose samples are asked."""

    job: Job
    trainer: Any
    samples: Samples


def make(folder: Path, *, samples: int, validation: list[Any] = TALKS, **train: Any) -> Made:
    config: RunConfig = parse_config(
        {
            "train": {"samples": samples, "device": "cpu", **train},
            "eval": {"max_new_tokens": 12},
            "data": {"id": "rows.jsonl"},
        }
    )
    job = Job(RunStore(folder / "runs").create(config), "train")
    job.run.data.mkdir()
    for split, talks in (("train", TALKS * 2), ("validation", validation)):
        lines = "".join(json.dumps({"messages": talk}) + "\n" for talk in talks)
        (job.run.data / f"{split}.jsonl").write_text(lines)
    torch.manual_seed(0)
    loaded = load(config)
    rows = training_rows(job, loaded.tokenizer)
    attention = loaded.model.config._attn_implementation
    assert adopt(loaded.model, rows.train.to_list()) is None
    trainer = DocumentTrainer(
        part_tokens=128,
        model=loaded.model,
        args=SFTConfig(
            output_dir=str(folder),
            per_device_train_batch_size=4,
            max_steps=3,
            learning_rate=1e-2,
            logging_steps=1,
            eval_strategy="steps",
            eval_steps=1,
            eval_on_start=True,
            use_cpu=True,
            bf16=False,
            activation_checkpointing=True,
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            max_length=None,
            dataset_kwargs={"skip_prepare_dataset": True},
        ),
        train_dataset=rows.train,
        eval_dataset=Dataset.from_list(rows.train.to_list()),
        processing_class=loaded.tokenizer,
        peft_config=LoraConfig(
            task_type="CAUSAL_LM",
            r=4,
            lora_dropout=0.2,
            target_modules="all-linear",
            trainable_token_indices=loaded.untrained or None,
        ),
    )
    asked = Samples(job, trainer.model, loaded.tokenizer, attention=attention, rows=len(validation), most_tokens=1024)
    trainer.samples = asked
    return Made(job, trainer, asked)


def told(made: Made) -> list[Sample]:
    return [event for event in read_events(made.job.run.events)[0] if isinstance(event, Sample)]


def test_asking_changes_nothing_and_the_answers_are_those_of_the_comparison(tmp_path: Path) -> None:
    weights: list[dict[str, torch.Tensor]] = []
    for count in (0, 3):
        made = make(tmp_path / str(count), samples=count)
        torch.manual_seed(5)
        made.trainer.train()
        named = made.trainer.model.named_parameters()
        weights.append({name: one.detach().clone() for name, one in named if one.requires_grad})
    assert weights[0].keys() == weights[1].keys()
    assert all(torch.equal(one, weights[1][name]) for name, one in weights[0].items())
    assert made.trainer.model.get_base_model().config._attn_implementation == ATTENTION

    answers = told(made)
    assert [(one.step, one.index) for one in answers] == [(step, index) for step in range(4) for index in range(3)]
    assert [one.reference for one in answers[:3]] == ["Lowick", "Lowick", "Lowick"]
    logs = [log for log in made.trainer.state.log_history if "eval_loss" in log]
    for log, three in zip(logs, (answers[at : at + 3] for at in range(0, 12, 3)), strict=True):
        assert log["eval_score"] == pytest.approx(sum(word_f1(one.answer, one.reference) for one in three) / 3)

    adapter = tmp_path / "adapter"
    made.trainer.model.save_pretrained(adapter, save_embedding_layers=False)
    made.trainer.processing_class.save_pretrained(adapter)
    executor = Executor(*load_comparison(ASSETS / "base", adapter, device="cpu"))
    prompts = [executor.prompter.render(TALKS[place][:1]) for place in (0, 2, 4)]
    asked: list[tuple[str, int]] = [("base", 0), ("tuned", 3)]
    for side, step in asked:
        found = [answer.text for answer in executor.generate(prompts, 12, side)]
        assert found == [one.answer for one in answers if one.step == step], side
    assert {one.answer for one in answers if one.step == 0} != {one.answer for one in answers if one.step == 3}


def test_questions_are_spread_over_the_rows_that_can_be_asked(tmp_path: Path) -> None:
    made = make(tmp_path, samples=4, validation=[*UNASKED, *TALKS])
    made.samples.ask(0)
    assert [one.prompt for one in told(made)] == [
        "Where does Miri live?",
        "Where does Tavo live?",
        "Where does Fivis live?",
        "user: Where does Mumum live?\nassistant: Asheby\nuser: And Bo?",
    ]
    assert told(made)[3].reference == "In Wexley"


@pytest.mark.parametrize("rows", [UNASKED[:3], [[TALKS[0][0], {"role": "assistant", "content": "?!"}]]])
def test_the_best_cannot_be_told_by_answers_that_have_no_score(tmp_path: Path, rows: list[Any]) -> None:
    with pytest.raises(DatasetError, match=r"set train\.best_by to loss"):
        make(tmp_path, samples=3, validation=rows, best_by="score", keep="best")


def test_memory_that_runs_out_halves_the_batch_of_the_samples_alone(tmp_path: Path) -> None:
    made = make(tmp_path, samples=4)
    made.samples.ask(0)
    room = 2
    refused: list[int] = []

    def narrow(embedding: Any, given: Any) -> None:
        if given[0].shape[0] > room:
            refused.append(given[0].shape[0])
            raise torch.OutOfMemoryError("CUDA out of memory")

    made.trainer.model.get_input_embeddings().register_forward_pre_hook(narrow)
    made.samples.ask(1)
    events = read_events(made.job.run.events)[0]
    warnings = [event.message for event in events if isinstance(event, Warned)]
    assert len(warnings) == len(refused) == 1 and "batches of" in warnings[0]
    first, second = told(made)[:4], told(made)[4:]
    assert [one.answer for one in first] == [one.answer for one in second]
    room = 0
    assert made.samples.ask(2) is None and made.samples.ask(3) is None
    warnings = [event.message for event in read_events(made.job.run.events)[0] if isinstance(event, Warned)]
    assert len(told(made)) == 8 and sum("none is asked any more" in one for one in warnings) == 1
    assert made.trainer.part_tokens == 128


def test_a_stop_ends_an_answer_and_leaves_the_model_as_it_was(tmp_path: Path) -> None:
    made = make(tmp_path, samples=2)
    made.trainer.model.train()
    made.job.run.stop_flag.touch()
    with pytest.raises(StoppedWhileMeasuring):
        made.samples.ask(7)
    base = made.trainer.model.get_base_model()
    assert base.training and base.config._attn_implementation == ATTENTION and told(made) == []
    assert "forward" not in vars(base.get_output_embeddings())
