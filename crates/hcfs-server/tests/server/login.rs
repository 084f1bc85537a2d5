use std::sync::atomic::Ordering;
use std::time::Duration;

use hcfs_model::AccountAddress;
use hcfs_remote::{BaseUrl, Client, ClientConfig, HcfsRemote, LoginError, RemoteErrorKind};
use hcfs_server::{Rate, Server, ServerConfig, ServerError, accounts, tokens};
use hcfs_wire::{Challenge, Health, LoggedIn, Login, SessionOpen, SessionOpened, Tokens, capability, login_text};
use http::{Method, StatusCode};
use schnorrkel::{ExpansionMode, Keypair, MiniSecretKey};
use serde_json::json;

use crate::harness::{Reply, Rig, account, ciphertext, native, rig, rig_with};

fn key(seed: u8) -> Keypair {
    MiniSecretKey::from_bytes(&[seed; 32]).unwrap().expand_to_keypair(ExpansionMode::Ed25519)
}

fn address(key: &Keypair) -> AccountAddress {
    AccountAddress::from_public_key(key.public.to_bytes())
}

async fn challenge(rig: &Rig, account: &AccountAddress) -> Challenge {
    rig.post("/auth/challenge", &json!({"ss58_address": account.as_str()})).await.success()
}

fn sign(key: &Keypair, challenge: &Challenge) -> Login {
    let ss58_address = address(key);
    let text = login_text(&challenge.server, &ss58_address, &challenge.challenge);
    Login {
        signature: key.sign_simple(b"substrate", text.as_bytes()).to_bytes(),
        ss58_address,
        challenge: challenge.challenge.clone(),
        label: "phone".to_owned(),
        invitation: None,
    }
}

async fn log_in(rig: &Rig, key: &Keypair) -> Reply {
    let login = sign(key, &challenge(rig, &address(key)).await);
    rig.post("/auth/login", &login).await
}

async fn tokens_of(rig: &Rig, token: &str) -> Reply {
    rig.send(Method::GET, "/auth/tokens", &[("authorization", &format!("Bearer {token}"))], "").await
}

fn unauthorized() -> (u16, String) {
    (401, "unauthorized".to_owned())
}

