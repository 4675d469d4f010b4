"""TLS on a network without public certificates: a local root that may sign for little, a leaf.

Phones trust the root once; leaves are renewed under it without touching a phone. The root is
name-constrained to this installation's names and to private addresses, so that a stolen root key
cannot pose as any other site.
"""

import plistlib
import uuid
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from msgspec import Struct

from server.data_folder import make_folder, write_private

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

ROOT_DAYS = 3_652
LEAF_DAYS = 824
"""Apple refuses leaves of more than 825 days, the first one counted."""

RENEW_BEFORE_DAYS = 60
EARLY = timedelta(days=1)
"""A phone whose clock is a day behind must still believe a new certificate."""

PRIVATE: tuple[str, ...] = (
    *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "127.0.0.0/8"),
    *("fc00::/7", "fe80::/10", "::1/128"),
)
ROOT_NAME = "LingDa local root"
LEAF_NAME = "LingDa server"
"""For a leaf of addresses alone: OpenSSL would judge an address here as a DNS name."""


class TlsError(Exception):
    """What stands in the way; `key` names the sentence, `detail` the name or file it is about."""

    def __init__(self, key: str, detail: str) -> None:
        super().__init__(key, detail)
        self.key = key
        self.detail = detail


class Names(Struct, frozen=True):
    """What the server is called by: DNS names and addresses, the preferred one first."""

    dns: tuple[str, ...] = ()
    ips: tuple[Address, ...] = ()

    def holds(self, other: "Names") -> bool:
        return set(other.dns) <= set(self.dns) and set(other.ips) <= set(self.ips)


class Tls(Struct, frozen=True):
    """The four files of one installation, each readable by its owner alone."""

    folder: Path

    @property
    def root_key(self) -> Path:
        return self.folder / "root.key"

    @property
    def root(self) -> Path:
        return self.folder / "root.crt"

    @property
    def leaf_key(self) -> Path:
        return self.folder / "server.key"

    @property
    def leaf(self) -> Path:
        return self.folder / "server.crt"


def names_of(hosts: Iterable[str]) -> Names:
    """Hosts as a person writes them, sorted into DNS names and addresses; repeats are dropped."""
    dns: list[str] = []
    ips: list[Address] = []
    for host in dict.fromkeys(hosts):
        try:
            ips.append(ip_address(host))
        except ValueError:
            dns.append(host.rstrip(".").lower())
    return Names(tuple(dns), tuple(ips))


def ensure(folder: Path, names: Names, now: datetime) -> Tls:
    """Afterwards there are a root and a leaf for all of `names` with two months left at least.

    TlsError `root_expired`, `outside_root` or `no_root_key`: only a new root would help.
    """
    tls = Tls(folder)
    if not tls.root.exists():
        make_root(tls, names, now)
    if not _still_good(tls, names, now):
        renew(tls, names, now)
    return tls


def make_root(tls: Tls, names: Names, now: datetime) -> None:
    """Make a root that may sign for these names and private addresses only. Phones trust it."""
    make_folder(tls.folder)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ROOT_NAME)])
    usage = {name: name in ("key_cert_sign", "crl_sign") for name in USAGES}
    root = (
        _dated(now, ROOT_DAYS)
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(_constraints(names), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    write_private(tls.root_key, _pem_of(key))
    write_private(tls.root, root.public_bytes(serialization.Encoding.PEM))


USAGES = (
    *("digital_signature", "content_commitment", "key_encipherment", "data_encipherment"),
    *("key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only"),
)


def _constraints(names: Names) -> x509.NameConstraints:
    networks: list[Network] = [ip_network(text) for text in PRIVATE]
    networks += [ip_network(ip) for ip in names.ips if not any(ip in known for known in networks)]
    allowed: list[x509.GeneralName] = [x509.DNSName(name) for name in ("localhost", *names.dns)]
    allowed += [x509.IPAddress(network) for network in networks]
    return x509.NameConstraints(permitted_subtrees=allowed, excluded_subtrees=None)


def renew(tls: Tls, names: Names, now: datetime) -> None:
    """Make a new leaf and key under the same root. Phones that trust the root notice nothing."""
    root = load(tls.root)
    if root.not_valid_after_utc <= now + timedelta(days=1):
        raise TlsError("root_expired", str(tls.root))
    if (outside := _outside(root, names)) is not None:
        raise TlsError("outside_root", outside)
    if not tls.root_key.exists():
        raise TlsError("no_root_key", str(tls.root_key))
    signer = serialization.load_pem_private_key(tls.root_key.read_bytes(), None)
    assert isinstance(signer, ec.EllipticCurvePrivateKey)
    key = ec.generate_private_key(ec.SECP256R1())
    leaf = _leaf(root, names, now, key.public_key()).sign(signer, hashes.SHA256())
    write_private(tls.leaf_key, _pem_of(key))
    write_private(tls.leaf, leaf.public_bytes(serialization.Encoding.PEM))


def _leaf(
    root: x509.Certificate, names: Names, now: datetime, key: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    every: list[x509.GeneralName] = [x509.DNSName(name) for name in names.dns]
    every += [x509.IPAddress(ip) for ip in names.ips]
    called = (*names.dns, LEAF_NAME)[0]
    usage = {name: name == "digital_signature" for name in USAGES}
    issuer = root.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    end = min(now - EARLY + timedelta(days=LEAF_DAYS), root.not_valid_after_utc)
    return (
        _dated(now, LEAF_DAYS, end)
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, called[:64])]))
        .issuer_name(root.subject)
        .public_key(key)
        .add_extension(x509.SubjectAlternativeName(every), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(**usage), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(issuer), critical=False
        )
    )


