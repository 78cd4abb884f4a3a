/** Whether a host, as a URL or HOST has it, says loopback by itself, whatever a name server thinks. */
export function isLoopback(host: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|::1|\[::1\])$/i.test(host);
}
