// Loaded into a process under test by NODE_OPTIONS: SIGUSR2 blocks its event loop for BLOCK_MS.
process.on("SIGUSR2", () => {
  const until = performance.now() + Number(process.env.BLOCK_MS ?? 5000);
  while (performance.now() < until);
});
