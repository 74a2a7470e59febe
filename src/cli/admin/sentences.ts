// SPDX-License-Identifier: Apache-2.0
import { ResponseCode } from "../../protocol/response_code.ts";
import { RemotingError } from "../../remoting/remoting_error.ts";
import { printable } from "./columns.ts";

const NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(ResponseCode).map(([name, code]) => [code, name]),
);

/** An error as one sentence for an operator. */
export function sentenceOf(error: unknown): string {
  if (error instanceof RemotingError) {
    if (error.code === ResponseCode.REQUEST_CODE_NOT_SUPPORTED) {
      return "it does not know this request: it is too old for it, or the feature is not there";
    }
    const name = NAMES.get(error.code);
    const remark = printable(error.remark.trim()) || "it gave no reason";
    return `${remark} (${name === undefined ? "" : `${name}, `}code ${error.code})`;
  }
  return error instanceof Error ? error.message : String(error);
}
