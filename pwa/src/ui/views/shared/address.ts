/** Reads what stands after the `#`: a screen, or an enrolment code from a QR picture. */

/** `#/d/1` → `['d', '1']`. A broken escape leaves the part as it is. */
export function partsOf(hash: string): string[] {
  return hash
    .replace(/^#\/?/, '')
    .split('/')
    .filter(Boolean)
    .map((part) => {
      try {
        return decodeURIComponent(part);
      } catch {
        return part;
      }
    });
}

export const CODE_LENGTH = 10;
const GROUP_LENGTH = 5;

/** What a person typed or a camera read, as the ten letters and digits of a code; an address gives its `#code=`. */
export function codeOf(read: string): string {
  const typed = /[#?&]code=([^&#]+)/i.exec(read)?.[1] ?? read;
  return typed
    .normalize('NFKC')
    .toUpperCase()
    .replace(/[^0-9A-Z]/g, '')
    .slice(0, CODE_LENGTH);
}

/** `34679ACDEF` → `34679-ACDEF`, as far as it was typed. */
export function grouped(code: string): string {
  return code.length > GROUP_LENGTH ? `${code.slice(0, GROUP_LENGTH)}-${code.slice(GROUP_LENGTH)}` : code;
}
