"""Who may read and do what: the permission matrix as data, tested both ways against schema/.

What a person may see is decided by the scopes that rows live in, never by hiding a field: what has
other readers is another row. A cell whose role, entity or intent does not exist yet is listed with
what it waits for, and the list must shrink when that comes.
"""

import re
from itertools import chain

import pytest

from schema.entities import ENTITIES
from schema.intents import INTENTS
from schema.roles import Role
from schema.scopes import DEVICE_KINDS, SCOPE_KINDS, carried_into, granted, scopes_of
from schema.wire import Row
from server.accounts import COMMAND
from server.web.devices import KEEPERS
from server.web.live import COMMANDING, EVERYONE
from sync.conflict import conflict_row

MATRIX = """
act|D|L|H|E|X|U|P|F|O|M|Z|G|K|S
incident|C|C|C|C|–|C own|C own|C own|C hazard|–|C transfer|C own|–|–
level|C≤III|C|A|R|A|–|–|–|–|–|–|propose|–|–
directive|C, II/I countersigned|C,A|C,A|R|via Decision|–|delegate own|–|–|–|–|delegate own|–|–
answer|proxy|proxy|–|–|–|C own|C own|C assigned|C assigned|–|C transfer|C own|–|–
close|C≤III|C|A≥II|R|–|–|–|–|–|–|–|C own children|–|–
resources|R|R|R|R+own|–|C own|A own|–|C own machine|C own|–|C own|–|–
positions|R|R|R|R|R|R own|R own|R same task|–|R own|–|R own|–|–
phones|R|R|R|R|R|R same task|R own|R same task|–|R own|–|R own|–|–
warning|C/C|C/C|A|C/R|–|report/–|–|report/–|–|–|–|C own|–|–
transfer|C|C|R|R|–|–|–|–|–|–|C|–|–|–
supervision|propose|C|A|C|R|appeal|appeal|–|–|–|–|appeal|C|–
conflict|–|C|A|R|–|own contacts|own|–|–|own|–|own|–|propose
devices|–|R|–|–|–|C own terminal|–|–|–|–|–|C own|R|C
restricted|need-tag|R|R|R|R|–|–|–|–|–|–|–|–|–
"""

FURTHER = """
act|D|L|H|E|X|U|P|F|O|M|Z|G|K|S|Y
response|C|C|–|A|A|–|–|–|–|–|–|–|–|–|–
up-report|C|C|C|receipt|receipt|–|–|–|–|–|–|–|–|–|–
consultation|–|C|C|C|–|–|–|–|–|–|–|–|–|–|–
support|–|ask|ask|C|–|–|–|–|–|–|–|–|–|–|–
drill|–|C|A|C|–|–|–|–|–|–|–|–|–|–|–
headquarters|–|record|C|–|C|–|–|–|–|–|–|–|–|–|–
objection|–|A|–|–|–|–|–|–|–|–|–|–|–|–|–
requisition|C|C|C|–|–|answer|–|–|answer|–|–|–|–|–|–
watch|C|C|–|–|–|C|–|–|–|–|–|C|–|–|–
hazard|–|close|–|–|–|C own|–|–|–|–|–|–|–|–|–
report for a unit|C with caller|–|–|–|–|–|–|–|–|–|–|–|–|–|–
people|–|–|–|–|–|propose|A own|–|–|–|–|C own|–|C|–
settings|–|C|C|–|–|–|–|–|–|–|–|–|–|C|–
advice|–|–|–|–|–|–|–|–|–|–|–|–|–|–|C own
"""
"""The acts beside the matrix, in its form. `watch` is shifts, hand-overs and roll-call answers."""

ROLES = {
    "D": Role.DISPATCHER,
    "L": Role.SHIFT_LEAD,
    "H": Role.CENTRE_HEAD,
    "U": Role.DUTY,
    "P": Role.UNIT_HEAD,
    "F": Role.RESPONDER,
    "O": Role.OPERATOR,
    "M": Role.STEWARD,
    "S": Role.ADMIN,
}

