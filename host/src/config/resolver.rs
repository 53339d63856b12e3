//! `[resolver]` in; who is asked for addresses out. Refuses what is no address, none at all, and what contradicts itself.

use std::net::{IpAddr, SocketAddr};

use super::{
    error::{At, Problem, entry},
    file,
};
use crate::net::{NAME_SERVER_PORT, NameServers};

pub(super) fn name_servers(shape: file::Resolver) -> Result<NameServers, At> {
    let Some(servers) = shape.servers else {
        return Ok(if shape.system { NameServers::System } else { NameServers::Usual });
    };
    if shape.system {
        let wrong = "either servers or system = true, not both";
        return Err(At::key("resolver.servers", Problem::Contradiction(wrong)));
    }
    if servers.is_empty() {
        return Err(At::key("resolver.servers", Problem::Expected("at least one address".into())));
    }
    let server = |(index, text): (usize, &String)| {
        let expected = "an address, with or without port, such as \"192.0.2.53\" or \"[2001:db8::53]:5353\"";
        let refuse = || At::key(entry("resolver.servers", index), Problem::Expected(expected.to_owned()));
        server(text).ok_or_else(refuse)
    };
    servers.iter().enumerate().map(server).collect::<Result<_, At>>().map(NameServers::These)
}

/// IPv6 without a port also without brackets.
fn server(text: &str) -> Option<SocketAddr> {
    let bare = text.strip_prefix('[').and_then(|address| address.strip_suffix(']'));
    let alone = bare.unwrap_or(text).parse().map(|address: IpAddr| (address, NAME_SERVER_PORT).into());
    let parsed: Option<SocketAddr> = alone.or_else(|_| text.parse()).ok();
    parsed.filter(|server| server.port() != 0)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::{config::of_text, net::NameServers};

    /// What is read of a table.
    fn read(table: &str) -> Result<NameServers, String> {
        let text = format!("[resolver]\n{table}\n[[job]]\nname = \"mx1\"\nhost = \"mx1.example.org\"\n");
        let plan = of_text(Path::new("sonde.toml"), &text);
        plan.map(|plan| plan.name_servers).map_err(|error| error.to_string())
    }

    #[test]
    fn who_is_asked_stands_in_the_file_or_in_the_systems_configuration() {
        assert_eq!(read(""), Ok(NameServers::Usual));
        assert_eq!(read("system = false"), Ok(NameServers::Usual));
        assert_eq!(read("system = true"), Ok(NameServers::System));
        let servers =
            ["192.0.2.53:53", "[2001:db8::53]:53", "[2001:db8::53]:53", "192.0.2.53:5353", "[::1]:5353"];
        let servers = servers.map(|server| server.parse().unwrap()).to_vec();
        let text = r#"["192.0.2.53", "2001:db8::53", "[2001:db8::53]", "192.0.2.53:5353", "[::1]:5353"]"#;
        assert_eq!(read(&format!("servers = {text}")), Ok(NameServers::These(servers)));
    }

    #[test]
    fn what_is_no_address_is_refused_by_its_place() {
        let expected = "an address, with or without port, such as \"192.0.2.53\" or \"[2001:db8::53]:5353\"";
        for wrong in ["ns1.example.org", "", "192.0.2.53:0", "192.0.2.53:65536", "[192.0.2.53", "::1]:53"] {
            let said = read(&format!("servers = [\"192.0.2.53\", \"{wrong}\"]")).unwrap_err();
            assert_eq!(
                said,
                format!("sonde.toml: resolver.servers, entry 2: expected {expected}"),
                "{wrong}"
            );
        }
        for (table, said) in [
            ("servers = []", "resolver.servers: expected at least one address"),
            (
                "system = true\nservers = [\"192.0.2.53\"]",
                "resolver.servers: either servers or system = true, not both",
            ),
        ] {
            assert_eq!(read(table).unwrap_err(), format!("sonde.toml: {said}"));
        }
        assert!(read("server = \"192.0.2.53\"").unwrap_err().contains("did you mean `servers`?"));
    }
}
