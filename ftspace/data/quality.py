"""What a careful person sees in one row: refusals, debris of markup, broken characters, secrets. Knows no other rows.

Every look is gated by a cheap search for letters it cannot do without, so that a clean row costs little.
"""

import functools
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

from ftspace.data.messages import Conversation
from ftspace.data.secrets import Span, excerpt, personal_in, redact, secrets_in
from ftspace.sections import Finding

if TYPE_CHECKING:
    from py3langid.langid import LanguageIdentifier

WORDS: dict[Finding, str] = {
    "duplicate": "rows that say the same as an earlier one",
    "near_duplicate": "rows that say nearly the same as an earlier one",
    "short_answer": "answers of one word, or of no word at all",
    "refusal": "answers that refuse, or speak as an AI language model",
    "markup": "tags and entities of HTML, or marks of a chat template, left in the text",
    "encoding": "characters that were broken on the way (such as Ã© for é), or cannot be shown",
    "other_language": "answers in another language than most",
    "long_row": "rows of more than 32,000 characters",
    "echo": "answers that only repeat the question",
    "secret": "what looks like an API key, a private key or a password",
    "personal": "e-mail addresses and phone, account, card or social security numbers",
    "overlap": "training rows that test rows repeat: the same question, nearly the same row, or 13 words in a row",
}
"""Each finding in words for people."""
LONG_ROW = 32_000
"""Characters of a row from which it counts as long."""
LANGUAGE_TEXT = 300
"""Characters of the answers by which the language is told."""
CLASSIFIED = 160
"""Bytes of them that the classifier sees: more cost time and change few answers."""
ENGLISH = (
    "the and of that this with from which have been would their they were are not you your to it for can be by as on "
    "has its these when will what"
)
"""A text in which `the` and four others of these stand is English: common, and many times as fast to see."""
LANGUAGES = (
    "af am ar az be bg bn ca cs cy da de el en es et eu fa fi fr ga gu he hi hr hu hy id is it ja ka kk km kn ko lo lt "
    "lv mk ml mn mr my ne nl no pa pl pt ro ru si sk sl sq sr sv sw ta te th tl tr uk ur uz vi zh"
)
"""The languages told apart; of close relatives such as Malay and Indonesian the commonest only."""
SURE = 0.6
"""Probability from which a language is believed."""


@dataclass(frozen=True, slots=True)
class Flag:
    """One finding in a row."""

    finding: Finding
    excerpt: str
    """At most 120 characters around the place, secrets and personal data redacted."""


def look(conversation: Conversation) -> list[Flag]:
    """What is found in a conversation, at most one flag for each finding. Never raises."""
    texts = [turn["content"] for turn in conversation]
    whole = "\n".join(texts)
    flags: list[Flag] = []

    def flag(finding: Finding, text: str, place: tuple[int, int] | None) -> None:
        if place:
            flags.append(Flag(finding, excerpt(text, *place)))

    answers = [turn["content"] for turn in conversation if turn["role"] == "assistant"]
    if answers and not conversation[-1].get("tool_calls"):
        flag("short_answer", answers[-1], _short(answers[-1]))
    for answer in answers:
        if refused := _refusal(answer):
            flag("refusal", answer, refused)
            break
    if "<" in whole or "&" in whole or "[INST]" in whole:
        flag("markup", whole, _markup(conversation, texts))
    flag("encoding", whole, _broken(whole))
    if echoed := _echo(conversation):
        flag("echo", echoed, (0, len(echoed)))
    if len(whole) > LONG_ROW:
        flag("long_row", whole, (0, 0))
    if any("tool_calls" in turn for turn in conversation):
        whole += "\n" + json.dumps([turn.get("tool_calls") for turn in conversation], ensure_ascii=False)
    if span := next(secrets_in(whole), None):
        flags.append(_private("secret", whole, span))
    if span := next(personal_in(whole), None):
        flags.append(_private("personal", whole, span))
    return flags


def redact_personal(text: str) -> str:
    """The text with secrets and personal data replaced; every excerpt is made so."""
    return redact(text)


def language(conversation: Conversation) -> str:
    """The language of the answers as its ISO 639-1 code; "" when they are too short, code, or it is unsure."""
    said = ""
    for turn in conversation:
        if turn["role"] == "assistant":
            text = turn["content"]
            if "```" in text:
                text = _FENCED.sub(" ", text)
            said += text[: LANGUAGE_TEXT - len(said)] + " "
            if len(said) > LANGUAGE_TEXT:
                break
    said = said.strip()
    if len(said) < (20 if said.isascii() else 6):
        return ""
    common = _ENGLISH.intersection(said.lower().split())
    if "the" in common and len(common) > 4:
        return "en"
    code, sure = _identifier().classify(said.encode("utf-8", "ignore")[:CLASSIFIED])
    return code if sure >= SURE and code != "zxx" else ""


