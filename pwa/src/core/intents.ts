/** Emitted from schema/ by `python3 run.py emit`; never edit it by hand, a test would tell. */

export const CODES = [
  'bad_request',
  'too_large',
  'not_found',
  'method_not_allowed',
  'unauthenticated',
  'forbidden',
  'csrf',
  'origin',
  'rate_limited',
  'internal',
  'storage',
  'damaged',
  'store_down',
  'shelf_full',
  'protocol',
  'wrong_centre',
  'wrong_replica',
  'revoked',
  'login',
  'code_unknown',
  'code_used',
  'code_expired',
  'bad_key',
  'signature',
  'chain_broken',
  'identity_reused',
  'bad_mutation',
  'intent_unknown',
  'intent_change',
  'wrong_lane',
  'bad_field',
  'no_right',
  'not_yours',
  'level_limit',
  'actor_mismatch',
  'guard',
  'already_exists',
  'removed',
  'parent_unknown',
  'after_unmet',
  'server_only',
  'fact_edit',
  'order_not_held',
  'backdated',
  'role_cut',
  'newer_version',
  'mixed_home',
  'not_quarantined',
  'late',
  'bad_void',
  'upload_offset',
  'upload_checksum',
  'upload_gone',
  'blob_damaged',
  'unsupported',
] as const;
export type Code = (typeof CODES)[number];

export const TAGS = [
  'clock_ahead',
  'clock_off',
  'before_cut',
  'released',
  'reoffered',
  'meets_removal',
  'after_close',
] as const;
export type Tag = (typeof TAGS)[number];

export const ROLES = [
  'dispatcher',
  'shift_lead',
  'centre_head',
  'duty',
  'unit_head',
  'responder',
  'operator',
  'steward',
  'admin',
] as const;
export type Role = (typeof ROLES)[number];

export const INTENT_NAMES = [
  'incident.open',
  'incident.edit',
  'directive.issue',
  'directive.recall',
  'recall.rule',
  'target.step',
  'target.stop',
  'target.close',
  'target.send_back',
  'feedback.add',
  'help.call',
  'help.answer',
  'move.file',
  'contact.edit',
  'contact.edit_any',
  'equipment.edit',
  'conflict.decide',
  'conflict.decide_own',
  'quarantine.release',
  'quarantine.reject',
  'quarantine.close',
  'lane.void',
  'register.load',
] as const;
export type IntentName = (typeof INTENT_NAMES)[number];

export const STEPS = [
  'pending',
  'received',
  'read',
  'signed',
  'departed',
  'arrived',
  'acting',
  'reported',
  'closed',
] as const;
export type StepName = (typeof STEPS)[number];

export const ROUTES = ['device', 'centre'] as const;
export type Route = (typeof ROUTES)[number];

export const URGENCIES = ['flash', 'urgent', 'routine'] as const;
export type Urgency = (typeof URGENCIES)[number];

export interface IntentSpec {
  lane: number;
  roles: readonly Role[];
  writes: Readonly<Record<string, readonly string[]>>;
  reach: string;
  /** `{entity: {field: values}}` where the intent allows less than the entity does. */
  only: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
  /** It has the lane of the lost mutation that it stands in for, not one of its own. */
  any_lane: boolean;
}

export const RANKS: Readonly<Record<string, number>> = {
  pending: 0,
  received: 1,
  read: 2,
  signed: 3,
  departed: 4,
  arrived: 5,
  acting: 6,
  reported: 7,
  closed: 8,
};

