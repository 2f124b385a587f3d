//! The traces that a request belongs to: ids that its log lines share with those of other services.

use axum::http::{Extensions, HeaderMap, HeaderName};

/// The header that carries the trace of a request (W3C Trace Context, §3.2).
const TRACEPARENT: HeaderName = HeaderName::from_static("traceparent");

/// The header that carries the trace of AWS X-Ray:
/// <https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader>.
const X_AMZN_TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");

/// An extension of a request that a Lambda function answers. The runtime puts it there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Invocation {
    /// The trace of AWS X-Ray in the form of its header, as in
    /// `Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1`.
    pub xray_trace: Option<String>,
    /// Whether it is the first request of its instance, whose client has also waited for the start.
    pub is_cold_start: bool,
}

/// What the log lines of a request say about its traces.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    /// The client's trace: 32 hexadecimal digits.
    pub(crate) trace_id: Option<String>,
    /// The trace in AWS X-Ray, as in `1-5759e988-bd862e3fe1be46a994272793`: that of the function, or else that of the gateway
    /// or load balancer in front.
    pub(crate) xray_trace_id: Option<String>,
    pub(crate) is_cold_start: bool,
}

impl Trace {
    pub(crate) fn of(headers: &HeaderMap, extensions: &Extensions) -> Self {
        let mut parents = headers.get_all(TRACEPARENT).iter();
        let parent = parents.next().filter(|_| parents.next().is_none());
        let trace_id = parent.and_then(|parent| trace_id_of(parent.to_str().ok()?));
        let invocation = extensions.get::<Invocation>();
        let of_function = invocation.and_then(|invocation| invocation.xray_trace.as_deref());
        let of_gateway = || headers.get(X_AMZN_TRACE_ID)?.to_str().ok();
        Self {
            trace_id: trace_id.map(ToOwned::to_owned),
            xray_trace_id: of_function.or_else(of_gateway).and_then(root_of).map(ToOwned::to_owned),
            is_cold_start: invocation.is_some_and(|invocation| invocation.is_cold_start),
        }
    }
}

/// The trace of a `traceparent`, as in `00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01`. A malformed one is
/// ignored, as the standard demands.
fn trace_id_of(traceparent: &str) -> Option<&str> {
    let is_hex = |text: &str, digits: usize| {
        text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_id = |text: &str, digits| is_hex(text, digits) && text.bytes().any(|b| b != b'0');
    let mut parts = traceparent.split('-');
    let (version, trace_id, parent_id, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    // A later version may have more parts.
    let is_known = version != "00" || parts.next().is_none();
    let is_valid = is_hex(version, 2)
        && version != "ff"
        && is_known
        && is_id(trace_id, 32)
        && is_id(parent_id, 16)
        && is_hex(flags, 2);
    is_valid.then_some(trace_id)
}

/// The id of the trace in X-Ray's header: at most 35 letters, digits and hyphens, since a client can send the header too.
fn root_of(header: &str) -> Option<&str> {
    let root = header.split(';').find_map(|part| part.trim().strip_prefix("Root="))?;
    let fits = root.len() <= 35 && root.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    fits.then_some(root)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_is_taken_from_a_well_formed_traceparent_only() {
        const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
        for (traceparent, expected) in [
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", Some(TRACE)),
            (
                "cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-what-the-future-will-be-like",
                Some(TRACE),
            ),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more", None),
            ("ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", None),
            ("00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01", None),
            ("00-00000000000000000000000000000000-00f067aa0ba902b7-01", None),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", None),
            ("00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01", None),
            ("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7", None),
            ("0-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", None),
            ("", None),
        ] {
            assert_eq!(trace_id_of(traceparent), expected, "{traceparent}");
        }
    }

    #[test]
    fn the_functions_own_trace_in_x_ray_goes_before_that_of_the_gateway() {
        let mut headers = HeaderMap::new();
        headers.insert(
            X_AMZN_TRACE_ID,
            "Self=1-6a-12;Root=1-67891233-abcdef012345678912345678".parse().unwrap(),
        );
        let mut extensions = Extensions::new();
        let id = |extensions: &Extensions| Trace::of(&headers, extensions).xray_trace_id;
        assert_eq!(id(&extensions).as_deref(), Some("1-67891233-abcdef012345678912345678"));
        let own = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
        extensions.insert(Invocation { xray_trace: Some(own.to_owned()), is_cold_start: false });
        assert_eq!(id(&extensions).as_deref(), Some("1-5759e988-bd862e3fe1be46a994272793"));
        assert_eq!(root_of("Root=1-5759e988-bd862e3fe1be46a994272793-longer"), None);
        assert_eq!(root_of("Root=<b>"), None);
    }

    #[test]
    fn two_traceparents_are_none() {
        let mut headers = HeaderMap::new();
        let parent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        headers.append(TRACEPARENT, parent.parse().unwrap());
        let trace = Trace::of(&headers, &Extensions::new());
        assert_eq!(trace.trace_id.as_deref(), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        headers.append(TRACEPARENT, parent.parse().unwrap());
        assert_eq!(Trace::of(&headers, &Extensions::new()).trace_id, None);
    }
}
