//! The same server over TLS: what it speaks, and what it calls itself.

use crate::made::{self, EXPLICIT};
use crate::sockets::{Client, Running, start_with};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use server::Tls;
use std::path::Path;
use std::sync::Arc;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A server with a certificate for `localhost`, and what a client trusts.
async fn secure(folder: &Path) -> (Running, RootCertStore) {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (folder.join("cert.pem"), folder.join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let file = made::Made::new("1.9.1", made::CT, EXPLICIT).grey16(2, 2, &[vec![1, 2, 3, 4]]).file();
    let running = start_with(&[file], |config| config.tls = Some(Tls::Files { certificate, key })).await;
    let mut roots = RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    (running, roots)
}

async fn connect(running: &Running, roots: &RootCertStore, offered: &[&str]) -> TlsStream<TcpStream> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = config.with_root_certificates(roots.clone()).with_no_client_auth();
    config.alpn_protocols = offered.iter().map(|name| name.as_bytes().to_vec()).collect();
    let stream = TcpStream::connect(running.address).await.unwrap();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

#[tokio::test]
async fn what_is_named_is_named_by_https() {
    let folder = tempfile::TempDir::new().unwrap();
    let (running, roots) = secure(folder.path()).await;
    for target in ["/dicom-web/studies".to_owned(), format!("{}/metadata", made::path("1.9.1"))] {
        let mut stream = connect(&running, &roots, &["http/1.1"]).await;
        let request = format!("GET {target} HTTP/1.1\r\nHost: localhost:8042\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        assert!(!answer.contains("http://localhost"), "{answer}");
        assert!(
            target.ends_with("metadata") || answer.contains("https://localhost:8042/dicom-web/studies/"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn http_2_by_its_name() {
    let folder = tempfile::TempDir::new().unwrap();
    let (running, roots) = secure(folder.path()).await;
    let protocol = async |offered: &[&str]| {
        let stream = connect(&running, &roots, offered).await;
        stream.get_ref().1.alpn_protocol().map(|name| String::from_utf8_lossy(name).into_owned())
    };
    assert_eq!(protocol(&["h2", "http/1.1"]).await.as_deref(), Some("h2"));
    assert_eq!(protocol(&["http/1.1"]).await.as_deref(), Some("http/1.1"));
    assert_eq!(protocol(&[]).await, None);
}

#[tokio::test]
async fn without_tls_nobody_is_answered() {
    let folder = tempfile::TempDir::new().unwrap();
    let (running, _) = secure(folder.path()).await;
    let mut client = Client::connect(running.address).await;
    client.send("GET /dicom-web/studies HTTP/1.1\r\nHost: localhost\r\n\r\n").await;
    let mut answer = Vec::new();
    let _ = client.0.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}

#[tokio::test]
async fn one_of_its_own_making() {
    let names = ["localhost", "127.0.0.1"].map(str::to_owned).to_vec();
    let running = start_with(&[], |config| config.tls = Some(Tls::SelfSigned(names))).await;
    let mut client = Client::connect(running.address).await;
    client.send("GET / HTTP/1.1\r\n\r\n").await;
    let mut answer = Vec::new();
    let _ = client.0.read_to_end(&mut answer).await;
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
}
