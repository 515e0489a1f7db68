from ftspace.events import Sample, Step
from ftspace.hub.jobs.words import LONGEST, Files, Listener, Printed, said

STEP = Step(step=3, epoch=0.1, loss=float("nan"), learning_rate=1e-4, tokens=9, seconds=1.5, seq=7, time=1234.0625)


def test_what_is_said_is_heard_however_long_it_is_and_whoever_speaks_between() -> None:
    long = Sample(step=0, index=0, prompt="é\n" * 4000, answer="[x]", reference="", time=2.0)
    files = Files(commit="c0ffee", files={f"checkpoints/step-{number}/state": "ab" * 32 for number in range(200)})
    for word in (STEP, long, files):
        lines = said(word)
        assert all(len(line) < LONGEST + 20 and "\n" not in line for line in lines)
        listener = Listener()
        assert listener.take("loading …") == Printed("loading …")
        heard = [listener.take(line) for line in lines]
        last = heard.pop()
        assert heard == [None] * (len(lines) - 1) and not isinstance(last, Printed) and last is not None
        assert last.model_dump_json() == word.model_dump_json()


def test_what_is_cut_off_is_passed_over() -> None:
    listener = Listener()
    whole = said(STEP)[0]
    assert listener.take(whole[:-5]) is None and listener.take("ftspace-files {") is None
    assert listener.take('ftspace-part {"v"') is None
    assert listener.take("Killed") == Printed("Killed")
    assert listener.take(whole) is not None
