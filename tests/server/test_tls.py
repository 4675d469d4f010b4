"""The local root and its leaves, judged by OpenSSL as a client would."""

import plistlib
import ssl
import stat
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from server import tls as tls_module
from server.tls import Names, Tls, TlsError, ensure, fingerprint, load, mobileconfig, renew

NOW = datetime.now(UTC).replace(microsecond=0)
NAMES = Names(("lingda.example",), (ip_address("192.168.7.9"), ip_address("127.0.0.1")))


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Tls:
    return ensure(tmp_path_factory.mktemp("tls") / "tls", NAMES, NOW)


def shake_hands(tls: Tls, host: str, trusted: Tls | None = None) -> None:
    """A TLS handshake in memory. ssl.SSLError when the client does not believe the server."""
    server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_side.load_cert_chain(tls.leaf, tls.leaf_key)
    client_side = ssl.create_default_context(cafile=str((trusted or tls).root))
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_side.wrap_bio(down, up, server_hostname=host)
    server = server_side.wrap_bio(up, down, server_side=True)
    for side in (client, server, client):
        try:
            side.do_handshake()
        except ssl.SSLWantReadError:
            continue
    assert client.version() == "TLSv1.3"


@pytest.mark.parametrize("host", ["lingda.example", "192.168.7.9", "127.0.0.1"])
def test_a_client_that_trusts_the_root_believes_every_name(made, host):
    shake_hands(made, host)


@pytest.mark.parametrize("host", ["other.example", "192.168.7.10"])
def test_no_other_name_is_believed(made, host):
    with pytest.raises(ssl.SSLCertVerificationError, match="mismatch"):
        shake_hands(made, host)


def test_another_installation_s_root_does_not_vouch_for_this_one(made, tmp_path):
    other = ensure(tmp_path / "tls", NAMES, NOW)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(made, "lingda.example", trusted=other)


@pytest.mark.parametrize(
    "names", [Names(("bank.example",)), Names((), (ip_address("8.8.8.8"),))], ids=["dns", "ip"]
)
def test_a_stolen_root_key_cannot_pose_as_another_site(made, tmp_path, names, monkeypatch):
    stolen = Tls(tmp_path)
    for path, copy in ((made.root, stolen.root), (made.root_key, stolen.root_key)):
        copy.write_bytes(path.read_bytes())
    with pytest.raises(TlsError) as refused:
        renew(stolen, names, NOW)
    assert refused.value.key == "outside_root"
    monkeypatch.setattr(tls_module, "_outside", lambda root, names: None)
    renew(stolen, names, NOW)
    with pytest.raises(ssl.SSLCertVerificationError, match="permitted subtree"):
        shake_hands(stolen, str((*names.dns, *names.ips)[0]))


def test_a_public_address_is_allowed_when_it_is_the_server_s_own(tmp_path):
    names = Names((), (ip_address("203.0.113.7"),))
    shake_hands(ensure(tmp_path / "tls", names, NOW), "203.0.113.7")


def test_lifetimes_are_what_phones_accept(made):
    leaf, root = load(made.leaf), load(made.root)
    assert leaf.not_valid_after_utc - leaf.not_valid_before_utc <= timedelta(days=825)
    assert leaf.not_valid_before_utc <= NOW - timedelta(days=1)
    assert root.not_valid_after_utc - NOW > timedelta(days=3650)


def test_files_are_readable_by_their_owner_alone(made):
    for path in (made.root, made.root_key, made.leaf, made.leaf_key):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(made.folder.stat().st_mode) == 0o700


def test_a_second_start_changes_nothing(made):
    before = [path.read_bytes() for path in sorted(made.folder.iterdir())]
    ensure(made.folder, NAMES, NOW)
    assert [path.read_bytes() for path in sorted(made.folder.iterdir())] == before


@pytest.mark.parametrize("days_later", [0, 800])
def test_renewing_keeps_the_root_that_phones_trust(tmp_path, days_later):
    tls = ensure(tmp_path / "tls", NAMES, NOW)
    root, leaf, shown = tls.root.read_bytes(), tls.leaf.read_bytes(), fingerprint(tls)
    later = NOW + timedelta(days=days_later)
    if days_later:
        ensure(tls.folder, NAMES, later)
    else:
        renew(tls, NAMES, later)
    assert tls.root.read_bytes() == root and fingerprint(tls) == shown
    assert tls.leaf.read_bytes() != leaf
    assert load(tls.leaf).not_valid_after_utc > later + timedelta(days=365)


def test_a_new_address_of_the_server_gets_a_new_leaf(tmp_path):
    tls = ensure(tmp_path / "tls", NAMES, NOW)
    moved = Names(NAMES.dns, (ip_address("10.1.2.3"),))
    ensure(tls.folder, moved, NOW)
    shake_hands(tls, "10.1.2.3")


def test_a_leaf_cut_off_from_its_key_is_made_again(tmp_path):
    tls = ensure(tmp_path / "tls", NAMES, NOW)
    other = ensure(tmp_path / "other", NAMES, NOW)
    tls.leaf_key.write_bytes(other.leaf_key.read_bytes())
    ensure(tls.folder, NAMES, NOW)
    shake_hands(tls, "lingda.example")


def test_the_root_key_may_be_kept_elsewhere_until_renewal(tmp_path):
    tls = ensure(tmp_path / "tls", NAMES, NOW)
    tls.root_key.unlink()
    ensure(tls.folder, NAMES, NOW)
    with pytest.raises(TlsError) as refused:
        renew(tls, NAMES, NOW)
    assert refused.value.key == "no_root_key"


def test_an_expired_root_says_so(made):
    with pytest.raises(TlsError) as refused:
        renew(made, NAMES, NOW + timedelta(days=4000))
    assert refused.value.key == "root_expired"


def test_the_fingerprint_is_the_root_s_sha256_in_groups(made):
    shown = fingerprint(made)
    assert shown.split() == [shown[at : at + 4] for at in range(0, len(shown), 5)]
    assert len(shown.split()) == 16
    assert shown.replace(" ", "").lower() == load(made.root).fingerprint(hashes.SHA256()).hex()


def test_the_ios_profile_carries_the_root_and_replaces_itself(made):
    once, again = (mobileconfig(made, "LingDa", "about") for _ in range(2))
    assert once == again
    profile = plistlib.loads(once)
    payload = profile["PayloadContent"][0]
    assert payload["PayloadType"] == "com.apple.security.root"
    der = load(made.root).public_bytes(serialization.Encoding.DER)
    assert payload["PayloadContent"] == der
    assert payload["PayloadUUID"] != profile["PayloadUUID"]


def test_keys_are_p_256(made):
    for path in (made.root_key, made.leaf_key):
        key = serialization.load_pem_private_key(path.read_bytes(), None)
        assert isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name == "secp256r1"
