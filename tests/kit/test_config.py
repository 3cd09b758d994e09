from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kit import config
from kit.config import ConfigurationError, one_of, setting, truth, words


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working folder without settings, and a registry that is put back."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ALICERCE_HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    monkeypatch.setattr(config, "REGISTRY", {})
    config._files.cache_clear()
    yield tmp_path
    config._files.cache_clear()


def test_a_services_own_variable_comes_first(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    size = setting("SIZE", 5, "How big.")
    assert (size(), size.of("auth")) == (5, 5)
    monkeypatch.setenv("SIZE", "7")
    monkeypatch.setenv("AUTH_SERVICE_SIZE", "9")
    assert (size(), size.of("auth"), size.of("tenant")) == (7, 9, 7)


def test_the_environment_comes_before_the_files_and_ours_is_last(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = setting("NAME", "default", "Whose.")
    (empty / "home" / "environment").write_text("NAME=generated\n")
    assert name() == "generated"
    (empty / ".env").write_text("NAME=chosen # by hand\n")
    config._files.cache_clear()
    assert name() == "chosen"
    monkeypatch.setenv("NAME", "spoken")
    assert name() == "spoken"


def test_an_empty_variable_hides_nothing(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = setting("NAME", "default", "Whose.")
    monkeypatch.setenv("NAME", "")
    assert name() == "default"
    (empty / ".env").write_text("NAME=\n")
    (empty / "home" / "environment").write_text("NAME=generated\n")
    config._files.cache_clear()
    assert name() == "generated"


@pytest.mark.parametrize(
    ("default", "text", "value"),
    [
        (5, "7", 7),
        (0.5, "2", 2.0),
        (False, "Yes", True),
        (True, "off", False),
        ("a", " b ", " b "),
        ((), "a, b,,", ("a", "b")),
    ],
)
def test_a_value_is_read_as_its_default(
    empty: Path, monkeypatch: pytest.MonkeyPatch, default: Any, text: str, value: Any
) -> None:
    monkeypatch.setenv("THING", text)
    read = setting("THING", default, "A thing.")()
    assert (read, type(read)) == (value, type(value))


def test_all_bad_values_are_named_together(empty: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setting("SIZE", 5, "How big.")
    setting("LOUD", False, "Whether.")
    setting("MODE", "a", "Which.", one_of("a", "b"))
    config.check("auth")
    for name, text in (("SIZE", "big"), ("AUTH_SERVICE_LOUD", "perhaps"), ("MODE", "c")):
        monkeypatch.setenv(name, text)
    with pytest.raises(ConfigurationError) as raised:
        config.check("auth")
    for part in ("SIZE='big'", "AUTH_SERVICE_LOUD='perhaps'", "use true or false", "MODE='c'", "use one of: a, b"):
        assert part in str(raised.value)
    monkeypatch.delenv("SIZE")
    monkeypatch.delenv("MODE")
    config.check("tenant")


def test_one_name_has_one_meaning(empty: Path) -> None:
    first = setting("SIZE", 5, "How big.")
    assert setting("SIZE", 5, "How big.") is first
    with pytest.raises(ConfigurationError, match="SIZE is declared twice"):
        setting("SIZE", 5, "How heavy.")


@pytest.mark.parametrize("example", ["change-me", "CHANGEME", " supersecretlocal ", "secret", "your-secret-key"])
def test_an_example_of_a_secret_is_refused_where_it_matters(
    empty: Path, monkeypatch: pytest.MonkeyPatch, example: str
) -> None:
    monkeypatch.setenv("SECRET_KEY", example)
    for environment in ("development", "test"):
        monkeypatch.setenv("ENV", environment)
        assert config.passphrase() is None
    for environment in ("staging", "production"):
        monkeypatch.setenv("ENV", environment)
        with pytest.raises(ConfigurationError, match="still an example"):
            config.passphrase()
    monkeypatch.setenv("SECRET_KEY", "o3-A9_x7")
    assert config.passphrase() == b"o3-A9_x7"


@pytest.mark.parametrize("text", ["perhaps", "2", "ja", "t"])
def test_a_switch_is_plain(text: str) -> None:
    with pytest.raises(ValueError, match="true or false"):
        truth(text)


def test_a_list_has_no_blanks() -> None:
    assert words(" a ,, b c ,") == ("a", "b c")
