"""The bugs that are planted to see whether the simulation finds them. Imports nothing of ours."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Bug:
    """A wrong change of one place in one module's source."""

    name: str
    module: str
    old: str
    new: str

    def planted_in(self, source: str) -> str:
        """The source with the bug in it. ValueError unless the place is there exactly once."""
        count = source.count(self.old)
        if count != 1:
            raise ValueError(f"{self.name}: {count} places like {self.old!r} in {self.module}")
        return source.replace(self.old, self.new)


BUGS = (
    Bug(
        "outbox emptied by a held verdict",
        "sync.outbox",
        'FINAL = frozenset({"applied", "merged", "refused", "quarantined"})',
        'FINAL = frozenset({"applied", "merged", "refused", "quarantined", "held"})',
    ),
    Bug(
        "a repeat is judged again",
        "sync.push",
        "if past is not None or arrival.fault in UNPROVEN:",
        "if arrival.fault in UNPROVEN:",
    ),
    Bug(
        "the last to be stamped loses",
        "sync.merge",
        "return max(heads, key=lambda write: (write.stamp, write.dot))",
        "return min(heads, key=lambda write: (write.stamp, write.dot))",
    ),
    Bug(
        "a stale reply is taken",
        "sync.replica",
        "return self._cursor(pair) == (0 if pair in request.bad else asked)",
        "return self._cursor(pair) >= 0 or asked > 0",
    ),
    Bug(
        "rows of a lost scope stay",
        "sync.replica",
        "for key in [key for key, scopes in self.held_by.items() if scope in scopes]:",
        "for key in [key for key, scopes in self.held_by.items() if scope == scopes]:",
    ),
    Bug(
        "a pull skips one seq",
        "sync.pull",
        "wants.append(Want(scope, lane, 0 if again else after))",
        "wants.append(Want(scope, lane, 0 if again else min(after + 1, upto)))",
    ),
    Bug(
        "a removed row can be made again",
        "sync.judge",
        "            if stored is not None:\n",
        "            if stored is not None and not stored.row.removed:\n",
    ),
    Bug(
        "an epoch change goes unnoticed",
        "sync.replica",
        "        if reply.epoch != self.identity.epoch:\n",
        "        if reply.epoch == reply.centre:\n",
    ),
    Bug(
        "a failed write is committed",
        "server.store.sqlite.database",
        'self.db.execute("ROLLBACK")',
        'self.db.execute("COMMIT")',
    ),
    Bug(
        "anybody may change anything",
        "sync.rights",
        '    if stored is None and change.op != "create":\n',
        "    if stored is None or change.op:\n",
    ),
    Bug(
        "a page ends within a seq",
        "server.store.lines",
        "        if size >= room and seq != last:\n",
        "        if size >= room:\n",
    ),
    Bug(
        "work that the centre lost is not sent again",
        "sync.replica",
        "        again = [one.saved for one in self.sent if one.seq > fork]\n",
        "        again = []\n",
    ),
    Bug(
        "a verdict before the commit",
        "server.batch",
        "await self._store.write(work)",
        "await self._store.read(work)",
    ),
    Bug(
        "a stamp is believed however far ahead",
        "sync.stamp",
        "    if claimed.wall_ms <= now_ms + DRIFT_MS_MAX:\n        return claimed\n",
        "    if claimed.wall_ms <= now_ms * DRIFT_MS_MAX:\n        return claimed\n",
    ),
    Bug(
        "any verdict of its number empties the outbox",
        "sync.outbox",
        "return verdict.verdict in FINAL and named and verdict.hash == saved.hash",
        "return named",
    ),
    Bug(
        "a digest that does not look at the words",
        "sync.digest",
        '"fields": row.fields,',
        '"fields": sorted(row.fields),',
    ),
    Bug(
        "a row that leaves a scope stays in its sum",
        "server.store.commit",
        "for scope, spot in place.spots.items() if spot.present]",
        "for scope, spot in place.spots.items()]",
    ),
    Bug(
        "nobody is told that a row left",
        "sync.scope",
        "Member(scope, entity.lane, after.entity, after.id, False)",
        "Member(scope, entity.lane, after.entity, after.id, True)",
    ),
    Bug(
        "an order comes without its parents",
        "sync.scope",
        "    if before is None:\n",
        '    if before is None and after.entity != "target":\n',
    ),
    Bug(
        "a revoked device is heard",
        "sync.judge",
        "    if session.revoked and not arrival.released:\n",
        "    if session.revoked and arrival.released:\n",
    ),
    Bug(
        "a device keeps the scopes of its old unit",
        "server.grants",
        "unit = has[0] if roles",
        "unit = had[0] if roles",
    ),
    Bug(
        "what was allowed when written is refused",
        "sync.rights",
        "        if then is not None and allowed[then]:\n",
        "        if then is not None and not allowed[then]:\n",
    ),
    Bug(
        "rivals without a Conflict",
        "sync.conflict",
        "if is_disputed(state) and _sides(state) != _sides(wrote.before[name]):",
        "if state.open and _sides(state) != _sides(wrote.before[name]):",
    ),
    Bug(
        "the centre's word weighs no more than another",
        "sync.merge",
        "key=lambda write: (write.authority, write.stamp, write.dot)",
        "key=lambda write: (write.stamp, write.dot)",
    ),
    Bug(
        "an edit of a removed row is taken",
        "sync.judge",
        "        elif stored is None or stored.row.removed:\n",
        "        elif stored is None:\n",
    ),
    Bug(
        "a pair begun anew keeps what went meanwhile",
        "sync.replica",
        "            for key in self.holds.get(pair, set()) - kept:\n",
        "            for key in self.holds.get(pair, set()) & kept - kept:\n",
    ),
    Bug(
        "a released mutation that must wait is forgotten",
        "server.batch",
        '    if entry.verdict.verdict == "held":\n',
        '    if entry.verdict.verdict == "held" and not commit.release:\n',
    ),
    Bug(
        "what the centre signed is not trusted when it comes back",
        "server.offers",
        "trusted=True, sig=offer.sig",
        "trusted=False, sig=offer.sig",
    ),
    Bug(
        "a late verdict never reaches its author",
        "sync.replica",
        "                self.settle(_late_verdict(row), row.arrived)\n",
        "                _late_verdict(row)\n",
    ),
    Bug(
        "the horizon forgets rows that live",
        "server.store.sqlite.txn",
        "DELETE FROM member WHERE centre=? AND present=0 AND",
        "DELETE FROM member WHERE centre=? AND present>=0 AND",
    ),
    Bug(
        "the chain breaks at a void",
        "server.verify",
        "    if mutation.intent != VOID:\n        return hash\n",
        "    if mutation.intent:\n        return hash\n",
    ),
    Bug(
        "a step of an earlier round counts",
        "sync.fold",
        "        if mark.round != round_now or mark.version < version_now:\n",
        "        if mark.version < version_now:\n",
    ),
    Bug(
        "a recall that met a signature shows no Conflict",
        "sync.recall",
        'return bool(same_round and RANKS[step.fields["step"]] > recall.fields["rank_seen"])',
        'return bool(same_round and RANKS[step.fields["step"]] < recall.fields["rank_seen"])',
    ),
    Bug(
        "the node gives a number twice",
        "server.engine",
        '            txn.put("node", "tips", after)\n',
        "",
    ),
    Bug(
        "two orders get one human number",
        "server.numbers",
        '    txn.put("number", key, {"last": last + 1})\n',
        '    txn.put("number", key, {"last": last})\n',
    ),
    Bug(
        "a refused mutation is shown to nobody",
        "sync.push",
        "    row = at_home(quarantine_row(arrival, verdict, session, now_ms), known.centre)\n"
        "    return Judged(verdict, (*judged.wrote, row))\n",
        "    return judged\n",
    ),
    Bug(
        "who was away past the horizon is told only what is new",
        "sync.pull",
        "again = after < floor or (scope, lane) in bad",
        "again = (scope, lane) in bad",
    ),
    Bug(
        "numbers begin again after a restore",
        "server.epoch",
        "NUMBERS_SKIPPED = 100\n",
        "NUMBERS_SKIPPED = 0\n",
    ),
    Bug(
        "what comes again is judged by the times it brings itself",
        "server.epoch",
        '"returning_until": NOT_HEARD_YET}',
        '"returning_until": 0}',
    ),
    Bug(
        "a second restore forgets what was to be offered",
        "sync.replica",
        "        self.offers += [proof for dot",
        "        self.offers = [proof for dot",
    ),
    Bug(
        "a removed row shows through unsent words",
        "sync.overlay",
        "    if row is not None and row.removed:\n        return row\n",
        "",
    ),
    Bug(
        "an order comes back without its incident",
        "sync.judge",
        "    if arrival.reoffered:\n",
        "    if arrival.reoffered and arrival.released:\n",
    ),
    Bug(
        "a push is judged before its device knows of the restore",
        "server.engine",
        "same_log = request.epoch == head.epoch",
        'same_log = request.epoch != ""',
    ),
    Bug(
        "a bundle that anybody signed is opened",
        "sync.bundle",
        "    if not (sig.isascii() and any(verify(key, sig, signed) for key in keys)):\n",
        "    if not sig.isascii():\n",
    ),
    Bug(
        "a bundle is opened wherever it is brought",
        "sync.bundle",
        "    if header.to != trust.centre:\n",
        "    if not header.to:\n",
    ),
    Bug(
        "a run proves itself by any key",
        "sync.bundle_plan",
        "    if keys.get(run.replica, run.key) != run.key:\n",
        "    if not run.key:\n",
    ),
    Bug(
        "what a lost bundle brought is not asked back",
        "sync.bundle_plan",
        "lacking(expected, after), after",
        "Have(), after",
    ),
    Bug(
        "nobody hears what a bundle asks back",
        "sync.bundle_plan",
        "    return lacking(peer, header.asks)\n",
        "    return peer\n",
    ),
    Bug(
        "an unregistered stick is let in",
        "sync.bundle",
        "    if trust.carriers is not None and header.carrier not in trust.carriers:\n",
        "    if trust.carriers is not None and header.carrier is None:\n",
    ),
    Bug(
        "the last to arrive wins",
        "sync.merge",
        "    return FieldState(WINNERS[policy](heads), (), tuple(heads))\n",
        "    return FieldState(every[-1], (), tuple(heads))\n",
    ),
    Bug(
        "a page goes by id, and its cursor with it",
        "server.store.sqlite.txn",
        '            " ORDER BY m.seq"\n',
        '            " ORDER BY r.id"\n',
    ),
    Bug(
        "a cursor is a time",
        "sync.replica",
        "        self.cursors = advance(self.cursors, *pair, reply.upto)\n",
        "        self.cursors = advance(self.cursors, *pair, reply.now)\n",
    ),
    Bug(
        "who saw a write has seen all that came before it",
        "sync.rows",
        "        seen = tuple(dot for dot in named if dot in here)\n",
        "        last = max((n for n, one in enumerate(first) if one.dot in named), default=-1)\n"
        "        seen = tuple(one.dot for one in first[: last + 1])\n",
    ),
    Bug(
        "any answer empties the outbox of what was sent",
        "sync.replica",
        "            self.settle(verdict, reply.now)\n        self._set_clock(reply)\n",
        "            self.settle(verdict, reply.now)\n"
        "        sent = {bytes(raw) for run in request.runs for raw in run.mutations}\n"
        "        self.outbox = [one for one in self.outbox if one.raw not in sent]\n"
        "        self._set_clock(reply)\n",
    ),
    Bug(
        "a device with a refused mutation sends no more",
        "sync.replica",
        "runs=[] if many else runs_to_send(",
        "runs=[] if many or self.refused else runs_to_send(",
    ),
    Bug(
        "what comes after a refused mutation waits",
        "sync.push",
        "            judged = judge(known, arrival, clock)\n",
        "            judged = judge(known, arrival, clock)\n"
        "            for one in plan.verdicts:\n"
        '                if one.verdict == "refused":\n'
        "                    need = (Code.AFTER, one.dot)\n"
        '                    told = Verdict(arrival.dot, arrival.hash, "held", 0, *need)\n'
        "                    judged = Judged(told)\n",
    ),
    Bug(
        "slow lanes are told first",
        "sync.pull",
        "    for lane in chosen:\n",
        "    for lane in reversed(chosen):\n",
    ),
    Bug(
        "slow lanes of a push are judged first",
        "server.verify",
        "    for run in request.runs:\n",
        "    for run in sorted(request.runs, key=lambda run: -run.lane):\n",
    ),
    Bug(
        "slow lanes are sent first",
        "sync.outbox",
        "key=lambda saved: (saved.lane, saved.n))",
        "key=lambda saved: (-saved.lane, saved.n))",
    ),
    Bug(
        "a batch is judged by rows that were read before it",
        "sync.push",
        "    known.remember(judged.wrote)\n",
        "",
    ),
    Bug(
        "anybody who knows its name gets a part of a snapshot",
        "server.snapshots",
        "files is None or files.pair[0] not in scopes:",
        "files is None:",
    ),
    Bug(
        "a revoked device is still served",
        "server.device",
        "self.scopes if self.roles and not self.revoked else ()",
        "self.scopes if self.roles else ()",
    ),
    Bug(
        "the overlay does not show what waits",
        "sync.replica",
        "[one.saved for one in self.awaiting] + self.outbox)",
        "[one.saved for one in self.awaiting])",
    ),
    Bug(
        "what is held is never given up",
        "sync.push",
        "        if now_ms - held.since > HELD_MS:\n",
        "        if held.since - now_ms > HELD_MS:\n",
    ),
    Bug(
        "a clock that ran ahead is not set back",
        "sync.replica",
        "        if ahead or self.stamp.wall_ms < reply.now:\n",
        "        if not ahead and self.stamp.wall_ms < reply.now:\n",
    ),
    Bug(
        "a revoked device still gets parts of snapshots",
        "server.engine",
        "self.snapshots.get(txn, sha256, device.granted)",
        "self.snapshots.get(txn, sha256, device.scopes)",
    ),
    Bug(
        "nobody looks at a condition",
        "sync.rights",
        "    if not _holds(row, guard):\n",
        "    if row is None and not _holds(row, guard):\n",
    ),
    Bug(
        "a condition that holds is refused",
        "sync.rights",
        'return bool(row.writes.get(field, ("", row.dot))[1] == guard.value)',
        'return bool(row.writes.get(field, ("", ""))[1] == guard.value)',
    ),
    Bug(
        "nothing waits for what it is to come after",
        "sync.rights",
        '        if past is None or past.verdict.verdict == "held":\n',
        '        if past is not None and past.verdict.verdict == "held":\n',
    ),
    Bug(
        "a record names a photo before its bytes are there",
        "server.routes.blob",
        "    await asyncio.to_thread(blobs.finish, upload)\n"
        "    await request.app.state.blob_records.write(lambda txn: note_whole(txn, upload))\n",
        "    await request.app.state.blob_records.write(lambda txn: note_whole(txn, upload))\n"
        "    await asyncio.to_thread(blobs.finish, upload)\n",
    ),
    Bug(
        "whoever knows its hash gets a photo",
        "server.blobs",
        "        if reader.scopes is None or set(of_row) & set(reader.scopes):\n",
        "        if reader.scopes is None or of_row:\n",
    ),
    Bug(
        "nobody looks where a chunk belongs",
        "server.blobs",
        "        if offset != self.size_of_part(upload.id) or offset + len(chunk) > upload.size:\n",
        "        if offset + len(chunk) > upload.size:\n",
    ),
    Bug(
        "a chunk is taken as it comes",
        "server.routes.blob",
        "    if base64.b64encode(hashlib.sha256(chunk).digest()).decode() != value.strip():\n",
        "    if not base64.b64encode(hashlib.sha256(chunk).digest()).decode():\n",
    ),
    Bug(
        "a late copy of a request tells a time that has not come",
        "server.lanes",
        "    if returning or oldest > came.now_ms:\n        oldest = 0\n"
        '    floor_ms = min(max(doc.get("floor_ms", 0), oldest), came.now_ms)\n',
        "    if returning:\n        oldest = 0\n"
        '    floor_ms = max(doc.get("floor_ms", 0), oldest)\n',
    ),
    Bug(
        "an answer knows no budget",
        "server.pull",
        "budget(request.max_bytes)",
        "budget(1 << 30)",
    ),
    Bug(
        "contradictory filings leave no Conflict",
        "sync.filings",
        "    if found:\n        weighed.opened.append(found)\n",
        "    if found and found.row.seq:\n        weighed.opened.append(found)\n",
    ),
    Bug(
        "a ruling on filings changes nothing",
        "sync.moves",
        '        "ruled" if row.id in out else "",\n',
        '        "ruled" if row.actor in out else "",\n',
    ),
    Bug(
        "a wrong clock goes unsaid",
        "server.engine",
        "is_off(request.clock, now)",
        "is_off(request.clock, request.clock)",
    ),
    Bug(
        "a wrong clock is forgotten by what waits",
        "server.held",
        'FLAGS = ("released", "reoffered", "clock_off", "returning")',
        'FLAGS = ("released", "reoffered", "returning")',
    ),
    Bug(
        "a dispatcher alone acts at any level",
        "sync.levels",
        "    if intent.grave and not roles & set(intent.grave) and",
        "    if intent.grave and not roles & set(intent.roles) and",
    ),
)
