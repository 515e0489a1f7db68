"""TRL's trainer within its memory, measured by the token. Knows no model and no way to lay out a batch.

A batch goes through the model in parts of `part_tokens` tokens, the loss of each divided by the supervised tokens of
the whole step. When memory runs out, the step is done again from its beginning in parts half as large: the gradients
are thrown away and the random numbers taken back, so it is the step that smaller parts would have made in the first
place. A validation has a budget of its own. Its loss is the mean over all supervised tokens of the validation rows,
which a mean of batches is not.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch

from ftspace.errors import MemoryGoneError
from ftspace.training.callbacks import StoppedWhileMeasuring
from ftspace.training.lasting import LastingTrainer
from ftspace.training.memory import RandomState, is_out_of_memory, release
from ftspace.training.undivided import OthersRanOutError, Undivided


class SampleAnswers(Protocol):
    """Asks the model as it is now."""

    def ask(self, step: int) -> float | None:
        """The mean score of the answers; None when there is none."""
        ...


@dataclass(frozen=True)
class Part:
    """What goes through the model at a time."""

    given: Any
    """As the trainer laid it out."""
    conversations: int
    tokens: int
    """Padding included."""


@dataclass(frozen=True)
class _Passed:
    """What came of a batch: of this process's share of it loss and hits, of the whole the rest."""

    loss: torch.Tensor
    """Its share of the step's mean, in nats."""
    right: Any
    """Supervised tokens that the model would have chosen itself."""
    conversations: int
    tokens: int
    supervised: int


@dataclass
class _Begun:
    """What has been done of an optimizer step: its batches up to now, and where its random numbers began."""

    part_tokens: int
    """Before it was begun."""
    random: RandomState = field(default_factory=RandomState.now)
    batches: list[tuple[dict[str, Any], int]] = field(default_factory=list[tuple[dict[str, Any], int]])
    """Each with the conversations before it."""
    conversations: int = 0
    gone: str = ""
    """Why this process cannot do its share, which the others are told at the step's end."""
    loss: float = 0.0
    right: float = 0.0
    supervised: int = 0
    tokens: int = 0


