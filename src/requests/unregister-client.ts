import { RequestCode } from '../remoting/request-code.ts';
import { defineRequest, extFields, FieldReader, NOTHING } from './define-request.ts';

export interface UnregisterClientRequest {
  readonly clientID: string;
  readonly producerGroup?: string | undefined;
  readonly consumerGroup?: string | undefined;
}

/*
 * Request => clientID producerGroup? consumerGroup?               counts only on the connection that heartbeated
 */
/*
 * Answer  => nothing; SUCCESS also when it did not count
 */
export const unregisterClient = defineRequest<UnregisterClientRequest, void>(
  RequestCode.UNREGISTER_CLIENT,
  {
    encode: (request) => ({ extFields: extFields({ ...request }) }),
    decode: (command) => {
      const fields = new FieldReader(command, 'unregister request');
      return {
        clientID: fields.optionalString('clientID') ?? '',
        producerGroup: fields.optionalString('producerGroup'),
        consumerGroup: fields.optionalString('consumerGroup'),
      };
    },
    ...NOTHING,
  },
);
