/*
 * The desk's own script: one live connection per browser, running clocks, dialogs, the unit picker
 * and drafts. It says no word of its own: they come with the page, in the reader's language.
 */
'use strict';

const words = JSON.parse(document.getElementById('words').textContent);
const say = (key, values = {}) => (words[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? '');
const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];

// --- Time: the server's bytes stay the same while time passes; only these words move. ---------

const skew = Number(document.body.dataset.now || Date.now()) - Date.now();
const now = () => Date.now() + skew;
const NONE = '—';
const MOMENT_MS_MAX = 4102444800000; // The year 2100, as in render.py: a later time is no time.
const isMoment = (ms) => ms >= 0 && ms < MOMENT_MS_MAX;
const clockFace = new Intl.DateTimeFormat('zh-CN', { timeZone: 'Asia/Shanghai', hour: '2-digit', minute: '2-digit', hour12: false });
const hourMinute = (ms) => (isMoment(ms) ? clockFace.format(ms) : NONE);

function span(ms) {
  const seconds = Math.floor(Math.abs(ms) / 1000);
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}:${String(seconds % 60).padStart(2, '0')}`;
  if (minutes < 48 * 60) return say('hours', { h: Math.floor(minutes / 60), m: minutes % 60 });
  return say('days', { d: Math.floor(minutes / 1440), h: Math.floor((minutes % 1440) / 60) });
}

function ago(ms) {
  const minutes = Math.floor(ms / 60000);
  if (minutes < 1) return say('now');
  if (minutes < 60) return say('minutes_ago', { n: minutes });
  if (minutes < 48 * 60) return say('hours_ago', { n: Math.floor(minutes / 60) });
  return say('days_ago', { n: Math.floor(minutes / 1440) });
}

function put(element, text) {
  if (element && element.textContent !== text) element.textContent = text;
}

function tickClock(clock) {
  const due = Number(clock.dataset.due);
  const met = clock.dataset.met ? Number(clock.dataset.met) : null;
  if (!isMoment(due)) return put($('[data-left]', clock), NONE);
  const left = due - (met ?? now());
  clock.classList.toggle('overdue', left < 0);
  const word = met !== null ? say('met', { at: hourMinute(met) }) : say(left < 0 ? 'over' : 'left', { t: span(left) });
  return put($('[data-left]', clock), word);
}

function tickAge(age) {
  if (!isMoment(Number(age.dataset.age))) return;
  const old = now() - Number(age.dataset.age);
  const stale = age.dataset.stale && old > Number(age.dataset.stale);
  age.classList.toggle('stale', Boolean(stale));
  put(age, stale ? `${ago(old)} · ${say('stale')}` : ago(old));
}

function tick() {
  if (document.hidden) return;
  $$('[data-due]').forEach(tickClock);
  $$('[data-age]').forEach(tickAge);
}

// --- Live parts ---------------------------------------------------------------------------------

const etags = new Map();
const stale = new Set();

function refresh(scopes) {
  for (const part of $$('[data-live]')) {
    if (scopes && !part.dataset.live.split(' ').some((scope) => scopes.has(scope))) continue;
    if (document.hidden) stale.add(part.id);
    else htmx.trigger(part, 'desk:poke');
  }
}

document.addEventListener('visibilitychange', () => {
  if (document.hidden) return;
  tick();
  for (const id of stale) htmx.trigger(document.getElementById(id), 'desk:poke');
  stale.clear();
});

document.addEventListener('htmx:config:request', ({ detail: { ctx } }) => {
  const etag = ctx.sourceElement.matches?.('[data-live]') && etags.get(ctx.sourceElement.id);
  if (etag) ctx.request.headers['If-None-Match'] = etag;
});

document.addEventListener('htmx:after:request', ({ detail: { ctx } }) => {
  const etag = ctx.response.headers.get('etag');
  if (ctx.sourceElement.matches?.('[data-live]') && etag && ctx.response.status === 200) etags.set(ctx.sourceElement.id, etag);
  if (ctx.response.status === 401) banner(say('signed_out'));
});

document.addEventListener('htmx:after:swap', () => {
  tick();
  filter();
});

// --- One connection per browser: the leader tab holds it, the others listen to the leader. ------

const channel = 'BroadcastChannel' in window ? new BroadcastChannel('desk-live') : null;
const SILENT_MS = 45000;
let seq = Number(document.body.dataset.seq || 0);
let lostSince = null;
let leading = false;

function hear(message, forwarded = false) {
  if (channel && !forwarded) channel.postMessage(message);
  if (message.state) show(message.state, message.since);
  if (message.scope === 'fleet') refresh(new Set(['fleet']));
  else if (message.scope ? message.seq > seq : message.seq !== undefined && message.seq !== seq) {
    seq = message.seq;
    moved(message.scope);
  }
}

let pending = null;
function moved(scope) {
  if (pending) {
    pending.add(scope);
    return;
  }
  pending = new Set([scope]);
  setTimeout(() => {
    refresh(pending.has(undefined) ? null : pending);
    pending = null;
  }, 100);
}

function show(state, since) {
  if (state === 'out') return banner(say('signed_out'));
  const chip = document.getElementById('live');
  if (!chip) return;
  chip.dataset.state = state;
  put($('[data-word]', chip), say(`live.${state}`));
  lostSince = state === 'down' ? since : null;
  return banner(lostSince ? say('lost', { at: hourMinute(lostSince) }) : '');
}

function banner(text) {
  const lost = document.getElementById('lost');
  if (!lost) return;
  put($('[data-word]', lost), text);
  lost.hidden = !text;
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

function socket() {
  return new Promise((resolve) => {
    const url = new URL('/desk/live', location.href);
    url.protocol = url.protocol.replace('http', 'ws');
    const live = new WebSocket(url);
    let heard = false;
    let timer = setTimeout(() => live.close(), SILENT_MS);
    live.onmessage = ({ data }) => {
      clearTimeout(timer);
      timer = setTimeout(() => live.close(), SILENT_MS);
      if (!heard) hear({ state: 'up' });
      heard = true;
      hear(JSON.parse(data));
    };
    live.onclose = ({ code }) => {
      clearTimeout(timer);
      resolve({ heard, code });
    };
  });
}

/* A few rounds of long-poll, the first answered at once; then the socket is tried again. */
async function poll(rounds) {
  for (let round = 0; round < rounds; round += 1) {
    const answer = await fetch(`/desk/poll?seq=${round ? seq : -1}`, { headers: { 'HX-Request': 'true' } }).catch(() => null);
    if (!answer?.ok) return answer?.status === 401 ? 4401 : 0;
    hear({ state: 'poll' });
    hear(await answer.json());
  }
  return 0;
}

async function lead() {
  leading = true;
  let failures = 0;
  for (;;) {
    const { heard, code } = await socket();
    failures = heard ? 0 : failures + 1;
    if (lostSince === null) hear({ state: 'down', since: now() });
    const why = failures > 1 ? await poll(3) : code;
    if (why === 4401) return hear({ state: 'out' });
    await pause(Math.min(30000, 500 * 2 ** Math.min(failures, 6)) * (0.5 + Math.random() / 2));
  }
}

function goLive() {
  if (!document.body.dataset.user) return;
  if (channel) {
    channel.onmessage = ({ data }) => {
      if (data.ask && leading) hear({ state: document.getElementById('live').dataset.state, since: lostSince, seq });
      else if (!data.ask && data.state !== 'wait') hear(data, true);
    };
    channel.postMessage({ ask: true });
  }
  if (channel && navigator.locks) navigator.locks.request('desk-live', lead);
  else lead();
}

// --- Dialogs: a decision is asked for where it is made; without scripts it is a page. -----------

const dialog = document.getElementById('dialog');

async function ask(url) {
  const body = document.getElementById('dialog-body');
  const answer = await fetch(url, { headers: { 'HX-Request': 'true' } }).catch(() => null);
  if (answer?.status === 401) return banner(say('signed_out'));
  if (!answer?.ok) {
    location.href = url;
    return undefined;
  }
  body.innerHTML = await answer.text();
  dialog.showModal();
  return $('input:not([type=hidden]), textarea, select', body)?.focus();
}

document.addEventListener('click', (event) => {
  const link = event.target.closest?.('a[data-dialog]');
  if (link && !event.ctrlKey && !event.metaKey && !event.shiftKey) {
    event.preventDefault();
    ask(link.href);
  } else if (event.target.closest?.('[data-close]') && dialog.open) {
    event.preventDefault();
    dialog.close();
  } else if (event.target.closest?.('[data-print]')) window.print();
});

/* A second click must not send twice; coming back by the browser's button must be able to. */
document.addEventListener('submit', (event) => {
  if (!event.target.matches('[data-once]')) return;
  if (event.target.dataset.sent) event.preventDefault();
  event.target.dataset.sent = 'yes';
});
window.addEventListener('pageshow', () => $$('[data-sent]').forEach((form) => delete form.dataset.sent));

document.addEventListener('keydown', (event) => {
  if (event.isComposing) return;
  const form = event.target.closest?.('form');
  if (event.key === 'Enter' && (event.ctrlKey || event.metaKey) && form?.method === 'post') {
    event.preventDefault();
    form.requestSubmit();
  }
});

document.addEventListener('change', (event) => {
  if (event.target.closest('[data-auto]')) event.target.form.requestSubmit();
});

// --- Search in lists ----------------------------------------------------------------------------

const finder = $('[data-find]');
const plain = (text) => text.toLowerCase().replace(/\s+/g, '');

function filter() {
  if (!finder) return;
  const wanted = plain(finder.value);
  let found = 0;
  for (const item of $$('[data-words]')) {
    item.hidden = !plain(item.dataset.words).includes(wanted);
    found += item.hidden ? 0 : 1;
  }
  for (const group of $$('[data-group]')) group.hidden = !$('[data-words]:not([hidden])', group);
  const nothing = $('[data-nothing]');
  if (nothing) nothing.hidden = found > 0;
}

// --- The order's form: units, deadlines, count of characters, draft -----------------------------

const picker = $('[data-picker]');

function button(label, name, act, pressed) {
  const one = document.createElement('button');
  one.type = 'button';
  one.textContent = label;
  one.setAttribute('aria-label', `${label} ${name}`);
  if (pressed !== undefined) one.setAttribute('aria-pressed', String(pressed));
  one.addEventListener('click', act);
  return one;
}

function chosen() {
  const boxes = $$('[name=unit]:checked', picker);
  const leader = $('[data-lead]', picker);
  if (!boxes.some((box) => box.value === leader.value)) leader.value = '';
  const chips = boxes.map((box) => {
    const chip = document.createElement('li');
    const leads = box.value === leader.value;
    const name = document.createElement('bdi');
    name.textContent = box.dataset.name;
    const choose = () => {
      leader.value = leads ? '' : box.value;
      changed();
    };
    const drop = () => {
      box.checked = false;
      changed();
      $('[data-find]', picker).focus();
    };
    chip.append(name, button(say(leads ? 'lead' : 'make_lead'), box.dataset.name, choose, leads), button('✕', say('remove') + box.dataset.name, drop));
    return chip;
  });
  $('[data-chosen]', picker).replaceChildren(...chips);
  $$('[data-chosen-count]', picker).forEach((count) => put(count, String(boxes.length)));
}

function changed() {
  chosen();
  keep();
}

/** How well an item answers to what was typed: its own code, name or initials before a mere part of one. */
function fit(item, wanted) {
  const { code, name, initials } = item.dataset;
  if ([code, name, initials].some((word) => plain(word) === wanted)) return 0;
  if (plain(code).startsWith(wanted)) return 1;
  return [name, initials].some((word) => plain(word).startsWith(wanted)) ? 2 : 3;
}

/** The unit that Enter means: the best fit, the first in the list among equals. */
function meant() {
  const wanted = plain(finder.value);
  if (!wanted) return null;
  const shown = $$('[data-words]:not([hidden])', picker);
  const best = Math.min(...shown.map((item) => fit(item, wanted)));
  const item = shown.find((one) => fit(one, wanted) === best);
  return item ? $('[name=unit]', item) : null;
}

function pickFirst(event) {
  if (event.key === 'Escape') finder.value = '';
  else if (event.key !== 'Enter' || event.isComposing || event.ctrlKey || event.metaKey) return;
  else {
    event.preventDefault();
    const box = meant();
    if (!box) return;
    box.checked = true;
    finder.value = '';
    changed();
  }
  filter();
}

function takeAll(event) {
  const all = event.target.closest('[data-all]');
  if (!all) return;
  const boxes = $$('[data-words]:not([hidden]) [name=unit]', all.closest('[data-group]'));
  const on = boxes.some((box) => !box.checked);
  boxes.forEach((box) => (box.checked = on));
  changed();
}

function setClocks(event) {
  if (event.target.name !== 'urgency') return;
  const clocks = JSON.parse(event.target.dataset.clocks);
  for (const input of $$('[name^="clock."]', picker)) input.value = clocks[input.name.slice(6)] ?? '';
}

function counts() {
  for (const count of $$('[data-count]')) {
    const area = document.getElementById(count.dataset.count);
    put(count, `${area.value.length}/${area.maxLength}`);
  }
}

const draftForm = $('[data-draft]');
const draftKey = draftForm && `desk-draft:${document.body.dataset.user}:${draftForm.dataset.draft}`;

function keep() {
  if (!draftForm) return;
  const fields = [...new FormData(draftForm)].filter(([name]) => name !== 'csrf');
  sessionStorage.setItem(draftKey, JSON.stringify(fields));
}

function restore() {
  const fields = JSON.parse(sessionStorage.getItem(draftKey) || 'null');
  if (!fields || draftForm.hasAttribute('data-filled')) return;
  const asked = new URLSearchParams(location.search).get('incident');
  if (asked && fields.find(([name]) => name === 'incident')?.[1] !== asked) return;
  for (const input of draftForm.elements) {
    if (!input.name || input.name === 'csrf') continue;
    const values = fields.filter(([name]) => name === input.name).map(([, value]) => value);
    if (input.type === 'checkbox' || input.type === 'radio') input.checked = values.includes(input.value);
    else if (values.length) input.value = values[0];
  }
}

/* The record that a draft became is on this page: the draft has done its work. */
function forget() {
  const record = $('[data-record]')?.dataset.record;
  for (const key of Object.keys(sessionStorage)) {
    const isDraft = key.startsWith('desk-draft:');
    if (record && isDraft && JSON.parse(sessionStorage.getItem(key)).some(([name, value]) => name === 'id' && value === record))
      sessionStorage.removeItem(key);
  }
}

// --- Begin --------------------------------------------------------------------------------------

forget();
if (draftForm) {
  restore();
  draftForm.addEventListener('input', keep);
  draftForm.addEventListener('change', keep);
}
if (picker) {
  chosen();
  picker.addEventListener('change', (event) => {
    setClocks(event);
    changed();
  });
  picker.addEventListener('click', takeAll);
  finder.addEventListener('keydown', pickFirst);
}
document.addEventListener('input', () => {
  counts();
  filter();
});
counts();
filter();
tick();
setInterval(tick, 1000);
goLive();
