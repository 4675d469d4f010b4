"""Stable codes. Each has an HTTP status, and a Chinese and an English sentence under `error.*`."""

from enum import StrEnum


class Code(StrEnum):
    """Why something was not done. The sentence that tells a person what to do is in `i18n`."""

    BAD_REQUEST = "bad_request"
    TOO_LARGE = "too_large"
    NOT_FOUND = "not_found"
    METHOD = "method_not_allowed"
    UNAUTHENTICATED = "unauthenticated"
    FORBIDDEN = "forbidden"
    CSRF = "csrf"
    ORIGIN = "origin"
    RATE_LIMITED = "rate_limited"
    INTERNAL = "internal"
    STORAGE = "storage"
    DAMAGED = "damaged"
    STORE_DOWN = "store_down"
    SHELF_FULL = "shelf_full"
    PROTOCOL = "protocol"
    WRONG_CENTRE = "wrong_centre"
    WRONG_REPLICA = "wrong_replica"
    REVOKED = "revoked"
    LOGIN = "login"
    CODE_UNKNOWN = "code_unknown"
    CODE_USED = "code_used"
    CODE_EXPIRED = "code_expired"
    KEY = "bad_key"
    SIGNATURE = "signature"
    CHAIN = "chain_broken"
    IDENTITY_REUSED = "identity_reused"
    MUTATION = "bad_mutation"
    INTENT = "intent_unknown"
    INTENT_CHANGE = "intent_change"
    LANE = "wrong_lane"
    FIELD = "bad_field"
    NO_RIGHT = "no_right"
    NOT_YOURS = "not_yours"
    LEVEL_LIMIT = "level_limit"
    ACTOR = "actor_mismatch"
    GUARD = "guard"
    EXISTS = "already_exists"
    REMOVED = "removed"
    PARENT = "parent_unknown"
    AFTER = "after_unmet"
    SERVER_FIELD = "server_only"
    FACT_EDIT = "fact_edit"
    UNREAD = "order_not_held"
    BACKDATED = "backdated"
    ROLE_CUT = "role_cut"
    NEWER = "newer_version"
    MIXED_HOME = "mixed_home"
    NOT_QUARANTINED = "not_quarantined"
    LATE = "late"
    VOID = "bad_void"
    UPLOAD_OFFSET = "upload_offset"
    UPLOAD_CHECKSUM = "upload_checksum"
    UPLOAD_GONE = "upload_gone"
    BLOB_DAMAGED = "blob_damaged"
    UNSUPPORTED = "unsupported"


HTTP_STATUS: dict[Code, int] = {
    Code.TOO_LARGE: 413,
    Code.NOT_FOUND: 404,
    Code.METHOD: 405,
    Code.UNAUTHENTICATED: 401,
    Code.FORBIDDEN: 403,
    Code.CSRF: 403,
    Code.ORIGIN: 403,
    Code.RATE_LIMITED: 429,
    Code.INTERNAL: 500,
    Code.STORAGE: 507,
    Code.DAMAGED: 503,
    Code.STORE_DOWN: 503,
    Code.SHELF_FULL: 503,
    Code.PROTOCOL: 426,
    Code.WRONG_CENTRE: 409,
    Code.WRONG_REPLICA: 403,
    Code.REVOKED: 403,
    Code.LOGIN: 401,
    Code.CODE_UNKNOWN: 404,
    Code.CODE_USED: 409,
    Code.CODE_EXPIRED: 410,
    Code.UPLOAD_OFFSET: 409,
    Code.UPLOAD_CHECKSUM: 460,
    Code.UPLOAD_GONE: 410,
    Code.BLOB_DAMAGED: 503,
    Code.UNSUPPORTED: 415,
}
"""The status of a problem answer; a code that is not named here answers 400."""
