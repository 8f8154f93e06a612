/** Cuts text at `length` UTF-16 units, or one before that where it would split a surrogate pair. */
export function truncate(text: string, length: number): string {
  if (text.length <= length) return text;
  const cut = text.slice(0, length);
  return /[\uD800-\uDBFF]$/.test(cut) ? cut.slice(0, -1) : cut;
}

/** Quotes what the team wrote, without line breaks and at a length that fits a Kubernetes event. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 120 ? `${truncate(text, 120)}…` : text);
}
