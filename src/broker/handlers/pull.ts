// SPDX-License-Identifier: Apache-2.0
/** PULL_MESSAGE (11) and LITE_PULL_MESSAGE (361). [RMQ PullMessageProcessor, DefaultPullMessageResultHandler] */
import type { Clock } from "../../base/clock.ts";
import type { GroupConfig } from "../../protocol/bodies/subscription_group.ts";
import { isReadable, type TopicConfig } from "../../protocol/bodies/topic_config.ts";
import { type PullRequest, pullRequest, pullResponse } from "../../protocol/headers/pull.ts";
import { RequestCode } from "../../protocol/request_code.ts";
import { ResponseCode } from "../../protocol/response_code.ts";
import { PullSysFlag } from "../../protocol/sys_flag.ts";
import type { Response } from "../../remoting/command.ts";
import { errorResponse } from "../../remoting/dispatch.ts";
import { RemotingError } from "../../remoting/remoting_error.ts";
import { type Handler, LATER, type Request } from "../../remoting/request.ts";
import type { GetLimits, GetResult, GetStatus, MessageFilter, ReadableQueues } from "../../store/types.ts";
import type { HeldPull } from "../hold.ts";
import type { ReadRules } from "../read_rules.ts";
import { requireServedExpression, type Subscription } from "../subscription.ts";
import { SYSTEM_GROUP_PREFIX } from "../topic_name.ts";

/** Which messages of a topic a group wants. */
type Wanted = Pick<Subscription, "expressionType" | "subString" | "subVersion" | "filter">;

/** A group whose members have sent heartbeats. */
export interface PullingGroup {
  readonly isBroadcast: boolean;
  /** Its members pull by themselves, rather than have a client push to them. */
  readonly isActive: boolean;
  subscription(topic: string): Wanted | undefined;
  hasConnection(connectionId: number): boolean;
}

export interface PullOptions {
  store: ReadableQueues;
  topics: { get(topic: string): TopicConfig | undefined };
  groups: {
    find(group: string): GroupConfig | undefined;
    isReadForbidden(group: string, topic: string): boolean;
  };
  online: (group: string) => PullingGroup | undefined;
  /** A subscription that comes with the request. @throws RemotingError SUBSCRIPTION_PARSE_FAILED */
  parseSubscription: (topic: string, expression: string | undefined, type: string | undefined) => Wanted;
  /** The filter of a subscription. @throws RemotingError SUBSCRIPTION_PARSE_FAILED */
  filterOf: (group: string, topic: string, subscription: Wanted) => MessageFilter | undefined;
  offsets: {
    commit(group: string, topic: string, queueId: number, offset: number): void;
    notePulled(group: string, topic: string, queueId: number, offset: number): void;
    /** Takes the offset that an administrator has set and this pull is to be told. */
    takeReset(group: string, topic: string, queueId: number): number | undefined;
  };
  hold: { hold(pull: HeldPull): void; readonly count: number };
  /** Whether this broker is read now, and who is asked next. */
  rules: Pick<ReadRules, "requireReadable" | "suggestedBroker" | "leavesOffset">;
  statistics: {
    onDelivered(topic: string, group: string, messageCount: number, byteCount: number): void;
    onGetMiss(): void;
  };
  clock: Clock;
  settings: () => PullSettings;
}

export interface PullSettings {
  readonly brokerPermission: number;
  readonly litePull: boolean;
  readonly rejectPullConsumers: boolean;
  /** Whether consumers may filter by SQL92 expressions. */
  readonly propertyFilter: boolean;
  readonly longPolling: boolean;
  readonly shortPollingMs: number;
}

const READ = 4;
/** A client that asks to be held for longer is answered earlier; its own time-out comes long before. */
const MAX_SUSPEND_MS = 120_000;
/**
 * Pulls that wait don't count among the requests for which a connection is read no further, up to so many of
 * all connections: they cost memory (some 700 bytes each), and clients ask for them.
 */
const MAX_FREE_PULLS = 200_000;
/** A slave that lacks what is asked for is asked again after so long, and not at once. */
const LACKING_PAUSE_MS = 1000;
/** No answer holds more messages, whatever a client asks for: the queue's entries are read for so many. */
const MAX_MESSAGES = 10_000;

