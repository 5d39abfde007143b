import MartletCore
import NIOCore
import Testing

@testable import MartletServer

/// Requests that would make the server fetch from where it must not (SSRF). What counts is not the error: it is that
/// nobody was asked.
@Suite struct RefusedURLTests {
    /// One URL a line. Refused whatever the allow list says.
    static let forms = #"""
        http://127.1/x
        http://127.0.1/x
        http://2130706433/x
        http://017700000001/x
        http://0x7f000001/x
        http://0x7f.0.0.1/x
        http://0X7F.1/x
        http://0177.0.0.1/x
        http://127.0.0.01/x
        http://0/x
        http://00.0.0.0/x
        http://127.0.0.1./x
        http://256.256.256.256/x
        http://1.2.3/x
        http://1.2.3.4.5/x
        http://allowed.test.0x7f/x
        http://allowed.test.1/x
        http://169.254.43518/x
        http://0xA9FEA9FE/x
        http://[::ffff:7f00:1]/x
        http://[0:0:0:0:0:0:0:1]/x
        http://[::0001]/x
        http://[::0:7f00:1]/x
        http://[::FFFF:127.0.0.1]/x
        http://[fe80::1%251]/x
        http://[fe80::1%1]/x
        http://[::1/x
        http://::1/x
        http://[127.0.0.1]/x
        http://[allowed.test]/x
        http://[]/x
        http://[::1]x/x
        http://[::1]:/x
        http://allowed.test。/x
        http://allowed。test/x
        http://allowed．test/x
        http://１２７.０.０.１/x
        http://ⓛocalhost/x
        http://bücher.test/x
        http://allowed.test./x
        http://allowed..test/x
        http://.allowed.test/x
        http://-allowed.test/x
        http://allowed-.test/x
        http://all_owed.test/x
        http://allowed%2etest/x
        http://allowed.test%00.evil.test/x
        http://%6cocalhost/x
        http://allowed.test@127.0.0.1/x
        http://allowed.test@evil.test/x
        http://user:pass@allowed.test/x
        http://@allowed.test/x
        http://127.0.0.1@allowed.test/x
        http://allowed.test:80@127.0.0.1/x
        http://allowed.test\@evil.test/x
        http://evil.test\allowed.test/x
        http://allowed.test\x
        http:\\allowed.test/x
        http:/\allowed.test/x
        http://evil.test#@allowed.test/x
        http://allowed.test#@evil.test/x
        http://allowed.test#/x
        http:///allowed.test/x
        http://
        http:
        http:/allowed.test/x
        http:allowed.test/x
        http:////allowed.test/x
        http://?allowed.test
        http://allowed.test:/x
        http://allowed.test:0/x
        http://allowed.test:080/x
        http://allowed.test:65536/x
        http://allowed.test:99999999999999999999/x
        http://allowed.test:-80/x
        http://allowed.test:+80/x
        http://allowed.test:8 0/x
        http://allowed.test:80:80/x
        http://allowed.test:x/x
        http://allowed.test /x
        http://allowed.test/a b
        http://allowed.test/{x}
        http://allowed.test/x%
        http://allowed.test/x%0
        http://allowed.test/x%zz
        http://allowed.test/é
        http://allowed.test/"x
        http://allowed.test/<x>
        http://allowed.test,evil.test/x
        http://allowed.test;evil.test/x
        """#.split(separator: "\n").map(String.init) + [
            "http://allowed.test\r\nHost: evil.test/x", "http://allowed.test/x HTTP/1.1\r\nX: y",
            "http://allowed.test\t/x", "http://allowed.test\u{0}/x", "http://allo\u{AD}wed.test/x",
            "http://allowed.test/\u{7F}",
            "http://" + String(repeating: "a.", count: 130) + "test/",
            "http://" + String(repeating: "a", count: 64) + ".test/",
            "http://allowed.test/" + String(repeating: "a", count: 5000),
        ]

    /// Not for a fetcher at all.
    static let schemes = [
        "file:///etc/passwd", "gopher://allowed.test/x", "unix:/run/x.sock", "ftp://allowed.test/x",
        "dict://allowed.test/", "ldap://allowed.test/", "jar:http://allowed.test/!/x", "//allowed.test/x", "/x",
        "allowed.test/x", "", " http://a", "\thttp://allowed.test/x", "http+unix://x/", "https ://allowed.test/",
        "ws://allowed.test/", "blob:http://a.test/1",
    ]

    /// Addresses that are nobody's business.
    static let addresses = [
        "0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "100.127.255.255",
        "127.0.0.1", "127.255.255.254", "168.63.129.16", "169.254.169.254", "169.254.170.2", "172.16.0.1",
        "172.31.255.255", "192.0.0.1", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.0.1", "192.168.255.255",
        "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1",
        "255.255.255.255", "::", "::1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::7f00:1",
        "64:ff9b::808:808", "64:ff9b:1::1", "100::1", "2001::1", "2001:10::1", "2001:20::1", "2001:db8::1",
        "2002:7f00:1::1", "3fff::1", "4000::1", "5f00::1", "fc00::1", "fd00:ec2::254", "fe80::1", "febf::1",
        "fec0::1", "ff02::1",
    ]

    /// Whatever the table names is on the list as well, so that only form and address can refuse it.
    private static let hosts: Set<String> = {
        var hosts: Set<String> = [
            "allowed.test", "evil.test", "allowed.test:0", "0", "127.1", "2130706433", "localhost",
        ]
        for form in forms { hosts.insert(String(form.dropFirst(7).prefix { $0 != "/" })) }
        for address in addresses { hosts.insert(address.contains(":") ? "[\(address)]" : address) }
        return hosts
    }()

    @Test func nobodyIsAskedWhenTheFormIsWrong() async throws {
        #expect(Self.forms.count >= 90)
        for form in Self.forms {
            let resolver = ScriptedResolver([:])
            let dialler = LoopbackDialler(sitePort: nil)
            let fetcher = MediaFetcher(allowedHosts: Self.hosts, resolver: resolver, dialler: dialler)
            do throws(FetchError) {
                _ = try await fetcher.bytes(of: form, limit: 1 << 20)
                Issue.record("\(form) was fetched")
            } catch {
                switch error {
                case .badURL, .notPublic: break
                default: Issue.record("\(form): \(error)")
                }
                #expect(APIError(error).status == 400)
            }
            #expect(resolver.lookups == [] && dialler.calls == [], "\(form)")
        }
    }

    @Test func nobodyIsAskedAboutOtherHosts() async throws {
        let resolver = ScriptedResolver([:])
        let dialler = LoopbackDialler(sitePort: nil)
        let fetcher = MediaFetcher(allowedHosts: ["allowed.test"], resolver: resolver, dialler: dialler)
        for url in [
            "http://evil.test/", "http://allowed.test.evil.test/", "http://x.allowed.test/",
            "http://allowed.test:8080/", "http://allowed.tes/", "http://93.184.216.34/", "https://[2606:4700::1]/",
            "http://evil.test/http://allowed.test/", "http://evil.test?@allowed.test/", "http://localhost/",
        ] {
            await #expect(throws: FetchError.hostNotAllowed, "\(url)") {
                try await fetcher.bytes(of: url, limit: 1)
            }
        }
        #expect(resolver.lookups == [] && dialler.calls == [])
    }

    @Test(arguments: addresses) func neverDialsWhatIsNotPublic(_ address: String) async throws {
        #expect(try #require(IPAddress(canonical: address)).isPublic == false)
        let literal = address.contains(":") ? "[\(address)]" : address
        let answers = [[address], ["93.184.216.34", address], [address, "2606:4700::1"]]
        let resolver = ScriptedResolver([
            "a.test": [answers[0]], "b.test": [answers[1]], "c.test": [answers[2]],
        ])
        let dialler = LoopbackDialler(sitePort: nil)
        let hosts: Set = [literal, "a.test", "b.test", "c.test"]
        let fetcher = MediaFetcher(allowedHosts: hosts, resolver: resolver, dialler: dialler)
        for host in [literal, "a.test", "b.test", "c.test"] {
            await #expect(throws: FetchError.notPublic, "\(host)") {
                try await fetcher.bytes(of: "http://\(host)/x", limit: 1 << 20)
            }
        }
        #expect(dialler.calls == [])
        #expect(resolver.lookups == ["a.test", "b.test", "c.test"], "a literal needs no lookup")
        // The last line of defence, behind all checks.
        await #expect(throws: FetchError.notPublic) {
            try await TCPDialler().dial(
                try #require(IPAddress(canonical: address)), port: 80, until: .distantFuture,
                prepare: { $0.eventLoop.makeSucceededVoidFuture() })
        }
    }

    /// Both routes that take messages, with nothing allowed and with something allowed.
    @Test(arguments: ["/v1/chat/completions", "/tokenize"]) func everyRouteRefuses(_ route: String)
        async throws
    {
        let resolver = ScriptedResolver([:])
        let dialler = LoopbackDialler(sitePort: nil)
        for hosts in [[], Self.hosts] {
            let fetcher = MediaFetcher(allowedHosts: hosts, resolver: resolver, dialler: dialler)
            let server = try ServerUnderTest(ScriptedEngine(saying: "Y"), fetcher: fetcher)
            let urls =
                Self.forms + Self.schemes + [
                    "http://127.0.0.1/x", "http://[::1]/", "http://169.254.169.254/latest",
                ]
            for url in urls {
                var writer = JSONWriter()
                writer.string(url)
                let body = """
                    {"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":\(writer.text)}}]}]}
                    """
                let reply = try await server.post(route, body)
                #expect(reply.status == 400, "\(url)")
                #expect(!reply.text.contains("127.0.0") && !reply.text.contains("evil"), "\(reply.text)")
            }
            #expect(server.engine.requests.isEmpty)
        }
        #expect(resolver.lookups == [] && dialler.calls == [])
    }
}
