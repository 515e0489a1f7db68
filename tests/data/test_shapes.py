"""Datasets by the names under which people know them: their columns, rows of our own writing, and what is read."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftspace.data.formats import Format, RowProblem, given_format, recognize, rows_in, to_conversation
from ftspace.errors import DatasetError

Q, A = "Which sea is it?", "The grey one."
Q2, A2 = "Is it deep?", "In places."
ROLES = [{"role": "user", "content": Q}, {"role": "assistant", "content": A}]
LONG = [*ROLES, {"role": "user", "content": Q2}, {"role": "assistant", "content": A2}]
SHARE = [{"from": "human", "value": Q}, {"from": "gpt", "value": A}]
NO = [ROLES[0], {"role": "assistant", "content": "No."}]
CALL = {"name": "depth", "arguments": {"sea": "grey"}}
CALLED = {"type": "function", "function": CALL}
WIRED = {"id": "c1", "type": "function", "function": {"name": "depth", "arguments": '{"sea": "grey"}'}}
TOOL = {"type": "function", "function": {"name": "depth", "parameters": {"type": "object"}}}


def talk(*said: str, system: str | None = None) -> list[dict[str, Any]]:
    turns = [{"role": "assistant" if index % 2 else "user", "content": text} for index, text in enumerate(said)]
    return [{"role": "system", "content": system}, *turns] if system else turns


@dataclass(frozen=True)
class Shape:
    """A public dataset's columns with a row of our own, and how it is to be read."""

    dataset: str
    row: dict[str, Any]
    format: str
    mapping: dict[str, str]
    messages: list[dict[str, Any]] = field(default_factory=lambda: talk(Q, A))
    warning: str = ""
    """Words of a warning; "" when there must be none."""
    labels: dict[str, list[str]] = field(default_factory=dict[str, list[str]])


def messages(column: str = "messages") -> dict[str, str]:
    return {"messages": column}


def sides(prompt: str, completion: str, system: str | None = None) -> dict[str, str]:
    return {"prompt": prompt, "completion": completion} | ({"system": system} if system else {})