/** Pull by themselves where others may not, beside those that begin with `CID_RMQ_SYS_`. [RMQ MixAll] */
const SYSTEM_GROUPS: ReadonlySet<string> = new Set([
  "DEFAULT_CONSUMER",
  "TOOLS_CONSUMER",
  "SCHEDULE_CONSUMER",
  "FILTERSRV_CONSUMER",
  "__MONITOR_CONSUMER",
  "SELF_TEST_C_GROUP",
  "CID_ONS-HTTP-PROXY",
  "CID_ONSAPI_PERMISSION",
  "CID_ONSAPI_OWNER",
  "CID_ONSAPI_PULL",
]);

/** Which of the reasons for NO_PERMISSION it was. [RMQ ForbiddenType] */
const Forbidden = { BROKER: 1, GROUP: 2, TOPIC: 3, BROADCAST: 4, SUBSCRIPTION: 5 } as const;

export function pullHandlers(options: PullOptions): [number, Handler][] {
  const handle: Handler = (request) => {
    new Pull(options, request, pullRequest.decode(request.fields)).serve();
    return LATER;
  };
  return [[RequestCode.PULL_MESSAGE, handle], [RequestCode.LITE_PULL_MESSAGE, handle]];
}

/** One pull, which may be served twice: at once, and after it was held. */
class Pull implements HeldPull {
  readonly request: Request;
  #options: PullOptions;
  #header: PullRequest;
  #mayBeHeld: boolean;
  #deadlineMs = 0;
  #filter: MessageFilter | undefined;

  constructor(options: PullOptions, request: Request, header: PullRequest) {
    this.#options = options;
    this.request = request;
    this.#header = header;
    this.#mayBeHeld = (header.sysFlag & PullSysFlag.SUSPEND) !== 0;
  }

  get topic() {
    return this.#header.topic;
  }

  get queueId() {
    return this.#header.queueId;
  }

  get queueOffset() {
    return this.#header.queueOffset;
  }

  get connection() {
    return this.request.connection;
  }

  get filter() {
    return this.#filter;
  }

  get deadlineMs() {
    return this.#deadlineMs;
  }

