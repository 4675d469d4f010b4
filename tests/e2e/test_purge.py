"""What a person may no longer see is nowhere on the device: every store, every cache is read."""

import json

import pytest
from playwright.sync_api import expect

from schema.wire import Change
from server.node import NODE_SESSION, Wish
from server.verify import SYSTEM_ACTOR
from tests.e2e import disk
from tests.e2e.hands import eventually, zh
from tests.e2e.test_offline import write_feedback

TEXT = "示例：赴城东排水站核查泵房水位"
OTHER_UNIT = "2-13"
OTHER_TEXT = "示例：赴城西加油站值守"

SCAN = """
async () => {
  const asked = (request) => new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
  const found = [];
  const said = async (value) => {
    const bytes = [];
    const text = JSON.stringify(value, (key, one) => {
      if (one instanceof Blob) bytes.push(one);
      return one instanceof Blob ? 'blob' : one;
    });
    const blobs = await Promise.all(bytes.map((one) => one.text()));
    return [text, ...blobs].join(' ');
  };
  for (const { name } of await indexedDB.databases()) {
    const database = await asked(indexedDB.open(name));
    for (const store of database.objectStoreNames) {
      const records = database.transaction(store).objectStore(store);
      const keys = await asked(records.getAllKeys());
      const values = await asked(records.getAll());
      for (const [i, key] of keys.entries()) {
        found.push([`${name}/${store}`, await said([key, values[i]])]);
      }
    }
    database.close();
  }
  for (const name of await caches.keys()) {
    const cache = await caches.open(name);
    for (const request of await cache.keys()) {
      const answer = await cache.match(request);
      found.push([`cache ${name}`, request.url + ' ' + (await answer.text())]);
    }
  }
  found.push(['localStorage', JSON.stringify({ ...localStorage })]);
  found.push(['sessionStorage', JSON.stringify({ ...sessionStorage })]);
  return found;
}
"""


def traces(page, secrets):
    """Where on this device each of these stands; those that stand nowhere are left out."""
    kept = page.evaluate(SCAN)
    places = {
        name: sorted({where for where, text in kept if secret in text})
        for name, secret in secrets.items()
    }
    return {name: found for name, found in places.items() if found}


def move(centre, key, unit):
    """The person works for another unit from now on; the centre's node says so."""
    [row] = [one for one in centre.rows("person") if one.id == centre.person(key)]
    change = Change("set", "person", row.id, {"unit": unit})
    base = {f"person/{row.id}": {"unit": (row.dot, *row.writes.get("unit", ())[1:])}}
    wish = Wish(SYSTEM_ACTOR, NODE_SESSION, "register.load", (change,), base)
    centre.call(centre.engine._write(wish))


def revoke(centre, replica):
    """The centre takes every right from a device."""

    def work(txn):
        doc = txn.get("replica", replica)
        txn.put("replica", replica, {**doc, "revoked_at": centre.engine.clock()})

    centre.call(centre.engine.store.write(work))


def replica_of(device):
    [identity] = [one for one in disk.read(device.page, "meta") if one["key"] == "identity"]
    return identity["value"]["replica"]


def has_sent_photos(device):
    return {blob["state"] for blob in disk.read(device.page, "blobs")} == {"sent"}


def asks_again(device):
    device.page.evaluate("() => void dispatchEvent(new Event('online'))")


@pytest.fixture
def secrets(centre, phone, tablet):
    """What the duty room's tablet holds of its unit; an order, a colleague's photo looked at."""
    target = centre.order(TEXT)
    expect(tablet.page.get_by_role("dialog")).to_contain_text(TEXT)
    tablet.answer_alarm()
    phone.sees(TEXT)
    write_feedback(phone, target, "示例：现场照片")
    eventually(lambda: bool(centre.rows("feedback", target)), phone.page)
    eventually(lambda: has_sent_photos(phone), phone.page)
    tablet.order(target)
    tablet.page.locator("article .said").get_by_role("button").click()
    expect(tablet.page.get_by_role("dialog").get_by_role("img")).to_be_visible()
    tablet.page.get_by_role("dialog").get_by_role("button", name=zh("app.close")).click()
    tablet.everything_sent()
    [photo] = centre.rows("feedback", target)[0].fields["photos"]
    held = {
        "order": TEXT,
        "incident": "示例：例行通信联络检查",
        "feedback": "示例：现场照片",
        "contact": "示例值班室",
        "number": "100 0000 0006",
        "machine": "示例起重机一号",
        "photo": photo["sha256"],
        "thumb": photo["thumb"][:400],
    }
    found = traces(tablet.page, held)
    assert found.keys() == held.keys(), "a scan that finds nothing proves nothing"
    assert {"lingda/rows", "lingda/blobs"} <= set(found["photo"])
    return held


def test_who_moves_to_another_unit_keeps_nothing_of_the_old_one(centre, tablet, secrets):
    move(centre, "@bing", OTHER_UNIT)
    centre.order(OTHER_TEXT, OTHER_UNIT)
    asks_again(tablet)
    eventually(lambda: bool(traces(tablet.page, {"order": OTHER_TEXT})), tablet.page)
    left = {name: text for name, text in secrets.items() if name != "incident"}
    assert traces(tablet.page, left) == {}
    assert traces(tablet.page, {"order": OTHER_TEXT}) == {"order": ["lingda/proofs", "lingda/rows"]}


def test_a_revoked_device_keeps_nothing(centre, tablet, secrets):
    revoke(centre, replica_of(tablet))
    asks_again(tablet)
    tablet.sees(zh("app.banner.revoked"))
    assert traces(tablet.page, secrets) == {}


def test_own_words_that_wait_outlive_the_move_and_nothing_else_does(centre, tablet, secrets):
    target = centre.rows("target")[0].id
    tablet.at("d", target, "feedback")
    tablet.flight_mode()
    tablet.page.get_by_label(zh("app.feedback.text")).fill("示例：还没送出的话")
    tablet.press("app.feedback.save")
    expect(tablet.page.locator("article .said")).to_have_count(2)
    tablet.page.route("**/v1/sync", without_words)
    move(centre, "@bing", OTHER_UNIT)
    tablet.flight_mode(False)
    eventually(lambda: not traces(tablet.page, {"order": TEXT}), tablet.page)
    waiting = {"own": "示例：还没送出的话"}
    assert traces(tablet.page, secrets | waiting) == {"own": ["lingda/outbox"]}


def without_words(route):
    """The centre hears where the device stands, and nothing of what it wrote."""
    body = json.loads(route.request.post_data)
    route.continue_(post_data=json.dumps({**body, "runs": []}, ensure_ascii=False))
