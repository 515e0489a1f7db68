"""Secrets and personal data in a text: where they stand, and the text without them. Knows no conversations or files.

A shape alone is no secret: `sk-xxxx`, `<YOUR_KEY>` and `password = input()` are none. What is found must also look
random (entropy), pass its checksum (IBAN, card) or be no known placeholder. Redaction asks less: there a key's shape is
enough.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

EXCERPT = 120
"""Longest excerpt, in characters."""
ENTROPY = 3.0
"""Bits a character from which text looks random: words and placeholders are below, 16 random characters above."""
_WINDOW = 10_000
"""Characters around a place in which secrets are looked for before it is cut out: longer than any key."""


class Span(NamedTuple):
    """A secret, or something personal, and what is shown in its place."""

    start: int
    end: int
    shown: str


_KEYS = {
    "sk-": r"(?<![A-Za-z0-9])sk-(?=[\w-]{0,60}?\d)[\w-]{16,}",
    "AKIA": r"(?<![A-Za-z0-9])AKIA[A-Z0-9]{16}(?![A-Za-z0-9])",
    "ASIA": r"(?<![A-Za-z0-9])ASIA[A-Z0-9]{16}(?![A-Za-z0-9])",
    "ghp_": r"(?<![A-Za-z0-9])ghp_[A-Za-z0-9]{30,}",
    "gho_": r"(?<![A-Za-z0-9])gho_[A-Za-z0-9]{30,}",
    "ghs_": r"(?<![A-Za-z0-9])ghs_[A-Za-z0-9]{30,}",
    "github_pat_": r"(?<![A-Za-z0-9])github_pat_\w{22,}",
    "glpat-": r"(?<![A-Za-z0-9])glpat-[\w-]{20,}",
    "hf_": r"(?<![A-Za-z0-9])hf_[A-Za-z0-9]{30,}",
    "xox": r"(?<![A-Za-z0-9])xox[abeprs]-[A-Za-z0-9-]{10,}",
    "AIza": r"(?<![A-Za-z0-9])AIza[\w-]{35,}",
    "sk_live_": r"(?<![A-Za-z0-9])sk_live_[A-Za-z0-9]{16,}",
    "eyJ": r"(?<![A-Za-z0-9])eyJ[\w-]{8,2000}\.eyJ[\w-]{8,8000}\.[\w-]{8,}",
    "-----BEGIN ": r"-----BEGIN [A-Z0-9 ]{0,30}PRIVATE KEY[A-Z ]{0,10}-----[^-]{0,200}?[A-Za-z0-9+/=]{40}[^-]*",
}
"""Shapes of keys by the letters that they all hold: looked for only where those are."""
_SHAPES = {mark: re.compile(pattern) for mark, pattern in _KEYS.items()}
_NAMED_WORDS = ("passw", "pwd", "secret", "token", "apikey", "api_key", "api-key", "access")
_NAMED = re.compile(
    r"(?:passw(?:or)?d|pwd|secret|token|api[_-]?key|access[_-]?key)(?:[_-][\w-]{0,20})?[\"']?\s{0,3}(?:=>|:=|[:=])\s{0,3}"
    r"[\"'`]?([^\s\"'`,;]{8,})",
    re.IGNORECASE,
)
_LOGIN = re.compile(r"://[^\s:/@]{1,64}:([^\s@/]{6,128})@")
_NAME = re.compile(r"_*[A-Za-z]+(?:[_.]+[A-Za-z]+)+[_.]?\d{0,3}")
_PLACEHOLDER = re.compile(
    r"x{4,}|\*{3}|\.{3}|…|[<>{}()\[\]$]|your|example|placeholder|change_?me|dummy|sample|insert|redacted|fake|test|"
    r"password|secret|1234567|abcdef|eyJzdWIiOiIxMjM0NTY3ODkwIi",
    re.IGNORECASE,
)

_MAIL = re.compile(r"(?<![\w.+-])(\w[\w.+-]{0,63})@((?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24})(?![\w-])")
_NO_PERSON = re.compile(r"(?:git|no-?reply|do-?not-?reply|your.*|user(?:name)?|someone|name)", re.IGNORECASE)
_NO_DOMAIN = re.compile(r"(?:.*\.)?(?:example(?:\.\w+)*|(?:your)?domain\.com|invalid|localhost|test)", re.IGNORECASE)
_ABROAD = re.compile(
    r"(?<![\w)\]+*/=^.,-])(?<![\d)] )(?:\+|00(?=[1-9]\d))[1-9]\d{0,2}(?:[ ./-]?\(?\d{1,5}\)?){2,6}(?![\w(])"
)
_AMERICAN = re.compile(r"(?<![\w+.-])(?:\([2-9]\d\d\) ?|[2-9]\d\d([-.]))\d{3}(?(1)\1|-)\d{4}(?![\w-])")
_FIGURES = re.compile(r"\d(?:[ ()./-]{0,3}\d){6,}")
_CALLED = re.compile(
    r"(?:\b(?:tele(?:phone|fon[eo]?)|teléfono|téléphone|phone|tel|mobile|móvil|cell|whatsapp|fax|call|handy)\b|电话|手机|電話|携帯)"
    r"[^\d\n]{0,20}$",
    re.IGNORECASE,
)
_ADVERTISED = re.compile(r"555\D?01\d\d$")
_SSN = re.compile(r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])")
_CARD = re.compile(r"(?<![\w.,-])(?:\d{4}([ -]?)\d{4}\1\d{4}\1\d{4}|3[47]\d\d([ -]?)\d{6}\2\d{5})(?![\w-]|[.,]\d)")
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?: ?[A-Z0-9]){11,30}")
_IBAN_LENGTHS = {
    length: countries.split()
    for length, countries in {
        15: "NO", 16: "BE", 18: "DK FI NL FO GL", 19: "MK SI", 20: "AT BA EE KZ LT LU XK", 21: "CH HR LI LV",
        22: "BG BH DE GB GE IE ME RS", 23: "AE GI IL", 24: "AD CZ ES MD PK RO SA SE SK TN VG", 25: "PT",
        26: "IS TR", 27: "FR GR IT MC SM", 28: "AL AZ CY HU LB PL", 29: "BR PS QA UA", 31: "MT",
    }.items()
}  # fmt: skip
_FICTION = {"123-45-6789", "078-05-1120", "219-09-9999"}
"""Numbers of forms and advertisements, which are nobody's."""
_OTHERS = bytes(byte for byte in range(256) if not 48 <= byte <= 57)
_BROKEN = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def secrets_in(text: str, shape_is_enough: bool = False) -> Iterator[Span]:
    """The API keys, private keys and passwords in a text; with `shape_is_enough` also what only looks like one."""
    for mark, shape in _SHAPES.items():
        if mark in text:
            for found in shape.finditer(text):
                if shape_is_enough or _random(found[0][len(mark) :]):
                    yield Span(found.start(), found.end(), f"{mark.strip()}…[redacted]")
    if ("=" in text or ":" in text) and (shape_is_enough or _digits(text)):
        lowered = text.lower()
        if any(word in lowered for word in _NAMED_WORDS):
            for found in _NAMED.finditer(text):
                if shape_is_enough or _password(found[1]):
                    yield Span(found.start(1), found.end(1), "…[redacted]")
    if "://" in text and "@" in text:
        for found in _LOGIN.finditer(text):
            if shape_is_enough or _password(found[1]):
                yield Span(found.start(1), found.end(1), "…[redacted]")