ROLES_NOT_YET = {
    "E": ("emergency_office", "emo"),
    "X": ("committee", "commander"),
    "Z": ("hotline", "agent"),
    "G": ("gateway", "county"),
    "K": ("appraiser", "examiner"),
    "Y": ("expert",),
}
"""Letters of the matrix, and the expert's, whose role does not exist. As soon as one does, all of
its cells are to be mapped."""


def cells_of(table):
    """`{(act, letter): cell}`."""
    rows = [line.split("|") for line in table.strip().splitlines()]
    return {
        (row[0], letter): cell
        for row in rows[1:]
        for letter, cell in zip(rows[0][1:], row[1:], strict=True)
    }


CELLS = cells_of(MATRIX) | cells_of(FURTHER)
ACTS_OF_MATRIX = {act for act, _ in CELLS}


def exists(name):
    """`entity`, `entity.field`, or an intent."""
    entity, _, field = name.partition(".")
    fields = ENTITIES[entity].fields if entity in ENTITIES else {}
    return name in ENTITIES or name in INTENTS or field in fields


def test_the_matrix_has_every_role_and_no_other():
    assert set(ROLES.values()) == set(Role)
    assert {letter for _, letter in cells_of(FURTHER)} == set(ROLES) | set(ROLES_NOT_YET)
    assert {letter for _, letter in cells_of(MATRIX)} == set(ROLES) | set(ROLES_NOT_YET) - {"Y"}
    assert not {act for act, _ in cells_of(MATRIX)} & {act for act, _ in cells_of(FURTHER)}
    late = [name for names in ROLES_NOT_YET.values() for name in names if name in set(Role)]
    assert late == [], "the matrix has a column for it"


# --- Reading -------------------------------------------------------------------------------------


ALL, OWN = "all", "own"
"""Rows of whatever unit; rows of one's own unit. What names or comes from oneself is apart."""

DESK = dict.fromkeys("DLH", ALL)
UNIT_ROOM = dict.fromkeys("UPM", OWN)

READS = {
    "resources": (("equipment", "equipment_move", "move_ruling"), DESK | UNIT_ROOM),
    "positions": (("feedback", "help_call"), DESK | UNIT_ROOM | {"F": OWN}),
    "phones": (("contact", "contact_phone"), DESK | UNIT_ROOM),
    "orders of a unit and how they stand": (
        ("target", "directive", "step", "round", "recall", "stop", "ruling", "help_answer"),
        DESK | UNIT_ROOM | {"F": OWN},
    ),
    "what an order is about": (("incident_summary",), DESK | UNIT_ROOM | {"F": OWN}),
    "who reported an incident, and the centre's notes on it": (("incident",), DESK),
    "the dictionary of units": (("unit",), dict.fromkeys(ROLES, ALL)),
    "people of a unit": (("person",), DESK | UNIT_ROOM | {"F": OWN}),
    "words that were not applied": (("quarantine", "void"), DESK),
    "what became of a device's own work": (("verdict",), {}),
}
"""Rule → its entities, and who reads them how far; whoever is not named reads none of them."""

FOLLOWS_ITS_SUBJECT = {"conflict"}

NAMED = {
    "equipment": ("operator_person",),
    "help_call": ("@actor",),
    "help_answer": ("caller",),
    "equipment_move": ("@actor",),
    "quarantine": ("author",),
}
"""Entity → what makes a row somebody's own: it is on their device, of whatever kind that is."""

READS_NOT_YET = {
    ("restricted", "D"): ("incident_restricted", "incident_detail", "incident.restricted"),
    ("phones", "U"): ("task_phone", "task_contact", "duty_number"),
    ("phones", "F"): ("task_phone", "task_contact"),
    ("positions", "F"): ("target.person", "target.assignee", "assignment"),
    ("incident", "F"): ("caller", "incident_caller"),
    ("restricted", "L"): ("incident_restricted", "incident_detail", "incident.restricted"),
    ("restricted", "H"): ("incident_restricted", "incident_detail", "incident.restricted"),
    ("transfer", "H"): ("transfer", "callback"),
}
"""Cells that read more or less than now as soon as something comes: phones and positions by task,
restricted detail by tag, the caller's identity for whoever leads, transfers."""

