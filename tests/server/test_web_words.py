"""Every word that the web view can show is in the dictionary."""

import re
from pathlib import Path

import pytest

from schema.clocks import CLOCKS, URGENCIES
from schema.entities import ENTITIES
from schema.roles import Role
from schema.scopes import DEVICE_KINDS
from schema.steps import ROUTES, STEPS
from schema.tags import Tag
from schema.words import words
from server.web.directives import DECISIONS
from server.web.views import LIGHTS

WEB = Path(__file__).resolve().parents[2] / "server" / "web"
KEY = re.compile(r"""['"]((?:desk|field|entity|error)\.[\w.]+[\w])['"]""")
SCRIPT_KEY = re.compile(r"""say\('([\w.]+)'""")


def choices(entity, field):
    return ENTITIES[entity].fields[field].choices


VOCABULARY = {
    "step": STEPS,
    "urgency": URGENCIES,
    "clock": (*CLOCKS, "close"),
    "light": LIGHTS,
    "route": ROUTES,
    "role": tuple(Role),
    "recall": ("none", "recalling", "stopped", "done_before", "contested", "accepted"),
    "level": choices("incident_summary", "level"),
    "category": choices("incident_summary", "category"),
    "reason": choices("round", "reason"),
    "ruling": choices("ruling", "verdict"),
    "status": choices("equipment", "status"),
    "duty": choices("contact", "duty"),
    "tier": choices("unit", "tier"),
    "entity": tuple(ENTITIES),
    "desk.decide": tuple(DECISIONS),
    "rule": ("4.3#1", "4.3#2", "4.3#3", "4.3#9", "4.3#10", "4.3#12", "4.3#16", "removal"),
    "tag": tuple(Tag),
    "state": (
        *("issued", "part_signed", "all_signed", "acting", "to_review", "closed", "recalled"),
        *("recalling", "removed"),
        *(choices("conflict", "state")),
    ),
    "kind": (
        *choices("directive", "kind"),
        *choices("feedback", "kind"),
        *choices("equipment", "kind"),
        *choices("equipment_move", "kind"),
        *choices("contact_phone", "kind"),
        *DEVICE_KINDS,
    ),
}


@pytest.mark.parametrize("group", VOCABULARY)
def test_every_code_that_a_page_shows_has_a_word(group):
    known = words("zh-CN")
    assert [one for one in VOCABULARY[group] if f"{group}.{one}" not in known] == []


def test_every_key_in_code_and_templates_is_known():
    known = words("zh-CN")
    sources = [*WEB.glob("*.py"), *WEB.glob("templates/*.html")]
    used = {key for path in sources for key in KEY.findall(path.read_text(encoding="utf-8"))}
    assert len(used) > 100
    assert sorted(used - set(known)) == []


def test_every_key_of_the_script_is_known_and_sent_along():
    script = (WEB.parents[1] / "static/js/desk.js").read_text(encoding="utf-8")
    used = set(SCRIPT_KEY.findall(script))
    assert {key for key in used if f"desk.js.{key}" not in words("zh-CN")} == set()
