"""Secrets that are handed out once: only their SHA-256 is ever stored."""

import hashlib
import hmac
import secrets
import unicodedata
from collections.abc import Callable

from server.node import b64url

Random = Callable[[int], bytes]
"""That many unpredictable bytes."""

SECRET_BYTES = 32
CODE_LENGTH = 10
CODE_ALPHABET = "34679ACDEFGHJKMNPQRTVWXY"
"""No two of these 24 look alike, spoken or written; ten of them make 45.8 bits."""

GROUP_LENGTH = 5


def new_secret(random: Random = secrets.token_bytes) -> str:
    """256 bits as base64url text."""
    return b64url(random(SECRET_BYTES))


def new_code_text(random: Random = secrets.token_bytes) -> str:
    """A code to type by hand, as `XXXXX-XXXXX`; every character is equally likely."""
    fair = 256 - 256 % len(CODE_ALPHABET)
    letters = ""
    while len(letters) < CODE_LENGTH:
        for byte in random(CODE_LENGTH):
            if byte < fair:
                letters += CODE_ALPHABET[byte % len(CODE_ALPHABET)]
    return f"{letters[:GROUP_LENGTH]}-{letters[GROUP_LENGTH:CODE_LENGTH]}"


def plain_code(typed: str) -> str:
    """What a person typed, without case, width, spaces and dashes."""
    text = unicodedata.normalize("NFKC", typed[:64]).upper()
    return "".join(letter for letter in text if letter.isalnum())


def digest(secret: str) -> str:
    """What is stored in place of a secret. The secrets are random, so no salt is needed."""
    return hashlib.sha256(secret.encode()).hexdigest()


def same(secret: str, stored: str) -> bool:
    """True when `stored` is the secret's digest; takes the same time either way."""
    return hmac.compare_digest(digest(secret), stored)
