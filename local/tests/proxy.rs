//! Tests the server behind nginx, which compresses answers.

#![expect(clippy::unwrap_used, reason = "a panic fails the test")]

use std::path::Path;
use std::process::Command;

use reqwest::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_MATCH, IF_NONE_MATCH};
use serde_json::{Value, json};
use switchyard_harness::app::PASSWORD;
use switchyard_harness::identity::identity_environment;
use switchyard_harness::process::{Process, free_port};
use switchyard_harness::required;

/// nginx in front of a server on SQLite.
struct Behind {
    nginx: Process,
    _server: Process,
    _folder: tempfile::TempDir,
}

impl Behind {
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_switchyard"));
        command.current_dir(folder.path()).env_clear().envs(identity_environment());
        command.envs([("LOG", "error"), ("RATE_LIMIT", "off"), ("RATE_LIMIT_USER", "off")]);
        let server = Process::serve(command).await.unwrap();
        let nginx = start_nginx(folder.path(), &server.base_url).await;
        Self { nginx, _server: server, _folder: folder }
    }

    fn url(&self, path: &str) -> String {
        format!("{}{path}", self.nginx.base_url)
    }
}

async fn start_nginx(folder: &Path, upstream: &str) -> Process {
    let (port, folder) = (free_port().unwrap(), folder.display());
    let configuration = format!(
        "
        daemon off;
        pid {folder}/nginx.pid;
        error_log stderr warn;
        events {{}}
        http {{
            access_log off;
            client_body_temp_path {folder}/bodies;
            proxy_temp_path {folder}/answers;
            fastcgi_temp_path {folder}/fastcgi;
            uwsgi_temp_path {folder}/uwsgi;
            scgi_temp_path {folder}/scgi;
            client_max_body_size 10m;
            gzip on;
            gzip_types application/json;
            gzip_min_length 1;
            upstream api {{
                server {};
                keepalive 8;
            }}
            server {{
                listen 127.0.0.1:{port};
                location / {{
                    proxy_pass http://api;
                    proxy_http_version 1.1;
                    proxy_set_header Connection \"\";
                    proxy_set_header Host $host;
                }}
            }}
        }}
        ",
        upstream.strip_prefix("http://").unwrap()
    );
    let path = format!("{folder}/nginx.conf");
    std::fs::write(&path, configuration).unwrap();
    let mut command = Command::new(required("TEST_NGINX"));
    command.args(["-c", &path, "-g", "master_process off;", "-e", "stderr"]);
    let mut nginx = Process::start(command, format!("http://127.0.0.1:{port}")).unwrap();
    nginx.wait_until_it_answers("/healthz").await.unwrap();
    nginx
}

#[tokio::test]
async fn a_conditional_change_succeeds_behind_a_proxy_that_compresses() {
    let behind = Behind::start().await;
    let client = reqwest::Client::new();
    let account = json!({"email": "ada@example.com", "password": PASSWORD, "name": "Ada"});
    let registered: Value = client
        .post(behind.url("/api/v1/auth/register"))
        .json(&account)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    let token = registered["access_token"].as_str().unwrap();
    let me = behind.url("/api/v1/auth/me");
    let read = || client.get(&me).bearer_auth(token).header(ACCEPT_ENCODING, "gzip");
    let answer = read().send().await.unwrap();
    let tag = answer.headers()[ETAG].clone();
    assert!(tag.to_str().unwrap().starts_with("W/\""), "nginx makes the tag weak: {tag:?}");
    assert_eq!(answer.headers()[CONTENT_ENCODING], "gzip");

    assert_eq!(read().header(IF_NONE_MATCH, &tag).send().await.unwrap().status(), 304);
    let change = |name: &str| {
        let change =
            client.patch(&me).bearer_auth(token).header(CONTENT_TYPE, "application/merge-patch+json");
        change.body(json!({"name": name}).to_string())
    };
    assert_eq!(change("Eve").header(IF_NONE_MATCH, &tag).send().await.unwrap().status(), 412);
    assert_eq!(change("Ada King").header(IF_MATCH, &tag).send().await.unwrap().status(), 200);
    assert_eq!(change("Eve").header(IF_MATCH, &tag).send().await.unwrap().status(), 412);
    assert_eq!(read().header(IF_NONE_MATCH, &tag).send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn an_early_answer_passes_a_proxy() {
    let behind = Behind::start().await;
    let client = reqwest::Client::new();
    for round in 0..20 {
        for (path, status) in [("/api/v1/auth/login", 413), ("/api/v1/users", 401), ("/api/v1/nothing", 404)]
        {
            let request = client.post(behind.url(path)).header(CONTENT_TYPE, "application/json");
            let answer = request.body(vec![b' '; 3 * 1024 * 1024]).send().await.unwrap();
            assert_eq!(answer.status(), status, "{path}, round {round}: {}", behind.nginx.output());
        }
    }
}
