"""The catalogue knows what the app says, and the app's own script translates by it."""

import json
import re
import subprocess
from collections.abc import Sequence

import pytest

from ftspace.config import field_names, help_of
from ftspace.fields import NAMES, label_of
from ftspace.languages import FIRST, LANGUAGES, catalogue, room
from ftspace.settings import ROOT
from tests.chinese import english_words
from tests.shown import helps_of, modules, texts_of

CHINESE = "zh-CN"
SAID = modules(
    "ftspace/ui", "ftspace/preflight", "ftspace/report", "ftspace/checks.py", "ftspace/differences.py",
    "ftspace/fields.py", "ftspace/gallery.py", "ftspace/labels.py", "ftspace/listing.py", "ftspace/queue.py",
    "ftspace/reasons.py", "ftspace/several.py", "ftspace/words.py", "ftspace/data/report.py",
    "ftspace/hub/finding/facts.py", "ftspace/hub/finding/shortlist.py", "ftspace/training/diagnosis.py",
    "ftspace/training/forecast.py", "ftspace/training/recipe.py", "ftspace/training/sharding.py",
    "ftspace/answering.py", "evals/findings.py", "evals/metrics.py", "evals/plain.py", "evals/wording.py",
    "ftspace/presets.py",
)  # fmt: skip
"""Where what the app says is said. Errors of reading files, of the Hub and of pushes stay English."""
ENGLISH = {
    "ftspace/ui/api.py", "ftspace/ui/parity.py", "ftspace/ui/web.py", "ftspace/ui/theme.py", "ftspace/ui/lighter.py",
    "ftspace/ui/report_page.py", "ftspace/ui/language.py", "ftspace/preflight/command.py", "ftspace/report/command.py",
    "ftspace/report/answers_command.py", "ftspace/report/page.py", "ftspace/report/gather.py",
}  # fmt: skip
"""Of these the scripts' API, the commands, refused requests and the public report, which are English for everybody."""
NO_WORDS = {
    "epochs max_steps learning_rate batch_size scheduler warmup optimizer weight_decay max_grad_norm neftune_alpha "
    "loss_on seed validation_steps samples keep best_by patience on_divergence",
    "r alpha method dropout target_modules modules_to_save rslora dora init plus_ratio virtual_tokens",
    "system max_samples fraction", "max_length truncation_side",
    "validation_split validation_fraction test_split test_fraction seed", "quantization dtype",
    "micro_batch_tokens gradient_checkpointing packing device",
    "tasks forgetting max_samples max_new_tokens shots noise earlier reference metrics embedding_model judges "
    "judge_calls judge_price seed",
    "push public offline",
    "launcher processes shard flavor timeout_minutes lease_seconds",
    "nnodes rdzv_endpoint",
    "max_minutes max_cost price_per_hour checkpoint_steps save_total_limit auto_resume report_to",
    "id chat_template", "id config split revision mapping prompt_template completion_template filters review",
}  # fmt: skip
"""Names of settings in a row."""
JOINTS = {"{} on {}", "{} on {}{}", "{} and {}", "by {}", "{} from {}", "{} of", "the {}{}{}", "{} will be learnt",
          "{} {} at {} to {} at {}", "eval.{}: {}", "{}; the run takes about {}{}{}"}  # fmt: skip
"""Of too few words to be translated alone: what is made with them stands in the catalogue."""


def translated(texts: Sequence[str]) -> list[str]:
    """The texts as a Chinese visitor reads them, by the script that the page has."""
    driver = pytest.importorskip("playwright._impl._driver")
    script = (ROOT / "ftspace/ui/js/book.js").read_text(encoding="utf-8")
    program = f"globalThis.window = {{}};\n{script}\nconst told = JSON.parse(require('fs').readFileSync(0, 'utf8'));\n"
    program += "console.log(JSON.stringify(told.texts.map(window.ftspaceBook(told.book))));"
    told = json.dumps({"book": catalogue(CHINESE), "texts": list(texts)})
    node = driver.compute_driver_executable()[0]
    done = subprocess.run([node, "-e", program], input=told, capture_output=True, text=True, check=True, timeout=60)
    return json.loads(done.stdout)


