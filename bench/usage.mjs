// Loaded into the measured process (node --import): says at its end what it used, as one line of JSON on file descriptor 3.
import { readFileSync, writeSync } from "node:fs";

process.on("exit", () => {
  const { userCPUTime, systemCPUTime, maxRSS } = process.resourceUsage();
  writeSync(
    3,
    JSON.stringify({ cpuS: (userCPUTime + systemCPUTime) / 1e6, peakMB: ((ownPeakKiB() ?? maxRSS) * 1024) / 1e6 }),
  );
});

/** Linux counts into `maxRSS` what the process held before it became this program: the memory of whoever started it. */
function ownPeakKiB() {
  try {
    return Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1]) || undefined;
  } catch {
    return undefined;
  }
}
