/** What a thread is to do. The same job gives the same inputs. */
export interface Job {
  readonly target: string;
  readonly seed: number;
  readonly inputs: number;
}

export interface Finding {
  readonly target: string;
  readonly kind: 'crash' | 'hang' | 'stuck' | 'out of memory';
  readonly text: string;
  /** Base64. */
  readonly input: string;
}

export interface Result {
  readonly target: string;
  readonly inputs: number;
  readonly findings: readonly Finding[];
  /** Different ends: texts of errors without their numbers, and shapes of what was read. */
  readonly outcomes: number;
  readonly slowestMs: number;
  /** Most memory that the thread had in use, garbage included. */
  readonly memoryMb: number;
}
