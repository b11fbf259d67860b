import { namesIn } from "./members.ts";
import { beginsNumber, BRACE, BRACE_END, COLON, COMMA, DEPTH_MAX, plainStringEnd, QUOTE, valueEnd } from "./tokens.ts";

/**
 * Reads plain records in one pass, without parsing them, so it creates no garbage. A record is plain if a parser accepts it and
 * it has no unusual features. Nearly all records are plain.
 */
export interface RecordReader {
  /**
   * Where the record that begins at byte `from` ends; -1 if it is not plain: not an object, not JSON, white space between
   * tokens, an escape in a key, or very deep nesting. Such a record needs a parser.
   */
  end(body: Buffer, from: number): number;
  /**
   * One value of the last record for each list: that of the list's first member that is present and not null. Undefined if a
   * list has none, or if a value is unusual: of another type, with an escape, or in an array.
   */
  values(body: Buffer): readonly string[] | undefined;
}

export interface WantedMember {
  /** Dotted, as in `EventMembers`. */
  readonly path: string;
  readonly type: "string" | "number";
}

/** A name in the paths of wanted members. */
interface Node {
  readonly name: Buffer;
  readonly length: number;
  readonly children: Node[];
  /** The member whose path ends here; -1 for none. */
  member: number;
  isText: boolean;
}

const MISSING = -1;
const UNUSUAL = -2;
const SMALL_N = 0x6e;

export function recordReader(lists: readonly (readonly WantedMember[])[]): RecordReader {
  const wanted = lists.flat();
  const roots = treeOf(wanted);
  /** Start and end of each member's value, without quotes. The end is MISSING or UNUSUAL if there is no such value. */
  const bounds = new Int32Array(wanted.length * 2);

  /** Reads the members of one object. The last one of a repeated name counts, as in every parser. */
  function objectEnd(body: Buffer, from: number, nodes: readonly Node[], depth: number): number {
    if (depth === DEPTH_MAX) return -1;
    let at = from + 1;
    if (body[at] === BRACE_END) return at + 1;
    for (;;) {
      if (body[at] !== QUOTE) return -1;
      const keyEnd = plainStringEnd(body, at + 1);
      if (keyEnd < 0 || body[keyEnd] !== COLON) return -1;
      const node = nodeAt(nodes, body, at + 1, keyEnd - 1);
      const isParent = node !== undefined && node.children.length > 0;
      const valueTo = isParent ? parentEnd(body, keyEnd + 1, node, depth + 1) : valueEnd(body, keyEnd + 1, depth + 1);
      if (valueTo < 0) return -1;
      if (node !== undefined && node.member >= 0) note(body, keyEnd + 1, valueTo, node);
      at = valueTo + 1;
      if (body[valueTo] === BRACE_END) return at;
      if (body[valueTo] !== COMMA) return -1;
    }
  }

  /** Reads the value of a member that contains wanted members. */
  function parentEnd(body: Buffer, from: number, node: Node, depth: number): number {
    const isObject = body[from] === BRACE;
    for (const child of node.children) forget(child, isObject ? MISSING : UNUSUAL);
    return isObject ? objectEnd(body, from, node.children, depth) : valueEnd(body, from, depth);
  }

  function note(body: Buffer, from: number, to: number, { member, isText }: Node): void {
    const isPlain = isText ? body[from] === QUOTE && plainStringEnd(body, from + 1) === to : beginsNumber(body[from]);
    bounds[member * 2] = isText ? from + 1 : from;
    bounds[member * 2 + 1] = isPlain ? (isText ? to - 1 : to) : body[from] === SMALL_N ? MISSING : UNUSUAL;
  }

  function forget(node: Node, how: number): void {
    if (node.member >= 0) bounds[node.member * 2 + 1] = how;
    for (const child of node.children) forget(child, how);
  }

  return {
    end(body, from) {
      if (body[from] !== BRACE) return -1;
      bounds.fill(MISSING);
      return objectEnd(body, from, roots, 0);
    },
    values(body) {
      const values: string[] = [];
      let member = 0;
      for (const list of lists) {
        let value: string | undefined;
        for (const end = member + list.length; member < end; member++) {
          const to = bounds[member * 2 + 1] ?? MISSING;
          if (value !== undefined || to === MISSING) continue;
          if (to === UNUSUAL) return undefined;
          value = body.toString("utf8", bounds[member * 2], to);
        }
        if (value === undefined) return undefined;
        values.push(value);
      }
      return values;
    },
  };
}

function treeOf(wanted: readonly WantedMember[]): readonly Node[] {
  const roots: Node[] = [];
  for (const [member, { path, type }] of wanted.entries()) {
    let nodes = roots;
    const names = namesIn(path).map((text) => Buffer.from(text));
    for (const [depth, name] of names.entries()) {
      let node = nodes.find((one) => one.name.equals(name));
      if (node === undefined) {
        node = { name, length: name.length, children: [], member: -1, isText: false };
        nodes.push(node);
      }
      if (depth === names.length - 1) [node.member, node.isText] = [member, type === "string"];
      nodes = node.children;
    }
  }
  return roots;
}

/** Finds the node with the name between these bytes. Called for each member of each record. */
function nodeAt(nodes: readonly Node[], body: Buffer, from: number, to: number): Node | undefined {
  for (let index = 0; index < nodes.length; index++) {
    const node = nodes[index];
    if (node?.length !== to - from) continue;
    const { name, length } = node;
    let same = 0;
    while (same < length && name[same] === body[from + same]) same++;
    if (same === length) return node;
  }
  return undefined;
}
