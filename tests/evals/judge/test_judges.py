import pytest

from evals.errors import ModelError
from evals.judge.judges import named, parse_judge, parse_judges


@pytest.mark.parametrize("text", ["", "ftp://host#m", "http://host/v1", "hub:name", "hub:"])
def test_what_is_no_judge(text: str) -> None:
    with pytest.raises(ModelError):
        parse_judge(text)


def test_each_judge_gets_its_own_token_and_name() -> None:
    names = ["http://a/v1#m", "http://b/v1#m", "hub:owner/m", "owner/m"]
    with pytest.raises(ModelError, match="2 hosts"):
        parse_judges(names, {"JUDGE_TOKEN": "t"})
    judges = parse_judges(names, {"JUDGE_1_TOKEN": "one", "JUDGE_2_TOKEN": "two", "HF_TOKEN": "hf"})
    assert [getattr(getattr(judge, "target", None), "token", None) for judge in judges] == ["one", "two", "hf", None]
    assert "one" not in repr(judges[0])
    assert [judge.name for judge in named(judges)] == ["m at a", "m at b", "m at Inference Providers", "m at here"]
    assert [judge.name for judge in named([parse_judge(names[0])] * 2)] == ["m at a", "m at a (2)"]
