//! Accounts: their tokens, their logins, and what they may have.

use futures_util::future::join_all;
use hcfs_model::AccountAddress;

use super::{Subject, cases, random, somewhere};
use crate::metadata::{Admission, NewLogin, NewSession, NewToken, PresentedToken, SessionId, Usage};

cases![
    tokens_open_their_account_until_revoked,
    tokens_end_by_themselves,
    an_account_is_opened_closed_and_opened_again,
    a_quota_is_told_with_what_is_stored_and_announced,
    accounts_are_listed_in_pages,
    the_key_of_logins_is_made_once,
    a_challenge_is_used_once,
    an_invitation_lets_one_account_in,
    who_may_not_come_in_uses_nothing_up,
    logins_stop_at_the_most_tokens,
    of_logins_at_the_same_time_no_more_than_may_come_in,
    invitations_are_listed_withdrawn_and_forgotten,
];

fn token(at: &Subject, label: &str, now: i64) -> NewToken {
    let token = PresentedToken { selector: random(), digest: random() };
    NewToken { account: at.account.clone(), token, label: label.to_owned(), now, expires_at: None }
}

fn login(at: &Subject, invitation: Option<[u8; 32]>) -> NewLogin {
    NewLogin {
        token: token(at, "login", 100),
        nonce: random(),
        nonce_expires_at: 400,
        invitation,
        open_to_all: false,
        max_tokens: 50,
    }
}

async fn tokens_open_their_account_until_revoked(at: Subject) {
    let store = &at.metadata;
    let (desk, phone) = (token(&at, "desk", 5), token(&at, "phone", 4));
    let shown = desk.token.clone();
    store.create_token(desk).await.unwrap();
    store.create_token(phone).await.unwrap();
    assert_eq!(store.authenticate(shown.clone(), i64::MAX).await.unwrap(), Some(at.account.clone()));
    let wrong = PresentedToken { selector: shown.selector, digest: random() };
    assert_eq!(store.authenticate(wrong, 5).await.unwrap(), None);
    let unknown = PresentedToken { selector: random(), digest: [0; 32] };
    assert_eq!(store.authenticate(unknown, 5).await.unwrap(), None);
    let listed = store.list_tokens(at.account.clone()).await.unwrap();
    assert_eq!(listed.iter().map(|row| row.label.as_str()).collect::<Vec<_>>(), ["phone", "desk"]);
    assert_eq!((listed[1].id.as_str(), listed[1].created_at), (hex::encode(shown.selector).as_str(), 5));
    let stranger = AccountAddress::from_public_key(random());
    assert!(!store.revoke_token(stranger, shown.selector).await.unwrap());
    assert!(store.revoke_token(at.account.clone(), shown.selector).await.unwrap());
    assert!(!store.revoke_token(at.account.clone(), shown.selector).await.unwrap());
    assert_eq!(store.authenticate(shown, 5).await.unwrap(), None);
}

async fn tokens_end_by_themselves(at: Subject) {
    let store = &at.metadata;
    let new = NewToken { expires_at: Some(50), ..token(&at, "guest\0", 5) };
    let shown = new.token.clone();
    store.create_token(new).await.unwrap();
    store.create_token(token(&at, "desk", 6)).await.unwrap();
    assert_eq!(store.authenticate(shown.clone(), 49).await.unwrap(), Some(at.account.clone()));
    assert_eq!(store.authenticate(shown.clone(), 50).await.unwrap(), None);
    let listed = store.list_tokens(at.account.clone()).await.unwrap();
    assert_eq!(listed.iter().map(|row| row.expires_at).collect::<Vec<_>>(), [Some(50), None]);
    assert_eq!(store.expire_tokens(49).await.unwrap(), 0);
    assert_eq!(store.expire_tokens(50).await.unwrap(), 1);
    assert_eq!(store.authenticate(shown, 49).await.unwrap(), None);
    assert_eq!(store.list_tokens(at.account.clone()).await.unwrap().len(), 1);
}

async fn an_account_is_opened_closed_and_opened_again(at: Subject) {
    let store = &at.metadata;
    let mine = || async {
        let rows = store.accounts(None, 10_000).await.unwrap();
        rows.into_iter().find(|row| row.account == at.account)
    };
    assert_eq!(mine().await, None);
    assert!(!store.close_account(at.account.clone(), 5).await.unwrap());
    store.open_account(at.account.clone(), 7).await.unwrap();
    store.open_account(at.account.clone(), 8).await.unwrap();
    let row = mine().await.unwrap();
    assert_eq!((row.created_at, row.closed, row.quota), (7, false, None));
    let new = token(&at, "desk", 9);
    let shown = new.token.clone();
    store.create_token(new).await.unwrap();
    store.commit(at.first(1, 5), somewhere()).await.unwrap();

    assert!(store.close_account(at.account.clone(), 10).await.unwrap());
    assert!(store.close_account(at.account.clone(), 11).await.unwrap());
    let row = mine().await.unwrap();
    assert_eq!((row.closed, row.total_bytes, row.file_count), (true, 5, 1), "its files stay");
    assert_eq!(store.authenticate(shown, 10).await.unwrap(), None, "its tokens ended");
    assert_eq!(store.log_in(NewLogin { open_to_all: true, ..login(&at, None) }).await.unwrap(), Admission::Closed);
    store.open_account(at.account.clone(), 12).await.unwrap();
    assert!(!mine().await.unwrap().closed);
    store.close_account(at.account.clone(), 13).await.unwrap();
    store.create_token(token(&at, "desk", 14)).await.unwrap();
    assert!(!mine().await.unwrap().closed, "a token opens it");
}

