export function createRedispatch(_: unknown) {
  return { resend: async () => 'redriven' as const, isPending: async () => false };
}