#[tokio::test]
async fn an_account_logs_in_with_its_key_and_ends_its_tokens() {
    let rig = rig().await;
    assert!(rig.get("/health").await.success::<Health>().has(capability::LOGIN));
    let key = key(1);
    accounts::add(&rig.storage(), &address(&key)).await.unwrap();
    let asked = challenge(&rig, &address(&key)).await;
    assert_eq!(asked.server, rig.running.address().to_string());
    assert_eq!(asked.expires_at, rig.now.load(Ordering::Relaxed) + 300);
    let first: LoggedIn = log_in(&rig, &key).await.success();
    let second: LoggedIn = log_in(&rig, &key).await.success();
    assert_eq!(first.expires_at, None);
    let listed: Tokens = tokens_of(&rig, &second.token).await.success();
    let seen: Vec<_> = listed.tokens.iter().map(|row| (row.label.as_str(), row.current)).collect();
    assert_eq!(seen.len(), 2);
    assert!(seen.contains(&("phone", true)) && seen.contains(&("phone", false)));
    assert_eq!(
        listed.tokens.iter().filter(|row| row.current).map(|row| &row.id).collect::<Vec<_>>(),
        [&second.token_id]
    );

    let bearer = format!("Bearer {}", second.token);
    let route = format!("/auth/tokens/{}", first.token_id);
    let headers = [("authorization", bearer.as_str())];
    let revoke = || rig.send(Method::DELETE, &route, &headers, "");
    let own = rig.send(Method::DELETE, &route, &[], "").await;
    assert_eq!(own.failure(), (404, "not_found".to_owned()), "another account's token");
    assert_eq!(revoke().await.json()["Success"]["revoked"], first.token_id);
    assert_eq!(revoke().await.failure(), (404, "not_found".to_owned()));
    assert_eq!(tokens_of(&rig, &first.token).await.failure(), unauthorized());
    assert_eq!(tokens_of(&rig, &second.token).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_challenge_works_once_and_in_time_for_its_own_account_and_server() {
    let rig = rig().await;
    let (key, other) = (key(1), key(2));
    for key in [&key, &other] {
        accounts::add(&rig.storage(), &address(key)).await.unwrap();
    }
    let asked = challenge(&rig, &address(&key)).await;
    let login = sign(&key, &asked);
    rig.post("/auth/login", &login).await.success::<LoggedIn>();
    let again = rig.post("/auth/login", &login).await;
    assert_eq!(again.failure(), unauthorized(), "used");

    let fresh = challenge(&rig, &address(&key)).await;
    let signed_by_other = Login { ss58_address: address(&key), ..sign(&other, &fresh) };
    let of_other = sign(&other, &fresh);
    let elsewhere = sign(&key, &Challenge { server: "elsewhere:1".to_owned(), ..fresh.clone() });
    let mut longer = hex::decode(&fresh.challenge).unwrap();
    longer[16] ^= 1;
    let longer = sign(&key, &Challenge { challenge: hex::encode(longer), ..fresh.clone() });
    let made_up = sign(&key, &Challenge { challenge: "ab".repeat(56), ..fresh.clone() });
    let no_challenge = sign(&key, &Challenge { challenge: "none".to_owned(), ..fresh.clone() });
    let unknown = Login { signature: [1; 64], ..sign(&self::key(3), &fresh) };
    let mut answers = Vec::new();
    for login in [signed_by_other, of_other, elsewhere, longer, made_up, no_challenge, unknown] {
        let reply = rig.post("/auth/login", &login).await;
        assert_eq!(reply.failure(), unauthorized());
        answers.push(reply.body);
    }
    answers.dedup();
    assert_eq!(answers, [again.body], "what was wrong is not told");

    rig.now.fetch_add(300, Ordering::Relaxed);
    assert_eq!(rig.post("/auth/login", &sign(&key, &fresh)).await.failure(), unauthorized(), "too late");
}

#[tokio::test]
async fn challenges_outlive_a_restart_and_stay_used() {
    let rig = rig_with(|config| config.accounts.name = Some("sync.example.org".to_owned())).await;
    let key = key(1);
    accounts::add(&rig.storage(), &address(&key)).await.unwrap();
    let used = sign(&key, &challenge(&rig, &address(&key)).await);
    rig.post("/auth/login", &used).await.success::<LoggedIn>();
    let open = sign(&key, &challenge(&rig, &address(&key)).await);
    let rig = rig.restart_with(|config| config.accounts.name = Some("sync.example.org".to_owned())).await;
    assert_eq!(rig.post("/auth/login", &used).await.failure(), unauthorized());
    rig.post("/auth/login", &open).await.success::<LoggedIn>();
}

#[tokio::test]
async fn an_unknown_account_comes_in_by_invitation_once() {
    let rig = rig().await;
    let key = key(1);
    let forbidden = (403, "forbidden".to_owned());
    assert_eq!(log_in(&rig, &key).await.failure(), forbidden);
    let code = accounts::invite(&rig.storage(), "aunt", Duration::from_hours(24 * 365)).await.unwrap();
    let invited = |seed: u8, code: String| {
        let rig = &rig;
        async move {
            let key = self::key(seed);
            let mut login = sign(&key, &challenge(rig, &address(&key)).await);
            login.invitation = Some(code);
            rig.post("/auth/login", &login).await
        }
    };
    assert_eq!(invited(1, format!("{code}0")).await.failure(), forbidden);
    let listed = accounts::invitations(&rig.storage()).await.unwrap();
    assert_eq!(listed.iter().map(|row| row.label.as_str()).collect::<Vec<_>>(), ["aunt"]);
    assert!(!code.contains(&listed[0].id));
    invited(1, code.clone()).await.success::<LoggedIn>();
    assert_eq!(invited(2, code).await.failure(), forbidden, "used up");
    log_in(&rig, &key).await.success::<LoggedIn>();
    assert_eq!(accounts::invitations(&rig.storage()).await.unwrap(), []);

    let code = accounts::invite(&rig.storage(), "uncle", Duration::from_hours(24 * 365)).await.unwrap();
    let kept = invited(1, code.clone()).await;
    kept.success::<LoggedIn>();
    let id = accounts::invitations(&rig.storage()).await.unwrap()[0].id.clone();
    accounts::withdraw(&rig.storage(), &id).await.unwrap();
    assert!(matches!(accounts::withdraw(&rig.storage(), &id).await, Err(ServerError::NoSuchInvitation { .. })));
    assert_eq!(invited(2, code).await.failure(), forbidden, "taken back");
    let code = accounts::invite(&rig.storage(), "late", Duration::ZERO).await.unwrap();
    rig.now.store(4_000_000_000, Ordering::Relaxed);
    assert_eq!(invited(2, code).await.failure(), forbidden, "too late");
}

#[tokio::test]
async fn open_registration_lets_everybody_in_and_tokens_end_by_themselves() {
    let rig = rig_with(|config| {
        config.accounts.open_registration = true;
        config.accounts.token_lifetime = Some(Duration::from_secs(100));
    })
    .await;
    let logged_in: LoggedIn = log_in(&rig, &key(1)).await.success();
    assert_eq!(logged_in.expires_at, Some(1_800_000_100));
    assert_eq!(tokens_of(&rig, &logged_in.token).await.status, StatusCode::OK);
    rig.now.fetch_add(100, Ordering::Relaxed);
    assert_eq!(tokens_of(&rig, &logged_in.token).await.failure(), unauthorized());
}

#[tokio::test]
async fn a_closed_account_is_out_at_once() {
    let rig = rig().await;
    let key = key(1);
    accounts::add(&rig.storage(), &address(&key)).await.unwrap();
    let logged_in: LoggedIn = log_in(&rig, &key).await.success();
    accounts::close(&rig.storage(), &address(&key)).await.unwrap();
    assert_eq!(tokens_of(&rig, &logged_in.token).await.failure(), unauthorized());
    assert_eq!(log_in(&rig, &key).await.failure(), (403, "forbidden".to_owned()));
    let mut rows = Vec::new();
    accounts::list(&rig.storage(), |page| rows.extend_from_slice(page)).await.unwrap();
    let closed: Vec<_> = rows.iter().filter(|row| row.closed).map(|row| &row.account).collect();
    assert_eq!((rows.len(), closed), (2, vec![&address(&key)]));
    accounts::add(&rig.storage(), &address(&key)).await.unwrap();
    log_in(&rig, &key).await.success::<LoggedIn>();
    let missing = accounts::close(&rig.storage(), &account(9)).await;
    assert!(matches!(missing, Err(ServerError::NoSuchAccount { .. })));
}

#[tokio::test]
async fn a_server_without_a_name_offers_no_login() {
    let rig = rig_with(|config| config.listen = "0.0.0.0:0".parse().unwrap()).await;
    assert!(!rig.get("/health").await.success::<Health>().has(capability::LOGIN));
    let reply = rig.post("/auth/challenge", &json!({"ss58_address": rig.account.as_str()})).await;
    assert_eq!(reply.failure(), (404, "not_found".to_owned()));
}

#[tokio::test]
async fn failures_are_limited_and_lock_nobody_out() {
    let rig = rig_with(|config| {
        config.limits.failure_rate = Rate { every: Duration::from_secs(50), burst: 3 };
        config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    })
    .await;
    let key = key(1);
    accounts::add(&rig.storage(), &address(&key)).await.unwrap();
    let wrong = Login { signature: [1; 64], ..sign(&key, &challenge(&rig, &address(&key)).await) };
    let from = |peer: &'static str| {
        let (rig, wrong) = (&rig, &wrong);
        let body = serde_json::to_vec(wrong).unwrap();
        async move { rig.send(Method::POST, "/auth/login", &[("x-forwarded-for", peer)], body).await }
    };
    for peer in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
        assert_eq!(from(peer).await.failure(), unauthorized());
    }
    let reply = from("192.0.2.4").await;
    assert_eq!(reply.failure(), (429, "rate_limited".to_owned()), "of this account, whatever the address");
    assert!(reply.header("retry-after").parse::<u64>().unwrap() > 40);
    log_in(&rig, &key).await.success::<LoggedIn>();

    let guess = |token: String| {
        let rig = &rig;
        async move {
            let headers = [("authorization", token.as_str()), ("x-forwarded-for", "192.0.2.9")];
            rig.send(Method::GET, "/auth/tokens", &headers, "").await.status.as_u16()
        }
    };
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.push(guess(format!("Bearer hcfs_{}", "0".repeat(80))).await);
    }
    assert_eq!(seen, [401, 401, 401, 429, 429]);
    assert_eq!(guess(format!("Bearer {}", rig.token)).await, 200, "what is right passes");
}