BARE, CHOSEN, PATH = "the question is the bare", "the answers in `chosen` are trained", "only one path"
LINES = f"\n\nHuman: {Q}\n\nAssistant: {A}\n\nHuman: {Q2}\n\nAssistant: {A2}"
SHAPES = [
    # turns with roles
    Shape("HuggingFaceH4/no_robots", {"prompt": Q, "prompt_id": "a1", "messages": ROLES, "category": "Open QA"},
          "messages", messages()),
    Shape("HuggingFaceH4/ultrachat_200k", {"prompt": Q, "prompt_id": "a1", "messages": LONG},
          "messages", messages(), talk(Q, A, Q2, A2)),
    Shape("allenai/tulu-3-sft-mixture", {"id": "x", "messages": ROLES, "source": "sea"}, "messages", messages()),
    Shape("HuggingFaceTB/smoltalk", {"messages": [{"role": "system", "content": "Be dry."}, *ROLES], "source": "s"},
          "messages", messages(), talk(Q, A, system="Be dry.")),
    Shape("lmsys/lmsys-chat-1m", {"conversation_id": "x", "model": "m", "conversation": LONG, "turn": 2},
          "turns (conversation)", messages("conversation"), talk(Q, A, Q2, A2)),
    Shape("allenai/WildChat-1M", {"conversation": [{**turn, "toxic": False} for turn in ROLES], "language": "English"},
          "turns (conversation)", messages("conversation")),
    Shape("llamafactory/glaive_toolcall_en", {
        "tools": json.dumps([TOOL]),
        "conversations": [SHARE[0], {"from": "function_call", "value": json.dumps(CALL)},
                          {"from": "observation", "value": "9"}, {"from": "gpt", "value": A}]},
        "conversations (ShareGPT)", {"messages": "conversations", "tools": "tools"},
        [{"role": "user", "content": Q, "tools": [TOOL]}, {"role": "assistant", "content": "", "tool_calls": [CALLED]},
         {"role": "tool", "content": "9"}, {"role": "assistant", "content": A}]),
    Shape("tool calls as OpenAI writes them", {
        "messages": [ROLES[0],
                     {"role": "assistant", "content": None,
                      "tool_calls": [WIRED]},
                     {"role": "tool", "content": "9", "tool_call_id": "c1", "name": "depth"}, ROLES[1]],
        "tools": [TOOL]},
        "messages", {"messages": "messages", "tools": "tools"},
        [{**ROLES[0], "tools": [TOOL]}, {"role": "assistant", "content": "", "tool_calls": [{"id": "c1", **CALLED}]},
         {"role": "tool", "content": "9", "tool_call_id": "c1", "name": "depth"}, ROLES[1]]),
    Shape("content parts that are texts", {
        "messages": [{"role": "user", "content": [{"type": "text", "text": one} for one in ("Which sea ", "is it?")]},
                     {"role": "assistant", "content": [{"type": "text", "text": A}]}]}, "messages", messages()),
    # ShareGPT and its variants
    Shape("anon8231489123/ShareGPT_Vicuna_unfiltered", {"id": "x", "conversations": SHARE},
          "conversations (ShareGPT)", messages("conversations")),
    Shape("teknium/OpenHermes-2.5", {
        "custom_instruction": None, "conversations": [{"from": "system", "value": "Be dry."}, *SHARE], "source": "x"},
        "conversations (ShareGPT)", messages("conversations"), talk(Q, A, system="Be dry.")),
    Shape("mlabonne/FineTome-100k", {"conversations": SHARE, "source": "x", "score": 5.1},
          "conversations (ShareGPT)", messages("conversations")),
    Shape("Open-Orca/SlimOrca", {"conversations": [{**turn, "weight": None} for turn in SHARE]},
          "conversations (ShareGPT)", messages("conversations")),
    Shape("LDJnr/Capybara", {"source": "x", "conversation": [{"input": Q, "output": A}, {"input": Q2, "output": A2}]},
          "turns (conversation)", messages("conversation"), talk(Q, A, Q2, A2)),
    Shape("fnlp/moss-003-sft-data", {
        "conversation_id": 1, "conversation": [{"human": Q, "assistant": A}, {"human": Q2, "assistant": A2}]},
        "turns (conversation)", messages("conversation"), talk(Q, A, Q2, A2)),
    Shape("pfb30/multi_woz_v22", {
        "dialogue_id": "x", "services": ["sea"],
        "turns": {"turn_id": ["0", "1"], "speaker": [0, 1], "utterance": [Q, A]}},
        "turns (turns)", messages("turns"), warning="whoever speaks first"),
    Shape("speakers with names", {
        "dialog": [{"speaker": "Mira", "text": Q}, {"speaker": "Vudo", "text": A}]},
        "turns (dialog)", messages("dialog"), warning="whoever speaks first"),
    Shape("stingning/ultrachat", {"id": "0", "data": [Q, A, Q2, A2]}, "turns as plain texts (data)", messages("data"),
          talk(Q, A, Q2, A2), "does not say who speaks"),
    Shape("li2017dailydialog/daily_dialog", {"dialog": [Q, A, Q2, A2], "act": [2, 1, 2, 1], "emotion": [0, 0, 0, 0]},
          "turns as plain texts (dialog)", messages("dialog"), talk(Q, A, Q2, A2), "does not say who speaks"),
    Shape("allenai/soda", {"head": "x", "dialogue": [Q, A], "speakers": ["Mira", "Vudo"], "narrative": "A walk."},
          "turns as plain texts (dialogue)", messages("dialogue"), warning="does not say who speaks"),
    Shape("timdettmers/openassistant-guanaco", {
        "text": f"### Human: {Q}### Assistant: {A}### Human: {Q2}### Assistant: {A2}"},
          "transcript (text)", messages("text"), talk(Q, A, Q2, A2), "turns were found by the names"),
    Shape("OpenAssistant/oasst1 (trees)", {"message_tree_id": "x", "prompt": {
        "text": Q, "role": "prompter", "replies": [
            {"text": "No idea.", "role": "assistant", "rank": 1, "replies": []},
            {"text": A, "role": "assistant", "rank": 0, "replies": [{"text": Q2, "role": "prompter", "replies": [
                {"text": A2, "role": "assistant", "rank": None, "replies": []}]}]}]}},
        "tree of replies (prompt)", messages("prompt"), talk(Q, A, Q2, A2), PATH),
    # one question, one answer
    Shape("tatsu-lab/alpaca", {"instruction": Q, "input": "", "output": A, "text": f"Below is … {Q} {A}"},
          "instruction/input/output (Alpaca)", sides("instruction+input", "output")),
    Shape("yahma/alpaca-cleaned", {"instruction": "Name it.", "input": "the sea", "output": A},
          "instruction/input/output (Alpaca)", sides("instruction+input", "output"), talk("Name it.\n\nthe sea", A)),
    Shape("sahil2801/CodeAlpaca-20k", {"output": A, "instruction": Q, "input": ""},
          "instruction/input/output (Alpaca)", sides("instruction+input", "output")),
    Shape("nickrosh/Evol-Instruct-Code-80k-v1", {"instruction": Q, "output": A},
          "instruction/input/output (Alpaca)", sides("instruction", "output")),
    Shape("databricks/databricks-dolly-15k", {"instruction": Q, "context": "", "response": A, "category": "open_qa"},
          "instruction/context/response (Dolly)", sides("instruction+context", "response")),
    Shape("Open-Orca/OpenOrca", {"id": "x", "system_prompt": "Be dry.", "question": Q, "response": A},
          "system+question/response", sides("question", "response", "system_prompt"), talk(Q, A, system="Be dry.")),
    Shape("openai/gsm8k", {"question": Q, "answer": A}, "question/answer", sides("question", "answer")),
    Shape("microsoft/orca-math-word-problems-200k", {"question": Q, "answer": A}, "question/answer",
          sides("question", "answer")),
    Shape("meta-math/MetaMathQA", {"type": "GSM", "query": Q, "original_question": Q2, "response": A},
          "query/response", sides("query", "response")),
    Shape("EleutherAI/hendrycks_math", {"problem": Q, "level": "Level 1", "type": "Algebra", "solution": A},
          "problem/solution", sides("problem", "solution")),
    Shape("AI-MO/NuminaMath-CoT", {"source": "x", "problem": Q, "solution": A, "messages": ROLES}, "messages",
          messages(), warning="it could also be problem/solution"),
    Shape("nvidia/OpenMathInstruct-2", {"problem": Q, "generated_solution": A, "expected_answer": "7",
          "problem_source": "x"}, "problem/generated_solution", sides("problem", "generated_solution")),
    Shape("FreedomIntelligence/medical-o1-reasoning-SFT", {
          "Question": Q, "Complex_CoT": "Let me think.", "Response": A},
          "question/response", sides("Question", "Response")),
    Shape("trl-lib/tldr", {"prompt": Q, "completion": A}, "prompt/completion",
          sides("prompt", "completion")),
    Shape("trl-internal-testing/zen (conversational_prompt_completion)", {"prompt": ROLES[:1], "completion": ROLES[1:]},
          "prompt/completion", sides("prompt", "completion")),
    Shape("nvidia/HelpSteer", {"prompt": Q, "response": A, "helpfulness": 4}, "prompt/response",
          sides("prompt", "response")),
    Shape("MBZUAI/LaMini-instruction", {"instruction": Q, "response": A, "instruction_source": "x"},
          "instruction/response", sides("instruction", "response")),
    Shape("truthfulqa/truthful_qa", {"type": "x", "category": "y", "question": Q, "best_answer": A,
          "correct_answers": [A], "incorrect_answers": [A2], "source": "s"}, "question/best_answer",
          sides("question", "best_answer")),
    Shape("CohereLabs/aya_dataset", {"inputs": Q, "targets": A, "language": "English", "user_id": "u"},
          "inputs/targets", sides("inputs", "targets")),
    Shape("neulab/conala", {"question_id": 1, "intent": Q, "snippet": A}, "intent/snippet", sides("intent", "snippet")),
    Shape("google-research-datasets/mbpp", {"task_id": 1, "text": Q, "code": A, "test_list": ["assert x"]}, "text/code",
          sides("text", "code")),
    Shape("xlangai/spider", {"db_id": "sea", "query": "SELECT 1", "question": Q, "query_toks": ["SELECT", "1"]},
          "question/query", sides("question", "query"), talk(Q, "SELECT 1")),
    # with a context
    Shape("rajpurkar/squad", {"id": "x", "title": "Sea", "context": "It is grey.", "question": Q,
          "answers": {"text": [A], "answer_start": [0]}}, "context+question+answers (SQuAD)",
          sides("context+question", "answers"), talk(f"It is grey.\n\n{Q}", A)),
    Shape("b-mc2/sql-create-context", {"answer": A, "question": Q, "context": "CREATE TABLE sea"},
          "context+question+answer", sides("context+question", "answer"), talk(f"CREATE TABLE sea\n\n{Q}", A)),
    Shape("mandarjoshi/trivia_qa", {"question": Q, "question_id": "x", "answer": {"value": A, "aliases": [A, A2]}},
          "question/answer", sides("question", "answer")),
    Shape("google/boolq", {"question": "is it grey", "passage": "It is grey.", "answer": True},
          "passage+question+answer", sides("passage+question", "answer"), talk("It is grey.\n\nis it grey", "true"),
          "are no texts but values"),
    # bare texts
    Shape("knkarthick/samsum", {"id": "1", "dialogue": "Mira: hello\nVudo: bye", "summary": A}, "dialogue/summary",
          sides("dialogue", "summary"), talk("Mira: hello\nVudo: bye", A), BARE),
    Shape("EdinburghNLP/xsum", {"document": Q, "summary": A, "id": "1"}, "document/summary",
          sides("document", "summary"), warning=BARE),
    Shape("abisee/cnn_dailymail", {"article": Q, "highlights": A, "id": "1"}, "article/highlights",
          sides("article", "highlights"), warning=BARE),
    Shape("stanfordnlp/imdb", {"text": Q, "label": 1}, "text/label", sides("text", "label"), talk(Q, "pos"), BARE,
          {"label": ["neg", "pos"]}),
    Shape("fancyzhx/ag_news (without label names)", {"text": Q, "label": 2}, "text/label", sides("text", "label"),
          talk(Q, "2"), "numbers without names"),
    Shape("stanfordnlp/sst2", {"idx": 0, "sentence": Q, "label": 0}, "sentence/label", sides("sentence", "label"),
          talk(Q, "negative"), BARE, {"label": ["negative", "positive"]}),
    Shape("stanfordnlp/snli", {"premise": "It rains.", "hypothesis": "It is wet.", "label": 0},
          "premise+hypothesis/label", sides("premise+hypothesis", "label"),
          talk("It rains.\n\nIt is wet.", "entailment"), BARE, {"label": ["entailment", "neutral", "contradiction"]}),
    Shape("wmt/wmt16", {"translation": {"de": "Welches Meer?", "en": Q}}, "translation de to en",
          sides("translation.de", "translation.en"), talk("Welches Meer?", Q), "it could also be translation en to de"),
    # preferences
    Shape("Anthropic/hh-rlhf", {"chosen": LINES, "rejected": f"\n\nHuman: {Q}\n\nAssistant: No."}, "chosen/rejected",
          {"completion": "chosen"}, talk(Q, A, Q2, A2), CHOSEN),
    Shape("Intel/orca_dpo_pairs", {"system": "Be dry.", "question": Q, "chosen": A, "rejected": "No."},
          "question/chosen/rejected", sides("question", "chosen", "system"), talk(Q, A, system="Be dry."), CHOSEN),
    Shape("trl-lib/ultrafeedback_binarized", {"chosen": ROLES, "rejected": NO,
          "score_chosen": 8.0, "score_rejected": 2.0}, "chosen/rejected", {"completion": "chosen"}, warning=CHOSEN),
    Shape("jondurbin/truthy-dpo-v0.1", {
          "id": "x", "source": "s", "system": "", "prompt": Q, "chosen": A, "rejected": "No."},
          "prompt/chosen/rejected", sides("prompt", "chosen"), warning=CHOSEN),
    Shape("HuggingFaceH4/ultrafeedback_binarized", {"prompt": Q, "prompt_id": "x", "chosen": ROLES,
          "rejected": NO, "messages": ROLES, "score_chosen": 8.0},
          "messages", messages(), warning="it could also be prompt/chosen/rejected"),
    # columns in a cell
    Shape("a pandas export of gsm8k", {"question": {"0": Q}, "answer": {"0": A}}, "question/answer",
          sides("question", "answer")),
    Shape("turns numbered in a cell", {"messages": {"0": ROLES[0], "1": ROLES[1]}}, "messages", messages()),
    Shape("turns as columns in a cell", {"messages": {"role": ["user", "assistant"], "content": [Q, A]}}, "messages",
          messages()),
]  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES, ids=[shape.dataset for shape in SHAPES])
def test_a_known_dataset_is_read_as_it_is_meant(shape: Shape) -> None:
    (row,) = rows_in([shape.row])
    fmt = recognize(list(shape.row), [row], shape.labels)
    assert (fmt.name, fmt.mapping) == (shape.format, shape.mapping)
    assert to_conversation(row, fmt) == shape.messages
    assert 0.5 < fmt.confidence <= 1 and "all of the first rows fit" in fmt.reason
    assert shape.warning in " ".join(fmt.warnings)
    assert shape.warning or fmt.warnings == ()


