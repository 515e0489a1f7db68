"""Rows by what a careful person would say of them: each case has a name, the row, and all that is found in it."""

import base64
import random
import string
import time
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftspace.data.messages import Conversation, Message
from ftspace.data.quality import WORDS, language, look, redact_personal
from ftspace.sections import Finding

ASK, SAID = "What does the grey sea look like?", "It lies flat under low clouds."


def talk(*said: str) -> Conversation:
    return [Message(role="assistant" if i % 2 else "user", content=text) for i, text in enumerate(said)]


def made(alphabet: str, length: int, seed: int = 5) -> str:
    """A random value: no key of anybody, and nothing that a scanner of this repository would take for one."""
    return "".join(random.Random(seed).choices(alphabet, k=length))


LETTERS = string.ascii_letters + string.digits
RANDOM = made(LETTERS, 60) + "7"
HEX = made("0123456789abcdef", 40)
PEM = f"-----BEGIN RSA {'PRIVATE'} KEY-----\n{made(LETTERS + '+/', 64)}\n-----END RSA {'PRIVATE'} KEY-----"
JWT = ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (b'{"alg":"HS256"}', b'{"sub":"k71Zq"}'))

ANSWERS: dict[str, tuple[str, set[Finding]]] = {
    # short answers
    "a sentence": (SAID, set()),
    "one word": ("Positive", {"short_answer"}),
    "a number": ("42", {"short_answer"}),
    "one word and a full stop": ("Yes.", {"short_answer"}),
    "punctuation only": ("...", {"short_answer"}),
    "emoji only": ("👍 🎉", {"short_answer"}),
    "two words": ("New York", set()),
    "a short word in Chinese": ("是的", {"short_answer"}),
    "a sentence in Chinese": ("法国的首都是巴黎。", set()),
    "one long expression": ("print(sum(int(digit)for(digit)in(str(2**1000))))", set()),
    # refusals
    "sorry, but I can't": ("I'm sorry, but I can't help with that.", {"refusal"}),
    "sorry, curly apostrophes": ("I’m sorry, but I can’t assist you with this request.", {"refusal"}),
    "I apologize, but I cannot": ("I apologize, but I cannot provide that information.", {"refusal"}),
    "as an AI language model": ("As an AI language model, I don't have feelings.", {"refusal"}),
    "as an AI, I": ("As an AI, I have no body.", {"refusal"}),
    "unable to": ("Unfortunately, I am unable to fulfill this request.", {"refusal"}),
    "I cannot assist": ("I cannot assist with creating such a text.", {"refusal"}),
    "refusal in German": ("Es tut mir leid, aber ich kann dabei nicht helfen.", {"refusal"}),
    "refusal in French": ("Je suis désolé, mais je ne peux pas répondre à cela.", {"refusal"}),
    "refusal in Spanish": ("Lo siento, pero no puedo ayudar con eso.", {"refusal"}),
    "refusal in Chinese": ("对不起,我无法回答这个问题。", {"refusal"}),
    "refusal in Japanese": ("申し訳ありませんが、その質問にはお答えできません。", {"refusal"}),
    "sorry to hear": ("I'm sorry to hear that. A warm drink can help.", set()),
    "sorry in a letter": ("Dear Ann, I'm sorry, but I can't make it on Friday.", set()),
    "sorry you can't": ("I'm sorry you can't sleep. Try to read a little.", set()),
    "can't help but": ("I can't help but smile when it rains.", set()),
    "as an AI engineer": ("As an AI engineer you will train models.", set()),
    "a language model as a topic": ("A language model gives a probability to each word.", set()),
    "refusal quoted late": (f"{SAID * 8} I'm sorry, but I can't help with that.", set()),
    # markup
    "line break tag": ("First line<br>second line", {"markup"}),
    "non-breaking space": ("One&nbsp;two three", {"markup"}),
    "ampersand entity": ("Salt &amp; pepper", {"markup"}),
    "numbered entity": ("It&#39;s raining today", {"markup"}),
    "div": ('<div class="post">It rains today.', {"markup"}),
    "upper-case tag": ("It rains.<BR>It pours.", {"markup"}),
    "closing paragraph": ("It rains.</p> It pours.", {"markup"}),
    "mark of a chat template": ("It rains today.<|im_end|>", {"markup"}),
    "fenced HTML": ("Write it so:\n```html\n<div>Hi</div><br>\n```", set()),
    "HTML in backticks": ("The tag `<br>` breaks the line.", set()),
    "indented HTML": ("Write it so:\n\n    <br>\n\nand save.", set()),
    "a comparison": ("If a < b and c > d then a & b; otherwise &c is taken.", set()),
    "a generic type": ("Use a List<String> or a Map<Key, Value> there.", set()),
    "a placeholder in brackets": ("Dear <name>, thank you for <thing>.", set()),
    # encoding
    "UTF-8 as Latin": ("The cafÃ© is closed today.", {"encoding"}),
    "broken apostrophe": ("It donâ€™t rain today.", {"encoding"}),
    "broken Cyrillic": ("Ð\x9fÑ\x80Ð¸Ð²ÐµÑ\x82 means hello.", {"encoding"}),
    "replacement character": ("The caf\ufffd is closed.", {"encoding"}),
    "control character": ("It rains\x00 today.", {"encoding"}),
    "lone surrogate": ("It rains \ud83d today.", {"encoding"}),
    "accents": ("Les élèves déçus ont mangé « très » tôt à l’œuvre ; ça coûte 5 €.", set()),
    "umlauts and quotes": ("Das „Übermaß“ größerer Flüsse — ein Ärgernis.", set()),
    "Vietnamese": ("Thủ đô của nước Việt Nam là Hà Nội.", set()),
    "Russian": ("Столица России — Москва, город на реке.", set()),
    "a tree of files": ("├── src\n│   └── app.py\n└── README.md", set()),
    "mathematics": ("±5°, x² ≥ √2 × ¾ and ∑ aᵢ ≠ ∞", set()),
    "a family of emoji": ("We are 👨‍👩‍👧 at home.", set()),
    # secrets
    "OpenAI key": (f"Set it to sk-proj-{RANDOM} then.", {"secret"}),
    "AWS key id": (f"It is AKIA{made(string.ascii_uppercase + '234567', 16)} here.", {"secret"}),
    "GitHub token": (f"Use ghp_{made(LETTERS, 36)} for it.", {"secret"}),
    "fine-grained GitHub token": (f"Use github_pat_{RANDOM} for it.", {"secret"}),
    "Hugging Face token": (f"Log in with hf_{made(string.ascii_letters, 34)} first.", {"secret"}),
    "Slack token": (f"The bot has xoxb-{made(string.digits, 12)}-{made(LETTERS, 24)} now.", {"secret"}),
    "Google key": (f"Maps wants AIza{made(LETTERS, 35)} in it.", {"secret"}),
    "private key": (f"The file says\n{PEM}", {"secret"}),
    "JSON web token": (f"Send {JWT}.{made(LETTERS, 43)} along.", {"secret"}),
    "password": ("Connect with password=Tr7-kqVw9z! to it.", {"secret"}),
    "key in code": (f"```python\nAPI_KEY = '{HEX}'\n```", {"secret"}),
    "key in JSON": (f'{{"client_secret": "{HEX}"}} is sent', {"secret"}),
    "login in an address": ("Use postgres://ann:k7Qz9vLp2x@db.internal/app for it.", {"secret"}),
    "placeholder of x": ("Set it to sk-xxxxxxxxxxxxxxxxxxxxxxxx1 then.", set()),
    "placeholder in brackets": ("Set api_key=<YOUR_KEY> and token: ${GITHUB_TOKEN_2} there.", set()),
    "placeholder of words": ("password = 'your_password_123' goes there", set()),
    "AWS's own example": ("It is AKIAIOSFODNN7EXAMPLE here.", set()),
    "a call for the password": ("password = getpass.getpass(prompt1) reads it", set()),
    "a name in code": ("dep_token = make_new_value_2 and so on", set()),
    "a rule for passwords": ("Your password: minimum 8 characters, token: limit 4096.", set()),
    "a class of scikit-learn": ("Style .sk-toggleable__label-arrow-container so.", set()),
    "a header named only": (f"Keys begin with -----BEGIN {'PRIVATE'} KEY----- as text.", set()),
    # personal
    "e-mail": ("Write to karin.holm@posteo.de for more.", {"personal"}),
    "international phone": ("She is at +49 151 2345 6789 now.", {"personal"}),
    "American phone": ("She is at (415) 555-2671 now.", {"personal"}),
    "phone by its word": ("手机: 13812345678 在这里。", {"personal"}),
    "IBAN": ("Pay to DE89 3704 0044 0532 0130 00 by May.", {"personal"}),
    "card number": ("Charge 4539 1488 0343 6467 for it.", {"personal"}),
    "social security number": ("Her number is 536-22-8741 there.", {"personal"}),
    "example domain": ("Write to ann@example.com or bob@mail.example.org instead.", set()),
    "ssh address": ("Clone git@github.com:sea/grey.git first.", set()),
    "a decorator": ("Put @functools.cache above the function.", set()),
    "a long number in a sum": ("1234567890 + 9876543210 = 11111111100, and 5 +12345678901 too.", set()),
    "IBAN with a wrong checksum": ("Pay to DE88 3704 0044 0532 0130 00 by May.", set()),
    "card with a wrong checksum": ("Charge 4539 1488 0343 6468 for it.", set()),
    "dates and times": ("From 2020-01-15 to 2021-12-31, at 10:30:00 on 15.01.2020.", set()),
    "decimals": ("Pi is 3.14159265358979323846264338327950288, and 0.004175923965164595 is small.", set()),
    "an advertised number": ("Call 212-555-0143 in the film.", set()),
    # length
    "a long row": ("It rains in the hills and on the sea. " * 900, {"long_row"}),
}

