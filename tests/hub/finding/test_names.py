"""Ids and addresses: whatever page of a repository is pasted, the same repository is meant."""

from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftspace.config import parse_config
from ftspace.errors import ConfigError
from ftspace.hub.finding.names import HOSTS, Named, read_name

PAGES = ("tree", "blob", "resolve", "commit", "raw", "viewer")
words = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}[A-Za-z0-9]", fullmatch=True).filter(
    lambda word: word not in (*PAGES, "commits", "blame", "datasets", "models", "spaces", "docs", "papers")
)
revisions = st.one_of(words, st.just("refs/pr/12"), st.builds("{}/{}".format, words, words))


@settings(max_examples=40)
@given(
    owner=words,
    name=words,
    kind=st.sampled_from(["", "datasets/"]),
    host=st.sampled_from(["", "https://", "http://", "HTTPS://"]),
    revision=revisions,
    page=st.sampled_from(["tree", "blob", "resolve"]),
    end=st.sampled_from(["", "/", "?library=x", "#usage"]),
    domain=st.sampled_from(HOSTS),
)
def test_every_page_of_a_repository_means_it(
    owner: str, name: str, kind: str, host: str, revision: str, page: str, end: str, domain: str
) -> None:
    meant, said = f"{owner}/{name}", "dataset" if kind else "model"
    address = f"{host}{domain}/{kind}{meant}"
    assert read_name(f" {address}{end}\n") == Named(meant, said, None)
    assert read_name(f"{address}/discussions{end}") == Named(meant, said, None)
    assert read_name(f"{address}/{page}/{quote(revision, safe='')}/a/file.json{end}") == Named(meant, said, revision)
    assert read_name(f"hf://{kind}{meant}@{quote(revision, safe='')}/a/file.json") == Named(meant, said, revision)


@given(st.text(max_size=200))
def test_no_text_breaks_it(text: str) -> None:
    try:
        found = read_name(text)
    except ValueError as error:
        assert len(str(error)) < 400
        return
    assert found is None or found.id


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("owner/name", None),
        ("gpt2", None),
        ("./data/rows.jsonl", None),
        ("/srv/model", None),
        ("file:///etc/passwd", None),
        ("datasets/owner/name", Named("owner/name", "dataset")),
        ("https://huggingface.co/gpt2", Named("gpt2", "model")),
        ("https://huggingface.co/gpt2/tree/main", Named("gpt2", "model", "main")),
        ("https://huggingface.co/datasets/gsm8k/viewer/main/train", Named("gsm8k", "dataset")),
        ("https://huggingface.co/a/b/tree/refs/pr/3/dir", Named("a/b", "model", "refs/pr/3")),
        ("hf.co/a/b", Named("a/b", "model")),
        ("http://127.0.0.1:99/a/b", Named("a/b", "model")),
    ],
)
def test_what_is_pasted(text: str, found: Named | None) -> None:
    assert read_name(text, (*HOSTS, "127.0.0.1:99")) == found


@pytest.mark.parametrize(
    "text",
    [
        "https://example.com/a/b",
        "https://huggingface.co.evil.example/a/b",
        "https://me:secret@huggingface.co/a/b",
        "https://huggingface.co",
        "https://huggingface.co/spaces/a/b",
        "https://huggingface.co/a/../../etc",
    ],
)
def test_what_is_no_repository_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"Hub|names no model") as caught:
        read_name(text)
    assert "secret" not in str(caught.value)


def test_a_config_keeps_what_the_address_means() -> None:
    page = "https://huggingface.co/{}towns/base/tree/v2"
    config = parse_config({"model": {"id": page.format("")}, "data": {"id": page.format("datasets/")}})
    assert (config.model.id, config.model.revision) == (config.data.id, config.data.revision) == ("towns/base", "v2")
    assert parse_config(config.model_dump()) == config


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"model": {"id": "hf.co/datasets/towns/sums"}}, "towns/sums is a dataset there"),
        ({"data": {"id": "https://huggingface.co/towns/base"}}, "towns/base is a model there"),
        ({"model": {"id": "hf.co/towns/base/tree/v2", "revision": "v1"}}, "keep one of them"),
    ],
)
def test_a_config_refuses_what_contradicts(values: dict[str, dict[str, str]], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_config(values)
