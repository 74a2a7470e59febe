// SPDX-License-Identifier: Apache-2.0
/** `String.hashCode()`: over UTF-16 code units, wrapping at 32 bits, signed. */
export function javaHashCode(text: string, seed = 0): number {
  let hash = seed;
  for (let i = 0; i < text.length; i++) hash = (Math.imul(hash, 31) + text.charCodeAt(i)) | 0;
  return hash;
}

/** What a queue entry holds for the `TAGS` property of a message; 0 where there is none. */
export function tagsCodeOf(tags: string | undefined): number {
  return tags ? javaHashCode(tags) : 0;
}
