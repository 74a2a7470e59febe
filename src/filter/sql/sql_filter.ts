// SPDX-License-Identifier: Apache-2.0
import { type Evaluate, evaluator, type Slots } from "./evaluator.ts";
import { parseExpression } from "./parser.ts";
import { PropertySlots } from "./property_slots.ts";

/** An SQL92 expression over a message's properties, ready to be asked about many messages. */
export class SqlFilter {
  readonly expression: string;
  readonly #evaluate: Evaluate;
  readonly #slots: PropertySlots;

  /** @throws ExpressionError with the place in the text */
  constructor(expression: string) {
    this.expression = expression;
    const { condition, names } = parseExpression(expression);
    this.#evaluate = evaluator(condition);
    this.#slots = new PropertySlots(names);
  }

  /** Whether a message with these properties is wanted: what is unknown, or fails, is not. */
  matches(properties: ReadonlyMap<string, string>): boolean {
    return this.#isTrue(this.#slots.ofMap(properties));
  }

  /** The same for a property string as it is stored, UTF-8, from `from` to `end`. */
  matchesBytes(bytes: Uint8Array, from: number, end: number): boolean {
    return this.#isTrue(this.#slots.ofBytes(bytes, from, end));
  }

  #isTrue(slots: Slots): boolean {
    return this.#evaluate(slots) === true;
  }
}
