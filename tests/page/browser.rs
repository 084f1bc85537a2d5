//! Debian's Chromium, told what to do over WebDriver.
//!
//! Where it is not installed these tests fail, unless `HCFS_NO_SERVICES` is set: then they say that nothing was tested.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use serde_json::{Value, json};

/// How long the page may take for anything.
const DEADLINE: Duration = Duration::from_secs(30);
/// Where pictures go, if anywhere.
const PICTURES: &str = "HCFS_PAGE_PICTURES";

pub const TAB: &str = "\u{e004}";
pub const ENTER: &str = "\u{e007}";

/// Whether there is a browser.
pub fn is_here() -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let has = |program: &str| std::env::split_paths(&path).any(|directory| directory.join(program).is_file());
    let is_here = has("chromium") && has("chromedriver");
    let is_excused = std::env::var_os("HCFS_NO_SERVICES").is_some();
    assert!(
        is_here || is_excused,
        "install chromium and chromium-driver, or set HCFS_NO_SERVICES to leave the page untested in a browser"
    );
    if !is_here {
        println!("NOT TESTED: there is no chromium with its driver");
    }
    is_here
}

/// A browser with one window.
pub struct Browser {
    driver: Child,
    port: u16,
    session: String,
}

impl Browser {
    pub fn start() -> Self {
        let mut driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("chromedriver starts");
        let mut said = BufReader::new(driver.stdout.take().unwrap());
        let port = loop {
            let mut line = String::new();
            assert!(said.read_line(&mut line).unwrap() > 0, "chromedriver ended");
            if let Some((_, rest)) = line.split_once("successfully on port ") {
                break rest.trim().trim_end_matches('.').parse().unwrap();
            }
        };
        // A pipe that nobody reads would fill.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        let mut browser = Self { driver, port, session: String::new() };
        // Its sandbox needs rights a test has not everywhere; it visits nothing but the page.
        let arguments =
            ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--no-first-run"];
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "browserName": "chrome",
            "goog:chromeOptions": {"args": arguments},
            "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let started = browser.call("POST", "/session", &wanted);
        browser.session = started["sessionId"].as_str().unwrap().to_owned();
        browser.shape(1180, 900, "light");
        browser
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        self.try_call(method, path, body).unwrap_or_else(|error| panic!("{method} {path}: {error}"))
    }

    fn try_call(&self, method: &str, path: &str, body: &Value) -> Result<Value, Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        let body = if method == "POST" { body.to_string() } else { String::new() };
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.port,
            body.len()
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut answer = BufReader::new(stream);
        let mut length = 0;
        loop {
            let mut line = String::new();
            answer.read_line(&mut line).unwrap();
            let line = line.trim().to_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut text = vec![0; length];
        answer.read_exact(&mut text).unwrap();
        let answer: Value = serde_json::from_slice(&text).unwrap();
        let value = answer["value"].clone();
        if value.get("error").is_some() { Err(value) } else { Ok(value) }
    }

    fn command(&self, name: &str, body: &Value) -> Value {
        self.call("POST", &format!("/session/{}/{name}", self.session), body)
    }

    fn developer(&self, command: &str, parameters: &Value) -> Value {
        self.command("goog/cdp/execute", &json!({"cmd": command, "params": parameters}))
    }

    pub fn open(&self, url: &str) {
        self.command("url", &json!({"url": url}));
    }

    /// The size of the window in CSS pixels, and whether it is light or dark.
    pub fn shape(&self, width: u32, height: u32, scheme: &str) {
        let size = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.developer("Emulation.setDeviceMetricsOverride", &size);
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}, {"name": "prefers-reduced-motion", "value": "reduce"}]);
        self.developer("Emulation.setEmulatedMedia", &json!({"features": features}));
    }

    /// What a script gives.
    pub fn ask(&self, script: &str) -> Value {
        self.command("execute/sync", &json!({"script": format!("return {script}"), "args": []}))
    }

    pub fn text(&self) -> String {
        self.ask("document.body.innerText").as_str().unwrap_or_default().to_owned()
    }

    /// Waits until a script gives true.
    pub fn until(&self, what: &str, script: &str) {
        let begin = Instant::now();
        while begin.elapsed() < DEADLINE {
            // A document that is just being replaced has no answer.
            let path = format!("/session/{}/execute/sync", self.session);
            let asked = self.try_call("POST", &path, &json!({"script": format!("return {script}"), "args": []}));
            if asked.is_ok_and(|answer| answer == true) {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
        panic!("{what} not within {DEADLINE:?}:\n{}", self.text());
    }

    pub fn until_text(&self, text: &str) {
        self.until(text, &format!("document.body.innerText.includes({})", json!(text)));
    }

    fn element(&self, css: &str) -> String {
        self.until(css, &format!("document.querySelector({}) !== null", json!(css)));
        let found = self.command("element", &json!({"using": "css selector", "value": css}));
        found.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned()
    }

    /// Clicks on an element; on the one that took its place, where the page was shown anew meanwhile.
    pub fn click(&self, css: &str) {
        let begin = Instant::now();
        loop {
            let path = format!("/session/{}/element/{}/click", self.session, self.element(css));
            match self.try_call("POST", &path, &json!({})) {
                Err(error) if error["error"] == "stale element reference" && begin.elapsed() < DEADLINE => {}
                Err(error) => panic!("{css}: {error}"),
                Ok(_) => return,
            }
        }
    }

    pub fn type_into(&self, css: &str, text: &str) {
        let element = self.element(css);
        self.command(&format!("element/{element}/value"), &json!({"text": text}));
    }

    pub fn press(&self, key: &str) {
        let keys = json!([{"type": "keyDown", "value": key}, {"type": "keyUp", "value": key}]);
        self.command("actions", &json!({"actions": [{"type": "key", "id": "keyboard", "actions": keys}]}));
    }

    /// Goes from element to element with the keyboard, as far as the one that is wanted, which must show that it has the
    /// focus.
    pub fn tab_to(&self, css: &str) {
        for _ in 0..100 {
            self.press(TAB);
            if self.ask(&format!("document.activeElement.matches({})", json!(css))) == true {
                let shown = "getComputedStyle(document.activeElement).outlineStyle !== 'none'";
                assert_eq!(self.ask(shown), true, "{css}: its focus is not seen");
                return;
            }
        }
        panic!("the keyboard does not reach {css}");
    }

    /// What the browser complained about: scripts that failed, and what the policy stopped. An answer that refuses is
    /// none of it.
    pub fn complaints(&self) -> Vec<String> {
        let entries = self.command("se/log", &json!({"type": "browser"}));
        let entries = entries.as_array().cloned().unwrap_or_default();
        let severe = entries.iter().filter(|entry| entry["level"] == "SEVERE");
        let messages = severe.map(|entry| entry["message"].to_string());
        messages.filter(|message| !message.contains("the server responded with a status of 40")).collect()
    }

    /// Writes a picture of the whole page into the directory of `HCFS_PAGE_PICTURES`, if there is one.
    pub fn picture(&self, name: &str) {
        let Some(directory) = std::env::var_os(PICTURES).map(PathBuf::from) else { return };
        std::fs::create_dir_all(&directory).unwrap();
        let taken = self.developer("Page.captureScreenshot", &json!({"captureBeyondViewport": true}));
        let png = base64::engine::general_purpose::STANDARD.decode(taken["data"].as_str().unwrap()).unwrap();
        std::fs::write(directory.join(format!("{name}.png")), png).unwrap();
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            // It ends the browser; the driver alone would leave it behind.
            let _ = self.try_call("DELETE", &format!("/session/{}", self.session), &Value::Null);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
