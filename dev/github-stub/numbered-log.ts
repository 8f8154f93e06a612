/** The newest `capacity` entries, oldest first: a stand-in that runs for weeks must not fill its memory. */
export class NumberedLog<T extends object> {
  readonly entries: (T & { readonly id: number })[] = [];
  readonly #capacity: number;
  readonly #firstId: number;
  #nextId: number;

  /** The entries' ids count up from `firstId`, and start over with a clear. */
  constructor(capacity: number, firstId = 1) {
    this.#capacity = capacity;
    this.#firstId = firstId;
    this.#nextId = firstId;
  }

  /** How many were added since the last clear, kept or not. */
  get received(): number {
    return this.#nextId - this.#firstId;
  }

  add(entry: T): T & { readonly id: number } {
    const numbered = { id: this.#nextId, ...entry };
    this.#nextId += 1;
    this.entries.push(numbered);
    if (this.entries.length > this.#capacity) this.entries.shift();
    return numbered;
  }

  clear(): void {
    this.entries.length = 0;
    this.#nextId = this.#firstId;
  }
}
