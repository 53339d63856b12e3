// NAME: reads the first line that a server says, times it, and looks whether it contains a text.

import { Connection } from 'sonde:check/network@0.1.0';

const UNEXPECTED = 1000;
const LINE_BYTES = 4096;

const parameter = (name, kind, value, doc) => ({
  name, kind, required: value === undefined, default: value, conditionalDefaults: [], choices: [], singleLine: true, doc,
});

export const check = {
  describe() {
    return {
      name: 'NAME',
      version: '0.1.0',
      measurement: 'MEASUREMENT',
      doc: 'Reads the first line that a server says.',
      parameters: [
        parameter('port', 'port', undefined, 'TCP port.'),
        parameter('expect', 'text', '""', 'Text that the line must contain.'),
      ],
      fields: [
        { name: 'greeting_time_ms', kind: 'float', unit: 'ms', doc: "From connected to the line's end.", phase: true },
        { name: 'greeting', kind: 'text', unit: '', doc: 'The line.', phase: false },
      ],
      tags: [],
      errors: [{ code: UNEXPECTED, name: 'unexpected-greeting', doc: 'The line does not contain `expect`.' }],
    };
  },

  run(job) {
    const { expect } = JSON.parse(job.parameters);
    const line = [];
    let elapsedNs;
    try {
      const connection = Connection.connect(job.target);
      while (line.at(-1) !== 10 && line.length < LINE_BYTES) {
        const received = connection.read(LINE_BYTES);
        line.push(...received.bytes);
        elapsedNs = received.receivedAt - connection.opened().connectedAt;
        if (received.bytes.length === 0) break;
      }
    } catch (error) {
      // A failed network call has its error as payload; whatever else was thrown is a mistake of ours.
      if (!error.payload) throw error;
      const { kind, text } = error.payload;
      return { fields: [], failure: { cause: { tag: 'network', val: kind }, text } };
    }
    const text = new TextDecoder().decode(new Uint8Array(line)).trim();
    const fields = [
      { name: 'greeting_time_ms', value: { tag: 'float', val: Number(elapsedNs) / 1e6 } },
      { name: 'greeting', value: { tag: 'text', val: text } },
    ];
    if (text === '' || !text.includes(expect)) {
      const cause = { tag: 'judgement', val: { kind: 'string-mismatch', code: UNEXPECTED } };
      return { fields, failure: { cause, text: `expected ${JSON.stringify(expect)} in ${JSON.stringify(text)}` } };
    }
    return { fields };
  },
};