  /** Answers the request, or has it held. */
  serve(): void {
    try {
      this.#options.rules.requireReadable();
      const config = this.#checkTarget();
      this.#filter = this.#options.filterOf(
        this.#header.consumerGroup,
        this.#header.topic,
        this.#subscription(),
      );
      const { consumerGroup, topic, queueId, queueOffset, maxMsgNums } = this.#header;
      const reset = this.#options.offsets.takeReset(consumerGroup, topic, queueId);
      if (reset !== undefined) {
        this.#answerReset(config, reset);
        return;
      }
      // not when the disk has answered: an administrator may move the group meanwhile
      if ((this.#header.sysFlag & PullSysFlag.COMMIT_OFFSET) !== 0) {
        this.#header.sysFlag &= ~PullSysFlag.COMMIT_OFFSET;
        this.#options.offsets.commit(consumerGroup, topic, queueId, this.#header.commitOffset);
      }
      const maxCount = Math.min(Math.max(1, maxMsgNums), MAX_MESSAGES);
      const limits: GetLimits = { maxCount, filter: this.#filter };
      const result = this.#options.store.getMessages(topic, queueId, queueOffset, limits);
      if (result instanceof Promise) {
        result.then((result) => this.#answer(config, result)).catch((error) => this.#answerError(error));
      } else {
        this.#answer(config, result);
      }
    } catch (error) {
      this.#answerError(error);
    }
  }

  /** Serves the pull again; it is not held a second time, and does not commit again. */
  wake(): void {
    this.#mayBeHeld = false;
    this.serve();
  }

  /** Who may read what where. */
  #checkTarget(): TopicConfig {
    const { consumerGroup, topic, queueId } = this.#header;
    const settings = this.#options.settings();
    if ((settings.brokerPermission & READ) === 0) {
      throw this.#forbidden(Forbidden.BROKER, "the broker may not be read from (brokerPermission)");
    }
    if (this.request.code === RequestCode.LITE_PULL_MESSAGE && !settings.litePull) {
      throw this.#forbidden(Forbidden.BROKER, "the broker for lite pull consumers is forbidden");
    }
    const group = this.#options.groups.find(consumerGroup);
    if (group === undefined) {
      throw new RemotingError(
        ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST,
        `subscription group [${consumerGroup}] does not exist`,
      );
    }
    if (!group.consumeEnable) {
      throw this.#forbidden(Forbidden.GROUP, `subscription group no permission, ${consumerGroup}`);
    }
    const config = this.#options.topics.get(topic);
    if (config === undefined) {
      throw new RemotingError(
        ResponseCode.TOPIC_NOT_EXIST,
        `topic[${topic}] not exist, apply first please! See https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.`,
      );
    }
    if (!isReadable(config.perm)) {
      throw this.#forbidden(Forbidden.TOPIC, `the topic[${topic}] pulling message is forbidden`);
    }
    if (queueId < 0 || queueId >= config.readQueueNums) {
      throw new RemotingError(
        ResponseCode.INVALID_PARAMETER,
        `queueId[${queueId}] is illegal, topic:[${topic}] topicConfig.readQueueNums:[${config.readQueueNums}]`,
      );
    }
    return config;
  }

  /** What the consumer wants: as the request says, or as its heartbeat did. */
  #subscription(): Wanted {
    const { consumerGroup, topic, sysFlag, expressionType } = this.#header;
    let subscription: Wanted;
    if ((sysFlag & PullSysFlag.SUBSCRIPTION) !== 0) {
      subscription = this.#options.parseSubscription(topic, this.#header.subscription, expressionType);
    } else {
      subscription = this.#registeredSubscription();
    }
    requireServedExpression(subscription.expressionType, this.#options.settings().propertyFilter);
    if (this.#options.settings().rejectPullConsumers && !isSystemGroup(consumerGroup)) {
      const group = this.#options.online(consumerGroup);
      if ((group === undefined || group.isActive) && !group?.hasConnection(this.connection.id)) {
        throw new RemotingError(
          ResponseCode.SUBSCRIPTION_NOT_EXIST,
          `the consumer's group ${consumerGroup} pulls by itself, which this broker does not allow`,
        );
      }
    }
    return subscription;
  }

  #registeredSubscription(): Wanted {
    const { consumerGroup, topic, subVersion } = this.#header;
    const group = this.#options.online(consumerGroup);
    if (group === undefined) {
      throw new RemotingError(
        ResponseCode.SUBSCRIPTION_NOT_EXIST,
        `the consumer's group info not exist: ${consumerGroup}`,
      );
    }
    if (group.isBroadcast && this.#options.groups.find(consumerGroup)?.consumeBroadcastEnable === false) {
      throw this.#forbidden(
        Forbidden.BROADCAST,
        `the consumer group[${consumerGroup}] can not consume by broadcast way`,
      );
    }
    if (this.#options.groups.isReadForbidden(consumerGroup, topic)) {
      throw this.#forbidden(
        Forbidden.SUBSCRIPTION,
        `the consumer group[${consumerGroup}] is forbidden for topic[${topic}]`,
      );
    }
    const subscription = group.subscription(topic);
    if (subscription === undefined) {
      throw new RemotingError(
        ResponseCode.SUBSCRIPTION_NOT_EXIST,
        `the consumer's subscription not exist: group ${consumerGroup}, topic ${topic}`,
      );
    }
    if (subscription.subVersion < subVersion) {
      throw new RemotingError(ResponseCode.SUBSCRIPTION_NOT_LATEST, "the consumer's subscription not latest");
    }
    return subscription;
  }

  #answer(config: TopicConfig, result: GetResult): void {
    const { consumerGroup, topic, queueId, queueOffset } = this.#header;
    const { offsets, statistics } = this.#options;
    if (this.#options.rules.leavesOffset(result.status)) return this.#answerLacking(config, result);
    const code = codeOf(result.status, queueOffset);
    if (code === ResponseCode.PULL_NOT_FOUND && this.#mayBeHeld && this.#hold()) return;
    offsets.notePulled(consumerGroup, topic, queueId, result.nextBeginOffset);
    if (result.status === "FOUND") {
      statistics.onDelivered(topic, consumerGroup, result.messageCount, result.byteCount);
    } else {
      statistics.onGetMiss();
    }
    const response = this.#response(code, config, result.status, result);
    if (result.records.length > 0) response.body = result.records;
    this.request.respond(response);
  }

  /** Of a slave: what is asked for is not here (yet). The pull waits for it, and is then repeated as it was. */
  #answerLacking(config: TopicConfig, result: GetResult): void {
    const { queueOffset } = this.#header;
    const isBeyond = queueOffset >= result.maxOffset;
    const mayWait = this.#mayBeHeld;
    if (mayWait && isBeyond && this.#hold()) return;
    this.#options.statistics.onGetMiss();
    const isAtEnd = codeOf(result.status, queueOffset) === ResponseCode.PULL_NOT_FOUND;
    const code = isAtEnd ? ResponseCode.PULL_NOT_FOUND : ResponseCode.PULL_RETRY_IMMEDIATELY;
    const place = { ...result, nextBeginOffset: queueOffset };
    const respond = () => this.request.respond(this.#response(code, config, result.status, place));
    if (!mayWait || isBeyond) return respond();
    this.request.release();
    this.#options.clock.after(LACKING_PAUSE_MS, respond);
  }

  #answerReset(config: TopicConfig, offset: number): void {
    const { topic, queueId } = this.#header;
    const { store } = this.#options;
    const minOffset = store.minOffset(topic, queueId);
    const place = { nextBeginOffset: offset, minOffset, maxOffset: store.maxOffset(topic, queueId) };
    this.request.respond(this.#response(ResponseCode.PULL_OFFSET_MOVED, config, "OFFSET_RESET", place));
  }

  #answerError(error: unknown): void {
    this.request.respond(errorResponse(error, this.request));
  }

  /** @returns whether the pull waits now */
  #hold(): boolean {
    const { longPolling, shortPollingMs } = this.#options.settings();
    const suspendMs = longPolling ? this.#header.suspendTimeoutMillis : shortPollingMs;
    if (suspendMs <= 0) return false;
    this.#mayBeHeld = false;
    this.#deadlineMs = this.#options.clock.monotonicMs() + Math.min(suspendMs, MAX_SUSPEND_MS);
    const { hold } = this.#options;
    if (hold.count < MAX_FREE_PULLS) this.request.release();
    hold.hold(this);
    return true;
  }

  #response(
    code: number,
    config: TopicConfig,
    status: string,
    place: { nextBeginOffset: number; minOffset: number; maxOffset: number },
  ): Response {
    const { consumerGroup, topic, queueId } = this.#header;
    const group = this.#options.groups.find(consumerGroup);
    const isInside = status === "FOUND" || status === "NO_MATCHED_MESSAGE";
    const lastOffset = isInside ? place.nextBeginOffset - 1 : -1;
    return {
      code,
      remark: status,
      fields: pullResponse.encode({
        suggestWhichBrokerId: this.#options.rules.suggestedBroker(group, topic, queueId, lastOffset),
        nextBeginOffset: place.nextBeginOffset,
        minOffset: place.minOffset,
        maxOffset: place.maxOffset,
        topicSysFlag: config.topicSysFlag,
        groupSysFlag: group?.groupSysFlag,
        forbiddenType: undefined,
      }),
    };
  }

  #forbidden(forbiddenType: number, remark: string): RemotingError {
    return new RemotingError(ResponseCode.NO_PERMISSION, remark, {
      fields: { forbiddenType: String(forbiddenType) },
    });
  }
}

function codeOf(status: GetStatus, queueOffset: number): number {
  switch (status) {
    case "FOUND":
      return ResponseCode.SUCCESS;
    case "NO_MATCHED_MESSAGE":
    case "MESSAGE_WAS_REMOVING":
      return ResponseCode.PULL_RETRY_IMMEDIATELY;
    case "NO_MATCHED_LOGIC_QUEUE":
    case "NO_MESSAGE_IN_QUEUE":
      return queueOffset === 0 ? ResponseCode.PULL_NOT_FOUND : ResponseCode.PULL_OFFSET_MOVED;
    case "OFFSET_FOUND_NULL":
    case "OFFSET_OVERFLOW_ONE":
      return ResponseCode.PULL_NOT_FOUND;
    case "OFFSET_OVERFLOW_BADLY":
    case "OFFSET_TOO_SMALL":
      return ResponseCode.PULL_OFFSET_MOVED;
  }
}

function isSystemGroup(group: string): boolean {
  return SYSTEM_GROUPS.has(group) || group.startsWith(SYSTEM_GROUP_PREFIX);
}
