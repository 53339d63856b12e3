//! The SMTP probe: a check component that tests a mail server by opening a session or by sending a mail.
