// What a check is made of: a description from plain values, a report from objects, failures as exceptions.
//
// The module that is built exports `check`, which `sonde` makes. Words of the interface, such as `text-list` or
// `protocol-error`, are texts. This file is yours to change.

export { Connection } from 'sonde:check/network@0.1.0';

const LINE_BYTES = 8192;
const LF = 10;
const [LEAST, MOST] = [-(2n ** 63n), 2n ** 63n - 1n];

/** The check's own judgement: its kind, one of the announced codes, and for people what was tried and what came. */
export class Failed extends Error {
  constructor(kind, code, text) {
    super(text);
    this.code = code;
    this.failure = { cause: { tag: 'judgement', val: { kind, code } }, text: String(text) };
  }
}

/** Why a job cannot be run; it is about { parameter: '…' }, { endpoint: '…' }, 'host', 'timeout', or the 'job'. */
export const refusal = (text, about = 'job') => {
  const [tag, val] = typeof about === 'string' ? [about] : Object.entries(about)[0];
  return { subject: { tag, val }, text: String(text) };
};

/**
 * A check of: `name`, `version`, `measurement`, `doc`; `parameters`, `fields`, `tags`, `endpoints`, `parts` and `errors`, each an
 * object of objects by their names; `measure(job, given, report)`, which sets `report.fields` by name and adds `report.parts`
 * – what is there stays if it then throws `Failed`, or a network call its error –; and `judge(job, given)`, which gives a
 * `refusal` for all that is wrong with a job with these parameters, if a parameter's kind does not say all.
 */
export const sonde = ({ judge = () => [], measure, ...about }) => ({
  describe: () => ({
    ...about,
    parameters: list(about.parameters, parameter),
    fields: list(about.fields, field),
    tags: list(about.tags, (tag) => tag),
    endpoints: list(about.endpoints, (endpoint) => ({ required: false, ...endpoint })),
    parts: list(about.parts, (part) => ({ ...part, tags: texts(part.tags, 'doc'), fields: list(part.fields, field) })),
    errors: list(about.errors, (error) => error),
  }),

  validate: (job) => [...(judge(job, JSON.parse(job.parameters)) ?? [])],

  run(job) {
    const report = { fields: {}, parts: [] };
    try {
      const pending = measure(job, JSON.parse(job.parameters), report);
      if (pending?.then) throw new TypeError('measure must not be async: every call of the network waits by itself');
    } catch (error) {
      report.failed = error;
    }
    const parts = report.parts.map((part) => ({
      name: part.kind, tags: texts(part.tags, 'value'), ...found(part, about.parts?.[part.kind]?.fields),
    }));
    return { ...found(report, about.fields), parts };
  },
});

/** One of `report.parts`: set its `fields` by name, and `failed` to the error that says what is wrong with it. */
export const part = (kind, tags) => ({ kind, tags, fields: {} });

/** Reads what a peer says. Fails with `code` where it closes, or says over `limit` bytes, before that is whole. */
export class Lines {
  #connection;
  #code;
  #limit;
  #unread = new Uint8Array(0);

  constructor(connection, code, limit = LINE_BYTES) {
    [this.#connection, this.#code, this.#limit] = [connection, code, limit];
  }

  /** The next line, without its line feed; then `at` is when its end arrived. `what` is for the failure. */
  next(what) {
    let end;
    while ((end = this.#unread.indexOf(LF)) < 0) this.#more(what);
    return this.take(end + 1, what).slice(0, -1);
  }

  /** So many bytes, as text. */
  take(count, what) {
    while (this.#unread.length < count) this.#more(what);
    const text = new TextDecoder().decode(this.#unread.subarray(0, count));
    this.#unread = this.#unread.subarray(count);
    return text;
  }

  #more(what) {
    const fail = (why) => { throw new Failed('protocol-error', this.#code, `${what}: ${why}`); };
    if (this.#unread.length > this.#limit) fail(`over ${this.#limit} bytes without an end`);
    const { bytes, receivedAt } = this.#connection.read(this.#limit);
    if (bytes.length === 0) fail('the peer closes before the end');
    const unread = new Uint8Array(this.#unread.length + bytes.length);
    unread.set(this.#unread);
    unread.set(bytes, this.#unread.length);
    [this.#unread, this.at] = [unread, receivedAt];
  }
}

/** Sends a text; gives the instant at which it was sent. (`write` takes bytes, and of a text nothing.) */
export const say = (connection, text) => connection.write(new TextEncoder().encode(text));

/** Milliseconds from one instant to another. */
export const ms = (begin, end) => Number(end - begin) / 1e6;

/** The job's further endpoint of that name; undefined: it has none. */
export const granted = (job, name) => job.endpoints.find((one) => one.name === name)?.endpoint;

const list = (of = {}, convert) => Object.entries(of).map(([name, one]) => ({ name, ...convert(one) }));
const texts = (of, key) => Object.entries(of).map(([name, text]) => ({ name, [key]: String(text) }));
const json = (value) => (value === undefined ? undefined : JSON.stringify(value));

/** `when`: defaults that depend on another parameter, each as [its name, its value, the default then]. */
const parameter = ({ default: otherwise, when = [], ...rest }) => ({
  required: false, choices: [], singleLine: true, ...rest, default: json(otherwise),
  conditionalDefaults: when.map(([other, is, then]) => ({ parameter: other, equals: json(is), default: json(then) })),
});

/** `unreported`: its value on the line of a run that could not report. */
const field = ({ unreported, ...rest }) => ({
  unit: '', phase: false, ...rest, whenUnreported: unreported === undefined ? undefined : value(rest.kind, unreported),
});

const within = (integer) => (integer < LEAST ? LEAST : integer > MOST ? MOST : integer);

/** Where it is nothing of the kind, the host says which field it is. */
const value = (kind, of) => {
  if (kind === 'integer' && /^-?\d+$/.test(of)) return { tag: kind, val: within(BigInt(of)) };
  if (typeof of === 'boolean') return { tag: 'boolean', val: of };
  return ['number', 'bigint'].includes(typeof of) ? { tag: 'float', val: Number(of) } : { tag: 'text', val: String(of) };
};

/** Fields that are undefined or null were not measured. */
const found = ({ fields, failed }, announced = {}) => ({
  fields: Object.entries(fields).filter(([, of]) => of !== undefined && of !== null)
    .map(([name, of]) => ({ name, value: value(announced[name]?.kind, of) })),
  failure: failed && failure(failed),
});

const failure = (error) => {
  if (error instanceof Failed) return error.failure;
  // A failed network call has its error as payload; whatever else was thrown is a mistake of ours.
  if (!error.payload) throw error;
  return { cause: { tag: 'network', val: error.payload.kind }, text: error.payload.text };
};
