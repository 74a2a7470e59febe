// SPDX-License-Identifier: Apache-2.0

/** Below this the engine's own search can't take long, whatever the text. */
const SHORT_CHARACTERS = 32;

/** A test for texts that contain `search`, in time proportional to the text whatever both are. */
export function containing(search: string): (text: string) => boolean {
  if (search.length <= SHORT_CHARACTERS) return (text) => text.includes(search);
  const fallback = fallbackTable(search);
  return (text) => {
    let matched = 0;
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at);
      while (matched > 0 && search.charCodeAt(matched) !== code) matched = fallback[matched - 1];
      if (search.charCodeAt(matched) === code) matched++;
      if (matched === search.length) return true;
    }
    return false;
  };
}

/** For each beginning of `search`: how long its longest end is that is a beginning as well (Knuth, Morris, Pratt). */
function fallbackTable(search: string): Uint32Array {
  const table = new Uint32Array(search.length);
  let matched = 0;
  for (let at = 1; at < search.length; at++) {
    const code = search.charCodeAt(at);
    while (matched > 0 && search.charCodeAt(matched) !== code) matched = table[matched - 1];
    if (search.charCodeAt(matched) === code) matched++;
    table[at] = matched;
  }
  return table;
}