def _dated(now: datetime, days: int, end: datetime | None = None) -> x509.CertificateBuilder:
    start = now - EARLY
    return (
        x509.CertificateBuilder()
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(end or start + timedelta(days=days))
    )


def _outside(root: x509.Certificate, names: Names) -> str | None:
    """The first name that the root may not sign for."""
    within = _within(root, names)
    outside = [*(set(names.dns) - set(within.dns)), *(set(names.ips) - set(within.ips))]
    return str(outside[0]) if outside else None


def may_sign(tls: Tls, names: Names) -> Names:
    """Those of the names that the root may vouch for; all of them while there is no root yet."""
    return _within(load(tls.root), names) if tls.root.exists() else names


def _within(root: x509.Certificate, names: Names) -> Names:
    limits = root.extensions.get_extension_for_class(x509.NameConstraints).value
    allowed = limits.permitted_subtrees or []
    domains = [one.value for one in allowed if isinstance(one, x509.DNSName)]
    networks = [one.value for one in allowed if isinstance(one, x509.IPAddress)]
    return Names(
        tuple(
            name
            for name in names.dns
            if any(name == domain or name.endswith(f".{domain}") for domain in domains)
        ),
        tuple(
            ip
            for ip in names.ips
            if any(isinstance(network, Network) and ip in network for network in networks)
        ),
    )


def _still_good(tls: Tls, names: Names, now: datetime) -> bool:
    if not (tls.leaf.exists() and tls.leaf_key.exists()):
        return False
    leaf, root = load(tls.leaf), load(tls.root)
    key = serialization.load_pem_private_key(tls.leaf_key.read_bytes(), None)
    if leaf.issuer != root.subject or not leaf_names(leaf).holds(names):
        return False
    if leaf.public_key() != key.public_key():  # Power failed between the two writes.
        return False
    return leaf.not_valid_after_utc > now + timedelta(days=RENEW_BEFORE_DAYS)


def leaf_names(leaf: x509.Certificate) -> Names:
    """The names that a leaf is good for."""
    every = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    ips = every.get_values_for_type(x509.IPAddress)
    return Names(
        tuple(every.get_values_for_type(x509.DNSName)),
        tuple(ip for ip in ips if isinstance(ip, Address)),
    )


def load(path: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate(path.read_bytes())


def fingerprint(tls: Tls) -> str:
    """The root's SHA-256 in 16 groups of 4 hex digits, for people to compare by eye."""
    text = load(tls.root).fingerprint(hashes.SHA256()).hex().upper()
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def root_der(tls: Tls) -> bytes:
    """The root as Android wants it."""
    return load(tls.root).public_bytes(serialization.Encoding.DER)


def mobileconfig(tls: Tls, title: str, about: str) -> bytes:
    """The root as an iOS profile. The same root gives the same ids, so it replaces itself."""
    root = root_der(tls)
    inner, outer = (str(uuid.uuid5(uuid.NAMESPACE_OID, root.hex() + end)) for end in "ab")
    certificate = {
        "PayloadType": "com.apple.security.root",
        "PayloadVersion": 1,
        "PayloadIdentifier": f"lingda.root.{inner}",
        "PayloadUUID": inner.upper(),
        "PayloadDisplayName": title,
        "PayloadDescription": about,
        "PayloadCertificateFileName": "lingda.crt",
        "PayloadContent": root,
    }
    profile = {
        "PayloadType": "Configuration",
        "PayloadVersion": 1,
        "PayloadIdentifier": f"lingda.profile.{outer}",
        "PayloadUUID": outer.upper(),
        "PayloadDisplayName": title,
        "PayloadDescription": about,
        "PayloadRemovalDisallowed": False,
        "PayloadContent": [certificate],
    }
    return plistlib.dumps(profile)


def now_utc() -> datetime:
    return datetime.now(UTC)


def _pem_of(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
