// NAME: reads the first line that a server says, times it, and looks whether it contains a text.

import { Connection, Failed, Lines, ms, sonde } from './sonde.js';

const UNEXPECTED = 1000;

export const check = sonde({
  name: 'NAME',
  version: '0.1.0',
  measurement: 'MEASUREMENT',
  doc: 'Reads the first line that a server says.',
  parameters: {
    port: { kind: 'port', required: true, doc: 'TCP port.' },
    expect: { kind: 'text', default: '', doc: 'Text that the line must contain.' },
  },
  fields: {
    greeting_time_ms: { kind: 'float', unit: 'ms', phase: true, doc: "From connected to the line's end." },
    greeting: { kind: 'text', doc: 'The line.' },
  },
  errors: {
    'unexpected-greeting': { code: UNEXPECTED, doc: 'There is no line, or `expect` is not in it.' },
  },

  measure(job, { expect }, { fields }) {
    const connection = Connection.connect(job.target);
    const lines = new Lines(connection, UNEXPECTED);
    const greeting = lines.next('greeting').trim();
    fields.greeting_time_ms = ms(connection.opened().connectedAt, lines.at);
    fields.greeting = greeting;
    if (!greeting.includes(expect)) {
      throw new Failed('string-mismatch', UNEXPECTED, `expected ${JSON.stringify(expect)} in ${JSON.stringify(greeting)}`);
    }
  },
});