def test_whatever_the_app_says_is_in_the_catalogue() -> None:
    """No English is left of any text in the code; a new one without a translation is named here with its place."""
    said = [(name, *one) for name in SAID if name not in ENGLISH for one in texts_of(name)]
    helps = [
        (name, *one)
        for name in ("ftspace/config.py", "ftspace/sections.py", "ftspace/launching.py")
        for one in helps_of(name)
    ]
    said += [(name, line, text.replace("; on the command line, between commas", "")) for name, line, text in helps]
    said += [("ftspace/fields.py", 0, label_of(name)) for name in NAMES]
    said = [one for one in said if one[2] not in NO_WORDS | JOINTS]
    found = translated([re.sub(r"(?<=\w)\{\}", "", text).replace("{}", "7") for _, _, text in said])
    missing = [
        f"{name}:{line}: {text!r}: {words}"
        for (name, line, text), chinese in zip(said, found, strict=True)
        if (words := english_words(chinese))
    ]
    assert len(said) > 1500
    assert not missing, "\n".join(missing)


def test_each_sentence_stands_once_and_keeps_what_varies() -> None:
    for folder in LANGUAGES.values():
        rooms = sorted((ROOT / "ftspace/languages" / folder).glob("*.json"))
        keys = [key for one in rooms for key, _ in json.loads(one.read_text("utf-8"), object_pairs_hook=list)]
        assert len(keys) == len(set(keys)), {key for key in keys if keys.count(key) > 1}
        assert all(len(one.read_text("utf-8").splitlines()) <= 300 for one in rooms)
    for key, chinese in catalogue(CHINESE).items():
        asked = re.findall(r"\{(\d*)!?\}", chinese)
        assert asked.count("") <= key.count("{}"), key
        assert all(int(one) <= key.count("{}") for one in asked if one), key
        assert english_words(chinese.replace("!", "")) == [], key


@pytest.mark.parametrize(
    ("english", "chinese"),
    [
        ("The training is estimated to need 697 MB of memory at its peak, and 23.9 GB are free.",
         "训练峰值估计需要 697 MB 内存，空闲 23.9 GB。"),
        ("About 3 min 20 s left of the training, then about 40 s of comparing: done in about 4 min.",
         "训练约剩 3 分 20 秒，然后对比约 40 秒：约 4 分钟后完成。"),
        ("The processor of this machine, 2 cores; the run takes about 2 min; how fast it is was guessed, the first run "
         "measures it.", "本机的处理器，2 核；运行约需 2 分钟；速度为估猜，首次运行会测量。"),
        ("The tuned model answers 24 of 100 more questions right on Held-out rows (between 12 and 36) and gives 10 of "
         "100 fewer answers in the form asked on Answer format (between 4 and 15); no loss was found on Known facts.",
         "微调模型在 Held-out rows 上每 100 题多答对 24 题（12 至 36），在 Answer format 上每 100 个回答少 10 个"
         "符合所要格式（4 至 15）；在 Known facts 上没有发现丢失。"),
        ("better on heldout (+12.5 points, 95% CI 3.0 to 20.1); no loss shown on general (could miss less than 4.0 "
         "points)",
         "heldout 上更好（+12.5 分，95% 置信区间 3.0 至 20.1）；general 上没有显示丢失（小于 4.0 分的可能漏检）"),
        ("There is no run The training diverged. here; it may have been deleted.",
         "这里没有运行 The training diverged.；它可能已被删除。"),
        ("Finished · people · ftspace", "已完成 · people · ftspace"),
        ("Rows of Ann, and of nobody else.", "Rows of Ann, and of nobody else."),
        ("你想微调什么？", "你想微调什么？"),
        ("12.5 MB", "12.5 MB"),
    ],
)  # fmt: skip
def test_sentences_are_put_together(english: str, chinese: str) -> None:
    """Parts with numbers are translated in their order; a name is taken over, whatever it says."""
    assert translated([english]) == [chinese]


def test_what_nobody_could_translate_takes_no_time() -> None:
    """A person's text is let alone, and soon: the page waits for it."""
    long = "Whose answers of it are to be at step 3, {and} by (what: " * 20
    assert translated([long, long + ".", "x " * 5000]) == [long, long + ".", "x " * 5000]


def test_gradio_is_given_the_first_room_only() -> None:
    assert 100 < len(room(CHINESE, FIRST)) < 300 < len(catalogue(CHINESE))
    assert set(field_names()) >= set(NAMES) and all(help_of(name) for name in NAMES)
