/** A message that no handler was called for, at the end of its group's retry topic. */
export interface SetAside {
  /** How often in a row, this time included. */
  readonly times: number;
  /** When last, epoch ms. */
  readonly at: number;
}
