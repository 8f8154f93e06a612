/**
 * The password that a file holds: its content without a newline at the end, which most editors leave there.
 * @throws where the file holds none
 */
export function parsePassword(content: Buffer): string {
  const password = content.toString('utf8').replace(/\r?\n$/, '');
  if (password === '') throw new Error('is empty: it must hold the password of BOARD_USERNAME');
  return password;
}