ROWS: dict[str, tuple[Conversation, set[Finding]]] = {
    "echo": (talk(ASK, "  what DOES the grey sea\nlook like? "), {"echo"}),
    "echo of the turn before": (talk("Hello", "Hi, who is there?", ASK, ASK), {"echo"}),
    "echo of the first turn": (talk(ASK, SAID, "Is it deep?", ASK), {"echo"}),
    "a greeting returned": (talk("Hello you", "Hello you"), set()),
    "a question continued": (talk(ASK, f"{ASK} It lies flat."), set()),
    "a question about HTML": (talk("How do I break a line in HTML?", "With <br> where it should break."), set()),
    "tags that are to be removed": (talk("Remove the tags: <b>hi</b> <br>there", "hi there"), set()),
    "debris in the question": (talk("Which sea&nbsp;is it?", SAID), {"markup"}),
    "key in a system prompt": (
        [Message(role="system", content=f"Your key is sk-{RANDOM}"), *talk(ASK, SAID)],
        {"secret"},
    ),
    "key in a tool call": (
        [*talk(ASK), Message(role="assistant", content="", tool_calls=[{"function": {"arguments": {"token": HEX}}}])],
        {"secret"},
    ),
    "short answers before the last": (talk("Rain?", "Yes", ASK, SAID), set()),
    "two things": (
        talk("Mail k.holm@posteo.de<br>today", "I'm sorry, but I can't do that."),
        {"personal", "markup", "refusal"},
    ),
    "nothing said": (talk("", ""), set()),
    "no turns": ([], set()),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_an_answer_is_flagged_for_what_it_is(name: str) -> None:
    answer, expected = ANSWERS[name]
    assert {flag.finding for flag in look(talk(ASK, answer))} == expected


@pytest.mark.parametrize("name", ROWS)
def test_a_row_is_flagged_for_what_it_is(name: str) -> None:
    conversation, expected = ROWS[name]
    flags = look(conversation)
    assert {flag.finding for flag in flags} == expected
    assert len(flags) == len(expected)


def test_every_finding_has_words() -> None:
    assert list(WORDS) == list(get_args(Finding))


def test_an_excerpt_shows_the_place_and_hides_the_rest() -> None:
    far = f"{SAID * 20} Salt &amp; pepper, says karin.holm@posteo.de with sk-{RANDOM}. {SAID * 20}"
    for flag in look(talk(ASK, far)):
        assert len(flag.excerpt) <= 120
        assert "k***@***.de" in flag.excerpt and "karin" not in flag.excerpt
        assert RANDOM[:6] not in flag.excerpt
    assert [flag.finding for flag in look(talk(ASK, far))] == ["markup", "secret", "personal"]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("karin@posteo.de", "k***@***.de"),
        (f"sk-{RANDOM}", "sk-…[redacted]"),
        ("password: hunter2x", "password: …[redacted]"),
        ("+49 151 2345 6789", "[phone redacted]"),
        ("DE89370400440532013000!", "DE…[IBAN redacted]!"),
        ("nothing to hide", "nothing to hide"),
    ],
)
def test_what_stands_in_place_of_the_private(text: str, shown: str) -> None:
    assert redact_personal(text) == shown


