/** A configuration error’s text as people read it; its codes have a test of their own. */
export function withoutCodes(message: string): string {
  return message.replaceAll(/ \[ROCKETMQ_[A-Z_]+\]/g, '');
}
