import os
from pathlib import Path

import pytest

from ftspace.config import anchor, default_config, parse_config
from ftspace.errors import ConfigError
from ftspace.settings import ASSETS, anchored, own_gradio_folder, read_settings, resolve_local, worker_env


@pytest.mark.parametrize(
    "environ",
    [
        {"FTSPACE_PORT": "abc"},
        {"FTSPACE_PORT": "0"},
        {"FTSPACE_DATA": "~nobody-here/x"},
        {"FTSPACE_WEBHOOK": "host/secretpw"},
        {"FTSPACE_WEBHOOK": "https://user:secretpw@host/x"},
    ],
)
def test_a_setting_that_cannot_be_is_named(environ: dict[str, str]) -> None:
    with pytest.raises(ConfigError, match=next(iter(environ))) as caught:
        read_settings(environ=environ)
    assert "secretpw" not in str(caught.value)


@pytest.mark.parametrize("address", ["https://host", "http://[::1]:80/x?y=@", "https://host/@team"])
def test_an_address_may_be_any_that_holds_no_password(address: str) -> None:
    assert read_settings(environ={"FTSPACE_WEBHOOK": address}).webhook == address


def test_a_flag_wins_over_the_environment(tmp_path: Path) -> None:
    settings = read_settings(tmp_path / "flag", environ={"FTSPACE_DATA": str(tmp_path / "env")})
    assert settings.runs_dir == tmp_path / "flag" / "runs"
    assert read_settings(environ={"FTSPACE_DATA": "here"}).data_dir == Path("here").absolute()


def test_a_space_whose_gpu_is_lent_is_known() -> None:
    assert read_settings(environ={"SPACES_ZERO_GPU": "true"}).zero_gpu
    assert not read_settings(environ={"SPACES_ZERO_GPU": "false"}).zero_gpu


@pytest.mark.parametrize("name", ["owner/model", "x" * 300, "~nobody-here/x", "a\0b", ""])
def test_what_is_no_path_is_none(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert name == "" or resolve_local(name) is None


def test_names_mean_the_same_in_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.jsonl").touch()
    assert anchored("mine.jsonl") == str(tmp_path / "mine.jsonl")
    assert anchored("assets/base") == "assets/base"
    assert anchored("owner/model") == "owner/model"
    assert resolve_local("assets/base") == ASSETS / "base"
    config = anchor(
        parse_config({"data": {"id": "mine.jsonl"}, "eval": {"tasks": ["heldout"], "forgetting": ["mine.jsonl"]}})
    )
    assert config.data.id == config.eval.forgetting[0] == str(tmp_path / "mine.jsonl")
    assert anchor(default_config()) == default_config()


@pytest.mark.parametrize(
    ("given", "seen"),
    [(None, "0"), ("3", "3"), ("3,1", "3"), (" GPU-8f2 , GPU-1c7", "GPU-8f2"), ("", ""), ("-1", "-1")],
)
def test_a_job_sees_one_gpu_at_most(given: str | None, seen: str) -> None:
    environ = {} if given is None else {"CUDA_VISIBLE_DEVICES": given}
    assert worker_env(offline=False, environ=environ)["CUDA_VISIBLE_DEVICES"] == seen


def test_a_job_asks_the_hub_only_when_it_may() -> None:
    assert "HF_HUB_OFFLINE" not in worker_env(offline=False, environ={})
    assert worker_env(offline=True, environ={})["HF_HUB_OFFLINE"] == "1"


def test_gradios_copies_are_this_processs_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    own_gradio_folder()
    assert os.environ["GRADIO_TEMP_DIR"] == str(tmp_path)
    monkeypatch.setenv("GRADIO_TEMP_DIR", "")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    own_gradio_folder()
    folder = Path(os.environ["GRADIO_TEMP_DIR"])
    assert folder.parent == tmp_path and folder.stat().st_mode & 0o777 == 0o700
