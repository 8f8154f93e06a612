import { createPublicKey, type KeyObject, randomBytes } from 'node:crypto';
import { errors, jwtVerify } from 'jose';
import type { Installation } from './installations.ts';

/** GitHub lets an App's JWT live 10 minutes. */
const JWT_MAX_SECONDS = 600;
/** How far the caller's clock may be off. */
const CLOCK_SKEW_SECONDS = 60;

// GitHub's own words: auth-app looks for the ones about claims and then corrects its clock by the `date` header.
export const JWT_UNREADABLE = 'A JSON web token could not be decoded';
const EXP_PASSED =
  "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires";
const EXP_TOO_FAR = "'Expiration time' claim ('exp') is too far in the future";
const IAT_NOT_PAST =
  "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued";

/**
 * Reads an App's public keys from PEM (SPKI, PKCS#1 or a certificate).
 * Throws a TypeError that names the entry which is not an RSA key of 2048 bits or more.
 */
export function parsePublicKeys(pems: readonly string[]): readonly KeyObject[] {
  if (pems.length === 0) throw new TypeError('publicKeys is empty: give the PEM of at least one public key');
  return pems.map((pem, index) => {
    let key: KeyObject;
    try {
      key = createPublicKey(pem);
    } catch (error) {
      throw new TypeError(`publicKeys[${index}] is not a public key in PEM: ${(error as Error).message}`);
    }
    if (key.asymmetricKeyType !== 'rsa' || (key.asymmetricKeyDetails?.modulusLength ?? 0) < 2048) {
      throw new TypeError(`publicKeys[${index}] must be an RSA key of at least 2048 bits, as GitHub's are`);
    }
    return key;
  });
}

export type JwtVerdict = { readonly valid: true } | { readonly valid: false; readonly message: string };

/**
 * Whether GitHub would take `jwt` for the App: RS256 by one of `keys`, issued by `appId` in the past, with an
 * expiry at most ten minutes from `nowMs`. Otherwise the message that GitHub answers with its 401.
 */
export async function checkAppJwt(
  jwt: string,
  appId: string,
  keys: readonly KeyObject[],
  nowMs: number,
): Promise<JwtVerdict> {
  const now = Math.floor(nowMs / 1000);
  for (const key of keys) {
    try {
      const { payload } = await jwtVerify(jwt, key, {
        algorithms: ['RS256'],
        requiredClaims: ['iss', 'iat', 'exp'],
        currentDate: new Date(nowMs),
        clockTolerance: CLOCK_SKEW_SECONDS,
      });
      const { exp = 0, iat = 0 } = payload;
      if (exp > now + JWT_MAX_SECONDS + CLOCK_SKEW_SECONDS) return { valid: false, message: EXP_TOO_FAR };
      if (iat > now + CLOCK_SKEW_SECONDS) return { valid: false, message: IAT_NOT_PAST };
      // Octokit sends the App id as it was given to it: as a string or as a number.
      return String(payload.iss) === appId ? { valid: true } : { valid: false, message: JWT_UNREADABLE };
    } catch (error) {
      if (error instanceof errors.JWSSignatureVerificationFailed) continue; // perhaps signed by the next key
      return { valid: false, message: claimMessage(error) };
    }
  }
  return { valid: false, message: JWT_UNREADABLE };
}

function claimMessage(error: unknown): string {
  if (error instanceof errors.JWTExpired) return EXP_PASSED;
  if (error instanceof errors.JWTClaimValidationFailed) {
    if (error.claim === 'exp') return EXP_PASSED;
    if (error.claim === 'iat') return IAT_NOT_PAST;
  }
  return JWT_UNREADABLE;
}

/** What a token was issued for. */
export interface TokenGrant {
  readonly installation: Installation;
  readonly permissions: Readonly<Record<string, string>>;
  /** Repository names in lower case where the token was asked for with a selection, else every one. */
  readonly repositories: ReadonlySet<string> | 'all';
  /** Epoch milliseconds. */
  readonly expiresAt: number;
}

/** The installation tokens in circulation. */
export class InstallationTokens {
  readonly #grants = new Map<string, TokenGrant>();

  issue(grant: TokenGrant, nowMs: number): string {
    // Issued in the order of their expiry, so what has expired is at the front.
    for (const [token, { expiresAt }] of this.#grants) {
      if (expiresAt > nowMs) break;
      this.#grants.delete(token);
    }
    const token = `ghs_${randomBytes(18).toString('hex')}`;
    this.#grants.set(token, grant);
    return token;
  }

  /** The grant behind a token, unless it is unknown, revoked or expired. */
  find(token: string, nowMs: number): TokenGrant | undefined {
    const grant = this.#grants.get(token);
    return grant && grant.expiresAt > nowMs ? grant : undefined;
  }

  /** How many tokens that revoked. */
  revokeAll(): number {
    const count = this.#grants.size;
    this.#grants.clear();
    return count;
  }
}
