// How fast the built sink sends events to rsyslog on loopback, including formatting, and how fast a plain socket sends it
// prepared frames: `npm run bench:syslog`.
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { cpus } from "node:os";
import { cef } from "../dist/formats/cef.js";
import { leef } from "../dist/formats/leef.js";
import { raw } from "../dist/formats/raw.js";
import { syslogSink } from "../dist/sinks/syslog/syslog.js";
import { pachcaVocabulary as vocabulary } from "../dist/sources/pachca/vocabulary.js";
import { startRsyslog } from "../test/support/rsyslog.ts";

const EVENTS = 50_000;
const ROUNDS = 3;
/** The window of RELP: unacknowledged messages at most. */
const RELP_WINDOW = 128;

const from = Date.parse("2026-11-20T10:00:00Z");
const events = Array.from({ length: EVENTS }, (_, index) => eventOf(index));
const source = { read: () => undefined, vocabulary };
const formats = [raw.of(source), cef.of(source), leef.of(source)];
const bytes = events.reduce((sum, { record }) => sum + record.length, 0) / EVENTS;
const version = execFileSync("rsyslogd", ["-v"], { encoding: "utf8" }).split(/\s+/)[1];
const date = new Date().toISOString().slice(0, 10);
console.log(
  `${date}, ${cpus()[0].model.trim()}, ${cpus().length} cores, Node.js ${process.version}, rsyslog ${version}; ` +
    `${EVENTS} events of ${Math.round(bytes)} B; the best of ${ROUNDS} rounds`,
);

// rsyslog's own queue in memory, with its defaults.
const rsyslog = await startRsyslog(["tcp", "relp"], "FixedArray");
try {
  console.log("| transport | what | events/s | our CPU, µs/event |");
  console.log("| --- | --- | ---: | ---: |");
  const frames = framesOf(formats[0]);
  await row("tcp", "bare socket, frames made before", () => bareTcp(frames.map((frame) => `${frame.length} ${frame}`)));
  for (const format of formats) await row("tcp", `sink, ${format.name}`, () => write("tcp", format));
  await row("relp", "bare socket, frames made before", () => bareRelp(frames));
  for (const format of formats) await row("relp", `sink, ${format.name}`, () => write("relp", format));
} finally {
  await rsyslog.stop();
}

/** About 600 B per record, like the vendor's. */
function eventOf(index) {
  const id = `00000000-0000-4000-8000-${String(index).padStart(12, "0")}`;
  const record = {
    ...{ id, created_at: new Date(from + index).toISOString(), event_key: "user_updated" },
    ...{ entity_id: String(90_000 + (index % 700)), entity_type: "User" },
    ...{ actor_id: String(133_000 + (index % 500)), actor_type: "User" },
    details: { changes: ["first_name", "role"], before: "Пётр", after: "Пётр Алексеевич", note: "x".repeat(160) },
    ip_address: `192.168.${index % 250}.17`,
    user_agent: "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/130.0 Safari/537.36",
  };
  return { id, time: from + index, key: "user_updated", record: Buffer.from(JSON.stringify(record)) };
}

/** Until the sink's `write` resolves: rsyslog has received everything (tcp: closed its side, relp: acknowledged). */
async function row(transport, what, send) {
  let rate = 0;
  let cpuUs = Infinity;
  for (let round = 0; round < ROUNDS; round++) {
    rsyslog.forget();
    const cpu = process.cpuUsage();
    const startMs = performance.now();
    await send();
    rate = Math.max(rate, (EVENTS / (performance.now() - startMs)) * 1000);
    const { user, system } = process.cpuUsage(cpu);
    cpuUs = Math.min(cpuUs, (user + system) / EVENTS);
    // Not measured, but all messages must arrive, and the next round must start with an empty queue.
    await rsyslog.received(EVENTS, 120_000);
  }
  console.log(`| ${transport} | ${what} | ${Math.round(rate)} | ${cpuUs.toFixed(1)} |`);
}

function write(transport, format) {
  const options = {
    ...{ stream: "bench", transport, host: "127.0.0.1", port: rsyslog.ports[transport], framing: "octet-counting" },
    ...{ facility: 13, hostname: "acme", appName: "siem-export", enterpriseId: 32_473 },
    ...{ maxMessageBytes: 8000, oversize: "truncate", tls: undefined },
  };
  const sink = syslogSink(options, format, vocabulary, () => undefined);
  const plan = { seq: 42, kind: "window", from, to: from + 3_600_000, since: from, fingerprint: "-" };
  const chunks = (async function* () {
    for (let at = 0; at < EVENTS; at += 500) {
      const page = events.slice(at, at + 500);
      // As in the pipeline, which does not pass refused events to the sink.
      yield page.filter((event) => sink.refuses(event) === undefined);
    }
  })();
  return sink.write({ plan, part: 0, chunks }, new AbortController().signal);
}

/** The frames that the sink sends, with one character per octet. */
function framesOf(format) {
  return events.map((event) => {
    const head = `<110>1 ${new Date(event.time).toISOString()} acme siem-export - ${event.key} `;
    const data = `[event@32473 id="${event.id}" stream="bench" sequence="42"] `;
    return `${head}${data}${format.line(event).toString("latin1")}`;
  });
}

async function bareTcp(frames) {
  const socket = connect(rsyslog.ports.tcp, "127.0.0.1").setNoDelay(true).resume();
  for (let at = 0; at < frames.length; at += 100) {
    const hasRoom = socket.write(frames.slice(at, at + 100).join(""), "latin1");
    if (!hasRoom) await once(socket, "drain");
  }
  socket.end();
  await once(socket, "close");
}

/** After each answer, sends as many as the window has room for. */
async function bareRelp(frames) {
  const socket = connect(rsyslog.ports.relp, "127.0.0.1").setNoDelay(true);
  const offer = "relp_version=0\nrelp_software=bench\ncommands=syslog";
  socket.write(`1 open ${offer.length} ${offer}\n`);
  // The answer to a message is one line, the answer to the offer four.
  let answered = -4;
  let sent = 0;
  for await (const piece of socket) {
    for (const byte of piece) if (byte === 10) answered++;
    if (answered === frames.length) break;
    const room = frames.slice(sent, answered + RELP_WINDOW);
    socket.write(
      room.map((frame, index) => `${sent + index + 2} syslog ${frame.length} ${frame}\n`).join(""),
      "latin1",
    );
    sent += room.length;
  }
}
