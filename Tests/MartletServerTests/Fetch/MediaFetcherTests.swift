import MartletCore
import MartletEngine
import NIOCore
import Testing

@testable import MartletServer

/// Fetches from a site on loopback, which only the test's dialler reaches.
@Suite struct MediaFetcherTests {
    private static let address = "93.184.216.34"
    private static let names = ["allowed.test": [[address]], "other.test": [["93.184.216.35"]]]

    private struct Stage {
        let site: ScriptedSite
        let resolver: ScriptedResolver
        let dialler: LoopbackDialler
        let fetcher: MediaFetcher

        /// `seconds` is generous: other tests' work holds both cores for half a minute, and a deadline that is not the
        /// subject must not pass meanwhile.
        init(
            _ answers: [String: ScriptedSite.Answer],
            names: [String: [[String]]] = MediaFetcherTests.names,
            hosts: Set<String> = ["allowed.test"], seconds: Double = 300, redirects: Int = 3,
            dead: Set<String> = [],
            tls: TLSClient? = nil
        ) async throws {
            site = try await ScriptedSite(answers, isTLS: tls != nil)
            resolver = ScriptedResolver(names)
            dialler = LoopbackDialler(sitePort: site.port, dead: dead)
            fetcher = MediaFetcher(
                allowedHosts: hosts, seconds: seconds, maxRedirects: redirects, resolver: resolver,
                dialler: dialler,
                tls: tls ?? TLSClient())
        }

        /// What a fetch throws; nil if it does not.
        func error(_ url: String, limit: Int = 1 << 20) async -> FetchError? {
            do throws(FetchError) {
                _ = try await fetcher.bytes(of: url, limit: limit)
                return nil
            } catch { return error }
        }
    }

