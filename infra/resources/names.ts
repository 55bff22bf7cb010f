/** Keys under `functions:` of what the plugin adds. */
export const COORDINATOR = 'rocketmqCoordinator';
export const PULLER = 'rocketmqPuller';

/** Logical id of the assignment table. */
export const TABLE = 'RocketmqTable';
