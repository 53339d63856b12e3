//! The further endpoints that a check announces, and what else it says of them: refuses a default that is no host, a parameter
//! about an endpoint that there is not, and two ports of one.

use crate::{
    description::{
        FurtherEndpoint, HOST_TAGS, PARTS_DROPPED, Parameter, ParameterKind, RESERVED, SERVER_TAG,
        host_fields,
    },
    host::Host,
    measured::{Contact, of_endpoint},
    sandbox::{bindings::exports::sonde::check::check as wit, contradiction::Contradiction},
    text,
};

/// In the place of a job's own host.
const SOME_HOST: &str = "host.example";

/// One by this name.
pub(super) fn endpoint(
    name: String,
    from: wit::EndpointDescription,
) -> Result<FurtherEndpoint, Contradiction> {
    let wit::EndpointDescription { required, default, doc, .. } = from;
    let endpoint = FurtherEndpoint { name, required, default, doc: text::clean(&doc) };
    match endpoint.default_beside(SOME_HOST).map(|default| Host::bracketed(&default)) {
        Some(Err(_)) => Err(Contradiction::EndpointHost(endpoint.name)),
        _ => Ok(endpoint),
    }
}

/// The host's fields and tags on the lines of a check with these.
pub(super) fn names_of_host(endpoints: &[FurtherEndpoint]) -> Vec<String> {
    let own =
        host_fields().chain([PARTS_DROPPED]).map(|field| field.name).chain(HOST_TAGS.iter().map(|tag| tag.0));
    let names = || Contact::all_fields().map(|field| field.name).chain([SERVER_TAG]);
    let further = endpoints.iter().flat_map(|endpoint| names().map(|name| of_endpoint(&endpoint.name, name)));
    own.map(ToOwned::to_owned).chain(further).collect()
}

/// Refuses the name of a field or tag that the host may come to use for what it learns at one of these.
pub(super) fn is_free(name: &str, endpoints: &[FurtherEndpoint]) -> Result<(), Contradiction> {
    for endpoint in endpoints {
        let of_endpoint = name.strip_prefix(&*endpoint.name).and_then(|rest| rest.strip_prefix('_'));
        let kept = RESERVED.iter().find(|begin| of_endpoint.is_some_and(|rest| rest.starts_with(**begin)));
        if let Some(begin) = kept {
            return Err(Contradiction::NameReserved(name.to_owned(), begin));
        }
    }
    Ok(())
}

/// Refuses parameters about none of these.
pub(super) fn are_about(
    parameters: &[Parameter],
    endpoints: &[FurtherEndpoint],
) -> Result<(), Contradiction> {
    let mut with_port = Vec::new();
    for parameter in parameters {
        let endpoint = parameter.endpoint.as_deref();
        if endpoint.is_some_and(|name| !endpoints.iter().any(|known| known.name == name)) {
            return Err(Contradiction::EndpointOfNothing(parameter.name.clone()));
        }
        if parameter.kind == ParameterKind::Port {
            if with_port.contains(&endpoint) {
                return Err(Contradiction::Ports(parameter.name.clone()));
            }
            with_port.push(endpoint);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            description,
            tests::{bare, field, parameter},
        },
        *,
    };
    use crate::description::Description;

    fn endpoint(name: &str, default: Option<&str>) -> wit::EndpointDescription {
        let default = default.map(ToOwned::to_owned);
        wit::EndpointDescription { name: name.into(), required: false, default, doc: String::new() }
    }

    /// With these endpoints, a parameter about one of them, and one field.
    fn with_endpoints(
        endpoints: Vec<wit::EndpointDescription>,
        about: (wit::ParameterKind, Option<&str>),
        field: &str,
    ) -> Result<Description, Contradiction> {
        let mut one = parameter("a", about.0, "1");
        one.endpoint = about.1.map(ToOwned::to_owned);
        let parameters = vec![parameter("port", wit::ParameterKind::Port, "25"), one];
        description(wit::Description { parameters, fields: vec![self::field(field)], endpoints, ..bare() })
    }

    #[test]
    fn an_endpoint_that_contradicts_itself_or_others_is_refused() {
        use Contradiction::{EndpointHost, EndpointOfNothing, Endpoints, Name, NameOfHost, NameTwice, Ports};
        use wit::ParameterKind::{Integer, Port};
        let (imap, integer) = (|| vec![endpoint("imap", None)], (Integer, Some("imap")));
        assert!(with_endpoints(imap(), (Port, Some("imap")), "imap_logins").is_ok());
        for (endpoints, about, field, expected) in [
            (vec![endpoint("IMAP", None)], (Integer, None), "x", Name("IMAP".into())),
            (vec![endpoint("imap", None), endpoint("imap", None)], integer, "x", NameTwice("imap".into())),
            (Vec::new(), integer, "x", EndpointOfNothing("a".into())),
            (imap(), (Port, None), "x", Ports("a".into())),
            (imap(), integer, "imap_cert_days_left", NameOfHost("imap_cert_days_left".into())),
            (imap(), integer, "imap_server", NameOfHost("imap_server".into())),
            (
                ["a", "b", "c", "d", "e"].map(|name| endpoint(name, None)).into(),
                (Integer, None),
                "x",
                Endpoints,
            ),
        ] {
            assert_eq!(with_endpoints(endpoints, about, field).map(drop), Err(expected));
        }
        for (default, is_host) in [
            ("{host}", true),
            ("mta-sts.{host}", true),
            ("::1", true),
            ("imap.example.org", true),
            ("mx1:25", false),
            ("{host", false),
            ("{port}", false),
            ("", false),
            ("a b", false),
        ] {
            let described = with_endpoints(vec![endpoint("imap", Some(default))], integer, "x").map(drop);
            let expected = if is_host { Ok(()) } else { Err(EndpointHost("imap".into())) };
            assert_eq!(described, expected, "{default}");
        }
    }

    #[test]
    fn an_operator_pins_what_is_said_of_endpoints() {
        let digest = |about: Option<&str>, change: &dyn Fn(&mut wit::EndpointDescription)| {
            let mut imap = endpoint("imap", None);
            change(&mut imap);
            let about = (wit::ParameterKind::Integer, about);
            with_endpoints(vec![endpoint("pop", None), imap], about, "x").unwrap().sha256()
        };
        let mut digests = vec![
            digest(None, &|_| ()),
            digest(Some("pop"), &|_| ()),
            digest(None, &|imap| imap.name = "sieve".into()),
            digest(None, &|imap| imap.required = true),
            digest(None, &|imap| imap.default = Some("{host}".into())),
            digest(None, &|imap| imap.default = Some("a.{host}".into())),
            digest(None, &|imap| imap.doc = "x".into()),
        ];
        digests.sort();
        digests.dedup();
        assert_eq!(digests.len(), 7);
    }

    #[test]
    fn a_check_may_have_no_port_and_its_lines_then_have_no_such_tag() {
        let mut from = wit::Description { endpoints: vec![endpoint("imap", None)], ..bare() };
        let tags = |from: wit::Description| -> Vec<String> {
            description(from).unwrap().host_tags().map(|(name, _)| name).collect()
        };
        assert_eq!(tags(from.clone()), ["job", "server", "result", "imap_server"]);
        from.parameters.push(parameter("port", wit::ParameterKind::Port, "25"));
        assert_eq!(tags(from), ["job", "server", "port", "result", "imap_server"]);
    }
}
