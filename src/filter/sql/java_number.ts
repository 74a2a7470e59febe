// SPDX-License-Identifier: Apache-2.0
/** Numbers in text, as Java reads them: `Integer.valueOf`, `Long.valueOf`, `Double.valueOf`. */

const MAX_INT = 0x7fffffff;
const MIN_INT = -0x80000000;
const MAX_LONG = 0x7fffffffffffffffn;
const MIN_LONG = -0x8000000000000000n;
/** The longest with a value in range; leading zeros beyond that are nobody's. */
const MAX_DIGITS = 4096;

const ASCII_INTEGER = /^[+-]?[0-9]+$/;
const DIGIT = /\p{Nd}/u;
const DECIMAL = /^[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[fFdD]?$/;
const HEXADECIMAL = /^([+-]?)0[xX]([0-9a-fA-F]*)\.?([0-9a-fA-F]*)[pP]([+-]?[0-9]+)[fFdD]?$/;
const WORD = /^([+-]?)(NaN|Infinity)$/;

/** Undefined where Java would throw. */
export function parseJavaInt(text: string): number | undefined {
  const digits = plainDigits(text);
  if (digits === undefined) return undefined;
  const value = Number(digits);
  // Not -0, which no integer is.
  return value >= MIN_INT && value <= MAX_INT ? value + 0 : undefined;
}

/** Undefined where Java would throw. */
export function parseJavaLong(text: string): bigint | undefined {
  const digits = plainDigits(text);
  if (digits === undefined) return undefined;
  const value = digits.startsWith("-") ? -BigInt(digits.slice(1)) : BigInt(digits.replace("+", ""));
  return value >= MIN_LONG && value <= MAX_LONG ? value : undefined;
}

/** Undefined where Java would throw. Blanks around the number are allowed, unlike for integers. */
export function parseJavaDouble(text: string): number | undefined {
  const trimmed = trimAsJava(text);
  if (DECIMAL.test(trimmed)) {
    const last = trimmed.charCodeAt(trimmed.length - 1) | 0x20;
    const hasSuffix = last === 0x64 || last === 0x66;
    const value = Number(hasSuffix ? trimmed.slice(0, -1) : trimmed);
    return value;
  }
  const word = WORD.exec(trimmed);
  if (word !== null) return word[2] === "NaN" ? NaN : word[1] === "-" ? -Infinity : Infinity;
  return hexadecimal(trimmed);
}

/** `Double.compareTo`: NaN is above all and equals itself, -0 is below 0. */
export function compareDoubles(left: number, right: number): number {
  if (left < right) return -1;
  if (left > right) return 1;
  if (Object.is(left, right)) return 0;
  if (Number.isNaN(left)) return 1;
  if (Number.isNaN(right)) return -1;
  return Object.is(left, -0) ? -1 : 1;
}

/** ASCII digits with their sign; Java takes any script's. */
function plainDigits(text: string): string | undefined {
  if (text.length > MAX_DIGITS) return undefined;
  if (ASCII_INTEGER.test(text)) return text;
  const sign = text[0] === "+" || text[0] === "-" ? text[0] : "";
  let digits = sign;
  for (let i = sign.length; i < text.length; i++) {
    if (!DIGIT.test(text[i])) return undefined;
    digits += digitValue(text.charCodeAt(i));
  }
  return digits.length > sign.length ? digits : undefined;
}

/** Each script's ten digits stand in a row, and no two rows touch (in the plane of two-byte characters). */
function digitValue(code: number): number {
  let value = 0;
  while (value < 9 && DIGIT.test(String.fromCharCode(code - value - 1))) value++;
  return value;
}

function trimAsJava(text: string): string {
  let from = 0;
  let end = text.length;
  while (from < end && text.charCodeAt(from) <= 0x20) from++;
  while (end > from && text.charCodeAt(end - 1) <= 0x20) end--;
  return text.slice(from, end);
}

function hexadecimal(text: string): number | undefined {
  const match = HEXADECIMAL.exec(text);
  if (match === null) return undefined;
  const [, sign, whole, fraction, exponent] = match;
  const digits = whole + fraction;
  if (digits === "" || digits.length > MAX_DIGITS) return undefined;
  const magnitude = scale(BigInt(`0x${digits}`), Number(exponent) - 4 * fraction.length);
  return sign === "-" ? -magnitude : magnitude;
}

/** `mantissa` × 2^`exponent`, rounded once. */
function scale(mantissa: bigint, exponent: number): number {
  if (mantissa === 0n) return 0;
  const bits = mantissa.toString(2).length;
  if (bits + exponent > 1024) return Infinity;
  if (bits + exponent < -1074) return 0;
  if (exponent >= 0) return Number(mantissa << BigInt(exponent));
  // Leave 53 bits, or as many as a number so small has, and one bit that says whether there was more.
  const keep = Math.min(53, bits + exponent + 1074);
  const drop = bits - keep - 2;
  if (drop <= 0) return times2(Number(mantissa), exponent);
  const kept = mantissa >> BigInt(drop);
  const hasMore = (kept << BigInt(drop)) !== mantissa;
  const sticky = hasMore ? (kept << 1n) | 1n : kept << 1n;
  const half = 1n << 2n;
  const low = sticky & 7n;
  let rounded = sticky >> 3n;
  if (low > half || (low === half && (rounded & 1n) === 1n)) rounded++;
  return times2(Number(rounded), exponent + drop + 2);
}

/** In two steps, for 2^exponent alone may be too small or too large. */
function times2(value: number, exponent: number): number {
  const half = Math.trunc(exponent / 2);
  return value * 2 ** half * 2 ** (exponent - half);
}
