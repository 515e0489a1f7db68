"""Where trackers write."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from transformers import TrainerControl, TrainerState, TrainingArguments
from transformers.integrations import integration_utils

from ftspace.config import parse_config
from ftspace.runs import RunStore
from ftspace.training.trackers import callbacks_of


def test_tensorboard_writes_into_the_runs_folder_after_a_rollback_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    def writer(log_dir: str) -> SimpleNamespace:
        """In place of TensorBoard's, which is not installed with the project."""
        opened.append(log_dir)
        return SimpleNamespace(add_text=lambda *_: None, close=lambda: None)

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=writer))
    monkeypatch.setattr(integration_utils, "is_tensorboard_available", lambda: True)
    run = RunStore(tmp_path / "runs").create(parse_config({"train": {"report_to": ["tensorboard"]}}))
    (callback,) = callbacks_of(run)
    arguments = TrainingArguments(output_dir=str(run.checkpoints), use_cpu=True)
    for _ in range(2):
        callback.on_train_begin(arguments, TrainerState(), TrainerControl())
        callback.on_train_end(arguments, TrainerState(), TrainerControl())
    assert opened == [str(run.path / "tensorboard")] * 2
