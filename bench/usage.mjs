// Loaded into the measured process (node --import): at its end it writes its usage as one line of JSON to file descriptor 3.
import { readFileSync, writeSync } from "node:fs";

process.on("exit", () => {
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
  writeSync(
    3,
    JSON.stringify({ cpuS: (userCPUTime + systemCPUTime) / 1e6, peakMB: ((ownPeakKiB() ?? maxRSS) * 1024) / 1e6 }),
  );
});

/** On Linux, `maxRSS` includes the memory before exec, which is that of the parent process. */
function ownPeakKiB() {
  try {
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1]) || undefined;
  } catch {
    return undefined;
  }
}
