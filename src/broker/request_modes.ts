// SPDX-License-Identifier: Apache-2.0
/**
 * Which groups pop which topics instead of pulling from queues: `config/messageRequestMode.json`, as
 * administrators set it. What they set is durable when the call returns. [RMQ MessageRequestModeManager]
 */
import {
  type GroupRequestMode,
  requestModesFromJson,
  requestModesToJson,
} from "../protocol/bodies/request_mode.ts";
import { stringifyJson } from "../protocol/java_json.ts";
import { ResponseCode } from "../protocol/response_code.ts";
import { RemotingError } from "../remoting/remoting_error.ts";
import type { JsonFile } from "./json_file.ts";

/** Administrators name groups and topics that exist, but both can be many. */
const MAX_ENTRIES = 100_000;

export class RequestModes {
  #file: JsonFile;
  #modes = new Map<string, GroupRequestMode>();

  /** @throws ConfigFileError */
  constructor(file: JsonFile) {
    this.#file = file;
    for (const mode of file.load(requestModesFromJson) ?? []) this.#modes.set(keyOf(mode), mode);
  }

  get(topic: string, consumerGroup: string): GroupRequestMode | undefined {
    return this.#modes.get(keyOf({ topic, consumerGroup }));
  }

  /** @throws RemotingError when it can't be written; nothing has changed then */
  set(mode: GroupRequestMode): void {
    const key = keyOf(mode);
    const before = this.#modes.get(key);
    if (before === undefined && this.#modes.size >= MAX_ENTRIES) {
      throw new RemotingError(
        ResponseCode.SYSTEM_ERROR,
        `there are ${MAX_ENTRIES} groups and topics with a mode already`,
      );
    }
    this.#modes.set(key, mode);
    try {
      this.#file.write(this.toJson());
    } catch (error) {
      if (before === undefined) this.#modes.delete(key);
      else this.#modes.set(key, before);
      throw error;
    }
  }

  /** Takes the table of another broker in place of this one: a slave its master's. @throws RemotingError when it can't be written */
  adopt(modes: Iterable<GroupRequestMode>): void {
    const table = new Map([...modes].map((mode) => [keyOf(mode), mode]));
    const json = requestModesToJson(table.values());
    if (stringifyJson(json) === stringifyJson(this.toJson())) return;
    this.#file.write(json);
    this.#modes = table;
  }

  /** The whole table, as slaves ask for it. */
  toJson(): Record<string, unknown> {
    return requestModesToJson(this.#modes.values());
  }
}

function keyOf({ topic, consumerGroup }: { topic: string; consumerGroup: string }): string {
  return `${topic}@${consumerGroup}`;
}
