use hcfs_server::{ServerError, tokens};
use http::Method;

use crate::harness::{account, rig, rig_with};

#[tokio::test]
async fn a_token_opens_its_own_account_until_it_is_revoked() {
    let rig = rig().await;
    let route = format!("/list_folders/{}", account(2));
    let ask = |header: String| {
        let (rig, route) = (&rig, &route);
        async move { rig.send(Method::GET, route, &[("authorization", &header)], "").await }
    };
    let data = &rig.storage();
    let token = tokens::create(data, &account(2), "phone").await.unwrap();
    assert_eq!(ask(format!("Bearer {token}")).await.status, 200);
    assert_eq!(ask(format!("bearer {token}")).await.status, 200);
    assert_eq!(ask(format!("Bearer {}", rig.token)).await.failure(), (403, "forbidden".to_owned()));

    let mut wrong = token.clone().into_bytes();
    let last = wrong.last_mut().unwrap();
    *last = if *last == b'0' { b'1' } else { b'0' };
    for header in [
        format!("Bearer {}", String::from_utf8(wrong).unwrap()),
        format!("Bearer {}", account(2)),
        format!("Basic {token}"),
        format!("Bearer {}", &token[..token.len() - 2]),
        format!("Bearer hcfs_{}", "0".repeat(80)),
        "Bearer".to_owned(),
        String::new(),
        token.clone(),
    ] {
        let reply = ask(header.clone()).await;
        assert_eq!(reply.failure(), (401, "unauthorized".to_owned()), "{header}");
        assert_eq!(reply.header("www-authenticate"), "Bearer");
    }

    let listed = tokens::list(data, &account(2)).await.unwrap();
    assert_eq!(listed.iter().map(|row| row.label.as_str()).collect::<Vec<_>>(), ["phone"]);
    assert!(token.contains(&listed[0].id));
    let missing = tokens::revoke(data, &account(1), &listed[0].id).await;
    assert!(matches!(missing, Err(ServerError::NoSuchToken { .. })), "another account's");
    assert!(matches!(tokens::revoke(data, &account(2), "zz").await, Err(ServerError::NoSuchToken { .. })));
    tokens::revoke(data, &account(2), &listed[0].id).await.unwrap();
    assert_eq!(ask(format!("Bearer {token}")).await.failure(), (401, "unauthorized".to_owned()));
    assert_eq!(tokens::list(data, &account(2)).await.unwrap(), []);
}

#[tokio::test]
async fn every_route_but_health_asks_for_a_token() {
    let rig = rig_with(|config| config.limits.failure_rate.burst = 1_000).await;
    let (account, folder) = (&rig.account, &rig.folder);
    let id = crate::harness::id("a");
    for (method, path) in [
        (Method::POST, "/upload".to_owned()),
        (Method::POST, "/upload/session".to_owned()),
        (Method::DELETE, "/upload/session/x".to_owned()),
        (Method::GET, "/upload/session/x/status".to_owned()),
        (Method::PUT, "/upload/session/x/chunk/0".to_owned()),
        (Method::POST, "/upload/session/x/finalize".to_owned()),
        (Method::GET, format!("/download/{account}/{folder}/{id}")),
        (Method::DELETE, format!("/delete/{account}/{folder}/{id}")),
        (Method::POST, "/delete_files".to_owned()),
        (Method::GET, format!("/get_state/{account}/{folder}")),
        (Method::POST, "/rename_files".to_owned()),
        (Method::POST, "/register_folder".to_owned()),
        (Method::GET, format!("/list_folders/{account}")),
        (Method::DELETE, "/unregister_folder".to_owned()),
        (Method::POST, "/can_upload".to_owned()),
        (Method::GET, "/auth/tokens".to_owned()),
        (Method::GET, format!("/browse/{account}/{folder}")),
        (Method::GET, format!("/search_files/{account}")),
        (Method::POST, format!("/register_relative_paths/{account}/{folder}")),
        (Method::GET, format!("/list_folder_entries/{account}/{folder}")),
        (Method::GET, format!("/get_file_type_summary/{account}")),
        (Method::GET, format!("/get_source_summary/{account}")),
        (Method::GET, format!("/download/{account}/{id}")),
        (Method::DELETE, format!("/delete/{account}/{id}")),
        (Method::POST, format!("/publish/{account}/{folder}/{id}")),
        (Method::DELETE, format!("/publish/{account}/{id}")),
        (Method::DELETE, "/auth/tokens/0123456789abcdef".to_owned()),
        (Method::GET, format!("/get_user_summary/{account}")),
    ] {
        let body = vec![0; 4 << 20];
        let reply = rig.send(method, &path, &[("authorization", "")], body).await;
        assert_eq!(reply.failure(), (401, "unauthorized".to_owned()), "{path}");
    }
}

#[tokio::test]
async fn the_secret_is_not_in_the_data_directory() {
    let rig = rig().await;
    let secret = hex::decode(&rig.token[rig.token.len() - 64..]).unwrap();
    let text = &rig.token.as_bytes()[rig.token.len() - 64..];
    for file in crate::harness::files_below(rig.directory.path()) {
        let bytes = std::fs::read(file).unwrap();
        assert!(!bytes.windows(32).any(|window| window == secret));
        assert!(!bytes.windows(64).any(|window| window == text));
    }
}
