/** A slot's part of a limit, whole and at least 1 while there are no more slots than calls. The parts of all slots make up the limit. */
export function shareOf(limit: number, slots: number, slot: number): number {
  return Math.floor(limit / slots) + (slot < limit % slots ? 1 : 0);
}
