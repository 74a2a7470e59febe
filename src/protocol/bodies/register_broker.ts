// SPDX-License-Identifier: Apache-2.0
/**
 * The body of REGISTER_BROKER: a broker's topics and their version. [RMQ RegisterBrokerBody]
 *
 * Plain JSON:
 * ```
 * {"filterServerList":[…],"topicConfigSerializeWrapper":{"dataVersion":{…},"mappingDataVersion":{…},
 *   "topicConfigTable":{topic:{…}},"topicQueueMappingDetailMap":{},"topicQueueMappingInfoMap":{topic:{…}}}}
 * ```
 * A sender older than 3.0.11 sends the wrapper alone.
 *
 * Compressed (4.x brokers with `compressedRegister`): a zlib stream of, all integers big-endian,
 * ```
 * int32 length, dataVersion as JSON
 * int32 count of topics; per topic: int32 length, text
 *     "topicName readQueueNums writeQueueNums perm topicFilterType[ attributes as JSON]"
 * int32 length, filterServerList as JSON
 * from senders of 5.0 and later: int32 count of mappings; per mapping: int32 length, TopicQueueMappingInfo as JSON
 * ```
 */
import { crc32, inflateSync } from "node:zlib";
import { MalformedError } from "../header.ts";
import { encodeJson, type Json, parseJson, parseJsonObject } from "../java_json.ts";
import { Version } from "../version.ts";
import { DataVersion } from "./data_version.ts";
import { asInteger, asObject, asTextList, asTextMap, isObject } from "./json_fields.ts";
import {
  type TopicConfig,
  topicConfig,
  topicConfigTableFromJson,
  topicConfigTableToJson,
} from "./topic_config.ts";
import {
  type TopicQueueMappingInfo,
  topicQueueMappingInfoFromJson,
  topicQueueMappingInfoToJson,
} from "./topic_queue_mapping.ts";

export interface RegisterBrokerBody {
  /** Absent where the sender gave none: then every registration counts as a change. */
  readonly dataVersion?: DataVersion;
  readonly topicConfigTable: ReadonlyMap<string, TopicConfig>;
  /** Absent leaves what was registered before; empty removes it. */
  readonly filterServerList?: readonly string[];
  /** Of static topics. */
  readonly topicQueueMappingInfoMap: ReadonlyMap<string, TopicQueueMappingInfo>;
}

/** What a registration without any body means. */
export const EMPTY_REGISTRATION: RegisterBrokerBody = {
  dataVersion: DataVersion.ZERO,
  topicConfigTable: new Map(),
  filterServerList: [],
  topicQueueMappingInfoMap: new Map(),
};

/** More than a hundred thousand topics; a compressed body must not be able to fill the memory. */
const MAX_INFLATED_BYTES = 64 * 1024 * 1024;

/** The checksum as it goes into the header: CRC-32 without the sign bit. */
export function registrationCrc32(body: Uint8Array): number {
  return crc32(body) & 0x7fffffff;
}

/**
 * The plain form, which every name server reads. The compressed one loses `topicSysFlag` and `order`, and
 * name servers of 4.9 and 5.x expect different lines in it.
 */
export function encodeRegisterBroker(body: RegisterBrokerBody): Uint8Array {
  const dataVersion = (body.dataVersion ?? DataVersion.ZERO).toJson();
  return encodeJson({
    filterServerList: body.filterServerList,
    topicConfigSerializeWrapper: {
      dataVersion,
      mappingDataVersion: dataVersion,
      topicConfigTable: topicConfigTableToJson(body.topicConfigTable),
      topicQueueMappingDetailMap: {},
      topicQueueMappingInfoMap: new Map(
        [...body.topicQueueMappingInfoMap].map(([topic, info]) => [topic, topicQueueMappingInfoToJson(info)]),
      ),
    },
  });
}

/**
 * @param compressed what the request header says. A 5.x broker says false of a body that it did compress,
 *   so the first byte counts too: JSON never starts with that of a zlib stream.
 * @param version of the sender, which decides the form
 * @throws MalformedError
 */