async fn a_quota_is_told_with_what_is_stored_and_announced(at: Subject) {
    let store = &at.metadata;
    assert_eq!(store.usage(at.account.clone(), 100).await.unwrap(), Usage::default());
    assert!(!store.set_quota(at.account.clone(), Some(5)).await.unwrap());
    store.commit(at.first(1, 5), somewhere()).await.unwrap();
    store.commit(at.first(2, 7), somewhere()).await.unwrap();
    let session = NewSession {
        id: SessionId(random()),
        account: at.account.clone(),
        manifest: "{}".to_owned(),
        chunk_count: 1,
        chunk_size: 100,
        ciphertext_size: 90,
        now: 100,
        expires_at: 200,
        max_sessions: 9,
        max_bytes: 1_000,
    };
    assert_eq!(store.open_session(session).await.unwrap(), Ok(()));
    assert!(store.set_quota(at.account.clone(), Some(0)).await.unwrap());
    let usage = |announced, quota| Usage { stored: 12, announced, quota };
    assert_eq!(store.usage(at.account.clone(), 199).await.unwrap(), usage(90, Some(0)));
    assert!(store.set_quota(at.account.clone(), None).await.unwrap());
    assert_eq!(store.usage(at.account.clone(), 200).await.unwrap(), usage(0, None), "the session is over");
    store.remove(at.key(1), None, 300).await.unwrap();
    assert_eq!(store.usage(at.account.clone(), 200).await.unwrap().stored, 7);
}

async fn accounts_are_listed_in_pages(at: Subject) {
    let store = &at.metadata;
    let mut added: Vec<_> = (0..5).map(|_| AccountAddress::from_public_key(random())).collect();
    for account in &added {
        store.open_account(account.clone(), 1).await.unwrap();
    }
    added.sort_unstable_by(|a, b| a.as_str().as_bytes().cmp(b.as_str().as_bytes()));
    let (mut listed, mut last) = (Vec::new(), None);
    loop {
        let page = store.accounts(last, 2).await.unwrap();
        assert!(page.len() <= 2);
        let Some(row) = page.last() else { break };
        last = Some(row.account.clone());
        listed.extend(page.into_iter().map(|row| row.account));
    }
    assert!(listed.is_sorted_by(|a, b| a.as_str().as_bytes() < b.as_str().as_bytes()), "by bytes");
    listed.retain(|account| added.contains(account));
    assert_eq!(listed, added);
}

async fn the_key_of_logins_is_made_once(at: Subject) {
    let made = join_all((0..4).map(|_| at.metadata.login_key(random()))).await;
    let keys: Vec<[u8; 32]> = made.into_iter().map(Result::unwrap).collect();
    assert!(keys.iter().all(|key| *key == keys[0]));
    assert_eq!(at.metadata.login_key(random()).await.unwrap(), keys[0]);
}

async fn a_challenge_is_used_once(at: Subject) {
    let store = &at.metadata;
    store.open_account(at.account.clone(), 1).await.unwrap();
    let first = login(&at, None);
    let (nonce, shown) = (first.nonce, first.token.token.clone());
    assert_eq!(store.log_in(first).await.unwrap(), Admission::Admitted);
    assert_eq!(store.authenticate(shown, 100).await.unwrap(), Some(at.account.clone()));
    assert_eq!(store.log_in(NewLogin { nonce, ..login(&at, None) }).await.unwrap(), Admission::Spent);
    store.forget_spent(399).await.unwrap();
    assert_eq!(store.log_in(NewLogin { nonce, ..login(&at, None) }).await.unwrap(), Admission::Spent);
    store.forget_spent(400).await.unwrap();
    assert_eq!(store.log_in(NewLogin { nonce, ..login(&at, None) }).await.unwrap(), Admission::Admitted);
    assert_eq!(store.list_tokens(at.account.clone()).await.unwrap().len(), 2);
}

