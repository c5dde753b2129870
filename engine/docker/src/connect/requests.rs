//! Changes to the requests of the client library.

use bollard::{BollardRequest, body_full};
use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;

const AUTH_HEADER: &str = "x-registry-auth";

/// Returns the function that adapts every request. The client library omits the version in the path, does not know
/// that an older engine creates a second network of one name unless it is asked to check, and writes credentials in
/// plain base64 although Docker reads the form for URLs.
pub(super) fn modifier(
    spoken: &str,
) -> impl Fn(BollardRequest) -> BollardRequest + Send + Sync + 'static {
    let prefix = format!("/v{spoken}");
    move |request| {
        let (mut parts, mut body) = request.into_parts();
        let shown = parts.headers.get(AUTH_HEADER).and_then(|value| value.to_str().ok());
        let shown = shown.map(|text| text.replace('+', "-").replace('/', "_"));
        if let Some(Ok(value)) = shown.map(|text| text.parse()) {
            parts.headers.insert(AUTH_HEADER, value);
        }
        let path = parts.uri.path_and_query().map(|path| path.as_str().to_owned());
        if let (Some(path), Some(scheme), Some(authority)) =
            (path, parts.uri.scheme_str(), parts.uri.authority())
            && let Ok(uri) = format!("{scheme}://{authority}{prefix}{path}").parse()
        {
            let is_network = path == "/networks/create";
            parts.uri = uri;
            if is_network {
                // The whole body is in memory, so collecting it never waits.
                let whole = body.collect().now_or_never().and_then(Result::ok);
                let bytes = whole.map(|whole| whole.to_bytes()).unwrap_or_default();
                body = body_full(check_duplicate(&bytes));
            }
        }
        BollardRequest::from_parts(parts, body)
    }
}

fn check_duplicate(body: &[u8]) -> bytes::Bytes {
    let Ok(serde_json::Value::Object(mut fields)) = serde_json::from_slice(body) else {
        return bytes::Bytes::copy_from_slice(body);
    };
    fields.insert("CheckDuplicate".to_owned(), true.into());
    serde_json::Value::Object(fields).to_string().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_checked_for_duplicates() {
        let body = check_duplicate(br#"{"Name":"a"}"#);
        let value: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
        assert_eq!(value, serde_json::json!({"Name": "a", "CheckDuplicate": true}));
    }
}