def test_there_are_forty_public_datasets_and_no_two_alike() -> None:
    assert len({shape.dataset for shape in SHAPES if "/" in shape.dataset}) >= 40


def test_values_win_over_columns() -> None:
    row = {"messages": None, "question": Q, "answer": A}
    fmt = recognize(list(row), [row])
    assert fmt.name == "question/answer" and fmt.alternatives == ()


def test_one_cell_of_many_rows_becomes_them() -> None:
    exported = {"question": {"0": Q, "10": "10?", "2": Q2}, "answer": {"0": A, "2": A2, "10": "ten"}}
    assert [row["answer"] for row in rows_in([exported])] == [A, A2, "ten"]
    kept = {"question": Q, "answer": {"0": A}}
    assert list(rows_in([kept])) == [kept]


@pytest.mark.parametrize(
    ("row", "why"),
    [
        ({"messages": [{"role": "user", "content": [{"type": "image", "image": "x.png"}]}]}, "image in a turn"),
        ({"messages": [{"role": "user", "content": [{"type": "input_audio", "data": "x"}]}]}, "audio in a turn"),
        ({"messages": ROLES, "images": ["x.png"]}, "images beside the text"),
        ({"messages": [ROLES[0], {"role": "assistant", "content": "", "tool_calls": [{"x": 1}]}]}, "names no function"),
        ({"messages": ROLES, "tools": "nonsense"}, "no list of functions"),
        ({"question": Q, "answer": float("nan")}, "missing text"),
        ({"question": Q, "answers": {"text": []}}, "no answer"),
        ({"question": Q, "answer": "\ud800"}, "not valid Unicode"),
    ],
)
def test_what_cannot_be_trained_is_refused_by_name(row: dict[str, Any], why: str) -> None:
    with pytest.raises(RowProblem, match=why):
        to_conversation(row, recognize(list(row), [row]))


