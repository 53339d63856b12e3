// What an agent would otherwise start for each check: reads the first line that a server says, and prints a line.
const net = require('node:net');

const connection = net.connect(Number(process.argv[2]), '127.0.0.1');
let connected;
let line = '';
connection.setTimeout(10000, () => connection.destroy(new Error('silence')));
connection.on('connect', () => { connected = process.hrtime.bigint(); });
connection.on('data', (bytes) => {
  line += bytes;
  if (!line.includes('\n')) return;
  const elapsedMs = Number(process.hrtime.bigint() - connected) / 1e6;
  console.log(`hello,server=127.0.0.1 greeting_time_ms=${elapsedMs},greeting="${line.trim()}" ${Date.now()}000000`);
  connection.destroy();
});
