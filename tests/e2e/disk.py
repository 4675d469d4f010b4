"""What lies on a device's disk, read and spoilt from the page, behind the app's back."""

from typing import Any

from playwright.sync_api import Page

DATABASE = "lingda"
AWAY = "/desk/login"
"""A page of the same origin that never opens the app's database."""

OPEN = """
const asked = (request) => new Promise((resolve, reject) => {
  request.onsuccess = () => resolve(request.result);
  request.onerror = () => reject(request.error);
  request.onblocked = () => reject(new Error('blocked'));
});
const opened = (name, version, upgrade) => {
  const request = indexedDB.open(name, version);
  request.onupgradeneeded = () => upgrade && upgrade(request.result);
  return asked(request);
};
const done = (transaction) => new Promise((resolve, reject) => {
  transaction.oncomplete = resolve;
  transaction.onerror = transaction.onabort = () => reject(transaction.error);
});
"""

READ = """
async ({ name, store }) => {
  const database = await opened(name);
  const rows = await asked(database.transaction(store).objectStore(store).getAll());
  database.close();
  return rows.map((row) => JSON.parse(JSON.stringify(row)));
}
"""

CHANGE = """
async ({ name, store, from, to }) => {
  const database = await opened(name);
  const transaction = database.transaction(store, 'readwrite', { durability: 'strict' });
  const records = transaction.objectStore(store);
  const over = done(transaction);
  let changed = 0;
  for (const record of await asked(records.getAll())) {
    const before = JSON.stringify(record);
    const after = before.split(from).join(to);
    if (after === before) continue;
    records.put(JSON.parse(after));
    changed++;
  }
  await over;
  database.close();
  return changed;
}
"""

DELETE_STORE = """
async ({ name, store }) => {
  const before = await opened(name);
  const { version } = before;
  before.close();
  const after = await opened(name, version + 1, (database) => database.deleteObjectStore(store));
  after.close();
}
"""


def _call(page: Page, body: str, **values: str) -> Any:
    return page.evaluate(f"(values) => {{ {OPEN} return ({body})(values) }}", values)


def read(page: Page, store: str) -> list[dict[str, Any]]:
    """The records of one object store; blobs in them are empty objects."""
    found: list[dict[str, Any]] = _call(page, READ, name=DATABASE, store=store)
    return found


def change(page: Page, store: str, old: str, new: str) -> int:
    """Put `new` in the place of `old` in every record of a store; how many held it."""
    changed: int = _call(page, CHANGE, name=DATABASE, store=store, **{"from": old, "to": new})
    return changed


def delete_store(page: Page, store: str) -> None:
    """The object store is gone, and the database has a higher version."""
    _call(page, DELETE_STORE, name=DATABASE, store=store)
