"""The app's first load: small, and from this server alone."""

import gzip
import re
from urllib.parse import urlsplit

from tests.e2e.centre import STATIC
from tests.e2e.hands import Phone

FIRST_JS_KB_MAX = 120
"""Gzipped, the map apart: what a phone on a bad network must fetch before its first screen."""


def test_the_first_script_is_small():
    index = (STATIC / "app/index.html").read_text(encoding="utf-8")
    scripts = re.findall(r'"/app/(assets/[^"]+\.js)"', index)
    size = sum(len(gzip.compress((STATIC / "app" / name).read_bytes())) for name in scripts)
    assert scripts
    assert size <= FIRST_JS_KB_MAX * 1000


def test_nothing_is_fetched_from_anywhere_else(browser, centre):
    phone = Phone(browser, centre)
    asked = []
    phone.context.on("request", lambda request: asked.append(request.url))
    phone.enrol()
    centre.order("示例：赴城东排水站核查泵房水位")
    phone.sees("赴城东")
    hosts = {urlsplit(url).netloc for url in asked if not url.startswith(("data:", "blob:"))}
    assert hosts == {urlsplit(centre.origin).netloc}
    phone.close()