_ENGLISH = frozenset(ENGLISH.split())


@functools.cache
def _identifier() -> "LanguageIdentifier":
    """The classifier, restricted to LANGUAGES and `zxx` (no language: code, figures)."""
    import numpy as np
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    made = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    made.set_languages([*LANGUAGES.split(), "zxx"])
    made.nb_ptc = np.ascontiguousarray(made.nb_ptc, dtype=np.float32)
    return made


def _private(finding: Finding, text: str, span: Span) -> Flag:
    value = text[span.start : span.end]
    return Flag(finding, excerpt(text, span.start, span.end).replace(value, "[redacted]"))


_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff]")
"""Scripts that put no spaces between words."""


def _short(answer: str) -> tuple[int, int] | None:
    if len(answer) > 200:
        return None
    words = answer.split()
    if len(words) > 1:
        return None if re.search(r"\w", answer) else (0, len(answer))
    if not words:
        return None
    word = words[0]
    longest = 4 if _UNSPACED.search(word) else 30
    return (0, len(answer)) if len(word) <= longest or not re.search(r"\w", word) else None


_HEAD = 200
"""Characters of an answer in which a refusal is looked for."""
_REFUSING = (
    "sorry", "apolog", "afraid", "i can't", "i cannot", "i can not", "unable", "not able", "must decline",
    "comfortable", "i won't", "i will not", "as an ai", "as an artificial", "language model", "désol", "siento",
    "disculp", "desculp", "lamento", "spiace", "leid", "als ki", "sprachmodell", "modèle de lang", "modelo de l",
    "en tant qu", "modello ling", "spijt", "taalmodel", "抱歉", "对不起", "對不起", "作为", "作為", "申し訳",
    "извините", "языковая", "к сожалению",
)  # fmt: skip
"""Without one of these no refusal is looked for."""
_CANNOT = (
    r"i(?: can(?:'t|not| not)| won't(?: be able to)?| will not|(?:'m| am) (?:unable|not able) to| must decline to)"
)
_DO = (
    r"(?: \w+ly)? (?:help(?! but)|assist|provide|fulfil+|comply|create|generate|write|answer|do (?:that|this|so)|"
    r"continue|engage|support|discuss|respond|give|offer|participate|produce|complete|perform|recommend|advise|promote|"
    r"browse)\b"
)
_REFUSAL = re.compile(
    rf"(?:sorry|apologi[sz]e|afraid)[^.!?\n]{{0,30}}?\b{_CANNOT}(?:{_DO}|\s*(?:[.!]|$))"
    rf"|^\W*(?:(?:unfortunately|sorry|no),? )?{_CANNOT}{_DO}"
    r"|^\W*i(?:'m| am) not comfortable |\bi must decline\b|\bi (?:don't|do not) feel comfortable "
    r"|\bas an? (?:(?:ai|artificial intelligence|large|text-based) )*language model"
    r"|\bas an (?:ai|artificial intelligence)(?: (?:model|assistant|system|chatbot))?,? (?:i\b|it(?:'s| is)\b|my\b)"
    r"|désolée?,? mais je ne (?:peux|suis)|en tant qu[e'](?: ?ia\b| ?intelligence artif| ?(?:un )?modèle de lang)"
    r"|(?:lo siento|disculp[ae]|lamento),? (?:pero|mas)? ?(?:no|não) (?:puedo|posso)"
    r"|como (?:um? |una )?(?:modelo de l[ei]ng|ia,)|desculpe,? mas (?:eu )?não posso"
    r"|mi (?:di)?spiace,? ma non posso|(?:in quanto|come) modello ling"
    r"|tut mir leid,? (?:aber )?(?:ich kann|das kann ich|dabei kann ich)[^.!?\n]{0,60}nicht"
    r"|als (?:\w+ |ki-?)?sprachmodell|als ki(?:,| kann ich| habe ich)|spijt me,? maar ik kan|als (?:ai-?)?taalmodel"
    r"|(?:抱歉|对不起|對不起)[,,。 ]{0,2}(?:但)?我?(?:无法|不能|無法)"
    r"|(?:作为|作為)(?:一个|一個|一名)?(?:人工智能|ai|语言模型|語言模型|人工智慧)"
    r"|申し訳(?:ありません|ございません)[^。]{0,40}(?:できません|できかねます)"
    r"|(?:извините|к сожалению),? (?:но )?я не могу|как языковая модель"
)


def _refusal(answer: str) -> tuple[int, int] | None:
    head = answer[:_HEAD].lower()
    if "’" in head:
        head = head.replace("’", "'")
    if any(word in head for word in _REFUSING) and (found := _REFUSAL.search(head)):
        return found.span()
    return None