export const INTENTS: Readonly<Record<string, IntentSpec>> = {
  'incident.open': {
    lane: 0,
    roles: ['dispatcher', 'shift_lead', 'centre_head'],
    writes: { incident: ['create'], incident_summary: ['create'] },
    reach: 'centre',
    only: {},
    any_lane: false,
  },
  'incident.edit': {
    lane: 1,
    roles: ['dispatcher', 'shift_lead', 'centre_head'],
    writes: { incident: ['set'], incident_summary: ['set'] },
    reach: 'centre',
    only: {},
    any_lane: false,
  },
  'directive.issue': {
    lane: 0,
    roles: ['dispatcher', 'shift_lead', 'centre_head'],
    writes: { directive: ['create'], target: ['create'] },
    reach: 'centre',
    only: {},
    any_lane: false,
  },
  'directive.recall': {
    lane: 0,
    roles: ['dispatcher', 'shift_lead', 'centre_head'],
    writes: { recall: ['create'] },
    reach: 'centre',
    only: {},
    any_lane: false,
  },
  'recall.rule': {
    lane: 0,
    roles: ['dispatcher', 'shift_lead', 'centre_head'],
    writes: { ruling: ['create'] },
    reach: 'centre',
    only: {},
    any_lane: false,
  },
  'target.step': {
    lane: 0,
    roles: ['duty', 'unit_head', 'responder'],
    writes: { step: ['create'] },
    reach: 'own',
    only: {
      step: { step: ['received', 'read', 'signed', 'departed', 'arrived', 'acting', 'reported'], route: ['device'] },
    },
    any_lane: false,
  },
  'target.stop': {
    lane: 0,
    roles: ['duty', 'unit_head', 'responder'],
    writes: { stop: ['create'] },
    reach: 'own',
    only: {},
    any_lane: false,
  },
  'target.close': {
    lane: 0,
    roles: ['dispatcher', 'shift_lead', 'centre_head'],
    writes: { step: ['create'] },
    reach: 'centre',
    only: {
      step: { step: ['closed'], route: ['centre'] },
    },
    any_lane: false,
  },
  'target.send_back': {
    lane: 0,
    roles: ['dispatcher', 'shift_lead', 'centre_head'],
    writes: { round: ['create'] },
    reach: 'centre',
    only: {},
    any_lane: false,
  },
  'feedback.add': {
    lane: 1,
    roles: ['duty', 'unit_head', 'responder'],
    writes: { feedback: ['create'] },
    reach: 'own',
    only: {},
    any_lane: false,
  },
  'help.call': {
    lane: 0,
    roles: ['duty', 'unit_head', 'responder', 'operator'],
    writes: { help_call: ['create'] },
    reach: 'own',
    only: {},
    any_lane: false,
  },
  'help.answer': {
    lane: 0,
    roles: ['dispatcher', 'shift_lead', 'centre_head'],
    writes: { help_answer: ['create'] },
    reach: 'centre',
    only: {},
    any_lane: false,
  },
  'move.file': {
    lane: 1,
    roles: ['operator', 'duty', 'unit_head', 'steward'],
    writes: { equipment_move: ['create'] },
    reach: 'own',
    only: {},
    any_lane: false,
  },
  'contact.edit': {
    lane: 2,
    roles: ['duty', 'unit_head', 'steward'],
    writes: { contact: ['create', 'set', 'remove'], contact_phone: ['create', 'set', 'remove'] },
    reach: 'own',
    only: {},
    any_lane: false,
  },
  'contact.edit_any': {
    lane: 2,
    roles: ['shift_lead'],
    writes: { contact: ['create', 'set', 'remove'], contact_phone: ['create', 'set', 'remove'] },
    reach: 'centre',
    only: {},
    any_lane: false,
  },
  'equipment.edit': {
    lane: 2,
    roles: ['duty', 'unit_head', 'steward'],
    writes: { equipment: ['create', 'set', 'remove'] },
    reach: 'own',
    only: {},
    any_lane: false,
  },
  'conflict.decide': {
    lane: 1,
    roles: ['shift_lead'],
    writes: { contact: ['set'], contact_phone: ['set'], equipment: ['set'], move_ruling: ['create'] },
    reach: 'centre',
    only: {},
    any_lane: false,
  },
  'conflict.decide_own': {
    lane: 1,
    roles: ['duty', 'unit_head', 'steward'],
    writes: { contact: ['set'], contact_phone: ['set'], equipment: ['set'], move_ruling: ['create'] },
    reach: 'own',
    only: {},
    any_lane: false,
  },
  'quarantine.release': {
    lane: 1,
    roles: ['shift_lead', 'centre_head'],
    writes: { quarantine: ['set'] },
    reach: 'centre',
    only: {
      quarantine: { state: ['released'] },
    },
    any_lane: false,
  },
  'quarantine.reject': {
    lane: 1,
    roles: ['shift_lead', 'centre_head'],
    writes: { quarantine: ['set'] },
    reach: 'centre',
    only: {
      quarantine: { state: ['rejected'] },
    },
    any_lane: false,
  },
  'quarantine.close': {
    lane: 1,
    roles: ['dispatcher', 'shift_lead', 'centre_head'],
    writes: { quarantine: ['set'] },
    reach: 'centre',
    only: {
      quarantine: { state: ['closed'] },
    },
    any_lane: false,
  },
  'lane.void': {
    lane: 0,
    roles: ['duty', 'unit_head', 'responder', 'steward', 'operator'],
    writes: { void: ['create'] },
    reach: 'own',
    only: {},
    any_lane: true,
  },
  'register.load': {
    lane: 2,
    roles: ['admin'],
    writes: {
      unit: ['create', 'set', 'remove'],
      person: ['create', 'set', 'remove'],
      contact: ['create', 'set', 'remove'],
      contact_phone: ['create', 'set', 'remove'],
      equipment: ['create', 'set', 'remove'],
    },
    reach: 'centre',
    only: {},
    any_lane: false,
  },
};
