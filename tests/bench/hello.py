"""What an agent would otherwise start for each check: reads the first line that a server says, and prints a line."""

import socket
import sys
import time

with socket.create_connection(("127.0.0.1", int(sys.argv[1])), timeout=10) as connection:
    connected = time.monotonic()
    line = connection.makefile("rb").readline(4096)
    elapsed_ms = (time.monotonic() - connected) * 1e3
print(f'hello,server=127.0.0.1 greeting_time_ms={elapsed_ms},greeting="{line.decode().strip()}" {time.time_ns()}')