def personal_in(text: str) -> Iterator[Span]:
    """The e-mail addresses, phone, account, card and US social security numbers in a text."""
    if "@" in text:
        for found in _MAIL.finditer(text):
            login = "://" in text[max(0, found.start() - 64) : found.start()].rpartition(" ")[2]
            if not login and not _NO_PERSON.fullmatch(found[1]) and not _NO_DOMAIN.fullmatch(found[2]):
                yield Span(found.start(), found.end(), f"{found[1][0]}***@***.{found[2].rpartition('.')[2]}")
    if _digits(text) < 7:
        return
    figures = [found.span() for found in _FIGURES.finditer(text)]
    if figures:
        yield from _numbers(text, figures)


def redact(text: str) -> str:
    """The text with secrets and personal data replaced, whether or not they look real."""
    return _replaced(text, 0, len(text), _hidden(text))


def excerpt(text: str, start: int, end: int) -> str:
    """At most 120 characters around a place, on one line, with secrets and personal data redacted before the cut."""
    low = max(0, start - _WINDOW)
    window = text[low : end + _WINDOW]
    start, end = min(start - low, len(window)), min(end - low, len(window))
    spans = _hidden(window)
    for span in spans:
        if span.start < end and start < span.end:
            start, end = min(start, span.start), max(end, span.end)
    before = _one_line(_replaced(window, 0, start, spans)).lstrip()
    place = _one_line(_replaced(window, start, end, spans))
    after = _one_line(_replaced(window, end, len(window), spans)).rstrip()
    if len(before) + len(place) + len(after) <= EXCERPT:
        return (before + place + after).strip()
    place = place[: EXCERPT - 2]
    room = EXCERPT - 2 - len(place)
    left = min(len(before), max(room // 2, room - len(after)))
    before = before if left == len(before) else "…" + before[len(before) - left :]
    after = after if len(after) <= room - left else after[: room - left] + "…"
    return (before + place + after).strip()


def _hidden(text: str) -> list[Span]:
    """All that is redacted, in order and without overlaps."""
    merged: list[Span] = []
    for span in sorted([*secrets_in(text, shape_is_enough=True), *personal_in(text)]):
        if merged and span.start < merged[-1].end:
            last = merged.pop()
            span = Span(last.start, max(last.end, span.end), last.shown)
        merged.append(span)
    return merged


def _replaced(text: str, start: int, end: int, spans: list[Span]) -> str:
    parts: list[str] = []
    for span in spans:
        if start <= span.start and span.end <= end:
            parts += [text[start : span.start], span.shown]
            start = span.end
    return "".join([*parts, text[start:end]])


def _one_line(text: str) -> str:
    return _BROKEN.sub("\ufffd", re.sub(r"\s+", " ", text))


def _digits(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass").translate(None, _OTHERS))


def _random(value: str) -> bool:
    return not _PLACEHOLDER.search(value) and _entropy(value) >= ENTROPY


def _password(value: str) -> bool:
    """Whether an assigned value looks like a password rather than a word, a call or a name in code."""
    mixed = any(c.isdigit() for c in value) and any(c.isalpha() for c in value)
    return mixed and not _NAME.fullmatch(value) and _random(value)


def _entropy(value: str) -> float:
    counts = Counter(value)
    return -sum(n / len(value) * math.log2(n / len(value)) for n in counts.values())


def _numbers(text: str, figures: list[tuple[int, int]]) -> Iterator[Span]:
    """Personal numbers in a text with groups of at least seven digits."""
    if "-" in text:
        for found in _SSN.finditer(text):
            if found[0] not in _FICTION:
                yield Span(found.start(), found.end(), "[SSN redacted]")
    if any(end - start >= 10 for start, end in figures):
        yield from _accounts(text)
    yield from _phones(text, figures)


def _accounts(text: str) -> Iterator[Span]:
    for found in _CARD.finditer(text):
        if _is_card(re.sub(r"\D", "", found[0])):
            yield Span(found.start(), found.end(), "[card number redacted]")
    for found in _IBAN.finditer(text):
        value = found[0].replace(" ", "")
        length = next((n for n, countries in _IBAN_LENGTHS.items() if value[:2] in countries), 0)
        if length and len(value) >= length and _is_iban(value[:length]):
            end, left = found.start(), length
            while left:
                left -= text[end] != " "
                end += 1
            if not text[end : end + 1].isalnum():
                yield Span(found.start(), end, f"{value[:2]}…[IBAN redacted]")


def _is_iban(value: str) -> bool:
    return int("".join(str(int(c, 36)) for c in value[4:] + value[:4])) % 97 == 1


def _is_card(digits: str) -> bool:
    """Luhn's checksum and the first digits of a card network, but no number made of one or two digits."""
    if len(set(digits)) < 3 or not re.match(r"4|5[1-5]|2[2-7]|3[457]|6011|65", digits):
        return False
    doubled = (int(d) * (1 + index % 2) for index, d in enumerate(reversed(digits)))
    return sum(d - 9 if d > 9 else d for d in doubled) % 10 == 0


def _phones(text: str, figures: list[tuple[int, int]]) -> Iterator[Span]:
    if "+" in text or "00" in text:
        for found in _ABROAD.finditer(text):
            count = sum(c.isdigit() for c in found[0])
            if (10 if found[0].lstrip("+").isdigit() else 8) <= count <= 15 + 2 * found[0].startswith("00"):
                yield Span(found.start(), found.end(), "[phone redacted]")
    if "-" in text:
        for found in _AMERICAN.finditer(text):
            if not _ADVERTISED.search(found[0]):
                yield Span(found.start(), found.end(), "[phone redacted]")
    for start, end in figures:
        count = sum(c.isdigit() for c in text[start:end])
        if (
            8 <= count <= 15
            and not _ADVERTISED.search(text[start:end])
            and _CALLED.search(text[max(0, start - 40) : start])
        ):
            yield Span(start, end, "[phone redacted]")