def test_a_mapping_is_taken_at_its_word() -> None:
    row = {"frage": Q, "antwort": A, "rolle": "Be dry."}
    fmt = given_format(list(row), [row], {"prompt": "frage", "completion": "antwort", "system": "rolle"})
    assert to_conversation(row, fmt) == talk(Q, A, system="Be dry.")
    assert (fmt.confidence, fmt.mapping["prompt"]) == (1.0, "frage")
    turns = {"verlauf": SHARE}
    assert to_conversation(turns, given_format(["verlauf"], [turns], messages("verlauf"))) == talk(Q, A)


@pytest.mark.parametrize(
    ("row", "name", "mapping", "expected"),
    [
        (
            {"prompt": "P", "completion": "C", "question": Q, "answer": A},
            "question/answer",
            {"prompt": "question", "completion": "answer"},
            talk(Q, A),
        ),
        (
            {"translation": {"en": "Hello", "de": "Hallo"}},
            "translation de to en",
            {"prompt": "translation.de", "completion": "translation.en"},
            talk("Hallo", "Hello"),
        ),
        (
            {"instruction": "Say it", "input": "x", "output": A, "question": Q, "answer": "B"},
            "question/answer",
            {"prompt": "question", "completion": "answer"},
            talk(Q, "B"),
        ),
    ],
)
def test_other_readings_come_with_the_mapping_that_gives_them(
    row: dict[str, Any], name: str, mapping: dict[str, str], expected: list[dict[str, Any]]
) -> None:
    fmt = recognize(list(row), [row])
    assert dict(fmt.readings)[name] == mapping
    assert to_conversation(row, given_format(list(row), [row], mapping)) == expected


