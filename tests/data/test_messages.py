import pytest

from ftspace.data.messages import is_transcript, read_transcript


@pytest.mark.parametrize("blank", ["\n", " ", "\t", "\r\n", "\n ", "\u00a0"])
@pytest.mark.parametrize("mark", ["", "### "])
def test_a_long_run_of_blanks_is_gone_over_once(mark: str, blank: str) -> None:
    blanks = blank * 100_000
    said = f"{mark}Human:{blanks}Hello.{blanks}\n{blanks}{mark}Assistant:{blanks}Good day.{blanks}end"
    assert not is_transcript(f"{mark}Human{blanks}Hello.{blanks}")
    assert [(turn["role"], len(turn["content"])) for turn in read_transcript(said)] == [
        ("user", 6),
        ("assistant", 12 + len(blanks)),
    ]
