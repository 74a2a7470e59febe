// SPDX-License-Identifier: Apache-2.0
/** Of rmq itself. The version that clients are told is in protocol/version.ts. */
export const VERSION = "0.1.0";
