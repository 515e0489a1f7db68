"""LightEval's names as this room uses them, imported so that nothing else in the process notices.

Its import switches autograd off for the thread (restored), and GitPython below it fails where git is not installed
(told not to). Seeds and progress bars that it sets while it works are put back by `quiet`.
"""

import logging
import os
import random
from collections.abc import Generator
from contextlib import contextmanager

import numpy as np
import torch

_autograd = torch.is_grad_enabled()
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")

import datasets  # noqa: E402
from lighteval.logging import evaluation_tracker  # noqa: E402
from lighteval.logging.evaluation_tracker import EvaluationTracker  # noqa: E402
from lighteval.logging.info_loggers import GeneralConfigLogger  # noqa: E402
from lighteval.metrics import metrics_sample  # noqa: E402
from lighteval.metrics.metrics_sample import ExactMatches, LoglikelihoodAcc, SampleLevelComputation  # noqa: E402
from lighteval.metrics.sample_preparator import TargetPerplexityPreparator  # noqa: E402
from lighteval.metrics.utils.metric_utils import Metric, MetricGrouping, SampleLevelMetric  # noqa: E402
from lighteval.models.abstract_model import LightevalModel, ModelConfig  # noqa: E402
from lighteval.models.model_output import ModelResponse  # noqa: E402
from lighteval.pipeline import ParallelismManager, Pipeline, PipelineParameters  # noqa: E402
from lighteval.tasks.lighteval_task import LightevalTask, LightevalTaskConfig  # noqa: E402
from lighteval.tasks.prompt_manager import PromptManager  # noqa: E402
from lighteval.tasks.requests import Doc, SamplingMethod  # noqa: E402

torch.set_grad_enabled(_autograd)
logging.getLogger("lighteval").setLevel(logging.WARNING)

__all__ = [
    "Doc",
    "EvaluationTracker",
    "ExactMatches",
    "GeneralConfigLogger",
    "LightevalModel",
    "LightevalTask",
    "LightevalTaskConfig",
    "LoglikelihoodAcc",
    "Metric",
    "MetricGrouping",
    "ModelConfig",
    "ModelResponse",
    "ParallelismManager",
    "Pipeline",
    "PipelineParameters",
    "PromptManager",
    "SampleLevelComputation",
    "SampleLevelMetric",
    "SamplingMethod",
    "TargetPerplexityPreparator",
    "datasets",
    "evaluation_tracker",
    "metrics_sample",
    "quiet",
]


@contextmanager
def quiet() -> Generator[None]:
    """Restore autograd and the random generators' states, and keep `datasets` from drawing progress bars of its own."""
    autograd, bars = torch.is_grad_enabled(), datasets.is_progress_bar_enabled()
    python, numpy = random.getstate(), np.random.get_state()
    datasets.disable_progress_bars()
    try:
        yield
    finally:
        torch.set_grad_enabled(autograd)
        random.setstate(python)
        np.random.set_state(numpy)
        if bars:
            datasets.enable_progress_bars()
