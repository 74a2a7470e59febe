// SPDX-License-Identifier: Apache-2.0
import { encodeJson, parseJsonObject } from "../java_json.ts";
import { asTextMap } from "./json_fields.ts";

/** `{"table":{key:value,…}}` */
export function encodeKvTable(table: ReadonlyMap<string, string>): Uint8Array {
  return encodeJson({ table });
}

/** @throws MalformedError when it is no JSON object */
export function decodeKvTable(body: Uint8Array | null): Map<string, string> {
  return asTextMap(parseJsonObject(body).table);
}