READS_ON_A_PAGE = {("devices", "L"): KEEPERS}
"""Cells about what is in no row, with who may open the page that shows it."""


def held(letter, unit="u1", actor="me"):
    """Every set of scopes that a person of this role may hold, by device or at the centre."""
    role = ROLES[letter]
    kinds = [kind for kind in DEVICE_KINDS.values() if role in kind.roles]
    if not kinds:
        return [set(COMMANDING if role in COMMAND else EVERYONE)]
    return [set(granted(kind.name, unit, actor, "mine")) for kind in kinds]


def scopes_for(name, unit, person):
    """The scopes of a row of this unit that was made by, and names, this person."""
    entity = ENTITIES[name]
    fields = {"replica": f"{person}'s"} | {"shown_in": (), "scopes": ()}
    fields |= {field: person for field, spec in entity.fields.items() if spec.to == "person"}
    if "unit" in entity.fields:
        fields["unit"] = unit
    found = set(scopes_of(entity, fields, person))
    for child in ENTITIES.values():
        for parent, by in child.carries:
            if parent == name:
                carried = carried_into(child, {"unit": unit, by: "id"})
                found |= {scope for scope, entity_name, _ in carried if entity_name == name}
    return found


def reach(letter, name):
    """How far a role reads an entity, whatever device of its own a person takes."""
    reaches = set()
    for scopes in held(letter):
        of_others = scopes & scopes_for(name, "u2", "other")
        of_own = scopes & scopes_for(name, "u1", "other")
        reaches.add(ALL if of_others else OWN if of_own else None)
    assert len(reaches) == 1, (letter, name)
    return reaches.pop()


READ_CELLS = [
    (rule, name, letter) for rule, (names, _) in READS.items() for name in names for letter in ROLES
]


@pytest.mark.parametrize(("rule", "name", "letter"), READ_CELLS)
def test_a_role_reads_what_its_cell_says_and_no_more(rule, name, letter):
    assert reach(letter, name) == READS[rule][1].get(letter)


def test_every_entity_falls_under_one_rule_of_reading():
    ruled = [*chain(*(names for names, _ in READS.values())), *FOLLOWS_ITS_SUBJECT]
    assert sorted(ruled) == sorted(ENTITIES)


def test_every_rule_of_reading_maps_to_entities_with_scopes():
    for rule, (names, _) in READS.items():
        assert names, rule
        for name in names:
            kinds = {scope.partition("/")[0] for scope in ENTITIES[name].scopes} - {"{*shown_in}"}
            assert kinds and kinds <= set(SCOPE_KINDS), (rule, name)


@pytest.mark.parametrize(("act", "letter"), CELLS)
def test_a_cell_that_reads_is_in_the_rules_of_reading(act, letter):
    """And a cell that is empty reads nothing, by the rule of the same name."""
    cell = CELLS[act, letter]
    if act not in READS or letter not in ROLES:
        return
    told = READS[act][1].get(letter)
    if cell == "–":
        assert told is None
    elif (act, letter) not in READS_NOT_YET and cell != "C own machine":
        assert told == (ALL if cell == "R" else OWN)


@pytest.mark.parametrize(("act", "letter"), CELLS)
def test_a_cell_that_reads_is_mapped_or_waits_for_something(act, letter):
    """Whoever may read has a rule of reading by that name, or a page, or nothing to read yet."""
    cell, role = CELLS[act, letter], ROLES.get(letter)
    if role is None or not (cell[0] == "R" or cell == "need-tag"):
        return
    read = act in READS and letter in READS[act][1]
    ways = [read, role in READS_ON_A_PAGE.get((act, letter), ()), (act, letter) in READS_NOT_YET]
    assert any(ways), (act, letter, cell)


@pytest.mark.parametrize("name", ENTITIES)
def test_what_names_a_person_is_on_their_own_device_and_on_nobody_else_s(name):
    names = {one[7:-1] for one in ENTITIES[name].scopes if one.startswith("actor/{")}
    assert names == set(NAMED.get(name, ()))
    for letter in "UPFOM":
        for scopes in held(letter):
            mine = {one for one in scopes_for(name, "u2", "me") if one.startswith("actor/")}
            assert mine <= scopes
            assert bool(mine) == bool(names)
            assert not scopes & {one for one in scopes_for(name, "u2", "other") if "other" in one}