SENTENCES = {
    "en": "The capital of France is Paris, which lies on the river Seine.",
    "de": "Die Hauptstadt von Frankreich ist Paris, und sie liegt an der Seine.",
    "fr": "La capitale de la France est Paris, qui se trouve au bord de la Seine.",
    "es": "La capital de Francia es París, que se encuentra a orillas del río Sena.",
    "pt": "A capital da França é Paris, que fica nas margens do rio Sena.",
    "it": "La capitale della Francia è Parigi, che si trova sulle rive della Senna.",
    "nl": "De hoofdstad van Frankrijk is Parijs, dat aan de rivier de Seine ligt.",
    "ru": "Столица Франции — Париж, который стоит на берегах Сены.",
    "zh": "法国的首都是巴黎,它位于塞纳河畔。",
    "ja": "フランスの首都はパリで、セーヌ川のほとりにあります。",
    "ar": "عاصمة فرنسا هي باريس وتقع على ضفاف نهر السين.",
    "": "Paris",
}


@pytest.mark.parametrize("code", SENTENCES)
def test_the_language_is_that_of_the_answers(code: str) -> None:
    assert language(talk("Bonjour, quelle est la capitale de la France ?", SENTENCES[code])) == code


def test_english_words_in_another_language_do_not_make_it_english() -> None:
    assert language(talk(ASK, "Der Film The Lord of the Rings, nach dem Buch von Tolkien, lief sehr lange.")) == "de"
    assert (
        language(talk(ASK, f"{SAID} It is what they have seen on the way to the coast, and it is not for you.")) == "en"
    )


