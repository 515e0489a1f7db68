"""What the app can do and the command that does the same, by the same functions: one line each. Knows no gradio.

A test compares this with the buttons of the page and the commands of the parser: a new one needs a line here.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Act:
    """One thing that can be done here."""

    does: str
    command: str = ""
    """What is typed after `python -m ftspace`."""
    page: str = ""
    """The buttons by their ids, and those that have none by their words, with " / " between."""
    shown: str = ""
    """What else of the page does it."""
    why: str = ""
    """Why there is only one of them, or how the command is told."""


ACTS = (
    # choose
    Act("search the Hub, and see what fits here", "find", shown="the fields Model and Dataset"),
    Act("give a dataset file", "run", "upload", why="--dataset FILE"),
    Act("see rows, tokens, lengths and what is trained", "inspect", "lab-back / lab-on / look-through"),
    Act(
        "decide about single rows",
        "run",
        "review-keep / review-drop / review-back / review-on",
        why="--data.review FILE",
    ),
    Act("train an adapter on", "run", shown="Start from", why="--lora.start_from RUN"),
    Act("go to another step", "", "continue / see-results / ask-both", why="a command is no page"),
    # tune
    Act("look at what stands in the way", "preflight", "look-ahead"),
    Act("choose how thoroughly, by three presets", "run", shown="the three cards", why="--preset quick, and so on"),
    Act("know memory, time and money beforehand", "estimate", shown="what the paces say"),
    Act("see what the Hub's machines have and cost", "flavors", shown="what the paces say, for the one that is chosen"),
    Act("fine-tune, compare, learn the verdict", "run", "start"),
    Act("read and write a config as YAML", "run", "yaml-apply / yaml-again / Upload a YAML", why="ftspace run FILE"),
    Act("see what is chosen where a config leaves it open", "recipe", shown="the form"),
    # at work
    Act("see what became of a run", "runs show", shown="the step Tune of an open run"),
    Act("have what is shown kept up to date", "", "news", why="a command prints what it learns"),
    Act("stop a run, its adapter saved", "runs stop", "stop"),
    Act("stop a run and keep nothing", "runs stop", "discard / discard-sure / discard-not", why="--discard"),
    Act("have all numbers of a run's curves", "runs numbers", shown="the link beneath the curves"),
    Act("go on with a run that ended early", "runs resume", "go-on"),
    Act("let a waiting run come earlier or later", "runs move", "earlier / later"),
    # compare and results
    Act("talk with base, tuned and others", "chat", "send / ask-again / start-over / stop-answers"),
    Act("put many questions to both", "ask", "ask-all / stop-all / questions-file / csv", why="--file, --json"),
    Act(
        "keep a set of questions", "ask", "keep-set / delete-set", why="--keep; a kept set is a file of the data folder"
    ),
    Act("have both models answer programs", "serve", why="the page's own models answer the page only"),
    Act(
        "vote blindly, and see what votes say",
        "runs vote",
        "vote-begin / vote-first / vote-second / vote-tie / vote-bad / vote-skip / vote-undo / vote-reveal",
    ),
    Act("read single answers", "runs answers", "drill-back / drill-on / back / all-answers"),
    Act("get all answers as a file", "runs answers", "Parquet / Answers as CSV", why="--out FILE"),
    Act("get the results as files", "runs show", "CSV / Markdown / JSON", why="--json"),
    Act("get the results as one page for others", "report", shown="the link to the report"),
    Act("compare a trained run once more", "runs evaluate", "go-on / compare-now"),
    # publish
    Act("push a run to the Hub, and see before what would be", "push", "push-look / push / push-stop"),
    Act("take a run along", "export", "export-make / export-stop / export-forget"),
    Act("put the app, or a chat demo, on a Space", "deploy", "deploy / deploy-look / deploy-stop"),
    Act("open an adapter of the Hub as a run", "import", "import-begin / import-stop"),
    Act("have a run's config as YAML", "runs config", shown="New run with the same choice"),
    # runs
    Act("list the runs, and look for some", "runs list", "gallery-more", shown="All runs"),
    Act("give a run a title", "runs rename", shown="Edit, on its card and on its page"),
    Act("tag a run", "runs tag", shown="the same"),
    Act("write a note on a run", "runs note", shown="the same"),
    Act("delete a run", "runs delete", shown="Delete, on its card and on its page"),
    Act("have a deleted run back", "runs restore", shown="Undo and Restore"),
    Act("see which can be restored", "runs deleted", shown="Deleted runs"),
    Act("compare several runs", "runs compare", shown="Compare, with runs that are ticked"),
    # of the command line alone
    Act("save the split of a dataset", "prepare", why="a run does it; alone it is of use to scripts"),
    Act("ask whether more data would help", "curve", why="a night of several runs, for a script"),
    Act(
        "try many settings, and learn which is best",
        "sweep",
        why="a night of runs, which the gallery finds by a tag",
    ),
    Act("look for a learning rate", "lr-find", why="the form's rate is found so already"),
    Act("merge an adapter into its base", "merge", shown="Take it along", why="the page packs it as a file"),
    Act("free the disk", "runs gc", why="for whoever runs the machine; a Space does it by itself"),
    Act("see what this machine has and lacks", "doctor", why="for whoever runs the machine"),
)
"""Everything, in the order of the page; what only one side has says why."""


def commands() -> set[str]:
    """The commands that are named here."""
    return {act.command for act in ACTS if act.command}


def buttons() -> set[str]:
    """The buttons that are named here."""
    return {button for act in ACTS for button in act.page.split(" / ") if button}
