/** The device's own key: it signs runs, and never leaves the browser's store. */

import { utf8 } from '../core/sha256.ts';
import { base64url } from './base64.ts';
import type { Ports } from './ports.ts';

const KIND = { name: 'ECDSA', namedCurve: 'P-256' };
const SIGNING = { name: 'ECDSA', hash: 'SHA-256' };

type Subtle = Pick<Ports, 'subtle'>;

export function newKeys({ subtle }: Subtle): Promise<CryptoKeyPair> {
  return subtle.generateKey(KIND, false, ['sign', 'verify']);
}

/** The raw uncompressed point, 65 bytes, as base64url. */
export async function publicText({ subtle }: Subtle, keys: CryptoKeyPair): Promise<string> {
  return base64url(new Uint8Array(await subtle.exportKey('raw', keys.publicKey)));
}

/** The signature r‖s over the text's UTF-8 bytes, as base64url. */
export async function signText({ subtle }: Subtle, keys: CryptoKeyPair, text: string): Promise<string> {
  return base64url(new Uint8Array(await subtle.sign(SIGNING, keys.privateKey, utf8(text))));
}