def test_an_operator_holds_own_machines_and_the_dictionary_and_nothing_else():
    read = {name for name in ENTITIES if reach("O", name)}
    assert read == {"unit"}
    assert {name for name in NAMED if scopes_for(name, "u2", "me") & held("O")[0]} == set(NAMED)


@pytest.mark.parametrize("subject", sorted(set(ENTITIES) - FOLLOWS_ITS_SUBJECT))
def test_a_conflict_is_read_by_those_who_read_its_subject(subject):
    about = Row(subject, "id", 1, "r/0/1", "", "other", 0, {"unit": "u1", "replica": "other's"})
    made = conflict_row(about, "field", [{"dot": "r/0/2"}], "rule", {"state": "open"}).row
    scopes = scopes_of(ENTITIES["conflict"], made.fields, made.actor)
    assert scopes == scopes_of(ENTITIES[subject], about.fields, about.actor)


def test_phone_numbers_stand_only_in_rows_of_a_register():
    holders = {
        entity.name
        for entity in ENTITIES.values()
        for field in entity.fields
        if re.search(r"phone$|^number$|mobile|landline", field)
    }
    assert holders == {"contact_phone", "equipment", "equipment_move"}
    for name in holders:
        assert {"directory", "unit/u1"} & scopes_for(name, "u1", "other") == set()


def test_no_device_is_granted_the_centre_s_scope_or_another_unit_s():
    for letter in "UPFOM":
        for scopes in held(letter):
            assert "centre" not in scopes
            of_units = {one for one in scopes if one.startswith(("unit/", "register/"))}
            assert of_units <= {"unit/u1", "register/u1"}


# --- Doing ---------------------------------------------------------------------------------------


_ORDERS = {"C, II/I countersigned", "C,A"}
_ANSWERS = {"C own", "C assigned"}
_CLOSES = {"C≤III", "C", "A≥II"}
_OWN = {"own contacts", "own"}

ACTS = {
    "incident.open": ("incident", {"C"}),
    "incident.edit": ("level", {"C≤III", "C", "A"}),
    "directive.issue": ("directive", _ORDERS),
    "directive.recall": ("directive", _ORDERS),
    "recall.rule": ("directive", _ORDERS),
    "help.answer": ("directive", _ORDERS),
    "target.step": ("answer", _ANSWERS),
    "target.stop": ("answer", _ANSWERS),
    "feedback.add": ("answer", _ANSWERS),
    "help.call": ("answer", _ANSWERS),
    "target.close": ("close", _CLOSES),
    "target.send_back": ("close", _CLOSES),
    "equipment.edit": ("resources", {"C own", "A own"}),
    "move.file": ("resources", {"C own", "A own", "C own machine"}),
    "contact.edit": ("conflict", _OWN),
    "conflict.decide_own": ("conflict", _OWN),
    "contact.edit_any": ("conflict", {"C"}),
    "conflict.decide": ("conflict", {"C", "A"}),
    "quarantine.release": ("conflict", {"C", "A"}),
    "quarantine.reject": ("conflict", {"C", "A"}),
    "register.load": ("people", {"C"}),
}
"""Intent → the act of the matrix that it is, and the cells that allow it."""

BESIDE_THE_MATRIX = {"quarantine.close": "DLH", "lane.void": "UPFOM"}
"""Intents that are no act of the matrix → who has them: whoever commands may put a refused piece
of work away, and every device must be able to say that it lost one."""

NARROWER = {
    ("target.step", "O"): ("requisition", "target.person"),
    ("target.stop", "O"): ("requisition", "target.person"),
    ("feedback.add", "O"): ("requisition", "target.person"),
    ("conflict.decide", "H"): ("conflict.approve",),
}
"""Intents that a cell allows and its role lacks, with what that waits for: an operator is assigned
work by requisition, and a head approves what the shift lead decides."""