export function decodeRegisterBroker(
  body: Uint8Array | null,
  compressed: boolean,
  version: number,
): RegisterBrokerBody {
  if (body === null || body.length === 0) return EMPTY_REGISTRATION;
  if (version < Version.V3_0_11) return fromWrapper(parseJsonObject(body), undefined);
  if (compressed || body[0] === ZLIB_FIRST_BYTE) return decodeCompressed(body, version);
  const object = parseJsonObject(body);
  const servers = object.filterServerList;
  return fromWrapper(
    asObject(object.topicConfigSerializeWrapper),
    servers === null ? undefined : asTextList(servers),
  );
}

const ZLIB_FIRST_BYTE = 0x78;

function fromWrapper(
  wrapper: { [key: string]: Json },
  filterServerList: string[] | undefined,
): RegisterBrokerBody {
  const mappings = new Map<string, TopicQueueMappingInfo>();
  for (const [topic, info] of Object.entries(asObject(wrapper.topicQueueMappingInfoMap))) {
    if (isObject(info)) mappings.set(topic, topicQueueMappingInfoFromJson(info));
  }
  return {
    dataVersion: isObject(wrapper.dataVersion) ? DataVersion.fromJson(wrapper.dataVersion) : undefined,
    topicConfigTable: topicConfigTableFromJson(wrapper.topicConfigTable),
    filterServerList,
    topicQueueMappingInfoMap: mappings,
  };
}

function decodeCompressed(body: Uint8Array, version: number): RegisterBrokerBody {
  const pieces = new Pieces(inflate(body));
  const dataVersion = DataVersion.fromJson(parseJsonObject(pieces.next()));
  const topicConfigTable = new Map<string, TopicConfig>();
  for (let left = pieces.count(); left > 0; left--) {
    const config = topicOfLine(pieces.next());
    topicConfigTable.set(config.topicName, config);
  }
  const filterServerList = asTextList(parseJson(pieces.next()));
  const topicQueueMappingInfoMap = new Map<string, TopicQueueMappingInfo>();
  if (version >= Version.V5_0_0) {
    for (let left = pieces.count(); left > 0; left--) {
      const info = topicQueueMappingInfoFromJson(parseJsonObject(pieces.next()));
      topicQueueMappingInfoMap.set(info.topic, info);
    }
  }
  return { dataVersion, topicConfigTable, filterServerList, topicQueueMappingInfoMap };
}

function inflate(body: Uint8Array): Uint8Array {
  try {
    return inflateSync(body, { maxOutputLength: MAX_INFLATED_BYTES });
  } catch (cause) {
    throw new MalformedError("the compressed body can't be read", { cause });
  }
}

/** Attributes hold no space, so the sixth token is all of them. */
function topicOfLine(bytes: Uint8Array): TopicConfig {
  const line = new TextDecoder().decode(bytes);
  const [topicName, readQueueNums, writeQueueNums, perm, topicFilterType, attributes] = line.split(" ");
  if (topicFilterType === undefined) {
    throw new MalformedError(`a topic's line has too few fields: ${line.slice(0, 127)}`);
  }
  return topicConfig(topicName, {
    readQueueNums: asInteger(readQueueNums, 16),
    writeQueueNums: asInteger(writeQueueNums, 16),
    perm: asInteger(perm, 6),
    topicFilterType: topicFilterType === "MULTI_TAG" ? "MULTI_TAG" : "SINGLE_TAG",
    attributes: attributesOf(attributes),
  });
}

/** What can't be read as attributes is no reason to refuse the broker. */
function attributesOf(text: string | undefined): Map<string, string> {
  try {
    return asTextMap(text ? parseJson(text) : undefined);
  } catch {
    return new Map();
  }
}

/** Counts and length-prefixed pieces, one after the other. */
class Pieces {
  #view: DataView;
  #at = 0;

  constructor(readonly bytes: Uint8Array) {
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** A count can't be greater than the bytes that are left, so that a wrong one is found at once. */
  count(): number {
    if (this.#at + 4 > this.bytes.length) throw tooShort();
    const count = this.#view.getInt32(this.#at);
    this.#at += 4;
    if (count < 0 || count > this.bytes.length - this.#at) throw tooShort();
    return count;
  }

  next(): Uint8Array {
    const length = this.count();
    const from = this.#at;
    this.#at += length;
    return this.bytes.subarray(from, this.#at);
  }
}

function tooShort(): MalformedError {
  return new MalformedError("the compressed body ends too early");
}
