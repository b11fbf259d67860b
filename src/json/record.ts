import { namesIn } from "./members.ts";
import {
  beginsNumber,
  BRACE,
  BRACE_END,
  COLON,
  COMMA,
  DEPTH_MAX,
  hasEscape,
  QUOTE,
  stringEnd,
  valueEnd,
} from "./tokens.ts";

/**
 * Reads plain records in one pass: what a parser would accept, and nothing unusual about it. Nearly every record is plain.
 * Then it does not need to be parsed to learn a few of its members, and leaves no garbage.
 */
export interface RecordReader {
  /**
   * Where the record that begins at byte `from` ends; -1 when it is not plain: not an object, not JSON, white space between
   * its tokens, an escape in a key, or very deep. Then a parser has to say.
   */
  end(body: Buffer, from: number): number;
  /**
   * Of the record read last, one value for each list of members: that of the first member that is there and not null.
   * Undefined when a list has none, or when one is unusual: of another type, with an escape, or within an array.
   */
  values(body: Buffer): readonly string[] | undefined;
}

export interface WantedMember {
  /** Dotted, as in `EventMembers`. */
  readonly path: string;
  readonly type: "string" | "number";
}

/** A name on the way to wanted members. */
interface Node {
  readonly name: Buffer;
  readonly children: Node[];
  /** The member that ends here; -1 for none. */
  member: number;
}

const [MISSING, UNUSUAL] = [-1, -2];
const SMALL_N = 0x6e;

export function recordReader(lists: readonly (readonly WantedMember[])[]): RecordReader {
  const wanted = lists.flat();
  const roots = treeOf(wanted);
  /** Start and end of each member's value, between its quotes; MISSING or UNUSUAL as the end of anything else. */
  const bounds = new Int32Array(wanted.length * 2);

  /** The members of one object: the last of the same name counts, as for every parser. */
  function objectEnd(body: Buffer, from: number, nodes: readonly Node[], depth: number): number {
    if (depth === DEPTH_MAX) return -1;
    let at = from + 1;
    if (body[at] === BRACE_END) return at + 1;
    for (;;) {
      if (body[at] !== QUOTE) return -1;
      const keyEnd = stringEnd(body, at + 1);
      if (keyEnd < 0 || body[keyEnd] !== COLON || hasEscape(body, at + 1, keyEnd - 1)) return -1;
      const node = nodeAt(nodes, body, at + 1, keyEnd - 1);
      const valueTo =
        node === undefined ? valueEnd(body, keyEnd + 1, depth + 1) : wantedEnd(body, keyEnd + 1, node, depth + 1);
      if (valueTo < 0) return -1;
      at = valueTo + 1;
      if (body[valueTo] === BRACE_END) return at;
      if (body[valueTo] !== COMMA) return -1;
    }
  }

  function wantedEnd(body: Buffer, from: number, node: Node, depth: number): number {
    const isObject = body[from] === BRACE;
    for (const child of node.children) forget(child, isObject ? MISSING : UNUSUAL);
    const to =
      isObject && node.children.length > 0 ? objectEnd(body, from, node.children, depth) : valueEnd(body, from, depth);
    if (node.member >= 0 && to >= 0) note(body, from, to, node.member);
    return to;
  }

  function note(body: Buffer, from: number, to: number, member: number): void {
    const isText = wanted[member]?.type === "string";
    const isPlain = isText ? body[from] === QUOTE && !hasEscape(body, from, to) : beginsNumber(body[from]);
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
  const root: Node = { name: Buffer.alloc(0), children: [], member: -1 };
  for (const [member, { path }] of wanted.entries()) {
    let node = root;
    for (const name of namesIn(path).map((text) => Buffer.from(text))) {
      let next = node.children.find((child) => child.name.equals(name));
      if (next === undefined) node.children.push((next = { name, children: [], member: -1 }));
      node = next;
    }
    node.member = member;
  }
  return root.children;
}

/** Which of the nodes has the name between these bytes. */
function nodeAt(nodes: readonly Node[], body: Buffer, from: number, to: number): Node | undefined {
  for (const node of nodes) {
    const { name } = node;
    if (name.length !== to - from) continue;
    let same = 0;
    while (same < name.length && name[same] === body[from + same]) same++;
    if (same === name.length) return node;
  }
  return undefined;
}
