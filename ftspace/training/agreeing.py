"""TRL's trainer among several: what all that train together must hear of, and begin alike with. Knows no files."""

from trl.trainer.sft_trainer import SFTTrainer

from ftspace.errors import MemoryGoneError
from ftspace.training.alone import Alone
from ftspace.training.course import Course
from ftspace.training.trained import put_back, ranks_of, trained
from ftspace.workers import Job


class AgreeingTrainer(SFTTrainer):
    """SFTTrainer that decides as its group does."""

    group = Alone()
    """The processes that train together; all of them decide alike, and those that write do it each for its own run."""
    _lasts = False
    _job: Job
    _course: Course

    def meet(self, gone: str = "") -> None:
        """Where all processes come by at once they hear whether one was asked to stop, and the first one's clock.

        Raises MemoryGoneError when one of them says why it cannot go on.
        """
        if self.group.alone or not self._lasts:
            return
        first = self.group.is_first
        stop, clock, stuck = self.group.total([self._job.is_asked(), self._course.clock if first else 0.0, bool(gone)])
        self._job.agree(stop=stop > 0)
        self._course.agree(clock)
        if stuck:
            raise MemoryGoneError(next(filter(None, self.group.all(gone))))

    def begin_alike(self) -> None:
        """The weights that the first process begins with, everywhere."""
        if not self.group.alone:
            weights = trained(self.model)
            self.group.like_first(list(weights.values()))
            put_back(self.model, weights, ranks_of(self.model))
