// SPDX-License-Identifier: Apache-2.0
/** Filter expressions and properties to try them on: sound ones, broken ones, and all that lies between. */
import { SeededRandom } from "../harness/seeded_random.ts";

export interface FilterCase {
  readonly expression: string;
  readonly propertySets: readonly ReadonlyMap<string, string>[];
}

/** What is easily got wrong. */
const CHOSEN = [
  ...[
    "a",
    "NOT a",
    "a = TRUE",
    "a = FALSE",
    "TRUE = a",
    "a = NULL",
    "NULL = a",
    "NULL",
    "TRUE",
    "1",
    "'x'",
    "",
  ],
  ...[
    "NOT a = 1",
    "NOT (a = 1)",
    "a = 1 b = 2",
    "a LIKE 'x'",
    "a-b = 1",
    "a + 1 = 2",
    "a = 007",
    "007 = a",
    "a = 0L",
  ],
  ...[
    "a = 1L",
    "a = 5l",
    "a = 2147483648",
    "a = -2147483648",
    "a = 9223372036854775807",
    "a = 9223372036854775808",
  ],
  ...[
    "a > -9223372036854775808",
    "a > - 5",
    "a > --5",
    "a > -- 5\n 3",
    "a > /* c */ 5",
    "a > /* c 5",
    "a > -(-5)",
  ],
  ...[
    "a = 0.0",
    "a = 0.1",
    "a = 5.",
    "a = .5",
    "a = 5E10",
    "a = 5e-3",
    "a = 5E",
    "a = 1E400",
    "a = 1E-400",
    "a = 00.5",
  ],
  ...[
    "E5 = 1",
    "e5x = 1",
    "a = 1 E5",
    "E5",
    "a BETWEEN 1 AND 3000000000",
    "a BETWEEN 1 AND 5.5",
    "a BETWEEN 5 AND 1",
  ],
  ...[
    "a NOT BETWEEN 5 AND 1",
    "a BETWEEN NULL AND 1",
    "a BETWEEN 'a' AND 'b'",
    "a BETWEEN 1 AND 'b'",
    "a BETWEEN b AND c",
  ],
  ...["a BETWEEN 1 AND 5 AND b = 1", "a BETWEEN -1 AND 1 = TRUE", "a BETWEEN -1 AND -5", "1 BETWEEN a AND b"],
  ...["a BETWEEN TRUE AND FALSE", "a NOT BETWEEN TRUE AND 1", "a BETWEEN 2 AND 2", "a BETWEEN 1.5 AND 1"],
  ...[
    "a IN ('x')",
    "a IN ()",
    "a IN ('x',)",
    "a IN ('x','y','')",
    "a NOT IN ('x')",
    "1 IN ('1')",
    "a IN (1)",
    "(a) IN ('x')",
  ],
  ...["+a IN ('x')", "-a IN ('x')", "a > 1 IN ('x')", "a IN ('x') IN ('y')", "NOT a IN ('x')", "a IN 'x'"],
  ...[
    "a CONTAINS 'x'",
    "a CONTAINS ''",
    "a NOT CONTAINS ''",
    "a NOT CONTAINS 'x'",
    "a STARTSWITH 'x'",
    "a ENDSWITH 'x'",
  ],
  ...[
    "a NOT STARTSWITH 'x'",
    "a NOT ENDSWITH 'x'",
    "'xyz' CONTAINS 'y'",
    "1 CONTAINS '1'",
    "a CONTAINS b",
    "a CONTAINS 5",
  ],
  ...[
    "a > 1 CONTAINS 'x'",
    "a CONTAINS 'x' CONTAINS 'y'",
    "NULL CONTAINS 'x'",
    "NOT a CONTAINS 'x'",
    "-1 NOT CONTAINS 'x'",
  ],
  ...[
    "a IS NULL",
    "a IS NOT NULL",
    "a IS 'x'",
    "a IS NOT 1",
    "NULL IS NULL",
    "1 IS NULL",
    "a = 1 IS NULL",
    "a > 1 IS NULL",
  ],
  ...[
    "a > '5'",
    "a > 1 > 0",
    "a > TRUE",
    "a > NULL",
    "1 > a",
    "1 < 2",
    "1 = 1.0",
    "1 = 1",
    "2147483648 = 2147483648.0",
    "1 = '1'",
  ],
  ...[
    "'1' = 1",
    "'x' = 'x'",
    "'true' = TRUE",
    "TRUE = 'true'",
    "TRUE = TRUE",
    "TRUE = 1",
    "1 = TRUE",
    "FALSE = 1",
    "NULL = NULL",
  ],
  ...[
    "a = b",
    "a <> b",
    "a > b",
    "a <= b",
    "1 = a",
    "1 <> a",
    "a <> 1",
    "a <> 'x'",
    "'x' = a",
    "(a = 1) = TRUE",
    "(a = 1) = b",
  ],
  ...[
    "b = (a = 1)",
    "TRUE = (a = 1)",
    "(a = 1) = 1",
    "a = 1 = TRUE",
    "a = 1 = b",
    "a = b = c",
    "a <> b <> c",
    "-a = 1",
    "-a IS NULL",
  ],
  ...[
    "- -1 = 1",
    "-1 = -1",
    "-0 = 0",
    "-1.5 < a",
    "a > 1.0",
    "a > 1",
    "NOT NOT a",
    "NOT NULL",
    "NOT TRUE",
    "NOT 1",
    "- TRUE = 1",
  ],
  ...[
    "a NOT b",
    "a NOT",
    "a NOT NULL",
    "NOT",
    "AND",
    "a AND",
    "a OR",
    "a AND b",
    "a OR b",
    "a AND 1",
    "1 OR a",
    "a AND -b",
    "(a",
    "a)",
  ],
  ...[
    "((a))",
    "()",
    "a @",
    "a = 1 @",
    "a = 1 AND @",
    "@",
    "a = 1 # c",
    "a = 1 ;",
    "a != 1",
    "a == 1",
    'a = "x"',
    "a.b = 1",
    "a = 'x",
  ],
  ...[
    "a = 'it''s'",
    "a = 'it''s",
    "a = ''",
    "a = ''''",
    "a = 'x' 'y'",
    "a = 'x''y'",
    "$a = 1",
    "_b = 1",
    "A = 1",
    "and = 1",
    "aNd",
    "à = 1",
  ],
  ...[
    "a = 'ü'",
    "a = '\u4e2d\u6587'",
    "a = 1 AND",
    "a = 1 OR )",
    "a = 1 ) OR",
    "now > 1",
    "a > now",
    "a\t=\n1\f",
    "a = 1 -- c",
    "a = 1 -- @\n",
  ],
  ...[
    "a = 1 /* @ */",
    "a = 1 /* @",
    "a = 0x10",
    "a = 10D",
    "a = 10F",
    "a = 1e5",
    "a = 1.e5",
    "a = .e5",
    "1.5.5 = a",
    "a = 12345678901234567890",
  ],
  ...[
    "a BETWEEN 1 AND 5 BETWEEN 1 AND 2",
    "a IS NULL IS NULL",
    "a IS NULL = TRUE",
    "NULL = a IS NULL",
    "NOT a IS NULL",
    "(NOT a) IS NULL",
  ],
];