    @Test func fetchesWhatIsThere() async throws {
        let body = (0..<100_000).map { UInt8(truncatingIfNeeded: $0) }
        let chunked = Array(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
                .utf8)
        let stage = try await Stage([
            "/x.png?q=1": ScriptedSite.ok(body), "/chunked": .init(pieces: [chunked]),
            "/open": ScriptedSite.raw(
                "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n\r\nto the end"),
        ])
        #expect(
            try await stage.fetcher.bytes(of: "http://allowed.test/x.png?q=1#f", limit: body.count)
                == body)
        let head = try #require(stage.site.log.all.first)
        #expect(head.hasPrefix("GET /x.png?q=1 HTTP/1.1\r\n"))
        let lines = Set(head.lowercased().split(separator: "\r\n"))
        #expect(lines.contains("host: allowed.test"))
        #expect(
            !lines.contains {
                $0.hasPrefix("accept-encoding") || $0.hasPrefix("cookie") || $0.hasPrefix("referer")
            })
        #expect(
            try await stage.fetcher.bytes(of: "http://allowed.test/chunked", limit: 5)
                == Array("abcde".utf8))
        #expect(
            try await stage.fetcher.bytes(of: "http://allowed.test/open", limit: 99)
                == Array("to the end".utf8))
        #expect(stage.dialler.calls.allSatisfy { $0 == .init(address: Self.address, port: 80) })
        await stage.site.close()
    }

    @Test func dialsTheAddressThatWasChecked() async throws {
        let names = ["allowed.test": [[Self.address], ["127.0.0.1"]]]
        let stage = try await Stage(
            ["/x": ScriptedSite.ok([1]), "/again": ScriptedSite.redirect("/x")], names: names)
        #expect(await stage.error("http://allowed.test/x") == nil)
        #expect(stage.resolver.lookups.count == 1, "one lookup, whose answer is what is dialled")
        #expect(stage.dialler.calls == [.init(address: Self.address, port: 80)])
        #expect(await stage.error("http://allowed.test/x") == .notPublic)
        // The second answer is private: so a redirect to the same host goes nowhere.
        let other = try await Stage(
            ["/again": ScriptedSite.redirect("/x"), "/x": ScriptedSite.ok([1])], names: names)
        #expect(await other.error("http://allowed.test/again") == .notPublic)
        #expect(other.dialler.calls.count == 1 && other.resolver.lookups.count == 2)
        await stage.site.close()
        await other.site.close()
    }

    @Test func triesTheNextAddress() async throws {
        let names = ["allowed.test": [["93.184.216.1", "93.184.216.2", "93.184.216.3"]]]
        let stage = try await Stage(
            ["/x": ScriptedSite.ok([7])], names: names, dead: ["93.184.216.1", "93.184.216.2"])
        #expect(try await stage.fetcher.bytes(of: "http://allowed.test/x", limit: 9) == [7])
        #expect(stage.dialler.calls.map(\.address) == names["allowed.test"]?[0])
        let none = try await Stage([:], names: names, dead: Set(names["allowed.test"]?[0] ?? []))
        #expect(await none.error("http://allowed.test/x") == .unreachable)
        await stage.site.close()
        await none.site.close()
    }

    @Test(arguments: [301, 302, 303, 307, 308])
    func followsAndChecksRedirects(_ status: Int) async throws {
        func to(_ location: String) -> ScriptedSite.Answer { ScriptedSite.redirect(location, status) }
        let stage = try await Stage(
            [
                "/ok": ScriptedSite.ok([5]), "/1": to("/ok"), "/2": to("http://allowed.test/1"),
                "/3": to("//allowed.test/2"),
                "/4": to("3"), "/loop": to("/loop"), "/other": to("http://other.test/ok"),
                "/local": to("http://127.0.0.1/ok"),
                "/name": to("http://user@allowed.test/ok"), "/file": to("file:///etc/passwd"),
                "/v6": to("http://[::1]/ok"),
                "/meta": to("http://169.254.169.254/latest/meta-data"),
                "/octal": to("http://0177.0.0.1/ok"),
                "/port": to("http://allowed.test:22/ok"), "/private": to("http://private.test/ok"),
                "/nowhere": ScriptedSite.raw("HTTP/1.1 \(status) X\r\nContent-Length: 0\r\n\r\n"),
            ], names: Self.names.merging(["private.test": [["10.0.0.1"]]]) { $1 },
            hosts: ["allowed.test", "private.test"])
        for path in ["1", "2", "3"] {
            #expect(try await stage.fetcher.bytes(of: "http://allowed.test/\(path)", limit: 9) == [5])
        }
        #expect(await stage.error("http://allowed.test/4") == .redirect("more than 3 in a row"))
        #expect(await stage.error("http://allowed.test/loop") == .redirect("more than 3 in a row"))
        #expect(stage.dialler.calls.count == 17, "2, 3, 4, and twice the URL and three more")
        for (path, expected) in [
            ("other", FetchError.hostNotAllowed), ("local", .notPublic), ("v6", .notPublic),
            ("meta", .notPublic),
            ("port", .hostNotAllowed), ("private", .notPublic),
            ("nowhere", .redirect("it does not say where to")),
        ] {
            let before = stage.dialler.calls.count
            let error = await stage.error("http://allowed.test/\(path)")
            #expect(error == expected, "\(path)")
            #expect(stage.dialler.calls.count == before + 1, "\(path): only the first host was dialled")
            #expect(error.map { APIError($0).status } == 400)
        }
        for path in ["name", "file", "octal"] {
            guard case .badURL? = await stage.error("http://allowed.test/\(path)") else {
                Issue.record("\(path)")
                continue
            }
        }
        #expect(!stage.resolver.lookups.contains("other.test"))
        await stage.site.close()
    }

    @Test func followsNoRedirectWhenToldNotTo() async throws {
        let stage = try await Stage(
            ["/1": ScriptedSite.redirect("/ok"), "/ok": ScriptedSite.ok([5])], redirects: 0)
        #expect(await stage.error("http://allowed.test/1") == .redirect("redirects are off"))
        #expect(stage.dialler.calls.count == 1)
        await stage.site.close()
    }

    @Test func limitsBytes() async throws {
        let endless = [[UInt8]](
            repeating: Array("400\r\n".utf8) + [UInt8](repeating: 1, count: 1024) + [13, 10], count: 40)
        let head = Array("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n".utf8)
        let stage = try await Stage([
            "/exact": ScriptedSite.ok([UInt8](repeating: 0, count: 4096)),
            "/claims": ScriptedSite.raw("HTTP/1.1 200 OK\r\nContent-Length: 10737418240\r\n\r\n"),
            "/over": ScriptedSite.ok([UInt8](repeating: 0, count: 4097)),
            "/stream": .init(pieces: [head] + endless),
            "/huge": ScriptedSite.raw(
                "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\n"),
            "/headers": ScriptedSite.raw(
                "HTTP/1.1 200 OK\r\nX: \(String(repeating: "x", count: 20_000))\r\n\r\n"),
        ])
        #expect(await stage.error("http://allowed.test/exact", limit: 4096) == nil)
        for path in ["claims", "over", "stream"] {
            #expect(
                await stage.error("http://allowed.test/\(path)", limit: 4096) == .tooManyBytes(limit: 4096),
                "\(path)")
        }
        for path in ["huge", "headers"] {
            #expect(
                await stage.error("http://allowed.test/\(path)", limit: 4096) == .brokenResponse, "\(path)")
        }
        await stage.site.close()
    }

    @Test func endsAtTheDeadline() async throws {
        let drip =
            [Array("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n".utf8)]
            + [[UInt8]](repeating: [1], count: 200)
        let stage = try await Stage(
            [
                "/slow": .init(pieces: drip, milliseconds: 20), "/silent": .init(pieces: [], closes: false),
                "/headers": .init(pieces: Array(repeating: Array("X".utf8), count: 200), milliseconds: 20),
            ], seconds: 0.3)
        for path in ["slow", "silent"] {
            let clock = ContinuousClock()
            let start = clock.now
            #expect(await stage.error("http://allowed.test/\(path)") == .timeout, "\(path)")
            // No upper bound: on a busy machine the test itself may wait for its turn.
            let took = start.duration(to: clock.now)
            #expect(took > .milliseconds(250), "\(path): \(took)")
        }
        await stage.site.close()
    }

    @Test func refusesWhatIsNoPlainPicture() async throws {
        func answer(_ headers: String) -> ScriptedSite.Answer { ScriptedSite.ok([1, 2, 3], headers) }
        let stage = try await Stage([
            "/gzip": answer("Content-Encoding: gzip\r\n"),
            "/br": answer("Content-Encoding: identity, BR\r\n"),
            "/te": ScriptedSite.raw(
                "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
            "/html": answer("Content-Type: text/html; charset=utf-8\r\n"),
            "/json": answer("Content-Type: application/json\r\n"),
            "/svg": answer("Content-Type: IMAGE/png; x=y\r\n"),
            "/plain": answer("Content-Encoding: identity\r\n"),
            "/204": ScriptedSite.raw("HTTP/1.1 204 No Content\r\n\r\n"),
            "/500": ScriptedSite.raw("HTTP/1.1 500 X\r\n\r\n"),
            "/206": ScriptedSite.raw("HTTP/1.1 206 X\r\nContent-Length: 1\r\n\r\nx"),
            "/304": ScriptedSite.raw("HTTP/1.1 304 X\r\n\r\n"),
            "/short": ScriptedSite.raw(
                "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"),
            "/ssh": ScriptedSite.raw("SSH-2.0-OpenSSH_9.2\r\n"), "/empty": .init(pieces: []),
            "/two": ScriptedSite.raw(
                "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy"),
        ])
        for (path, expected) in [
            ("gzip", FetchError.encoded), ("br", .encoded), ("te", .encoded), ("html", .notAnImage),
            ("json", .notAnImage),
            ("svg", nil), ("plain", nil), ("204", .status(204)), ("500", .status(500)),
            ("206", .status(206)),
            ("304", .status(304)), ("missing", .status(404)), ("short", .brokenResponse),
            ("ssh", .brokenResponse),
            ("empty", .brokenResponse), ("two", .brokenResponse),
        ] as [(String, FetchError?)] {
            #expect(await stage.error("http://allowed.test/\(path)") == expected, "\(path)")
        }
        await stage.site.close()
    }

    @Test func verifiesCertificates() async throws {
        let answers = [
            "/x": ScriptedSite.ok([9]), "/down": ScriptedSite.redirect("http://allowed.test/x"),
        ]
        let hosts: Set = ["allowed.test", "other.test", Self.address]
        let good = try await Stage(answers, hosts: hosts, tls: TestCertificate.client())
        #expect(try await good.fetcher.bytes(of: "https://allowed.test/x", limit: 9) == [9])
        #expect(good.dialler.calls == [.init(address: Self.address, port: 443)])
        #expect(
            await good.error("https://allowed.test/down") == .redirect("it leads from https to http"))
        #expect(await good.error("https://other.test/x") == .insecure, "a certificate for another name")
        #expect(
            await good.error("https://\(Self.address)/x") == .insecure,
            "a certificate without this address")
        let stranger = try await Stage(answers, tls: TLSClient())
        #expect(await stranger.error("https://allowed.test/x") == .insecure, "nobody vouches for it")
        #expect(stranger.site.log.all == [], "nothing was sent")
        await good.site.close()
        await stranger.site.close()
    }

    @Test func endsWithItsTask() async throws {
        let stage = try await Stage(["/silent": .init(pieces: [], closes: false)], seconds: 60)
        let task = Task { await stage.error("http://allowed.test/silent") }
        while stage.site.log.all.isEmpty { try await Task.sleep(for: .milliseconds(5)) }
        task.cancel()
        #expect(await task.value != nil)
        await stage.site.close()
    }

    /// What the system says, read right; an address in words needs no network.
    @Test(arguments: ["93.184.216.34", "2606:4700::1111"]) func readsAddressesOfTheSystem(_ text: String) throws {
        #expect(SystemResolver.lookUp(text) == [try #require(IPAddress(canonical: text))])
    }

    @Test func leavesALookupBehindAtTheDeadline() async throws {
        await #expect(throws: FetchError.timeout) {
            try await SystemResolver().addresses(of: "localhost", until: .now() - .seconds(1))
        }
    }

    /// From the request to the prompt, and the table of errors (API.md 2.5).
    @Test func servesPicturesByURL() async throws {
        let stage = try await Stage([
            "/x.png": ScriptedSite.ok(TestPicture.png(112, 112)), "/no.png": ScriptedSite.ok([1, 2]),
        ])
        let server = try ServerUnderTest(ScriptedEngine(saying: "Y"), fetcher: stage.fetcher) {
            $0.limits.bodyBytes = TestPicture.png(112, 112).count + 10
        }
        func ask(_ urls: String...) async throws -> ServerUnderTest.Reply {
            let parts = urls.map { "{\"type\":\"image_url\",\"image_url\":{\"url\":\"\($0)\"}}" }
            return try await server.post(
                "/v1/chat/completions",
                "{\"messages\":[{\"role\":\"user\",\"content\":[\(parts.joined(separator: ","))]}]}")
        }
        #expect(try await ask("http://allowed.test/x.png").status == 200)
        #expect(server.engine.requests.first?.prompt.images.map(\.image.width) == [112])
        for (url, status, message) in [
            ("http://evil.test/x.png", 400, "The URL's host is not among `--allowed-media-domains`."),
            (
                "http://allowed.test/404", 422,
                "Failed to fetch the image: its host answered with status 404."
            ),
            ("http://allowed.test/no.png", 400, "Failed to load image: unsupported image format"),
            ("http://allowed.test:1/x", 400, "The URL's host is not among"),
            ("http://a@allowed.test/x", 400, "The URL is not one to fetch: it names a user."),
        ] {
            let reply = try await ask(url)
            #expect(reply.status == status, "\(url)")
            #expect(reply.error["message"]?.string?.hasPrefix(message) == true, "\(reply.text)")
            #expect(
                reply.error["type"]
                    == .string(status == 422 ? "UnprocessableEntityError" : "BadRequestError"))
        }
        // All pictures of a request share what a body may be.
        let two = try await ask("http://allowed.test/x.png", "http://allowed.test/x.png")
        #expect(
            two.status == 400 && two.error["message"]?.string?.contains("limit of 10 bytes") == true)
        #expect(server.engine.requests.count == 1)
        await stage.site.close()
    }

    @Test(arguments: [
        (FetchError.unknownHost, 422), (.unreachable, 422), (.insecure, 422), (.brokenResponse, 422),
        (.timeout, 422),
        (.status(500), 422), (.off, 400), (.hostNotAllowed, 400), (.notPublic, 400), (.encoded, 400),
        (.notAnImage, 400),
        (.tooManyBytes(limit: 1), 400), (.redirect("x"), 400), (.badURL("x"), 400),
    ])
    func errorsAreRefusalsOrFailures(_ error: FetchError, _ status: Int) {
        #expect(APIError(error).status == status)
    }
}
