//! What TLS makes of bytes: records in; plaintext, and whether more of it can come, out. Drops what stands
//! behind a stream's end.

use std::io::{self, Read};

use rustls::{ClientConnection, Error};

/// Bytes of a record's header.
pub(super) const HEADER_BYTES: usize = 5;
/// Bytes taken at once of what was decrypted.
const CLEAR_BYTES: usize = 4096;

/// One side of a connection, and what came of the other's bytes.
pub(super) struct Session {
    pub(super) connection: ClientConnection,
    records: Records,
    /// Decrypted, and not yet handed out.
    received: Vec<u8>,
    /// The server said that nothing follows.
    closed: bool,
}

impl Session {
    pub(super) fn new(connection: ClientConnection) -> Self {
        Self { connection, records: Records::default(), received: Vec::new(), closed: false }
    }

    /// There is nothing to hand out, and more can come.
    pub(super) fn wants_bytes(&self) -> bool {
        self.received.is_empty() && !self.closed
    }

    /// Takes in the handshake's part of these bytes, and says how many they are: what stands behind its last record is left to
    /// the kernel, which knows when it came.
    pub(super) fn feed_handshake(&mut self, bytes: &[u8]) -> (usize, Result<(), Error>) {
        let mut rest = bytes;
        while self.connection.is_handshaking() && !rest.is_empty() {
            let (record, behind) = rest.split_at(self.records.due(rest));
            rest = behind;
            if let Err(error) = self.feed(record) {
                return (bytes.len() - rest.len(), Err(error));
            }
        }
        (bytes.len() - rest.len(), Ok(()))
    }

    /// Decrypts. What comes out is taken away at once: rustls refuses further records while much of it waits. What stands
    /// behind the end of the stream is nobody's: somebody on the way may have sent it.
    pub(super) fn feed(&mut self, mut bytes: &[u8]) -> Result<(), Error> {
        let general = |error: io::Error| Error::General(error.to_string());
        while !bytes.is_empty() && !self.closed {
            if self.connection.read_tls(&mut bytes).map_err(general)? == 0 {
                return Err(Error::General("TLS takes no more of what was received".to_owned()));
            }
            let processed = self.connection.process_new_packets();
            // Also what came before a fault: it may be why the server ends the session.
            let mut clear = [0; CLEAR_BYTES];
            let mut reader = self.connection.reader();
            while let Ok(count @ 1..) = reader.read(&mut clear) {
                self.received.extend_from_slice(clear.get(..count).unwrap_or_default());
            }
            self.closed = processed?.peer_has_closed();
        }
        Ok(())
    }

    pub(super) fn hand_out(&mut self, max: usize) -> Vec<u8> {
        let rest = self.received.split_off(max.min(self.received.len()));
        std::mem::replace(&mut self.received, rest)
    }
}

/// Where a record ends (RFC 8446 section 5.1).
#[derive(Default)]
struct Records {
    header: Vec<u8>,
    left: usize,
}

impl Records {
    /// How many of these bytes, which are the next, belong to the record that is due.
    fn due(&mut self, bytes: &[u8]) -> usize {
        let mut count = 0;
        if self.left == 0 {
            count = HEADER_BYTES.saturating_sub(self.header.len()).min(bytes.len());
            self.header.extend_from_slice(bytes.get(..count).unwrap_or_default());
            let [_type, _major, _minor, high, low] = *self.header else { return count };
            self.left = u16::from_be_bytes([high, low]).into();
            self.header.clear();
        }
        let more = self.left.min(bytes.len() - count);
        self.left -= more;
        count + more
    }
}
