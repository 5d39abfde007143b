import Testing

@testable import MartletServer

/// The form of a URL, and where redirects lead: values only.
@Suite struct MediaURLTests {
    @Test(arguments: [
        ("http://a.test", "a.test", 80, "/"), ("HTTP://A.Test/X", "a.test", 80, "/X"),
        ("https://a.test:8443?q=1", "a.test:8443", 8443, "/?q=1"),
        ("https://a.test/p%20q?x#frag", "a.test", 443, "/p%20q?x"),
        ("http://a.test:443/", "a.test:443", 443, "/"),
        ("https://xn--bcher-kva.test/x.png", "xn--bcher-kva.test", 443, "/x.png"),
        ("http://93.184.216.34/x", "93.184.216.34", 80, "/x"),
        ("https://[2606:4700::1]:444/x", "[2606:4700::1]:444", 444, "/x"),
        ("http://a.test/@b\u{3A}//c", "a.test", 80, "/@b://c"),
    ])
    func readsWhatIsPlain(_ text: String, _ authority: String, _ port: Int, _ target: String) throws {
        let url = try MediaURL(text)
        #expect(url.authority == authority)
        #expect(url.port == port)
        #expect(url.target == target)
    }

    @Test func listsHostsExactly() throws {
        let hosts: Set<String> = ["a.test", "b.test:8080", "[2606:4700::1]"]
        for text in [
            "http://a.test", "https://A.TEST:80/", "http://b.test:8080", "https://[2606:4700::1]/",
        ] {
            #expect(try MediaURL(text).isAllowed(by: hosts), "\(text)")
        }
        for text in [
            "http://a.test:81", "http://x.a.test", "http://atest", "http://b.test", "http://b.test:80",
            "http://a.test.evil.test", "http://test",
        ] { #expect(try !MediaURL(text).isAllowed(by: hosts), "\(text)") }
    }

    @Test(
        arguments: [
            ("A.test", "a.test"), ("a.test:8080", "a.test:8080"), ("93.184.216.34", "93.184.216.34"),
            ("[2606:4700::1]:444", "[2606:4700::1]:444"),
            ("http://a.test", nil), ("a.test/", nil), ("*.a.test", nil), ("", nil), ("a.test:0", nil),
            ("u@a.test", nil),
            ("127.0.0.1", nil), ("[::1]", nil), ("127.1", nil), ("10.0.0.1:8000", nil),
            ("bücher.test", nil),
            ("a.test.", nil), ("a,b", nil),
        ] as [(String, String?)])
    func readsTheAllowList(_ entry: String, _ expected: String?) {
        #expect(ServerConfiguration.allowedMediaHost(entry) == expected)
    }

    @Test(arguments: [
        ("/y", "https://a.test:444/y"), ("//b.test/y", "https://b.test/y"),
        ("https://c.test", "https://c.test/"),
        ("z.png", "https://a.test:444/d/z.png"), ("?q", "https://a.test:444/d/x?q"),
        ("../w", "https://a.test:444/d/../w"),
        ("", "https://a.test:444/d/"),
    ])
    func followsRedirects(_ location: String, _ expected: String) throws {
        let next = try MediaURL("https://a.test:444/d/x?old=/1/2").redirected(to: location)
        #expect(try next == MediaURL(expected))
    }

    @Test func neverGivesUpTLS() throws {
        let url = try MediaURL("https://a.test/")
        #expect(throws: FetchError.redirect("it leads from https to http")) {
            try url.redirected(to: "http://a.test/")
        }
        #expect(try MediaURL("http://a.test/").redirected(to: "https://a.test/").scheme == .https)
        for location in [
            "file:///etc/passwd", "gopher://a.test", "//u@a.test/", "https:\\\\a.test", "/a b", "\r\nX: y",
        ] {
            #expect(throws: FetchError.self, "\(location)") { try url.redirected(to: location) }
        }
    }

    @Test(arguments: [
        "1.1.1.1", "93.184.216.34", "100.63.255.255", "100.128.0.0", "172.15.0.1", "172.32.0.1", "192.0.1.0",
        "198.17.0.1", "198.20.0.0", "223.255.255.255", "169.253.1.1", "11.0.0.0", "9.9.9.9", "126.1.1.1",
        "128.0.0.1", "2606:4700::1111", "2001:4860:4860::8888", "2001:200::1", "2a00::1", "3ffe::1", "2003::1",
    ])
    func knowsPublicAddresses(_ text: String) throws {
        #expect(try #require(IPAddress(canonical: text)).isPublic)
    }
}