def test_a_mapping_may_join_columns_and_name_labels() -> None:
    row = {"instruction": "Say it", "input": "twice", "label": 1}
    mapping = {"prompt": "instruction+input", "completion": "label"}
    fmt = given_format(list(row), [row], mapping, labels={"label": ["no", "yes"]})
    assert to_conversation(row, fmt) == talk("Say it\n\ntwice", "yes")
    with pytest.raises(DatasetError, match=r"data.mapping.prompt: .* no column inptu; did you mean input"):
        given_format(list(row), [row], mapping | {"prompt": "instruction+inptu"})


def test_templates_name_columns() -> None:
    row = {"question": Q, "hint": "{grey}", "answer": A}
    fmt = given_format(list(row), [row], {"completion": "answer"}, "### Question: {question} {{hint: {hint}}}")
    assert to_conversation(row, fmt) == talk(f"### Question: {Q} {{hint: {{grey}}}}", A)


def test_a_wrong_mapping_names_the_column_or_the_row() -> None:
    rows = [{"question": Q, "answer": A}, {"question": Q, "answer": None}]
    with pytest.raises(DatasetError, match=r"data.mapping.prompt: .* no column questoin; did you mean question"):
        given_format(["question", "answer"], rows, {"prompt": "questoin", "completion": "answer"})
    with pytest.raises(DatasetError, match=r"data.prompt_template: .* no column frage; it has: question, answer"):
        given_format(["question", "answer"], rows, {"completion": "answer"}, "{frage}")
    fmt = given_format(["question", "answer"], rows, {"completion": "answer"}, "{question}")
    assert "row 2 cannot be used: missing text (1 of the first 2 rows)" in fmt.warnings[0]
    with pytest.raises(DatasetError, match="row 1 cannot be used: no turns"):
        given_format(["question", "answer"], rows, messages("question"))


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | st.sampled_from(["[{", "{", LINES]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["role", "content", "from", "value", "speaker", "text", "0", "1", "replies", "rank", "type", "image", "de",
             "tool_calls", "function", "name", "arguments", "input", "output", "en"]
        ),
        inner,
        max_size=4,
    )
    | st.lists(st.fixed_dictionaries({"role": st.sampled_from(["user", "assistant", "tool", 1]), "content": inner})),
    max_leaves=10,
)  # fmt: skip
NAMES = sorted({name for shape in SHAPES for name in shape.row})