async fn an_invitation_lets_one_account_in(at: Subject) {
    let store = &at.metadata;
    let code = random();
    store.invite(code, "aunt".to_owned(), 50, 200).await.unwrap();
    let mut late = login(&at, Some(code));
    late.token.now = 200;
    assert_eq!(store.log_in(late).await.unwrap(), Admission::Unknown, "it is over");
    assert_eq!(store.log_in(login(&at, Some(random()))).await.unwrap(), Admission::Unknown);
    assert_eq!(store.log_in(login(&at, Some(code))).await.unwrap(), Admission::Admitted);
    assert_eq!(store.log_in(login(&at, Some(code))).await.unwrap(), Admission::Admitted, "it is known now");
    let mut other = login(&at, Some(code));
    other.token.account = AccountAddress::from_public_key(random());
    assert_eq!(store.log_in(other).await.unwrap(), Admission::Unknown, "it was used");
}

async fn who_may_not_come_in_uses_nothing_up(at: Subject) {
    let store = &at.metadata;
    let stranger = login(&at, None);
    let nonce = stranger.nonce;
    assert_eq!(store.log_in(stranger).await.unwrap(), Admission::Unknown);
    assert!(store.accounts(None, 10_000).await.unwrap().iter().all(|row| row.account != at.account));
    // The challenge is still good, and an invitation is not lost to a challenge that is not.
    let code = random();
    store.invite(code, String::new(), 50, 200).await.unwrap();
    let first = NewLogin { nonce, ..login(&at, Some(code)) };
    assert_eq!(store.log_in(first).await.unwrap(), Admission::Admitted);
    let second_code = random();
    store.invite(second_code, String::new(), 50, 200).await.unwrap();
    let mut other = NewLogin { nonce, ..login(&at, Some(second_code)) };
    other.token.account = AccountAddress::from_public_key(random());
    let account = other.token.account.clone();
    assert_eq!(store.log_in(other).await.unwrap(), Admission::Spent);
    let mut again = login(&at, Some(second_code));
    again.token.account = account;
    assert_eq!(store.log_in(again).await.unwrap(), Admission::Admitted);
}

async fn logins_stop_at_the_most_tokens(at: Subject) {
    let store = &at.metadata;
    let open = || NewLogin { open_to_all: true, max_tokens: 2, ..login(&at, None) };
    assert_eq!(store.log_in(open()).await.unwrap(), Admission::Admitted);
    let mut ending = open();
    ending.token.expires_at = Some(150);
    assert_eq!(store.log_in(ending).await.unwrap(), Admission::Admitted);
    assert_eq!(store.log_in(open()).await.unwrap(), Admission::TooManyTokens);
    let mut later = open();
    later.token.now = 150;
    assert_eq!(store.log_in(later).await.unwrap(), Admission::Admitted, "one of them has ended");
}

async fn of_logins_at_the_same_time_no_more_than_may_come_in(at: Subject) {
    let store = &at.metadata;
    let code = random();
    store.invite(code, String::new(), 50, 200).await.unwrap();
    // One invitation, and eight accounts that bring it.
    let strangers = (0..8).map(|_| {
        let mut new = login(&at, Some(code));
        new.token.account = AccountAddress::from_public_key(random());
        store.log_in(new)
    });
    let admitted = join_all(strangers).await.into_iter().filter(|done| matches!(done, Ok(Admission::Admitted)));
    assert_eq!(admitted.count(), 1);
    // One account, which is new, and eight logins with room for three.
    let same = (0..8).map(|_| store.log_in(NewLogin { open_to_all: true, max_tokens: 3, ..login(&at, None) }));
    let admitted = join_all(same).await.into_iter().filter(|done| matches!(done, Ok(Admission::Admitted)));
    assert_eq!(admitted.count(), 3);
    // One challenge, used eight times.
    let nonce = random();
    let same = (0..8).map(|_| store.log_in(NewLogin { nonce, ..login(&at, None) }));
    let admitted = join_all(same).await.into_iter().filter(|done| matches!(done, Ok(Admission::Admitted)));
    assert_eq!(admitted.count(), 1);
}

async fn invitations_are_listed_withdrawn_and_forgotten(at: Subject) {
    let store = &at.metadata;
    let (late, early): ([u8; 32], [u8; 32]) = (random(), random());
    store.invite(late, "uncle".to_owned(), 60, 9_000).await.unwrap();
    store.invite(early, "aunt".to_owned(), 50, 8_000).await.unwrap();
    let listed = || async {
        let mut rows = store.invitations().await.unwrap();
        rows.retain(|row| [early, late].iter().any(|digest| row.id == hex::encode(&digest[..8])));
        rows
    };
    let rows = listed().await;
    assert_eq!(rows.iter().map(|row| row.label.as_str()).collect::<Vec<_>>(), ["aunt", "uncle"]);
    assert_eq!((rows[0].created_at, rows[0].expires_at), (50, 8_000));
    let id = |digest: [u8; 32]| <[u8; 8]>::try_from(&digest[..8]).unwrap();
    assert!(store.withdraw_invitation(id(late)).await.unwrap());
    assert!(!store.withdraw_invitation(id(late)).await.unwrap());
    store.forget_spent(7_999).await.unwrap();
    assert_eq!(listed().await.len(), 1);
    store.forget_spent(8_000).await.unwrap();
    assert_eq!(listed().await, []);
}
