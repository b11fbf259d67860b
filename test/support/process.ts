import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import net, { type AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";

/** Whether all these programs are in PATH. */
export function installed(...programs: readonly string[]): boolean {
  return programs.every((program) => spawnSync("which", [program]).status === 0);
}

/** Starts a server that dies with this process, however this process ends. */
export function startServer(program: string, args: readonly string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
  // Ceph aborts where LANG names a locale that is not installed.
  const child = spawn("setpriv", ["--pdeathsig", "KILL", "--", program, ...args], {
    stdio: "ignore",
    env: { ...process.env, LC_ALL: "C", ...env },
  });
  child.on("error", () => undefined);
  return child;
}

/** Kills it, because some servers need many seconds for a clean stop. */
export async function stopServer(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGKILL");
  await once(child, "exit");
}

/** A free port of loopback. */
export async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** Resolves when a server listens on the port. Polls, because a foreign server gives no event. */
export async function portOpen(port: number, server: ChildProcess, timeoutMs = 60_000): Promise<void> {
  const startMs = Date.now();
  while (true) {
    const socket = net.connect(port, "127.0.0.1");
    try {
      await once(socket, "connect");
      return;
    } catch (error) {
      const gone = server.exitCode !== null || server.signalCode !== null;
      if (gone || Date.now() - startMs > timeoutMs)
        throw new Error(`nothing listens at port ${port}`, { cause: error });
    } finally {
      socket.destroy();
    }
    await sleep(50);
  }
}
