// The minimum that any exporter must do: gets the same pages with the same client, parses each, compresses the bytes at the
// same level, and puts them where the events would go. No ledger, no checks, no hashes. Reads its task from standard input.
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import http from "node:http";
import { createGzip } from "node:zlib";
import { text } from "node:stream/consumers";
import { got } from "got";

const { api, from, to, limit, level, batch, sink } = JSON.parse(await text(process.stdin));
const agent = { http: new http.Agent({ keepAlive: true }) };
const headers = { authorization: `Bearer ${api.token}` };
const put = sink.type === "s3" ? await s3() : (name, bytes) => writeFile(`${sink.directory}/${name}`, bytes);

let count = 0;
let object = open();
let parts = 0;
for (let cursor, more = true; more;) {
  const searchParams = { start_time: from, end_time: to, limit, ...(cursor && { cursor }) };
  const body = await got(`${api.url}/audit_events`, { agent, headers, searchParams, retry: { limit: 0 } }).buffer();
  const { data, meta } = JSON.parse(body.toString("utf8"));
  count += data.length;
  object.events += data.length;
  ({ next_page: cursor, has_next: more } = meta.paginate);
  if (!object.gzip.write(body)) await once(object.gzip, "drain");
  if (object.events >= batch || !more) {
    object.gzip.end();
    await once(object.gzip, "end");
    await put(`floor-${parts++}.gz`, Buffer.concat(object.chunks));
    object = open();
  }
}
process.stdout.write(JSON.stringify({ events: count }), () => process.exit());

function open() {
  const gzip = createGzip({ level });
  const chunks = [];
  gzip.on("data", (chunk) => chunks.push(chunk));
  return { gzip, chunks, events: 0 };
}

async function s3() {
  process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED = "true";
  const { S3Client, PutObjectCommand } = await import("@aws-sdk/client-s3");
  const { endpoint, region, bucket, accessKeyId, secretAccessKey } = sink;
  const credentials = { accessKeyId, secretAccessKey };
  const plain = { requestChecksumCalculation: "WHEN_REQUIRED", responseChecksumValidation: "WHEN_REQUIRED" };
  const client = new S3Client({ endpoint, region, credentials, forcePathStyle: true, ...plain });
  return (name, Body) => client.send(new PutObjectCommand({ Bucket: bucket, Key: name, Body }));
}
