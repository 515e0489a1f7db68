"""What can go wrong in an evaluation that a person can put right. Knows nothing else.

EvalError           one line: what is wrong, where, and what to do; shown without a traceback
  ModelError        a model, adapter or tokenizer that can't be had or doesn't fit
  TaskError         a task file or its rows
  LogError          a log that can't be read, or two that can't be compared
  Stopped           the caller's `should_stop` said so; finished tasks are kept
"""


class EvalError(Exception):
    """A failure to show to a person as one line: line breaks in the message become spaces."""

    def __init__(self, message: str) -> None:
        super().__init__(" ".join(part.strip() for part in message.splitlines() if part.strip()))


class ModelError(EvalError):
    """A model, adapter or tokenizer can't be loaded or used."""


class TaskError(EvalError):
    """A task file, or a row of it, is not what it should be."""


class LogError(EvalError):
    """A log can't be read, or two logs can't be compared."""


class Stopped(EvalError):
    """The evaluation was asked to stop."""


def one_line(error: BaseException, limit: int = 300) -> str:
    """Return the first informative line of an exception's text, at most `limit` characters long.

    It is cut between words: half a token is none that a redactor knows.
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = lines[0] if lines else type(error).__name__
    if len(text) <= limit:
        return text
    start = text[: limit - 1]
    return (start.rpartition(" ")[0] or start) + "…"
