"""What a run takes, in words: memory as measured and as estimated, and its steps. Knows no gradio and no HTML."""

from ftspace.state import RunState


def footprint(state: RunState) -> list[tuple[str, str]]:
    """The facts about memory and steps, as far as they are known."""
    prepared = state.prepared
    if prepared is None:
        return []
    memory = [] if state.memory is None else [scaled(state.memory, "B")]
    if prepared.predicted_bytes is not None:
        memory.append(f"{scaled(prepared.predicted_bytes, 'B')} estimated")
    step: list[str] = []
    if state.pace is not None:
        step.append(f"{state.pace:.2f} s")
    if prepared.step_flops is not None:
        step.append(scaled(prepared.step_flops, "FLOP"))
    return [(name, ", ".join(words)) for name, words in (("Memory", memory), ("Step", step)) if words]


def scaled(value: float, unit: str) -> str:
    """A number with the prefix that makes it short: 1.4 GB, 5.4 GFLOP."""
    for size, prefix in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:.1f} {prefix}{unit}"
    return f"{value:.0f} {unit}"
