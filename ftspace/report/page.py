"""A report as one HTML file that asks for nothing: styles and drawings are in it, there is no script, no link fetches.

Knows words and numbers (gather.py) and no files but its two style sheets. Every text that comes in is escaped here, and
secrets are taken out of it. So few texts of at most LONGEST characters are shown that it stays below 2 MB, however many
samples were asked.
"""

from collections.abc import Sequence
from functools import cache
from html import escape
from pathlib import Path

from evals.titles import task_title
from ftspace.redact import redact
from ftspace.report import chart, results_markup
from ftspace.report.forest import forest
from ftspace.report.gather import Facts, Report
from ftspace.report.regressions import LONGEST, Shown
from ftspace.report.results_markup import safe

_POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
_MARK = (
    '<svg class="ft-mark" viewBox="0 0 24 24" aria-hidden="true"><path d="M3 17c4 0 5-10 9-10s4 6 9 6" fill="none" '
    'stroke="currentColor" stroke-width="2.4" stroke-linecap="round"/><circle cx="21" cy="13" r="2.2" '
    'fill="currentColor"/></svg>'
)


def render(report: Report, link: str = "") -> str:
    """The whole page; `link` is the web address under which the run can be seen, if there is one."""
    parts = [
        ("verdict", "Verdict", _verdict(report)),
        ("differences", "Differences", forest(report.results.sections) if report.results else ""),
        ("loss", "Loss", chart.draw(report.training, report.validation, report.every)),
        ("regressions", "Worst regressions", _regressions(report)),
        ("examples", "Examples", _examples(report)),
        ("recipe", "Recipe", _facts(report.recipe)),
        ("data", "Data", _facts(report.data)),
        ("versions", "Versions", _facts(report.versions)),
        ("again", "How to do it again", _again(report)),
    ]
    there = [(name, words, html) for name, words, html in parts if html]
    index = "".join(f'<li><a href="#{name}">{words}</a></li>' for name, words, _ in there)
    body = "".join(
        f'<section id="{name}" class="ft-card">{"" if name == "verdict" else f"<h2>{words}</h2>"}{html}</section>'
        for name, words, html in there
    )
    title = safe(report.title)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title} · ftspace</title>'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="referrer" content="no-referrer">'
        f'<meta name="color-scheme" content="light dark"><meta name="description" content="{safe(_headline(report))}">'
        f'<link rel="icon" href="data:,"><style>{_style()}</style></head><body>'
        '<a class="ft-skip" href="#verdict">To the verdict</a>'
        f'<header class="ft-top"><p class="ft-by">{_MARK}<span>ftspace</span></p><h1>{title}</h1>'
        f'<p class="ft-lead">Run {safe(report.run_id)}, {safe(report.when)}. {safe(report.status)}.</p>{_link(link)}'
        f'<nav aria-label="Parts of this page"><ul>{index}</ul></nav></header><main>{body}</main></body></html>\n'
    )


@cache
def _style() -> str:
    here = Path(__file__).parent
    return "".join((here / name).read_text(encoding="utf-8") for name in ("look.css", "report.css"))


def _headline(report: Report) -> str:
    return report.results.verdict if report.results else f"{report.status}. Nothing was compared."


def _verdict(report: Report) -> str:
    if report.results is not None:
        return results_markup.results(report.results)
    told = f"<p>{safe(report.told)}</p>" if report.told else ""
    return f'<h2 class="ft-verdict ft-{report.tone}">{safe(_headline(report))}</h2>{told}'


def _link(link: str) -> str:
    if not link.startswith(("https://", "http://")):
        return ""
    return f'<p class="ft-permalink">Link to this run: <a href="{escape(link)}">{escape(link)}</a></p>'


def _regressions(report: Report) -> str:
    found = report.answers
    if not found.asked:
        return ""
    if not found.lost:
        return f"<p>None of {found.asked:,} answers is worth less than the base's.</p>"
    what = f"{found.lost:,} of {found.asked:,} answers {'are' if found.lost > 1 else 'is'} worth less than the base's"
    if not report.texts:
        return f"<p>{what}. Questions and answers were left out of this report.</p>"
    return f"<p>{what}; those that lost most come first.</p>{_samples(found.worst)}"


def _examples(report: Report) -> str:
    shown = report.answers.examples
    return f"<p>Not chosen by their outcome.</p>{_samples(shown)}" if shown else ""


def _samples(shown: Sequence[Shown]) -> str:
    return "".join(
        f'<article class="ft-sample"><h3>{safe(task_title(one.task))} <small>sample {safe(one.id)}'
        f"{f', {safe(one.scores)}' if one.scores else ''}</small></h3><dl><dt>Question</dt><dd>{_block(one.question)}"
        f'</dd><dt>Expected</dt><dd>{_block(one.expected)}</dd></dl><div class="ft-pair"><figure><figcaption>Base'
        f"</figcaption>{_block(one.base)}</figure><figure><figcaption>Tuned</figcaption>{_block(one.tuned)}</figure>"
        "</div></article>"
        for one in shown
    )


def _block(text: str) -> str:
    whole = redact(text.strip())
    if not whole:
        return '<pre class="ft-none">(nothing)</pre>'
    more = f" … and {len(whole) - LONGEST:,} more characters" if len(whole) > LONGEST else ""
    return f'<pre tabindex="0">{escape(whole[:LONGEST])}{more}</pre>' if more else f"<pre>{escape(whole)}</pre>"


def _facts(facts: Facts) -> str:
    items = "".join(f"<div><dt>{safe(name)}</dt><dd>{safe(value)}</dd></div>" for name, value in facts)
    return f'<dl class="ft-facts">{items}</dl>' if items else ""


def _again(report: Report) -> str:
    return (
        "<p>Save these settings as <code>run.yaml</code>, and install the versions named above. A dataset, a task or a "
        "model of which only a file's name stands here must lie where you run it.</p>"
        '<pre class="ft-code" tabindex="0">python -m ftspace run run.yaml</pre>'
        "<details><summary>All settings</summary>"
        f'<pre class="ft-code" tabindex="0">{safe(report.config)}</pre></details>'
        "<p>Rows, split, seeds and order are the same each time. On another device or with other versions, rounding "
        "makes numbers differ by less than their intervals.</p>"
    )
