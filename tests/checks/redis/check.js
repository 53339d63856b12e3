// Redis: AUTH, PING and INFO (RESP 2): memory, clients, and how far the replicas, or this replica, lag behind.

import { Connection, Failed, Lines, ms, refusal, say, sonde } from './sonde.js';

const [NOT_REDIS, AUTH_REFUSED, REFUSED, LOADING, HELD_BACK] = [1000, 1001, 1002, 1003, 1004];
const REPLY_BYTES = 1 << 17;

const notRedis = (text) => new Failed('protocol-error', NOT_REDIS, text);

class Session {
  constructor(connection) {
    this.connection = connection;
    this.lines = new Lines(connection, NOT_REDIS, REPLY_BYTES);
  }

  /** Sends a command; its reply, without the type. */
  command(...words) {
    const [what, encoder] = [words[0], new TextEncoder()];
    const parts = words.map((word) => `$${encoder.encode(word).length}\r\n${word}\r\n`);
    const sentAt = say(this.connection, `*${words.length}\r\n${parts.join('')}`);
    const line = this.lines.next(what);
    if (!line.endsWith('\r')) throw notRedis(`${what}: a line that ends without CR`);
    const [type, text] = [line.slice(0, 1), line.slice(1, -1)];
    const reply = (text) => ({ text, elapsedMs: ms(sentAt, this.lines.at) });
    if (type === '+') return reply(text);
    if (type === '-') {
      if (/^(WRONGPASS|NOAUTH|ERR (AUTH|invalid password|Client sent AUTH))/.test(text)) {
        throw new Failed('auth-failed', AUTH_REFUSED, `${what}: ${text}`);
      }
      throw new Failed('rejected', text.startsWith('LOADING') ? LOADING : REFUSED, `${what}: ${text}`);
    }
    if (type !== '$' || !/^\d{1,9}$/.test(text)) throw notRedis(`${what}: ${type}${text}`.slice(0, 200));
    return reply(this.lines.take(Number(text) + 2, what).slice(0, -2));
  }
}

const integer = (text) => (/^\d{1,18}$/.test(text) ? text : undefined);
const most = (values) => integer(String(values.reduce((most, value) => (value > most ? value : most), 0)));

export const check = sonde({
  name: 'redis', version: '0.1.0', measurement: 'redis', doc: 'Logs in to a Redis server and asks how it is.',
  parameters: {
    connection: { kind: 'text', default: 'plain', choices: ['plain', 'tls'], doc: 'Plain text, or TLS.' },
    port: { kind: 'port', default: 6379, doc: 'TCP port.' },
    username: { kind: 'text', default: '', doc: 'User name; empty: the default user.' },
    password: { kind: 'secret', default: '', doc: 'Its password; empty: no AUTH.' },
  },
  fields: {
    ping_time_ms: { kind: 'float', unit: 'ms', phase: true, doc: 'PING to its reply.' },
    response_code: { kind: 'integer', doc: '-1: the login was not tried, and nobody refused it.' },
    used_memory_bytes: { kind: 'integer', unit: 'B', doc: 'Memory in use.' },
    max_memory_bytes: { kind: 'integer', unit: 'B', doc: 'Memory allowed; 0: no limit.' },
    connected_clients: { kind: 'integer', doc: 'Clients.' },
    connected_replicas: { kind: 'integer', doc: 'Replicas.' },
    replication_lag_s: { kind: 'integer', unit: 's', doc: 'Since the slowest replica, or the master, was last heard of.' },
    replication_lag_bytes: { kind: 'integer', unit: 'B', doc: 'What the slowest replica has not acknowledged.' },
    role: { kind: 'text', doc: '`master` or `slave`.' },
    redis_version: { kind: 'text', doc: 'Version of the server.' },
  },
  tags: { connection: { parameter: 'connection', doc: 'Plain text, or TLS.' } },
  errors: {
    'not-redis': { code: NOT_REDIS, doc: 'What the server says is not Redis.' },
    'auth-refused': { code: AUTH_REFUSED, doc: 'The login is refused, or one is needed.' },
    refused: { code: REFUSED, doc: 'A command is refused.' },
    loading: { code: LOADING, doc: 'The server is still loading its data.' },
    'password-held-back': { code: HELD_BACK, doc: 'To a server that failed verification the password is not sent.' },
  },

  judge(job, { username, password }) {
    return username !== '' && password === '' ? [refusal('expected beside `username`', { parameter: 'password' })] : [];
  },

  measure(job, { connection: tls, username, password }, { fields }) {
    const connection = Connection.connect(job.target);
    const secured = tls === 'tls' ? connection.startTls() : undefined;
    const session = new Session(connection);
    if (password !== '' && secured?.verification.tag === 'failed') {
      fields.response_code = -1;
      throw new Failed('auth-failed', HELD_BACK, `no AUTH to an unverified server: ${secured.verification.val.text}`);
    }
    if (password !== '') session.command('AUTH', ...(username === '' ? [] : [username]), password);
    const ping = session.command('PING');
    if (ping.text !== 'PONG') throw notRedis(`PING: ${ping.text}`);
    fields.ping_time_ms = ping.elapsedMs;
    const info = new Map(session.command('INFO').text.split('\r\n').map((line) => line.split(/:(.*)/)));
    fields.used_memory_bytes = integer(info.get('used_memory'));
    fields.max_memory_bytes = integer(info.get('maxmemory'));
    fields.connected_clients = integer(info.get('connected_clients'));
    fields.connected_replicas = integer(info.get('connected_slaves'));
    for (const name of ['role', 'redis_version']) fields[name] = info.has(name) ? info.get(name) ?? '' : undefined;
    const replicas = [...info].filter(([name]) => /^slave\d+$/.test(name))
      .map(([, facts]) => new Map((facts ?? '').split(',').map((fact) => fact.split('='))));
    if (info.get('role') === 'slave') {
      fields.replication_lag_s = integer(info.get('master_last_io_seconds_ago'));
    } else if (replicas.length > 0) {
      fields.replication_lag_s = most(replicas.map((replica) => Number(replica.get('lag'))));
      const offset = Number(info.get('master_repl_offset'));
      fields.replication_lag_bytes = most(replicas.map((replica) => offset - Number(replica.get('offset'))));
    }
  },
});
