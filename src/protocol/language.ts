// SPDX-License-Identifier: Apache-2.0
/** Languages of clients in the order of their wire numbers. [RMQ LanguageCode] */
export const LANGUAGES = [
  "JAVA",
  "CPP",
  "DOTNET",
  "PYTHON",
  "DELPHI",
  "ERLANG",
  "RUBY",
  "OTHER",
  "HTTP",
  "GO",
  "PHP",
  "OMS",
  "RUST",
  "NODE_JS",
] as const;

export type Language = typeof LANGUAGES[number];
