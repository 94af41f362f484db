"""Settings of targets, secrets and files: where they come from, and what a start refuses in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from aurea_engine.workload.access import Access, PublishedSecret
from aurea_server.cli import main
from aurea_server.http.app import create_app
from aurea_server.settings.settings import VARIABLES, Settings, SettingsError
from aurea_server.settings.sources import resolve
from aurea_server.settings.targets import hidden_variables

PLANTED = "planted-5c2e91"


def access_of(given: dict[str, object] | None = None, **environ: str) -> Access:
    return resolve(given or {}, environ).settings.access


def test_by_default_nothing_is_allowed() -> None:
    access = access_of()
    assert access == Access(targets=(), local=False, most_connections=1000, most_rate=10_000)


def test_targets_are_settings_like_others(tmp_path: Path) -> None:
    wanted = ["app.example:80", "10.0.0.0/8", "[fd00::/8]:443"]
    file = tmp_path / "config.toml"
    file.write_text(f"allow_target = {wanted}\nmax_target_connections = 5\nmax_target_rate = 0.5\n")
    sources: list[Access] = [
        access_of({"allow_target": wanted}),
        access_of(AUREA_ALLOW_TARGET=", ".join(wanted)),
        access_of(AUREA_CONFIG=str(file)),
    ]
    for access in sources:
        assert access.targets is not None
        assert list(map(str, access.targets)) == ["app.example:80", "10.0.0.0/8", "[fd00::/8]:443"]
    assert (sources[2].most_connections, sources[2].most_rate) == (5, 0.5)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("allow_target", "app.example"), ("allow_target", "http://app.example:80"), ("allow_target", "10.0.0.1/8"),
        ("allow_target", "169.254.169.254:80"), ("allow_target", "10.0.0.0/8,169.254.0.0/16"),
        ("allow_target", "[fe80::1]:80"),
        ("allow_target", "0.0.0.0:80"), ("allow_target", "[::ffff:169.254.1.1]:80"), ("allow_target", "224.0.0.0/8"),
        ("secret", "api"), ("secret", "api=API@app:80"), ("secret", "api=env:API"), ("secret", "api=env:API@app"),
        ("secret", "api=env:API@10.0.0.0/8"), ("secret", "api=env:API@10.0.0.0/8:80"), ("secret", "=env:API@app:80"),
        ("secret", "a/b=env:API@app:80"), ("secret", "a=env:A-B@app:80"), ("secret", "a=env:A@app:80,a=env:B@app:80"),
        ("max_target_connections", "0"), ("max_target_rate", "0"), ("max_target_rate", "nan"), ("max_target_rate", "inf"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named(name: str, text: str) -> None:
    with pytest.raises(SettingsError, match=name):
        resolve({name: text}, {})


def test_secrets_are_read_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be read is told by the name of its place, and nothing of what it holds."""
    monkeypatch.setenv("API", PLANTED)
    (tmp_path / "key").write_text(f"{PLANTED}\n")
    given = {"secret": f"api=env:API@App.example:80, key=file:{tmp_path}/key@[fd00::1]:443"}
    access = access_of(given)
    assert access.secrets == {
        "api": PublishedSecret("env", "API", "app.example", 80),
        "key": PublishedSecret("file", f"{tmp_path}/key", "fd00::1", 443),
    }
    assert PLANTED not in repr(access) + str(access.to_plain())
    monkeypatch.setenv("API", f"{PLANTED}\r\nX-Other: 1")
    (tmp_path / "key").unlink()
    for text, words in [(given["secret"], "variable API"), (f"k=file:{tmp_path}/key@a:1", f"file {tmp_path}/key")]:
        with pytest.raises(SettingsError, match=words) as refused:
            access_of({"secret": text})
        assert PLANTED not in str(refused.value)


def test_unreadable_folder_is_refused(tmp_path: Path) -> None:
    assert access_of({"data_dir": str(tmp_path)}).data_dir == tmp_path
    (tmp_path / "file").touch()
    for path in (tmp_path / "none", tmp_path / "file"):
        with pytest.raises(SettingsError, match="data_dir"):
            access_of({"data_dir": str(path)})


def test_secret_without_target_is_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("API", PLANTED)
    settings = Settings(secret=("api=env:API@app.example:80",))
    assert ["api" in warning for warning in settings.check()] == [True]
    assert Settings(secret=settings.secret, allow_target=("app.example:80",)).check() == []


async def test_name_without_address_stops_start(tmp_path: Path) -> None:
    """It could never be reached: a name allows the addresses of the start."""
    settings = Settings(data=str(tmp_path), allow_target=("no-such-name.invalid:80",))
    with pytest.raises(SettingsError, match=r"no-such-name\.invalid has no address"):
        await create_app(settings=settings)


def test_runners_get_no_setting_of_server() -> None:
    """All but the variables in which published secrets stand; the token never."""
    access = Access(
        secrets={
            "a": PublishedSecret("env", "AUREA_API", "app", 80),
            "b": PublishedSecret("env", "AUREA_TOKEN", "app", 80),
            "c": PublishedSecret("file", "AUREA_DATA", "app", 80),
        }
    )
    hidden = hidden_variables(access, VARIABLES)
    assert hidden == VARIABLES
    assert {"AUREA_DATA", "AUREA_TOKEN", "AUREA_TOKEN_FILE", "AUREA_SECRET", "AUREA_CONFIG"} <= hidden
    published = Access(secrets={"d": PublishedSecret("env", "AUREA_DATA", "app", 80)})
    assert VARIABLES - hidden_variables(published, VARIABLES) == {"AUREA_DATA"}


def test_table_of_settings_shows_no_secret(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("API", PLANTED)
    monkeypatch.setenv("AUREA_SECRET", "api=env:API@app.example:80")
    for flags in ([], ["--json"]):
        assert main(["config", "--allow-target", "app.example:80", "--allow-target", "10.0.0.0/8", *flags]) == 0
        shown = capfd.readouterr().out
        assert "api=env:API@app.example:80" in "".join(shown.split())
        assert PLANTED not in shown


def test_help_tells_how_to_allow_a_target(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    assert main(["serve", "--help"]) == 0
    shown = capfd.readouterr().out
    for flag in ("--allow-target", "--secret", "--data-dir", "--max-target-connections", "--max-target-rate"):
        assert flag in shown
    assert "Nothing by default" in shown