_FENCED = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_CODE = re.compile(r"```.*?(?:```|\Z)|~~~.*?(?:~~~|\Z)|`[^`\n]*`|^(?: {4}|\t)[^\n]*", re.DOTALL | re.MULTILINE)
_TAGS = (
    "br|hr|p|div|span|a|em|strong|ul|ol|li|table|tr|td|th|tbody|thead|h[1-6]|img|font|center|blockquote|pre|code|sup|sub|"
    "script|style|iframe|html|body|head|meta|small|strike"
)
_ENTITIES = (
    "nbsp|amp|lt|gt|quot|apos|hellip|mdash|ndash|[lr][sd]quo|copy|reg|euro|pound|deg|middot|bull|[aeiou](?:acute|grave|uml)|"
    r"ccedil|ntilde|szlig|#\d{2,6}|#[xX][0-9a-fA-F]{2,5}"
)
_MARKUP = re.compile(
    rf"</?(?:{_TAGS}|{_TAGS.upper()})(?:\s[^<>]{{0,300}})?/?>|</[biu]>|(?<!\w)<[biu]>"
    rf"|&(?:{_ENTITIES});|<\|[a-z_]{{2,30}}\|>|\[/?INST\]|</s>"
)
_ABOUT_MARKUP = re.compile(
    r"\b(?:x?html5?|xml|css|jsx|svg|php|javascript|react|vue|markup|tags?|entity|entities|web ?(?:site|page)s?)\b",
    re.IGNORECASE,
)


def _markup(conversation: Conversation, texts: list[str]) -> tuple[int, int] | None:
    """Where debris of markup stands in the joined texts; nowhere when the conversation is about markup."""
    at = 0
    for text in texts:
        found = _MARKUP.search(text)
        if found and ("`" in text or "~~~" in text or "    " in text or "\t" in text):
            found = _MARKUP.search(_CODE.sub(lambda code: " " * len(code[0]), text))
        if found:
            asked = (turn["content"] for turn in conversation if turn["role"] != "assistant")
            about = any(_ABOUT_MARKUP.search(_MARKUP.sub(" ", text)) for text in asked)
            return None if about else (at + found.start(), at + found.end())
        at += len(text) + 1
    return None


_CONTROLS = bytes([*range(9), 11, 12, *range(14, 32), 127])
_UNSHOWN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufeff\ufffd]")
_PAIR = re.compile("[À-ôΓ√‚≈├вГВРС][\xa0-¿ŒœŠšŽžŸƒˆ˜–—‘’‚“”„†‡•…‰‹›€™ÄÇÉÑÖÜáàâäãåçéèëêíìîïñóòôöõúùûü∂∑≠≤≥∞µЂ]")
"""A byte that begins a character in UTF-8 with one that goes on with it, as the usual wrong encodings show them."""
_PAIRS = 100
"""Pairs looked at in a text: the first ones tell."""
_SURE_PAIRS = ("â€", "ï¿½", "ï»¿", "вЂ", "‚Ä", "Ã¢")


def _broken(text: str) -> tuple[int, int] | None:
    raw = text.encode("utf-8", "surrogatepass")
    if len(raw) == len(text) and len(raw.translate(None, _CONTROLS)) == len(raw):
        return None
    if found := _UNSHOWN.search(text):
        return found.span()
    return next(_mojibake(text), None)


def _mojibake(text: str) -> Iterator[tuple[int, int]]:
    for found in islice(_PAIR.finditer(text), _PAIRS):
        near = text[max(0, found.start() - 6) : found.end() + 6]
        if found[0] in _SURE_PAIRS or _is_mojibake(near):
            yield found.span()


def _is_mojibake(text: str) -> bool:
    """Whether some characters look broken and reading them in another encoding makes sense of them."""
    from ftfy import fix_encoding
    from ftfy.badness import is_bad

    return is_bad(text) and fix_encoding(text) != text


_ECHO = 10
"""Characters from which a repetition is an echo: a greeting may be answered with itself."""


def _echo(conversation: Conversation) -> str | None:
    """The answer that equals the first question or the turn before it, whatever the case and spaces."""
    asked: list[str] = []
    for turn in conversation:
        content = turn["content"]
        if turn["role"] == "user":
            asked = [*asked[:1], content]
        elif turn["role"] == "assistant" and asked:
            begins = content[:50].split(maxsplit=1)[:1]
            for ask in {asked[0], asked[-1]}:
                if [word.casefold() for word in ask[:50].split(maxsplit=1)[:1]] == [word.casefold() for word in begins]:
                    said = _plain(content)
                    if len(said) >= _ECHO and said == _plain(ask):
                        return content
    return None


def _plain(text: str) -> str:
    return " ".join(text.split()).casefold()
