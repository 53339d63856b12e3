//! Checks that trap, loop, grow, flood and lie: each becomes a report, and a good job beside it is not harmed.
