"""The trust page stands alone on plain http: steps, fingerprint, two downloads, nothing else."""

import base64
import hashlib
import plistlib
import re
from datetime import UTC, datetime

import pytest
from cryptography import x509
from starlette.testclient import TestClient

from schema.words import LANGUAGES
from server.config import Config
from server.routes.trust import Trust, build_trust_app
from server.tls import ensure, fingerprint, load, names_of

HTTPS = "https://192.168.7.9:8081"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_0 like Mac OS X) Safari/604.1"
ANDROID = "Mozilla/5.0 (Linux; Android 13) Chrome/120"


@pytest.fixture(scope="module")
def trust(tmp_path_factory):
    folder = tmp_path_factory.mktemp("trust")
    tls = ensure(folder / "tls", names_of(["192.168.7.9"]), datetime.now(UTC))
    return Trust(tls, HTTPS, "http://192.168.7.9:8082/", "<Centre>", Config(data=folder).static)


@pytest.fixture(scope="module")
def client(trust):
    return TestClient(build_trust_app(trust))


def opened(html: str) -> list[str]:
    return re.findall(r'data-kind="(\w+)" open', html)


def test_the_page_shows_the_root_s_fingerprint_and_where_to_go(client, trust):
    page = client.get("/").text
    assert re.findall(r"<span>([0-9A-F]{4})</span>", page) == fingerprint(trust.tls).split()
    assert f'href="{HTTPS}/app/"' in page and f'data-probe="{HTTPS}/v1/hello"' in page
    assert "&lt;Centre&gt;" in page and "<Centre>" not in page


@pytest.mark.parametrize(
    ("agent", "kind"), [(IPHONE, "ios"), (ANDROID, "android"), ("", "computer")]
)
def test_the_asking_phone_s_own_steps_are_unfolded(client, agent, kind):
    assert opened(client.get("/", headers={"user-agent": agent}).text) == [kind]


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_is_one_tap_away(client, language):
    page = client.get("/", params={"lang": language}).text
    other = next(one for one in LANGUAGES if one != language)
    assert f'lang="{language}"' in page and f'href="?lang={other}"' in page


def test_a_browser_without_a_wish_gets_chinese(client):
    assert 'lang="zh-CN"' in client.get("/", headers={"accept-language": "fr"}).text
    assert 'lang="en"' in client.get("/", headers={"accept-language": "en-GB"}).text


def test_only_the_page_s_own_script_and_style_may_run(client):
    answer = client.get("/")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy and f"connect-src {HTTPS}" in policy
    for tag in ("style", "script"):
        (text,) = re.findall(f"<{tag}>(.*?)</{tag}>", answer.text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert not re.search(r"<(link|img|iframe)|src=", answer.text)


def test_both_downloads_carry_the_root(client, trust):
    android, ios = client.get("/lingda.crt"), client.get("/lingda.mobileconfig")
    assert android.headers["content-type"] == "application/x-x509-ca-cert"
    assert ios.headers["content-type"] == "application/x-apple-aspen-config"
    root = load(trust.tls.root)
    payload = plistlib.loads(ios.content)["PayloadContent"][0]
    for der in (android.content, payload["PayloadContent"]):
        assert x509.load_der_x509_certificate(der) == root


@pytest.mark.parametrize(
    "path", ["/desk", "/v1/sync", "/app/", "/static/css/desk.css", "/root.key"]
)
def test_nothing_else_is_served(client, path):
    assert client.get(path).status_code == 404
    assert client.post("/").status_code == 405