@settings(max_examples=250)
@given(st.lists(st.dictionaries(st.sampled_from(NAMES), JUNK, min_size=1, max_size=5), min_size=1, max_size=3))
def test_malformed_rows_are_named_problems_and_never_another_exception(rows: list[dict[str, Any]]) -> None:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    read = list(rows_in(rows))
    try:
        fmt = recognize(columns, read)
    except DatasetError as problem:
        assert str(problem)
        return
    for row in read:
        check(row, fmt)


@settings(max_examples=200)
@given(
    st.dictionaries(st.sampled_from(["a", "b", "c"]), JUNK, min_size=3), st.sampled_from(["prompt", "messages", "text"])
)
def test_malformed_rows_under_a_mapping_too(row: dict[str, Any], kind: str) -> None:
    mapping = messages("a") | {"tools": "b"} if kind == "messages" else {"completion": "b", "system": "c"}
    if kind == "prompt":
        mapping["prompt"] = "a"
    try:
        fmt = given_format(list(row), [row], mapping, "Say {a}" if kind == "text" else None)
    except DatasetError as problem:
        assert "row 1" in str(problem)
        return
    check(row, fmt)


def check(row: Mapping[str, Any], fmt: Format) -> None:
    try:
        turns = to_conversation(row, fmt)
    except RowProblem as problem:
        assert str(problem)
    else:
        assert turns[-1]["role"] == "assistant" and any(turn["role"] == "user" for turn in turns)
        assert all(isinstance(turn["content"], str) for turn in turns)