const NAMES = ["a", "b", "c", "$d", "_e", "TAGS", "E5", "A"];
const NUMBERS = [
  ...[
    "0",
    "1",
    "-1",
    "5",
    "10",
    "2147483647",
    "2147483648",
    "9223372036854775807",
    "1.5",
    "5.0",
    "1E3",
    "0.5",
    "00",
    "1L",
  ],
  ...["-2.5", "- 3", "+4", "1E-3", "9223372036854775808"],
];
const STRINGS = ["'x'", "''", "'true'", "'1'", "'xyz'", "'it''s'", "'1.5'", "'\u00fc'", "'y'"];
const VALUES = [
  ...[
    "x",
    "y",
    "xyz",
    "true",
    "TRUE",
    "false",
    "1",
    "-1",
    "+1",
    "01",
    " 1",
    "1 ",
    "1.5",
    "5",
    "5.0",
    "10",
    "1e3",
    "1E400",
  ],
  ...[
    "",
    "NaN",
    "Infinity",
    "-Infinity",
    "-0",
    "-0.0",
    "0",
    "0.0",
    "0x1p3",
    "0x1.8P-1",
    "1d",
    "1f",
    "1L",
    "2147483647",
    "2147483648",
  ],
  ...[
    "-2147483648",
    "-2147483649",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775808",
    "it's",
    "\u00fc",
  ],
  ...[
    "\uff11\uff12",
    "\u0661\u0662",
    "\u0967",
    ".5",
    "5.",
    ".",
    "+",
    "-",
    "--1",
    "1 2",
    "1_000",
    "1,0",
    "0x10",
    "99999999999",
    "1e",
    "e5",
  ],
  ...[
    "\u4e2d\u6587",
    "0X1P3",
    "0x.8p1",
    "0x1p",
    "nan",
    "infinity",
    "+NaN",
    "\t1\n",
    "\u00a01",
    "1.0000000000000001",
    "4.9E-324",
    "1e-400",
  ],
];

