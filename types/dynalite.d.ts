declare module 'dynalite' {
  import type { Server } from 'node:http';

  /** Milliseconds that tables stay in their transitional states. */
  export default function dynalite(options?: {
    createTableMs?: number;
    updateTableMs?: number;
    deleteTableMs?: number;
  }): Server;
}