DOES_NOT_YET = {
    ("incident", "U"): ("incident.report",),
    ("incident", "P"): ("incident.report",),
    ("incident", "F"): ("incident.report",),
    ("incident", "O"): ("hazard", "hazard.report"),
    ("directive", "P"): ("directive.delegate", "delegation"),
    ("answer", "D"): ("step.callee", "target.step_for"),
    ("answer", "L"): ("step.callee", "target.step_for"),
    ("warning", "D"): ("warning", "roll_call"),
    ("warning", "L"): ("warning", "roll_call"),
    ("warning", "H"): ("warning", "roll_call"),
    ("warning", "U"): ("warning_report",),
    ("warning", "F"): ("warning_report",),
    ("transfer", "D"): ("transfer", "callback"),
    ("transfer", "L"): ("transfer", "callback"),
    ("supervision", "D"): ("supervision",),
    ("supervision", "L"): ("supervision", "appraisal_sheet"),
    ("supervision", "H"): ("supervision", "appraisal_sheet"),
    ("supervision", "U"): ("appeal",),
    ("supervision", "P"): ("appeal",),
    ("conflict", "S"): ("conflict.propose", "unit_change"),
    ("response", "D"): ("response_proposal", "response.propose"),
    ("response", "L"): ("response_proposal", "response.propose"),
    ("up-report", "D"): ("up_report", "report.send"),
    ("up-report", "L"): ("up_report", "report.send"),
    ("up-report", "H"): ("up_report", "report.send"),
    ("consultation", "L"): ("consultation",),
    ("consultation", "H"): ("consultation",),
    ("support", "L"): ("support_request",),
    ("support", "H"): ("support_request",),
    ("drill", "L"): ("drill_plan", "incident.mode"),
    ("drill", "H"): ("drill_plan", "drill.approve"),
    ("headquarters", "L"): ("command_hq", "decision"),
    ("headquarters", "H"): ("command_hq", "decision"),
    ("objection", "L"): ("objection", "objection.rule"),
    ("requisition", "D"): ("requisition", "reservation"),
    ("requisition", "L"): ("requisition", "reservation"),
    ("requisition", "H"): ("requisition", "reservation"),
    ("requisition", "U"): ("requisition", "requisition.answer"),
    ("requisition", "O"): ("requisition", "requisition.answer"),
    ("watch", "D"): ("shift", "handover", "roll_call_answer"),
    ("watch", "L"): ("shift", "handover", "roll_call_answer"),
    ("watch", "U"): ("shift", "handover", "roll_call_answer"),
    ("hazard", "L"): ("hazard", "hazard.close"),
    ("hazard", "U"): ("hazard", "hazard.report"),
    ("report for a unit", "D"): ("incident.report_for", "step.callee"),
    ("settings", "L"): ("setting", "clock_setting", "ladder"),
    ("settings", "H"): ("setting", "clock_setting", "ladder"),
    ("settings", "S"): ("setting", "clock_setting", "ladder"),
    ("devices", "U"): ("bundle.export", "terminal"),
    ("devices", "S"): ("bundle.import", "terminal"),
    ("people", "U"): ("person_change", "person.propose"),
    ("people", "P"): ("person_change", "person.approve"),
}
"""Cells in which a role may do what nobody can do yet."""

LIMITS_NOT_YET = {
    ("level", "H"): ("level.approve",),
    ("directive", "D"): ("directive.countersigned_by", "countersign"),
    ("close", "H"): ("close.approve",),
    ("answer", "F"): ("target.person", "target.assignee", "assignment"),
    ("resources", "O"): ("move.file_own",),
}
"""Cells with a bound that no intent knows: approved, countersigned, assigned, own machine only."""

SETS_A_LEVEL = {"incident.open": "level"}
"""Intents under the limits of a second act too: whoever opens an incident may give it a level."""

FIRST_LOAD = {"contact", "contact_phone", "equipment"}
"""What an administrator writes though no cell says so, when a register is loaded."""


def allowed(name):
    """The letters whose cell allows this intent."""
    act, cells = ACTS[name]
    return {letter for letter in ROLES if CELLS[act, letter] in cells}


def does(letter):
    return {name for name, intent in INTENTS.items() if ROLES[letter] in intent.roles}