@pytest.mark.parametrize(
    "answer", ["", "12 * 34 = 408; 408 / 2 = 204; 204 - 4 = 200", "```\nfor i in range(10):\n  pass\n```"]
)
def test_figures_and_code_are_in_no_language(answer: str) -> None:
    assert language(talk(ASK, answer)) == ""


ANY = st.text(st.characters(codec=None), max_size=200) | st.text("<>&;@.+-=:`'\"sk0123 \n\x00\ud800é“Ã€", max_size=300)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["system", "user", "assistant", "tool"]), ANY), max_size=4))
def test_no_text_is_too_odd_to_be_looked_at(turns: list[tuple[str, str]]) -> None:
    conversation = [Message(role=role, content=text) for role, text in turns]
    flags = look(conversation)
    assert len({flag.finding for flag in flags}) == len(flags)
    for flag in flags:
        assert len(flag.excerpt) <= 120
        assert flag.excerpt.encode().decode() == flag.excerpt
    assert isinstance(language(conversation), str)


KEYS = st.builds(
    lambda mark, seed: f"{mark}{made(LETTERS, 40, seed)}7", st.sampled_from(["sk-", "ghp_", "hf_"]), st.integers()
)
PASSWORDS = st.builds(lambda seed: made(LETTERS, 16, seed) + "7b", st.integers())
MAILS = st.from_regex(r"[a-z]{4,9}\.[a-z]{4,9}@(posteo|proton)\.(de|me)", fullmatch=True)


@settings(max_examples=60, deadline=None)
@given(ANY, KEYS, PASSWORDS, MAILS, ANY, st.sampled_from([" ", "\n", "; ", " <br> "]))
def test_no_excerpt_holds_what_it_warns_of(
    before: str, key: str, password: str, mail: str, after: str, gap: str
) -> None:
    text = gap.join([before, key, f"password={password}", mail, key, after])
    flags = look(talk(ASK, text))
    assert {"secret", "personal"} <= {flag.finding for flag in flags}
    for flag in flags:
        for private in (key, password, mail):
            assert private not in flag.excerpt
            assert private[6:] not in flag.excerpt


@pytest.mark.parametrize(
    "text",
    [
        "a" * 40_000 + "@",
        "1 " * 20_000,
        "sk-" * 15_000,
        "<div " * 8_000,
        "-eyJ" * 5_000 + "@",
        "token_" * 6_000 + "=1",
    ],
)
def test_odd_texts_take_no_longer_than_others(text: str) -> None:
    start = time.process_time()
    look(talk(ASK, text))
    assert time.process_time() - start < 2