#[tokio::test]
async fn requests_of_an_account_are_limited() {
    let rig = rig_with(|config| config.limits.account_rate = Rate { every: Duration::from_secs(50), burst: 3 }).await;
    for _ in 0..3 {
        assert_eq!(rig.get("/auth/tokens").await.status, StatusCode::OK);
    }
    assert_eq!(rig.get("/auth/tokens").await.failure(), (429, "rate_limited".to_owned()));
    let other = tokens::create(&rig.storage(), &account(2), "").await.unwrap();
    assert_eq!(tokens_of(&rig, &other).await.status, StatusCode::OK);
}

#[tokio::test]
async fn addresses_are_tokens_on_this_machine_alone() {
    let rig = rig_with(|config| config.accounts.address_tokens = true).await;
    assert_eq!(tokens_of(&rig, account(7).as_str()).await.success::<Tokens>().tokens, []);
    let route = format!("/list_folders/{}", account(7));
    assert_eq!(rig.get(&route).await.failure(), (403, "forbidden".to_owned()));
    assert_eq!(tokens_of(&rig, "5Grw").await.failure(), unauthorized());

    let directory = tempfile::TempDir::new().unwrap();
    let mut config = ServerConfig::new(directory.path().to_owned(), "0.0.0.0:0".parse().unwrap());
    config.accounts.address_tokens = true;
    let Err(error) = Server::start(config).await else { panic!("open to all") };
    assert!(matches!(error, ServerError::OpenToAll { .. }), "{error}");
}