/** The chosen expressions and `count` generated ones, each with properties that decide it in different ways. */
export function filterCorpus(seed: number, count: number): FilterCase[] {
  const random = new SeededRandom(seed);
  const chosen = CHOSEN.map((expression) => ({ expression, propertySets: propertySets(random, 24) }));
  const generated = Array.from({ length: count }, () => {
    const sound = or(random, 3);
    const expression = random.next() < 0.3 ? damage(random, sound) : sound;
    return { expression, propertySets: propertySets(random, 10) };
  });
  return [...chosen, ...generated];
}

function propertySets(random: SeededRandom, count: number): Map<string, string>[] {
  return Array.from({ length: count }, (_, index) => {
    const set = new Map<string, string>();
    for (const name of NAMES) {
      if (index > 0 && random.next() < 0.75) set.set(name, pick(random, VALUES));
    }
    return set;
  });
}

function pick<T>(random: SeededRandom, items: readonly T[]): T {
  return items[random.between(0, items.length - 1)];
}

function or(random: SeededRandom, depth: number): string {
  return joined(random, " OR ", () => joined(random, " AND ", () => equality(random, depth)));
}

function joined(random: SeededRandom, word: string, part: () => string): string {
  return Array.from({ length: random.next() < 0.3 ? random.between(2, 3) : 1 }, part).join(word);
}

function equality(random: SeededRandom, depth: number): string {
  let text = comparison(random, depth);
  while (random.next() < 0.35) {
    text += pick(random, [
      () => ` = ${comparison(random, depth)}`,
      () => ` <> ${comparison(random, depth)}`,
      () => " IS NULL",
      () => " IS NOT NULL",
    ])();
  }
  return text;
}

function comparison(random: SeededRandom, depth: number): string {
  let text = random.next() < 0.3 ? unary(random, depth) : pick(random, NAMES);
  if (random.next() < 0.7) {
    text += pick(random, [
      () => ` ${pick(random, [">", ">=", "<", "<="])} ${ordered(random, depth)}`,
      () => `${not(random)} BETWEEN ${ordered(random, depth)} AND ${ordered(random, depth)}`,
      () => `${not(random)} IN (${joined(random, ", ", () => pick(random, STRINGS))})`,
      () => `${not(random)} ${pick(random, ["CONTAINS", "startswith", "EndsWith"])} ${pick(random, STRINGS)}`,
      () => ` > ${pick(random, NUMBERS)}`,
    ])();
  }
  return text;
}

function ordered(random: SeededRandom, depth: number): string {
  return random.next() < 0.1 ? unary(random, depth) : pick(random, [...NAMES, ...NUMBERS]);
}

function not(random: SeededRandom): string {
  return random.next() < 0.4 ? " NOT" : "";
}

function unary(random: SeededRandom, depth: number): string {
  if (random.next() < 0.1) return pick(random, ["NOT ", "-", "+", "not "]) + unary(random, depth);
  if (depth > 0 && random.next() < 0.15) return `(${or(random, depth - 1)})`;
  return pick(random, [
    () => pick(random, NAMES),
    () => pick(random, NAMES),
    () => pick(random, NAMES),
    () => pick(random, NUMBERS),
    () => pick(random, STRINGS),
    () => pick(random, ["TRUE", "FALSE", "NULL", "true"]),
  ])();
}

/** Takes something away, or puts something in. */
function damage(random: SeededRandom, text: string): string {
  const at = random.between(0, text.length);
  const rest = text.slice(at + random.between(0, 3));
  return text.slice(0, at) +
    pick(random, ["", " ", "'", "@", "(", ")", "-", "NOT ", "1", ".", ",", "--\n", "/**/", "=", "E5"]) + rest;
}