def test_every_intent_is_one_act():
    assert set(ACTS) | set(BESIDE_THE_MATRIX) == set(INTENTS)
    assert not set(ACTS) & set(BESIDE_THE_MATRIX)
    assert {act for act, _ in ACTS.values()} <= ACTS_OF_MATRIX


@pytest.mark.parametrize("name", INTENTS)
def test_an_intent_belongs_to_the_roles_whose_cells_allow_it(name):
    lacking = {letter for intent, letter in NARROWER if intent == name}
    wanted = set(BESIDE_THE_MATRIX[name]) if name in BESIDE_THE_MATRIX else allowed(name)
    assert lacking <= wanted
    assert {letter for letter in ROLES if name in does(letter)} == wanted - lacking


@pytest.mark.parametrize("name", ACTS)
def test_an_intent_reaches_beyond_one_s_unit_only_at_the_centre(name):
    at_the_centre = allowed(name) <= set("DLHS")
    assert INTENTS[name].reach == ("centre" if at_the_centre else "own")


@pytest.mark.parametrize(("act", "letter"), CELLS)
def test_a_cell_that_acts_has_an_intent_or_waits_for_one(act, letter):
    cell = CELLS[act, letter]
    if letter not in ROLES or cell in ("–", "need-tag") or cell[0] == "R":
        return
    has = {name for name in does(letter) if ACTS.get(name, ("", ()))[0] == act}
    assert bool(has) != ((act, letter) in DOES_NOT_YET), (act, letter, cell, has)


def test_a_cell_that_does_not_act_has_no_intent():
    for (act, letter), cell in CELLS.items():
        if letter in ROLES and (cell == "–" or cell[0] == "R"):
            assert not [name for name in does(letter) if ACTS.get(name, ("",))[0] == act]


@pytest.mark.parametrize("name", ACTS)
def test_a_role_whose_cell_ends_at_iii_may_not_at_ii_and_i(name):
    act = SETS_A_LEVEL.get(name, ACTS[name][0])
    limited = {letter for letter in does_by_letter(name) if CELLS[act, letter] == "C≤III"}
    wanted = {ROLES[letter] for letter in does_by_letter(name) - limited} if limited else set()
    assert set(INTENTS[name].grave) == wanted


def does_by_letter(name):
    return {letter for letter in ROLES if ROLES[letter] in INTENTS[name].roles}


@pytest.mark.parametrize("act", sorted(ACTS_OF_MATRIX))
def test_every_act_maps_to_scopes_or_waits_for_what_it_is_about(act):
    """A rule that leads to no row that anybody can hold is a rule that nothing keeps."""
    names = set(READS.get(act, ((), {}))[0])
    names |= {one for name, (of, _) in ACTS.items() if of == act for one in INTENTS[name].writes}
    if not names:
        lists = (DOES_NOT_YET, READS_NOT_YET, READS_ON_A_PAGE)
        cells = {letter for letter in ROLES if CELLS[act, letter] != "–"}
        assert cells <= {letter for one in lists for of, letter in one if of == act}, act
    for name in names:
        assert scopes_for(name, "u1", "me"), (act, name)


@pytest.mark.parametrize(
    "waits",
    [*NARROWER.items(), *DOES_NOT_YET.items(), *LIMITS_NOT_YET.items(), *READS_NOT_YET.items()],
    ids=str,
)
def test_what_a_cell_waits_for_is_not_there(waits):
    assert [name for name in waits[1] if exists(name)] == [], f"{waits[0]} can be tested now"


def test_an_administrator_writes_accounts_and_the_first_load_and_no_work():
    writes = {entity for name in does("S") for entity in INTENTS[name].writes}
    assert writes == {"unit", "person"} | FIRST_LOAD


def test_nobody_writes_over_the_heads_of_those_who_may_read():
    """Who may write an entity can also read it, else they could not know what they change."""
    for name, intent in INTENTS.items():
        for letter in set(ROLES) - {"S"}:
            for entity in intent.writes if name in does(letter) else ():
                own = entity in NAMED or entity == "void"
                assert reach(letter, entity) or own, (name, letter, entity)
