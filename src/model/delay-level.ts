/**
 * What a broker does with a message that is sent back: dead-letter it at once, choose the delay by
 * its failures, or wait for a delay level (1 to 18).
 */
export type DelayLevel = 'dead-letter' | 'broker-decides' | number;