#[tokio::test]
async fn a_token_may_end_by_itself() {
    let rig = rig().await;
    let token = tokens::create_for(&rig.storage(), &account(2), "guest", Duration::from_hours(24 * 365)).await.unwrap();
    let ends = tokens::list(&rig.storage(), &account(2)).await.unwrap()[0].expires_at.unwrap();
    rig.now.store(ends - 1, Ordering::Relaxed);
    assert_eq!(tokens_of(&rig, &token).await.status, StatusCode::OK);
    rig.now.store(ends, Ordering::Relaxed);
    assert_eq!(tokens_of(&rig, &token).await.failure(), unauthorized());
}

#[tokio::test]
async fn a_quota_is_kept_and_can_be_lifted() {
    let rig = rig_with(|config| {
        config.accounts.quota_bytes = Some(1_000_000);
        config.accounts.billing_bypass = Some("let me".to_owned());
    })
    .await;
    let first = rig.put("a", 700_000, 1, None).await;
    let blob = ciphertext(400_000, 2);
    let manifest = rig.manifest("b", 400_000, &blob, None);
    let reply = rig.send_upload(native(&manifest, &blob)).await;
    assert_eq!(reply.status, StatusCode::PAYMENT_REQUIRED);
    assert_eq!(reply.json()["error"], "over_quota", "without an envelope");
    let open = SessionOpen::cut(manifest.clone(), 300_000).unwrap();
    assert_eq!(rig.post("/upload/session", &open).await.status, StatusCode::PAYMENT_REQUIRED);
    let query =
        json!({"ss58_address": rig.account.as_str(), "folder_hash": rig.folder.to_hex(), "size_bytes": 400_000});
    assert_eq!(rig.post("/can_upload", &query).await.json()["result"], false);

    rig.put("a", 900_000, 3, Some(first)).await;
    let small =
        json!({"ss58_address": rig.account.as_str(), "folder_hash": rig.folder.to_hex(), "size_bytes": 100_000});
    assert_eq!(rig.post("/can_upload", &small).await.json()["result"], true);
    for (value, status) in [("let me in", 402), ("let me", 200)] {
        let body = serde_json::to_vec(&open).unwrap();
        let reply = rig.send(Method::POST, "/upload/session", &[("x-billing-bypass", value)], body).await;
        assert_eq!(reply.status.as_u16(), status, "{value}");
    }
    assert_eq!(rig.post("/can_upload", &small).await.json()["result"], false, "what is announced counts");

    accounts::set_quota(&rig.storage(), &rig.account, Some(3_000_000)).await.unwrap();
    rig.post("/upload/session", &open).await.success::<SessionOpened>();
    accounts::set_quota(&rig.storage(), &rig.account, None).await.unwrap();
    assert_eq!(rig.post("/upload/session", &open).await.status, StatusCode::PAYMENT_REQUIRED);
}

#[tokio::test]
async fn the_client_logs_in_where_it_is_meant_to() {
    let words = format!("{} art", ["abandon"; 23].join(" "));
    let key = hcfs_crypto::phrase::MasterPhrase::parse(&words).unwrap().account_key();
    let log_in = async |rig: &Rig| {
        let client = Client::new(ClientConfig::default()).unwrap();
        let base = BaseUrl::parse(&format!("http://{}", rig.running.address())).unwrap();
        HcfsRemote::log_in(client, base, key.account(), "laptop", |text| key.sign(text)).await
    };
    let rig = rig().await;
    let Err(LoginError::Remote(error)) = log_in(&rig).await else { panic!("not known") };
    assert_eq!(error.kind, RemoteErrorKind::Forbidden);
    accounts::add(&rig.storage(), &key.account()).await.unwrap();
    let token = log_in(&rig).await.unwrap();
    let listed: Tokens = tokens_of(&rig, &token).await.success();
    assert_eq!(listed.tokens.iter().map(|row| row.label.as_str()).collect::<Vec<_>>(), ["laptop"]);

    let rig = rig.restart_with(|config| config.accounts.name = Some("elsewhere.example.org".to_owned())).await;
    let Err(LoginError::OtherName { named, .. }) = log_in(&rig).await else { panic!("signed for another server") };
    assert_eq!(named, "elsewhere.example.org");
    let rig = rig.restart_with(|config| config.listen = "0.0.0.0:0".parse().unwrap()).await;
    let base = BaseUrl::parse(&format!("http://127.0.0.1:{}", rig.running.address().port())).unwrap();
    let client = Client::new(ClientConfig::default()).unwrap();
    let refused = HcfsRemote::log_in(client, base, key.account(), "laptop", |text| key.sign(text)).await;
    assert!(matches!(refused, Err(LoginError::NotOffered)), "{refused:?}");
}
