/** An embedded DynamoDB: single-item operations only. */
export { startLocalDynamoDB as startDynalite } from '../../infra/embedded-parts.ts';