class PartedTrainer(LastingTrainer):
    """What `DocumentTrainer` and `PaddedTrainer` share. They say what a batch holds, its parts and a part's loss."""

    part_tokens: int
    """Tokens of one forward pass in training; halved when memory runs out."""
    validation_part_tokens: int
    """The same in a validation, which keeps nothing for a backward pass."""
    warn: Callable[[str], None]
    """Told, in a line, what a person should know."""
    pace: Undivided
    """Keeps pace with the other processes where they divide the base among them."""
    samples: SampleAnswers | None
    """Asked at each validation; their score is `eval_score` among its metrics."""

    def __init__(self, *, part_tokens: int, **arguments: Any) -> None:
        """`part_tokens` are the tokens of one forward pass; all else is SFTTrainer's."""
        super().__init__(**arguments)
        self.part_tokens = self.validation_part_tokens = part_tokens
        self.warn = lambda message: None
        self.pace = Undivided()
        self.samples = None
        self._begun: _Begun | None = None
        self._part: Part | None = None
        self._validated: list[_Passed] = []

    def contents(self, inputs: dict[str, Any]) -> tuple[Any, int, int]:
        """A batch as the parts are made of it, its tokens without padding, and how many are supervised."""
        raise NotImplementedError

    def share(self, whole: Any, before: int) -> Any:
        """What of a batch is this process's to do, of several; None when nothing is. `before`: conversations so far."""
        raise NotImplementedError

    def parts(self, whole: Any, most: int) -> Iterator[Part]:
        """The batch in parts of at most `most` tokens, or of one conversation."""
        raise NotImplementedError

    def nothing(self, whole: Any) -> Part:
        """A small part that goes through all of the model, and whose loss is zero."""
        raise NotImplementedError

    def loss_of(self, model: Any, given: Any, count: int) -> tuple[torch.Tensor, Any]:
        """The summed loss of a part over `count` tokens, and how many of its own the model would have chosen."""
        raise NotImplementedError

    def training_step(self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None) -> torch.Tensor:
        """Forward and backward over a batch; its share of the mean loss of the step's supervised tokens.

        Raises MemoryGoneError when one conversation alone is too much.
        """
        model.train()
        begun = self._begun = self._begun or _Begun(self.part_tokens)
        begun.batches.append((inputs, begun.conversations))
        begun.conversations += len(inputs["input_ids"])
        loss = torch.zeros((), device=self.args.device)
        if not begun.gone and (found := self._do(model, begun, num_items_in_batch)):
            begun.right += float(found.right)
            begun.supervised += found.supervised
            begun.tokens += found.tokens
            self._total_train_tokens += found.tokens
            loss = found.loss
        if not self.group.alone:
            loss = self._together(model, begun, loss)
        if self.accelerator.sync_gradients:  # the step's last batch
            self._metrics["train"]["num_tokens"] = [self._total_train_tokens]
            self._metrics["train"]["mean_token_accuracy"].append(begun.right / max(begun.supervised, 1))
            self._begun = None
        return loss

    def _do(self, model: Any, begun: _Begun, items: Any) -> "_Passed | None":
        """This process's share of the newest batch, and where memory runs out on the way that of the whole step.

        None when it cannot be done and others must be told of it first. Raises MemoryGoneError when there are none.
        """
        todo = begun.batches[-1:]
        try:
            while (found := self._attempt(model, todo, items)) is None:
                model.zero_grad()
                release()
                begun.random.restore()
                todo = begun.batches
        except MemoryGoneError as error:
            if self.group.alone or self.pace.divided:
                raise
            begun.gone = str(error)
            return None
        return found

    def _together(self, model: Any, begun: _Begun, loss: torch.Tensor) -> torch.Tensor:
        """At a step's last batch, makes this process's gradients, loss and hits all processes' sum.

        Raises MemoryGoneError when one of them could not do its share.
        """
        begun.loss += float(loss)
        if not self.accelerator.sync_gradients:
            return torch.zeros_like(loss)
        self.meet(begun.gone)
        whole, begun.right = self.group.total([begun.loss, begun.right])
        self.group.sum_up([one for one in model.parameters() if one.requires_grad])
        return torch.full_like(loss, whole)

    def undo_step(self) -> None:
        """Takes back the step that was begun and could not be done, its random numbers too."""
        super().undo_step()
        begun, self._begun, self._part = self._begun, None, None
        release()
        if begun:
            begun.random.restore()
            self._total_train_tokens -= begun.tokens
            self.part_tokens = begun.part_tokens

    def prediction_step(
        self, model: Any, inputs: dict[str, Any], prediction_loss_only: bool, ignore_keys: list[str] | None = None
    ) -> tuple[torch.Tensor, None, None]:
        """The mean loss of a batch's supervised tokens; what it adds up to is kept for the whole validation."""
        before = sum(one.conversations for one in self._validated)
        try:
            with torch.no_grad():
                while (found := self._attempt(model, [(inputs, before)])) is None:
                    release()
        except MemoryGoneError as error:
            self.meet(str(error))
            raise
        self.meet()
        self._validated.append(found)
        return found.loss, None, None

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> Any:
        """The validation, with its loss and accuracy over all supervised tokens, and the score of the samples."""
        self._validated = []
        output: Any = super().evaluation_loop(*args, **kwargs)
        if supervised := sum(one.supervised for one in self._validated):
            nats = sum(one.loss.item() * one.supervised for one in self._validated)
            nats, right = self.group.total([nats, sum(float(one.right) for one in self._validated)])
            output.metrics["eval_loss"] = nats / supervised
            output.metrics["eval_mean_token_accuracy"] = right / supervised
        score = self._ask()
        if score is not None:
            output.metrics["eval_score"] = score
        return output

    def _ask(self) -> float | None:
        """The score of the samples, which the first process alone asks for. Raises StoppedWhileMeasuring."""
        score, stopped = None, False
        if self.samples and self.group.is_first:
            try:
                with self.pace.lent():
                    score = self.samples.ask(self.state.global_step)
            except StoppedWhileMeasuring:
                stopped = True
        elif self.samples:
            self.pace.lend()
        score, stopped = self.group.first((score, stopped))
        if stopped:
            raise StoppedWhileMeasuring
        return score

    def _attempt(self, model: Any, batches: list[tuple[dict[str, Any], int]], items: Any = None) -> "_Passed | None":
        """Takes batches through the model, with gradients in training; what came of the last one.

        None when memory ran out: then the parts are smaller from now on. Raises MemoryGoneError where they cannot be.
        Where the processes divide the base, all of them come to the same.
        """
        passed = None
        try:
            for batch, before in batches:
                self._part = None
                passed = self._pass(model, batch, before, items)
            return passed
        except OthersRanOutError:
            return None
        except (RuntimeError, MemoryError) as error:
            if self._part is None or not is_out_of_memory(error):
                raise
            gone = self._halve(self._part, training=model.training)
        self._part = None
        self.pace.fall_out(gone)
        if gone:
            raise MemoryGoneError(gone)
        return None

    def _pass(self, model: Any, batch: dict[str, Any], before: int, items: Any) -> "_Passed":
        whole, tokens, supervised = self.contents(batch)
        alike = getattr(self, "current_gradient_accumulation_steps", 1) if model.training else 1
        count = max(1, supervised * alike if items is None else int(items))
        total = torch.zeros((), device=self.args.device)
        right: Any = 0
        mine = whole if self.group.alone else self.share(whole, before)
        most = self.part_tokens if model.training else self.validation_part_tokens
        given = list(self.parts(mine, most)) if mine is not None else []
        with self.group.own_numbers():
            more = self.pace.begin(len(given), training=model.training)
            for part in [*given, *[self.nothing(whole)] * more]:
                self._part = part
                with self.compute_loss_context_manager():
                    loss, hits = self.loss_of(model, part.given, count)
                if model.training:
                    self.accelerator.backward(loss)
                total += loss.detach()
                right += hits
            self.pace.end()
        return _Passed(total, right, len(batch["input_ids"]), tokens, supervised)

    def _halve(self, part: Part, *, training: bool) -> str:
        """Halves what was too much, and says so; where it cannot be halved, it is said why."""
        done = self.state.global_step
        place = f"training step {done + 1}" if training else f"the validation after step {done}"
        if part.conversations == 1:
            return (
                f"out of memory in {place}: a conversation of {part.tokens} tokens alone is too much; lower "
                "train.max_length, or set train.gradient_checkpointing, or model.quantization to nf4"
            )
        budget = self.part_tokens if training else self.validation_part_tokens
        smaller = max(1, min(budget, part.tokens) // 2)
        if training:
            self.part_tokens = smaller
        else:
            self.validation_part_tokens = smaller
        self.warn(
            f"memory ran out in {place}: it is done again in parts of {smaller} tokens instead of {budget}, and so are "
            "all that follow"
        )
        return ""
