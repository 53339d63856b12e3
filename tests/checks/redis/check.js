// Redis: AUTH, PING and INFO (RESP 2): memory, clients, and how far the replicas, or this replica, lag behind.

import { Connection } from 'sonde:check/network@0.1.0';

const [NOT_REDIS, AUTH_REFUSED, REFUSED, LOADING] = [1000, 1001, 1002, 1003];
const [READ_BYTES, REPLY_BYTES, CR, LF] = [65536, 1 << 17, 13, 10];

class Judgement extends Error {
  constructor(kind, code, text) {
    super(text);
    this.failure = { cause: { tag: 'judgement', val: { kind, code } }, text };
  }
}

const notRedis = (text) => new Judgement('protocol-error', NOT_REDIS, text);

class Session {
  #connection;
  #buffer = new Uint8Array(REPLY_BYTES + 2 * READ_BYTES);
  #unread = this.#buffer.subarray(0, 0);
  constructor(connection) { this.#connection = connection; }

  #more(what) {
    const { bytes, receivedAt } = this.#connection.read(READ_BYTES);
    if (bytes.length === 0) throw notRedis(`${what}: the server closes inside its reply`);
    if (this.#unread.length > REPLY_BYTES) throw notRedis(`${what}: a reply of over ${REPLY_BYTES} bytes`);
    const { length } = this.#unread;
    this.#buffer.set(this.#unread); // to the front
    this.#buffer.set(bytes, length);
    this.#unread = this.#buffer.subarray(0, length + bytes.length);
    this.at = receivedAt;
  }

  #take(end) {
    const text = new TextDecoder().decode(this.#unread.subarray(0, end));
    this.#unread = this.#unread.subarray(end + 2);
    return text;
  }

  /** Sends a command; its reply, without the type. */
  command(...words) {
    const what = words[0];
    const encoder = new TextEncoder();
    const parts = words.map((word) => `$${encoder.encode(word).length}\r\n${word}\r\n`);
    const sentAt = this.#connection.write(encoder.encode(`*${words.length}\r\n${parts.join('')}`));
    let end;
    while ((end = this.#unread.indexOf(LF)) < 0) this.#more(what);
    if (this.#unread[end - 1] !== CR) throw notRedis(`${what}: a line that ends without CR`);
    const line = this.#take(end - 1);
    const [type, text] = [line.slice(0, 1), line.slice(1)];
    const elapsedMs = () => Number(this.at - sentAt) / 1e6; // once the reply is whole
    if (type === '+') return { text, elapsedMs: elapsedMs() };
    if (type === '-') {
      if (/^(WRONGPASS|NOAUTH|ERR (AUTH|invalid password|Client sent AUTH))/.test(text)) {
        throw new Judgement('auth-failed', AUTH_REFUSED, `${what}: ${text}`);
      }
      throw new Judgement('rejected', text.startsWith('LOADING') ? LOADING : REFUSED, `${what}: ${text}`);
    }
    const length = Number(text);
    if (type !== '$' || !/^\d{1,9}$/.test(text)) throw notRedis(`${what}: ${type}${text}`.slice(0, 200));
    while (this.#unread.length < length + 2) this.#more(what);
    return { text: this.#take(length), elapsedMs: elapsedMs() };
  }
}

function look(job, fields) {
  const { connection: tls, username, password } = JSON.parse(job.parameters);
  const connection = Connection.connect(job.target);
  if (tls === 'tls') connection.startTls();
  const session = new Session(connection);
  if (password !== '') session.command('AUTH', ...(username === '' ? [] : [username]), password);
  const ping = session.command('PING');
  if (ping.text !== 'PONG') throw notRedis(`PING: ${ping.text}`);
  fields.push({ name: 'ping_time_ms', value: { tag: 'float', val: ping.elapsedMs } });
  const info = new Map(session.command('INFO').text.split('\r\n').map((line) => line.split(/:(.*)/)));
  const integer = (name, text) => {
    if (/^\d{1,18}$/.test(text)) fields.push({ name, value: { tag: 'integer', val: BigInt(text) } });
  };
  integer('used_memory_bytes', info.get('used_memory'));
  integer('max_memory_bytes', info.get('maxmemory'));
  integer('connected_clients', info.get('connected_clients'));
  integer('connected_replicas', info.get('connected_slaves'));
  for (const name of ['role', 'redis_version']) {
    if (info.has(name)) fields.push({ name, value: { tag: 'text', val: info.get(name) ?? '' } });
  }
  if (info.get('role') === 'slave') {
    integer('replication_lag_s', info.get('master_last_io_seconds_ago'));
    return;
  }
  const replicas = [...info].filter(([name]) => /^slave\d+$/.test(name))
    .map(([, facts]) => new Map((facts ?? '').split(',').map((fact) => fact.split('='))));
  const most = (values) => String(values.reduce((most, value) => (value > most ? value : most), 0));
  if (replicas.length > 0) {
    integer('replication_lag_s', most(replicas.map((replica) => Number(replica.get('lag')))));
    const offset = Number(info.get('master_repl_offset'));
    integer('replication_lag_bytes', most(replicas.map((replica) => offset - Number(replica.get('offset')))));
  }
}

const parameter = (name, kind, value, doc, choices = []) => ({
  name, kind, required: false, default: JSON.stringify(value), conditionalDefaults: [], choices, singleLine: true, doc,
});

export const check = {
  describe() {
    const field = (name, kind, unit, doc) => ({ name, kind, unit, doc, phase: unit === 'ms' });
    const error = (code, name, doc) => ({ code, name, doc });
    return {
      name: 'redis', version: '0.1.0', measurement: 'redis', doc: 'Logs in to a Redis server and asks how it is.',
      parameters: [
        parameter('connection', 'text', 'plain', 'Plain text, or TLS.', ['plain', 'tls']),
        parameter('port', 'port', 6379, 'TCP port.'),
        parameter('username', 'text', '', 'User name; empty: the default user.'),
        parameter('password', 'secret', '', 'Its password; empty: no AUTH.'),
      ],
      fields: [
        field('ping_time_ms', 'float', 'ms', 'PING to its reply.'),
        field('used_memory_bytes', 'integer', 'B', 'Memory in use.'),
        field('max_memory_bytes', 'integer', 'B', 'Memory allowed; 0: no limit.'),
        field('connected_clients', 'integer', '', 'Clients.'),
        field('connected_replicas', 'integer', '', 'Replicas.'),
        field('replication_lag_s', 'integer', 's', 'Since the slowest replica, or the master, was last heard of.'),
        field('replication_lag_bytes', 'integer', 'B', 'What the slowest replica has not acknowledged.'),
        field('role', 'text', '', '`master` or `slave`.'),
        field('redis_version', 'text', '', 'Version of the server.'),
      ],
      tags: [{ name: 'connection', parameter: 'connection', doc: 'Plain text, or TLS.' }],
      errors: [
        error(NOT_REDIS, 'not-redis', 'What the server says is not Redis.'),
        error(AUTH_REFUSED, 'auth-refused', 'The login is refused, or one is needed.'),
        error(REFUSED, 'refused', 'A command is refused.'),
        error(LOADING, 'loading', 'The server is still loading its data.'),
      ],
    };
  },

  run(job) {
    const fields = [];
    try {
      look(job, fields);
      return { fields };
    } catch (error) {
      if (error instanceof Judgement) return { fields, failure: error.failure };
      // A failed network call has its error as payload; whatever else was thrown is a mistake of ours.
      if (!error.payload) throw error;
      return { fields, failure: { cause: { tag: 'network', val: error.payload.kind }, text: error.payload.text } };
    }
  },
};
