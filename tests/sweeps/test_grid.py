import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ftspace.config import RunConfig, default_config
from ftspace.errors import ConfigError
from ftspace.sweeps.grid import MOST, cells_of, check_ends, count, parse_grid

BASE = default_config()
NUMBERS = {
    "train.learning_rate": st.floats(1e-6, 0.9),
    "lora.r": st.integers(1, 1024),
    "lora.alpha": st.integers(1, 500),
    "data.fraction": st.floats(0.01, 1),
    "train.seed": st.integers(0, 1000),
}
GRIDS = st.fixed_dictionaries(
    {}, optional={field: st.lists(values, min_size=1, max_size=4, unique=True) for field, values in NUMBERS.items()}
).filter(bool)


def flat(config: RunConfig) -> dict[str, Any]:
    return {f"{name}.{field}": value for name, fields in config.model_dump().items() for field, value in fields.items()}


@given(GRIDS)
def test_every_combination_becomes_a_cell_of_just_these_values(grid: dict[str, list[float]]) -> None:
    axes = parse_grid([f"{field}={','.join(map(repr, values))}" for field, values in grid.items()])
    cells = cells_of(BASE, axes)
    assert len(cells) == count(axes) == math.prod(map(len, grid.values()))
    assert len({cell.name for cell in cells}) == len(cells)
    before = flat(BASE)
    for cell in cells:
        after = flat(cell.config)
        assert all(after[field] in values for field, values in grid.items())
        assert {field for field in after if after[field] != before[field]} <= set(grid)


def test_the_last_axis_moves_fastest_and_names_say_the_values() -> None:
    cells = cells_of(BASE, parse_grid(["train.learning_rate=1e-4,2e-4", "lora.r=8,16"]))
    assert [cell.name for cell in cells] == [
        "learning_rate=1e-4 r=8",
        "learning_rate=1e-4 r=16",
        "learning_rate=2e-4 r=8",
        "learning_rate=2e-4 r=16",
    ]


def test_lists_stand_in_brackets_and_null_leaves_it_to_the_run() -> None:
    cells = cells_of(BASE, parse_grid(["lora.target_modules=[q_proj,v_proj],all-linear", "train.epochs=null,3"]))
    assert cells[0].config.lora.target_modules == ["q_proj", "v_proj"]
    assert [cell.config.train.epochs for cell in cells] == [None, 3, None, 3]
    assert cells[0].name == "target_modules=q_proj+v_proj epochs=auto"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train.learning_rat=1"], "did you mean train.learning_rate"),
        (["nothing"], "give FIELD=VALUE,VALUE"),
        (["lora.r=8,,16"], "a value is missing"),
        (["lora.r="], "a value is missing"),
        (["lora.r=8", "lora.r=16"], "given twice"),
        (["data.seed=1,2"], "which rows or questions there are"),
        (["model.id=a,b"], "who is asked, or how"),
        (["eval.max_new_tokens=8,16"], "who is asked, or how"),
        (["hub.push=a/b"], "no choice between better and worse"),
        (["train.learning_rate=1e-5..1e-3"], "--search optuna"),
        (["lora.target_modules=[q_proj"], "a value is missing"),
        ([], "names no setting"),
    ],
)
def test_what_cannot_be_varied_is_refused(words: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse_grid(words)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["lora.r=8,many"], r"the cell r=many cannot be: lora\.r: .*integer"),
        (["lora.method=full", "lora.r=8,16"], "the cell method=full r=8 cannot be: .*belongs to the method"),
        (["train.learning_rate=1e-4,0.0001"], "are the same run"),
    ],
)
def test_a_cell_that_cannot_be_is_named(words: list[str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        cells_of(BASE, parse_grid(words))


def test_more_cells_than_anybody_means_are_refused_without_being_made() -> None:
    axes = parse_grid([f"lora.r={','.join(map(str, range(1, 200)))}", f"train.seed={','.join(map(str, range(200)))}"])
    assert count(axes) == 199 * 200 > MOST
    with pytest.raises(ConfigError, match="39,800 cells"):
        cells_of(BASE, axes)


def test_a_search_has_ranges_by_orders_of_magnitude_where_they_are_wide() -> None:
    rate, rank, share = parse_grid(
        ["train.learning_rate=1e-5..1e-3", "lora.r=4..32", "data.fraction=0.5..1"], search=True
    )
    assert rate.is_range and rate.is_log and not rate.whole and (rate.low, rate.high) == (1e-5, 1e-3)
    assert rank.whole and not rank.is_log and not share.is_log
    check_ends(BASE, [rate, rank, share])
    for word, said in (
        ("lora.r=32..4", "up to a larger one"),
        ("lora.r=a..b", "from a number"),
        ("train.loss_on=all,completion", "changes the meaning of"),
    ):
        with pytest.raises(ConfigError, match=said):
            parse_grid([word], search=True)
    with pytest.raises(ConfigError, match=r"the cell fraction=2 cannot be"):
        check_ends(BASE, parse_grid(["data.fraction=0.5..2"], search=True))
