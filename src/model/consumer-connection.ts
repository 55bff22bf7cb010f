/** A member of a group as the broker lists it (request 203). */
export interface ConsumerConnection {
  readonly clientId: string;
  readonly clientAddr: string;
  readonly language: string;
  readonly version: number;
}
