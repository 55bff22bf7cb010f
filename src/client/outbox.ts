import type { Socket } from 'node:net';

/** Bytes that wait in a socket for a peer that does not read. What comes on top waits here, where it can be taken back. */
const MAX_QUEUED_BYTES = 8 * 1024 * 1024;

export interface Outgoing {
  /** It was not given to the socket yet. */
  readonly isWaiting: boolean;
  /** Takes it back, if it is not written yet. */
  remove(): void;
}

interface Waiting {
  readonly frame: Buffer;
  readonly onWritten: () => void;
}

const WRITTEN: Outgoing = { isWaiting: false, remove: () => {} };

/** Writes frames in order, and no more than the peer reads. All that is written in one turn of the event loop leaves in one system call. */
export class Outbox {
  readonly #socket: Socket;
  readonly #waiting = new Set<Waiting>();
  #corked = false;

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('drain', () => this.#flush());
  }

  /** @param onWritten called when the socket has it */
  write(frame: Buffer, onWritten: () => void = () => {}): Outgoing {
    const waiting = this.#waiting;
    if (waiting.size === 0 && !this.#isFull()) {
      this.#write(frame);
      onWritten();
      return WRITTEN;
    }
    const entry = { frame, onWritten };
    waiting.add(entry);
    return {
      get isWaiting() {
        return waiting.has(entry);
      },
      remove: () => void waiting.delete(entry),
    };
  }

  #isFull(): boolean {
    return this.#socket.writableLength > MAX_QUEUED_BYTES;
  }

  #flush(): void {
    for (const entry of this.#waiting) {
      if (this.#isFull()) return;
      this.#waiting.delete(entry);
      this.#write(entry.frame);
      entry.onWritten();
    }
  }

  #write(frame: Buffer): void {
    if (!this.#corked) {
      this.#corked = true;
      this.#socket.cork();
      process.nextTick(() => {
        this.#corked = false;
        this.#socket.uncork();
      });
    }
    this.#socket.write(frame);
  }
}
