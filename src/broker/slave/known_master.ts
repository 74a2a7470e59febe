// SPDX-License-Identifier: Apache-2.0
import { getLogger } from "@logtape/logtape";

const logger = getLogger(["rmq", "broker"]);

/** What a name server answers to a slave's registration; both absent while it knows no living master. */
export interface MasterAnswer {
  readonly masterAddr?: string;
  readonly haServerAddr?: string;
}

/**
 * Where a slave's master is, as the name servers say. They may disagree for a while: the last one that named a
 * master is believed, and the master is gone when none of them names one. [RMQ BrokerController
 * .handleRegisterBrokerResult]
 */
export class KnownMaster {
  readonly #ownAddress: () => string;
  readonly #configuredHaAddress: string | undefined;
  readonly #answers = new Map<string, Required<MasterAnswer>>();
  readonly #listeners: (() => void)[] = [];
  #address: string | undefined;
  #haAddress: string | undefined;

  /** @param configuredHaAddress where the operator says that the log is to be copied from */
  constructor(ownAddress: () => string, configuredHaAddress: string | undefined) {
    this.#ownAddress = ownAddress;
    this.#configuredHaAddress = configuredHaAddress;
    this.#haAddress = configuredHaAddress;
  }

  /** Where the master takes requests; undefined while it is gone. */
  get address(): string | undefined {
    return this.#address;
  }

  /** Where the log is copied from; it stays while the master is gone, for that is where it will come back. */
  get haAddress(): string | undefined {
    return this.#haAddress;
  }

  /** `listener` is called when one of the addresses has changed. */
  onChange(listener: () => void): void {
    this.#listeners.push(listener);
  }

  /** Takes what a name server has answered. */
  answered(nameServer: string, { masterAddr, haServerAddr }: MasterAnswer): void {
    this.#answers.delete(nameServer);
    // a name server that takes us for our own master has mixed up two brokers
    if (masterAddr && masterAddr !== this.#ownAddress()) {
      this.#answers.set(nameServer, { masterAddr, haServerAddr: haServerAddr ?? "" });
    }
    const last = [...this.#answers.values()].at(-1);
    const haAddress = this.#configuredHaAddress ?? (last?.haServerAddr || this.#haAddress);
    if (last?.masterAddr === this.#address && haAddress === this.#haAddress) return;
    this.#address = last?.masterAddr;
    this.#haAddress = haAddress;
    if (this.#address === undefined) logger.warn("the master is gone, as the name servers say");
    else {logger.info("the master is {address}, its log at {haAddress}", {
        address: this.#address,
        haAddress,
      });}
    for (const listener of this.#listeners) listener();
  }
}
